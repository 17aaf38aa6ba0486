/** Path lookup: what a path leads to, in this kernel's tree or in the machine's file system. */
import { AT_FDCWD, AT_STATX_DONT_SYNC } from '../abi/constants.js';
import { Errno, type ErrnoName } from '../errno.js';
import { belowRoot } from '../host/roots.js';
import { isServed } from '../host/served_mounts.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { isOursAlone, type MachineDirectories } from './directories.js';
import type { File, FileTable } from './file.js';
import { mountPoint } from './file_system.js';
import { type Dentry, Directory, S_IFDIR, S_IFMT, Symlink } from './tree.js';

/** Symbolic links that one lookup may follow. */
const MAXSYMLINKS = 40;
/** Bytes in one component. */
const NAME_MAX = 255;

/** Something of ours. */
export interface FoundNode {
  kind: 'node';
  dentry: Dentry;
  /** What the caller's machine calls the place. */
  path: string;
  /** As in {@link FoundMachine}. */
  detour: boolean;
}

/** Something that the machine has, or lacks. */
export interface FoundMachine {
  kind: 'machine';
  path: string;
  /** Its place, if it is in a directory that both have. */
  place?: NewName | undefined;
  /** The way led through a directory or link of ours: the machine's own lookup would not get there. */
  detour: boolean;
}

/** An entry of /proc/PID/fd or /proc/PID/fdinfo; or the link /proc/PID/cwd itself, which has no number. */
export interface FoundDescriptor {
  kind: 'descriptor';
  of: 'fd' | 'fdinfo' | 'cwd';
  /** The process, or one of its threads. */
  pid: number;
  fd: number;
  path: string;
  /** As in {@link FoundMachine}. */
  detour: boolean;
}

/** A place in a directory of ours where there is nothing. */
export interface NewName {
  parent: Directory;
  name: string;
}

/** Nothing; ENOENT: what is missing may be made at `free`. */
export interface NotFound {
  kind: 'error';
  code: ErrnoName;
  free?: NewName;
  /** The path ended in a slash. */
  slash?: boolean;
}

export type Found = FoundNode | FoundMachine | FoundDescriptor | NotFound;

/** Who looks, and from where. */
export interface Caller {
  tgid: () => number;
  tid: number;
  /** What leads to its root: empty where that is ours, else /proc/TID/root. */
  root: string;
  /** Whether it may go through a directory of ours; anybody may through most. */
  mayEnter?: (directory: Directory) => boolean;
}

/** RESOLVE_* of openat2(2), as far as they make a difference to the way. */
export interface Restrictions {
  noSymlinks: boolean;
  noMagiclinks: boolean;
  noXdev: boolean;
  beneath: boolean;
  inRoot: boolean;
}

/** What a lookup goes by. */
export interface Names {
  readonly root: Directory;
  readonly files: FileTable;
  readonly directories: MachineDirectories;
}

const PROC_ENTRY = /^\/proc\/(\d+)(?:\/task\/(\d+))?\/(?:(fd|fdinfo)\/(\d+)|(cwd|root))$/;
const stat = new Float64Array(STAT_FIELDS);

/** The open directory, or whatever else it is, that a lookup begins at. */
export interface Start {
  /** As the caller's machine names it. */
  at: string;
  directory: Directory | undefined;
}

/** One lookup, component by component. Links are followed whether they are ours or the machine's. */
class Walk {
  readonly #names: Names;
  readonly #caller: Caller;
  readonly #how: Restrictions | undefined;
  #at: string;
  /** Our directory there, if there is one. */
  #directory: Directory | undefined;
  readonly #todo: string[];
  /** Whether what the machine has by another name may be one of ours. */
  readonly #elsewhere: boolean;
  #links = 0;
  #detour = false;
  /** It began at something that is open, and may have been removed. */
  #fromOpen: boolean;
  /** Where the way may not leave; restricted lookups only. */
  readonly #top: string;
  #place: NewName | undefined;

  constructor(names: Names, caller: Caller, start: Start, path: string, how?: Restrictions) {
    this.#names = names;
    this.#caller = caller;
    this.#how = how;
    this.#elsewhere = caller.root !== '' || names.directories.areElsewhere;
    this.#at = start.at === '/' ? '' : start.at;
    this.#directory = start.directory ?? this.#directoryAt(this.#at);
    this.#fromOpen = start.directory !== undefined;
    this.#todo = path.split('/').reverse();
    this.#top = this.#at;
  }

