/**
 * The part of the file system that this kernel provides: devtmpfs, sysfs and debugfs as far as they
 * show its devices and buffers. What is not in it is the machine's own.
 */

import type { CharDeviceOperations } from './char_dev.js';
import type { DevT } from './dev_t.js';

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

let lastIno = 0x1000;

/** struct timespec64. */
export interface Timespec {
  sec: number;
  nsec: number;
}

/** The present. */
export function currentTime(): Timespec {
  const now = Date.now();
  return { sec: Math.floor(now / 1000), nsec: (now % 1000) * 1e6 };
}

/** A name in a directory, and what has it: struct dentry. The root's has no directory and no name. */
export class Dentry {
  parent: Directory | undefined;
  name: string;
  readonly node: TreeNode;
  /** A program has given it: that name is not the kernel's. */
  givenByProgram = false;

  constructor(parent: Directory | undefined, name: string, node: TreeNode) {
    this.parent = parent;
    this.name = name;
    this.node = node;
  }

  /** The absolute path; empty for the root. */
  get path(): string {
    return this.parent ? `${this.parent.dentry.path}/${this.name}` : '';
  }

  /** Whether the name is gone, or a directory above: what is open by it stays so. */
  get unlinked(): boolean {
    if (!this.parent) return false;
    return this.parent.lookup(this.name) !== this || this.parent.dentry.unlinked;
  }

  /** What /proc/PID/fd/N says of who has it open: d_path(). */
  get link(): string {
    return `${this.path || '/'}${this.unlinked ? ' (deleted)' : ''}`;
  }
}

/** Told of names that are made and go, at the root of the tree. */
export interface TreeObserver {
  added(dentry: Dentry): void;
  removed(dentry: Dentry): void;
  /** It had another path before; `replaced` had the one that it has now. */
  moved(dentry: Dentry, from: string, replaced: Dentry | undefined): void;
  /** Each has the path of the other. */
  exchanged(one: Dentry, other: Dentry): void;
  /** The mode, owner, times or attributes of what has this name were set. */
  attributes(dentry: Dentry): void;
}

abstract class Inode {
  readonly ino = ++lastIno;
  /** st_mode: file type and permissions. */
  mode: number;
  uid: number;
  gid: number;
  atime = currentTime();
  mtime = this.atime;
  ctime = this.atime;
  /** How many names it has. */
  names = 0;
  /** Extended attributes, in the order in which they were set. */
  xattrs: Map<string, Uint8Array> | undefined;

  /** Its owner is root, or whose kernel this is: Linux's nodes are root's, but ours are there to be opened. */
  constructor(mode: number, owner: 'root' | 'user') {
    this.mode = mode;
    this.uid = owner === 'root' ? 0 : (process.getuid?.() ?? 0);
    this.gid = owner === 'root' ? 0 : (process.getgid?.() ?? 0);
  }
}

/** A directory of ours. Where the machine has one at the same path, the two are seen as one. */
export class Directory extends Inode {
  /** Its only name; the root's until it is put into another directory. */
  dentry = new Dentry(undefined, '', this);
  /** Whether the machine has a directory at the same path; looked up when first asked for. */
  machineHasIt: boolean | undefined;
  /** How often directories were put below it. */
  version = 0;
  /** Of the root: who is told of names. */
  observer: TreeObserver | undefined;
  readonly #children = new Map<string, Dentry>();
  /** Names of the machine's that are not to be seen: claimed, or those of what was removed in this kernel. */
  readonly #whiteouts = new Set<string>();

  constructor(permissions = 0o755) {
    super(S_IFDIR | permissions, 'root');
  }

  lookup(name: string): Dentry | undefined {
    return this.#children.get(name);
  }

  get(name: string): TreeNode | undefined {
    return this.lookup(name)?.node;
  }

  /** Names, in the order in which they were made. */
  dentries(): Iterable<Dentry> {
    return this.#children.values();
  }

  /** Names and nodes, in the same order. */
  *entries(): Iterable<[string, TreeNode]> {
    for (const { name, node } of this.dentries()) yield [name, node];
  }

  /** Names of the machine's that are not to be seen. */
  get hidden(): Iterable<string> {
    return this.#whiteouts;
  }

  get hidesAny(): boolean {
    return this.#whiteouts.size > 0;
  }

  /** Whether the machine's entry of that name is hidden. */
  hides(name: string): boolean {
    return this.#whiteouts.has(name);
  }

  /** Gives a node a name in here; one that had it loses it. */
  add(name: string, node: TreeNode): Dentry {
    this.delete(name);
    const dentry = new Dentry(this, name, node);
    if (node instanceof Directory) node.dentry = dentry;
    this.#insert(dentry);
    node.names++;
    this.#top.observer?.added(dentry);
    return dentry;
  }

