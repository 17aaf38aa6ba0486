/**
 * The part of the file system that this kernel provides: devtmpfs, sysfs and debugfs as far as they
 * show its devices and buffers. What is not in it is the machine's own.
 */
import type { CharDeviceOperations } from './char_dev.js';

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

let lastIno = 0x1000;

abstract class Inode {
  readonly ino = ++lastIno;
  /** When it was made: its time stamps. */
  readonly time = Date.now();
  /** st_mode: file type and permissions. */
  abstract readonly mode: number;
}

/** A directory of ours. Where the machine has one at the same path, the two are seen as one. */
export class Directory extends Inode {
  readonly mode = S_IFDIR | 0o755;
  /** Whether the machine has a directory at the same path; looked up when first asked for. */
  machineHasIt: boolean | undefined;
  readonly #children = new Map<string, TreeNode>();

  get(name: string): TreeNode | undefined {
    return this.#children.get(name);
  }

  /** Names and nodes, in the order in which they were made. */
  entries(): Iterable<[string, TreeNode]> {
    return this.#children;
  }

  add(name: string, node: TreeNode): void {
    this.#children.set(name, node);
  }

  delete(name: string): void {
    this.#children.delete(name);
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

  constructor(list: () => Iterable<[string, TreeNode]>) {
    super();
    this.#list = list;
  }

  override get(name: string): TreeNode | undefined {
    for (const [key, node] of this.#list()) if (key === name) return node;
    return undefined;
  }

  override entries(): Iterable<[string, TreeNode]> {
    return this.#list();
  }
}

export interface FileNodeInit {
  /** st_mode. */
  mode: number;
  /** Its absolute path. */
  path: string;
  f_op: CharDeviceOperations;
  /** What `open` finds as the file's. */
  private_data?: unknown;
  /** Device number, for device nodes. */
  rdev?: { major: number; minor: number };
  /** st_size; 0 by default. */
  size?: number;
}

/** What a program opens and a driver serves: a device node in /dev, a file of debugfs, or one of sysfs that is written. */
export class FileNode extends Inode {
  readonly mode: number;
  readonly path: string;
  /** For who opens it: a driver can be replaced. */
  f_op: CharDeviceOperations;
  readonly private_data: unknown;
  readonly rdev: { major: number; minor: number } | undefined;
  readonly size: number;

  constructor({ mode, path, f_op, private_data, rdev, size = 0 }: FileNodeInit) {
    super();
    this.mode = mode;
    this.path = path;
    this.f_op = f_op;
    this.private_data = private_data;
    this.rdev = rdev;
    this.size = size;
  }
}

/** A file whose content is made when it is opened, as sysfs and debugfs do. */
export class GeneratedFile extends Inode {
  readonly mode: number;
  /** st_size: 4096 for sysfs attributes, 0 for debugfs files. */
  readonly size: number;
  readonly content: () => string;

  constructor(content: () => string, size: number, permissions = 0o444) {
    super();
    this.content = content;
    this.size = size;
    this.mode = S_IFREG | permissions;
  }
}

export class Symlink extends Inode {
  readonly mode = S_IFLNK | 0o777;
  readonly target: string;

  constructor(target: string) {
    super();
    this.target = target;
  }
}

export type TreeNode = Directory | FileNode | GeneratedFile | Symlink;