  run(follow: boolean): Found {
    while (this.#todo.length > 0) {
      const name = this.#todo.pop() as string;
      if (name === '' || name === '.') continue;
      const found = name === '..' ? this.#up() : this.#down(name, follow);
      if (found) return found;
      if (this.#how?.noXdev && mountPoint(this.#at) !== mountPoint(this.#top)) {
        return this.#error('EXDEV');
      }
    }
    const directory = this.#directory;
    if (directory) return this.#node(directory.dentry);
    return this.#machine(this.#at);
  }

  #error(code: ErrnoName): NotFound {
    return { kind: 'error', code };
  }

  #node(dentry: Dentry): FoundNode {
    return { kind: 'node', dentry, path: this.#at || '/', detour: this.#detour };
  }

  #machine(path: string): FoundMachine {
    const rest = this.#todo.reverse().join('/');
    return {
      kind: 'machine',
      path: rest ? `${path}/${rest}` : path || '/',
      place: this.#place,
      detour: this.#detour,
    };
  }

  /** Whether nothing is left but slashes. */
  get #isLast(): boolean {
    return this.#todo.every((name) => name === '');
  }

  #up(): NotFound | FoundMachine | undefined {
    if (this.#how && this.#at === this.#top) {
      if (this.#how.beneath) return this.#error('EXDEV');
      if (this.#how.inRoot) return undefined;
    }
    const from = this.#directory;
    // Only a directory has a way up. Of what is no directory the machine says what is wrong.
    if (!from && !isServed(this.#at) && native.access(`${this.#caller.root}${this.#at}/.`) < 0) {
      this.#todo.push('..');
      return this.#machine(this.#at);
    }
    this.#at = this.#at.slice(0, Math.max(this.#at.lastIndexOf('/'), 0));
    this.#directory = from && isOursAlone(from) ? from.dentry.parent : this.#directoryAt(this.#at);
    return undefined;
  }

  /** Our directory at a path, by its name or by what it is. */
  #directoryAt(path: string): Directory | undefined {
    const named = find(this.#names.root, path);
    if (named || !this.#elsewhere || isServed(path)) return named;
    return this.#known(`${this.#caller.root}${path}`);
  }

  /** Our directory that something of the machine's is, by what it is. */
  #known(path: string): Directory | undefined {
    if (native.fstatat(AT_FDCWD, path, AT_STATX_DONT_SYNC, stat) < 0) return undefined;
    if (((stat[Stat.mode] as number) & S_IFMT) !== S_IFDIR) return undefined;
    const { directories } = this.#names;
    return directories.find(stat[Stat.dev] as number, stat[Stat.ino] as number);
  }

  /** Goes on at the target of a link. */
  #splice(target: string): NotFound | undefined {
    if (this.#how?.noSymlinks) return this.#error('ELOOP');
    if (target.startsWith('/')) {
      if (this.#how?.beneath) return this.#error('EXDEV');
      this.#at = this.#how?.inRoot ? this.#top : '';
      this.#directory = this.#directoryAt(this.#at);
    }
    this.#todo.push(...target.split('/').reverse());
    return ++this.#links <= MAXSYMLINKS ? undefined : this.#error('ELOOP');
  }

  #down(name: string, follow: boolean): Found | undefined {
    const directory = this.#directory;
    if (directory && (directory.mode & 0o111) !== 0o111 && !this.#mayEnter(directory)) {
      return this.#error('EACCES');
    }
    const removed = this.#fromOpen && directory?.dentry.unlinked;
    const dentry = removed ? undefined : directory?.lookup(name);
    if (dentry) return this.#enter(dentry, follow);
    if (directory && (isOursAlone(directory) || directory.hides(name))) {
      if (Buffer.byteLength(name) > NAME_MAX) return this.#error('ENAMETOOLONG');
      if (!this.#isLast) return this.#error('ENOENT');
      const slash = this.#todo.length > 0;
      return { kind: 'error', code: 'ENOENT', free: { parent: directory, name }, slash };
    }
    return this.#enterMachine(name, follow);
  }

  #mayEnter(directory: Directory): boolean {
    return !isOursAlone(directory) || this.#caller.mayEnter?.(directory) !== false;
  }

  /** Our own entry. */
  #enter(dentry: Dentry, follow: boolean): Found | undefined {
    const { node, name } = dentry;
    // A trailing slash, or a dot, makes the last component one that has to be a directory.
    const last = this.#todo.length === 0;
    if (node instanceof Symlink && (!last || follow)) {
      this.#detour = true;
      return this.#splice(node.target);
    }
    this.#at = `${this.#at}/${name}`;
    if (!(node instanceof Directory)) {
      return last ? this.#node(dentry) : { kind: 'error', code: 'ENOTDIR', slash: this.#isLast };
    }
    this.#directory = node;
    if (isOursAlone(node)) this.#detour = true;
    return undefined;
  }

  /** What the machine has, or may have. */
  #enterMachine(name: string, follow: boolean): Found | undefined {
    const parent = this.#directory;
    this.#place = parent && this.#isLast ? { parent, name } : undefined;
    const { tgid, tid, root } = this.#caller;
    const last = this.#todo.length === 0;
    const here = `${this.#at}/${name}`;
    if (this.#at === '/proc' && name === 'self') {
      return this.#move(`/proc/${tgid()}`);
    }
    if (this.#at === '/proc' && name === 'thread-self') {
      return this.#move(`/proc/${tgid()}/task/${tid}`);
    }
    const entry = here.startsWith('/proc/') && PROC_ENTRY.exec(here);
    const magic = entry && this.#enterProc(entry, here, last, follow);
    if (magic) return magic === 'entered' ? undefined : magic;
    // What is served by a program is not looked at: that would be to wait for the program.
    if ((!last || follow) && !isServed(here)) {
      const path = `${root}${here}`;
      const target = native.readlink(path);
      // Links of /proc say where something is as we see it.
      if (typeof target === 'string') {
        return this.#splice(entry ? belowRoot(root, target) : target);
      }
      if (target === -Errno.ENOENT) return this.#machine(here);
      if (this.#elsewhere) return this.#move(here, this.#known(path));
    }
    return this.#move(here);
  }

  #move(at: string, directory?: Directory): undefined {
    this.#at = at;
    this.#directory = directory;
  }

  /** /proc/PID/fd/N and its like: not a link that can be followed by its text. */
  #enterProc(
    [, process, thread, table, number, link]: RegExpExecArray,
    here: string,
    last: boolean,
    follow: boolean,
  ): Found | 'entered' | undefined {
    const pid = Number(thread ?? process);
    const fd = Number(number ?? -1);
    if (last && (table || (link === 'cwd' && !follow))) {
      const of = (table as 'fd' | 'fdinfo' | undefined) ?? 'cwd';
      return { kind: 'descriptor', of, pid, fd, path: here, detour: this.#detour };
    }
    if (table === 'fdinfo') return undefined;
    if (last && !follow) return undefined;
    const { files, directories } = this.#names;
    const open = openNode(files.behind(here, stat));
    const [dev, ino] = [stat[Stat.dev] as number, stat[Stat.ino] as number];
    const directory = open ? open.node : directories.find(dev, ino);
    if (open && !(directory instanceof Directory)) return this.#error('ENOTDIR');
    if (!(directory instanceof Directory)) return undefined;
    if (this.#how && (this.#how.noMagiclinks || this.#how.noSymlinks)) return this.#error('ELOOP');
    this.#directory = directory;
    this.#at = directory.dentry.path;
    this.#fromOpen = true;
    if (open) this.#detour = true;
    return 'entered';
  }
}

/** The name that a file was opened by, if it was. */
export function openNode(file: File | undefined): Dentry | undefined {
  return file?.attributes.dentry;
}

/**
 * Follows a path, absolute or from `start`, component by component, for `caller`. The last component, if it is a
 * symbolic link, is followed or not.
 */
export function namei(
  names: Names,
  caller: Caller,
  path: string,
  follow: boolean,
  start?: Start,
  how?: Restrictions,
): Found {
  const absolute = path.startsWith('/');
  if (absolute && how?.beneath) return { kind: 'error', code: 'EXDEV' };
  const from = absolute && !how?.inRoot ? undefined : start;
  return new Walk(names, caller, from ?? { at: '', directory: names.root }, path, how).run(follow);
}

/** Our directory at an absolute path, if there is one. */
export function find(root: Directory, path: string): Directory | undefined {
  let directory: Directory | undefined = root;
  for (const name of path.split('/')) {
    if (name === '') continue;
    const child: Dentry | undefined = directory.lookup(name);
    if (!(child?.node instanceof Directory)) return undefined;
    directory = child.node;
  }
  return directory;
}