  get #top(): Directory {
    let top: Directory = this;
    while (top.dentry.parent) top = top.dentry.parent;
    return top;
  }

  #insert(dentry: Dentry): void {
    this.#children.set(dentry.name, dentry);
    if (!(dentry.node instanceof Directory)) return;
    for (let at: Directory | undefined = this; at; at = at.dentry.parent) at.version++;
  }

  /** Takes a name away. With `whiteout`, the machine's entry of the same name does not appear in its place. */
  delete(name: string, whiteout = false): void {
    if (whiteout) this.#whiteouts.add(name);
    const dentry = this.#drop(name);
    if (dentry) this.#top.observer?.removed(dentry);
  }

  #drop(name: string): Dentry | undefined {
    const dentry = this.#children.get(name);
    if (!dentry) return undefined;
    this.#children.delete(name);
    dentry.node.names--;
    return dentry;
  }

  /** What is at a path below this directory is of this kernel, or is not: the machine's own is not to be seen. */
  claim(path: string): void {
    const slash = path.lastIndexOf('/');
    this.mkdir(path.slice(0, slash)).delete(path.slice(slash + 1), true);
  }

  /** Whether it lies in, or is, what hides the machine's directory of the same path. */
  get isHidden(): boolean {
    const { parent, name } = this.dentry;
    return parent !== undefined && (parent.hides(name) || parent.isHidden);
  }

  /** Gives an entry of another directory, or of this one, another name. */
  move(dentry: Dentry, name: string, whiteout = false): void {
    const replaced = this.#drop(name);
    const { parent, path: from } = dentry;
    if (parent) {
      parent.#children.delete(dentry.name);
      if (whiteout) parent.#whiteouts.add(dentry.name);
    }
    this.#take(dentry, name);
    this.#top.observer?.moved(dentry, from, replaced);
  }

  #take(dentry: Dentry, name: string): void {
    dentry.parent = this;
    dentry.name = name;
    this.#insert(dentry);
  }

  /** Gives an entry of this directory and one of another, or of this, the name of each other. */
  exchange(one: Dentry, there: Directory, other: Dentry): void {
    const [name, nameThere] = [one.name, other.name];
    this.#take(other, name);
    there.#take(one, nameThere);
    this.#top.observer?.exchanged(one, other);
  }

  /** The directory at a path below this one; it and those on the way are made if they are missing. */
  mkdir(path: string): Directory {
    let directory: Directory = this;
    for (const name of path.split('/').filter(Boolean)) {
      let child = directory.get(name);
      if (!child) {
        child = new Directory();
        directory.add(name, child);
      }
      if (!(child instanceof Directory)) throw new Error(`${path}: ${name} is not a directory`);
      directory = child;
    }
    return directory;
  }
}

/** A directory whose entries are looked up when somebody asks. */
export class DynamicDirectory extends Directory {
  readonly #list: () => Iterable<[string, TreeNode]>;
  readonly #dentries = new WeakMap<TreeNode, Dentry>();

  constructor(list: () => Iterable<[string, TreeNode]>) {
    super();
    this.#list = list;
  }

  override lookup(name: string): Dentry | undefined {
    for (const dentry of this.dentries()) if (dentry.name === name) return dentry;
    return undefined;
  }

  override *dentries(): Iterable<Dentry> {
    for (const [name, node] of this.#list()) {
      let dentry = this.#dentries.get(node);
      if (!dentry) {
        dentry = new Dentry(this, name, node);
        if (node instanceof Directory) node.dentry = dentry;
        node.names = 1;
        this.#dentries.set(node, dentry);
      }
      yield dentry;
    }
  }
}

export interface FileNodeInit {
  /** st_mode. */
  mode: number;
  f_op: CharDeviceOperations;
  /** What `open` finds as the file's. */
  private_data?: unknown;
  /** Device number, for device nodes. */
  rdev?: DevT;
  /** st_size; 0 by default. */
  size?: number;
  /** What it says to who opens it to read only, made then: `f_op` is for the others. */
  content?: (() => string | Uint8Array) | undefined;
}

/** What a program opens and a driver serves: a device node in /dev, a file of debugfs, an attribute in sysfs. */
export class FileNode extends Inode {
  /** For who opens it: a driver can be replaced. */
  f_op: CharDeviceOperations;
  readonly private_data: unknown;
  readonly rdev: DevT | undefined;
  readonly size: number;
  readonly content: (() => string | Uint8Array) | undefined;

  constructor({ mode, f_op, private_data, rdev, size = 0, content }: FileNodeInit) {
    super(mode, 'user');
    this.f_op = f_op;
    this.private_data = private_data;
    this.rdev = rdev;
    this.size = size;
    this.content = content;
  }
}

/** A file whose content is made when it is opened, as sysfs and debugfs do. */
export class GeneratedFile extends Inode {
  /** st_size: 4096 for sysfs attributes, 0 for debugfs files. */
  readonly size: number;
  readonly content: () => string;

  constructor(content: () => string, size: number, permissions = 0o444) {
    super(S_IFREG | permissions, 'user');
    this.content = content;
    this.size = size;
  }
}

export class Symlink extends Inode {
  readonly target: string;

  constructor(target: string) {
    super(S_IFLNK | 0o777, 'root');
    this.target = target;
  }
}

export type TreeNode = Directory | FileNode | GeneratedFile | Symlink;
