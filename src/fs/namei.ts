/** Path lookup: what a path leads to, in this kernel's tree or in the machine's file system. */
import { Errno, type ErrnoName } from '../errno.js';
import { isServed } from '../host/served_mounts.js';
import { native } from '../native.js';
import { Directory, Symlink, type TreeNode } from './tree.js';

/** Symbolic links that one lookup may follow. */
const MAXSYMLINKS = 40;
const ENOENT = -Errno.ENOENT;
/** Bytes in one component. */
const NAME_MAX = 255;

/** Something of ours. */
export interface FoundNode {
  kind: 'node';
  node: TreeNode;
  path: string;
  /** As in {@link FoundMachine}. */
  detour: boolean;
}

/** Something that the machine has, or lacks. */
export interface FoundMachine {
  kind: 'machine';
  path: string;
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

export interface NotFound {
  kind: 'error';
  code: ErrnoName;
}

export type Found = FoundNode | FoundMachine | FoundDescriptor | NotFound;

const PROC_ENTRY = /^\/proc\/(\d+)(?:\/task\/(\d+))?\/(?:(fd|fdinfo)\/(\d+)|cwd)$/;

/**
 * Follows an absolute path, component by component, for the caller `self` (process and thread). The
 * last component, if it is a symbolic link, is followed or not. Links are followed whether they are
 * ours or the machine's, so that a link to a device of ours works wherever it lies.
 */
export function namei(
  root: Directory,
  path: string,
  follow: boolean,
  self: { tgid: () => number; tid: number },
): Found {
  const todo = path.split('/').reverse();
  let links = 0;
  let detour = false;
  let at = '';
  /** Our directory at `at`, if there is one. */
  let directory: Directory | undefined = root;

  const splice = (target: string): boolean => {
    if (target.startsWith('/')) {
      at = '';
      directory = root;
    }
    todo.push(...target.split('/').reverse());
    return ++links <= MAXSYMLINKS;
  };

  while (todo.length > 0) {
    const name = todo.pop() as string;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      // Only a directory has a way up. Of what is no directory the machine says what is wrong.
      if (!directory && !isServed(at) && native.access(`${at}/.`) < 0) {
        return { kind: 'machine', path: [at, '..', ...todo.reverse()].join('/'), detour };
      }
      at = at.slice(0, Math.max(at.lastIndexOf('/'), 0));
      directory = find(root, at);
      continue;
    }
    // A trailing slash, or a dot, makes the last component one that has to be a directory.
    const last = todo.length === 0;
    const node: TreeNode | undefined = directory?.get(name);
    if (node) {
      if (node instanceof Symlink && (!last || follow)) {
        detour = true;
        if (!splice(node.target)) return { kind: 'error', code: 'ELOOP' };
        continue;
      }
      at = `${at}/${name}`;
      if (!(node instanceof Directory)) {
        return last ? { kind: 'node', node, path: at, detour } : { kind: 'error', code: 'ENOTDIR' };
      }
      directory = node;
      if (isOursAlone(node, at)) detour = true;
      continue;
    }
    if (directory && isOursAlone(directory, at)) {
      const tooLong = Buffer.byteLength(name) > NAME_MAX;
      return { kind: 'error', code: tooLong ? 'ENAMETOOLONG' : 'ENOENT' };
    }
    directory = undefined;
    const here = `${at}/${name}`;
    if (at === '/proc' && name === 'self') {
      at = `/proc/${self.tgid()}`;
      continue;
    }
    if (at === '/proc' && name === 'thread-self') {
      at = `/proc/${self.tgid()}/task/${self.tid}`;
      continue;
    }
    const entry = last && PROC_ENTRY.exec(here);
    if (entry) {
      const [, pid, tid, of = 'cwd', fd = -1] = entry;
      if (of !== 'cwd' || !follow) {
        return {
          kind: 'descriptor',
          of: of as FoundDescriptor['of'],
          pid: Number(tid ?? pid),
          fd: Number(fd),
          path: here,
          detour,
        };
      }
    }
    if (!last || follow) {
      // A link that is served by a program is not followed: that would be to wait for the program.
      const target = isServed(here) ? undefined : native.readlink(here);
      if (typeof target === 'string') {
        if (!splice(target)) return { kind: 'error', code: 'ELOOP' };
        continue;
      }
      if (target === ENOENT) {
        const rest = todo.reverse().join('/');
        return { kind: 'machine', path: rest ? `${here}/${rest}` : here, detour };
      }
    }
    at = here;
  }
  if (directory) return { kind: 'node', node: directory, path: at || '/', detour };
  return { kind: 'machine', path: at, detour };
}

/** Our directory at an absolute path, if there is one. */
export function find(root: Directory, path: string): Directory | undefined {
  let directory: Directory | undefined = root;
  for (const name of path.split('/')) {
    if (name === '') continue;
    const child: TreeNode | undefined = directory.get(name);
    if (!(child instanceof Directory)) return undefined;
    directory = child;
  }
  return directory;
}

/** Whether a directory of ours is nothing but that: what is not in it is nowhere. */
export function isOursAlone(directory: Directory, path: string): boolean {
  directory.machineHasIt ??= native.access(path || '/') === 0;
  return !directory.machineHasIt;
}
