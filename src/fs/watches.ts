/** What inotify watches of ours: a file or directory of the machine's, to which happens what happens to the node. */
import {
  existsSync,
  futimesSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { LockedFolder } from '../backing/locked_folder.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';
import type { File } from './file.js';
import { fileSystemAt } from './file_system.js';
import { RENAME_EXCHANGE } from './names.js';
import { type Dentry, Directory, S_IFREG, type TreeNode, type TreeObserver } from './tree.js';

/** For a few directory entries, which nobody looks at. */
const ROOM = 512;
const OWNER_ONLY = 0o600;

/**
 * There is nothing until a program watches something of ours. Then what it watches, and what is in it, is mirrored
 * below a directory of its own, which goes with the kernel. Names of one node are names of one file: the machine's
 * kernel then sends what it sends for a tmpfs.
 */
export class Watches implements TreeObserver {
  readonly #root: Directory;
  #folder: LockedFolder | undefined;
  readonly #opened = new WeakMap<File, number>();
  /** The same, by the names that were opened. */
  readonly #openedNames = new WeakMap<Dentry, Set<number>>();
  /** The names that are mirrored. */
  readonly #names = new WeakMap<TreeNode, Set<Dentry>>();
  /** Directories all of whose entries are mirrored. */
  readonly #whole = new WeakSet<Directory>();
  #aside = 0;

  constructor(root: Directory) {
    this.#root = root;
  }

  /** The path of what stands for the node that has this name, or had it. */
  standIn(dentry: Dentry): string {
    if (!this.#folder) {
      this.#folder = new LockedFolder('dmabuf-shim-watch-');
      this.#root.observer = this;
    }
    if (dentry.unlinked) return this.#makeAside(dentry);
    const path = this.#pathOf(dentry) as string;
    this.#make(path, dentry);
    if (dentry.node instanceof Directory) this.#makeAllOf(dentry.node);
    return path;
  }

  #makeAllOf(directory: Directory): void {
    if (this.#whole.has(directory)) return;
    for (const child of directory.dentries()) this.#make(this.#pathOf(child) as string, child);
    this.#whole.add(directory);
  }

  #pathOf({ path }: Dentry): string | undefined {
    return this.#folder && `${this.#folder.path}${path}`;
  }

  /** A path where nothing is, and which is nobody's. */
  #asidePath(): string {
    return `${this.#folder?.path}/.aside-${this.#aside++}`;
  }

  #makeAside(dentry: Dentry): string {
    const path = this.#asidePath();
    this.#makeNode(path, dentry.node);
    return path;
  }

  #make(path: string, dentry: Dentry): void {
    if (existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    this.#makeNode(path, dentry.node);
    this.#note(dentry);
  }

  #makeNode(path: string, node: TreeNode): void {
    if (node instanceof Directory) {
      mkdirSync(path);
      return;
    }
    const [other] = this.#names.get(node) ?? [];
    if (other) linkSync(this.#pathOf(other) as string, path);
    else orThrow(native.mknod(path, S_IFREG | OWNER_ONLY));
  }

  #note(dentry: Dentry): void {
    const names = this.#names.get(dentry.node);
    if (names) names.add(dentry);
    else this.#names.set(dentry.node, new Set([dentry]));
  }

  #forget(dentry: Dentry): void {
    this.#names.get(dentry.node)?.delete(dentry);
  }

  /** A program opens it: what stands for it is open as long as the file. */
  opened(file: File, dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path === undefined || dentry.unlinked) return;
    const fd = native.open(path, (file.openFlags & O_ACCMODE) | O_CLOEXEC, 0);
    if (fd < 0) return;
    this.#opened.set(file, fd);
    const fds = this.#openedNames.get(dentry) ?? new Set();
    this.#openedNames.set(dentry, fds.add(fd));
    file.atEnd.push(() => {
      fds.delete(fd);
      native.close(fd);
    });
  }

  /** Its directory is listed. */
  listed(file: File): void {
    const fd = this.#opened.get(file);
    if (fd !== undefined) native.getdents64(fd, new Uint8Array(ROOM));
  }

  attributes(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path === undefined) return;
    const [fd] = this.#openedNames.get(dentry) ?? [];
    if (fd !== undefined) futimesSync(fd, 0, 0);
    else if (!dentry.unlinked && existsSync(path)) utimesSync(path, 0, 0);
  }

  added(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path && this.#isSeen(dentry)) this.#make(path, dentry);
  }

  removed(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    this.#forget(dentry);
    if (!path || !existsSync(path)) return;
    // Who watches what sysfs removes is not told that it has gone.
    if (fileSystemAt(dentry.path) === 'sysfs') renameSync(path, this.#asidePath());
    else if (!(dentry.node instanceof Directory)) unlinkSync(path);
    else if (isEmpty(dentry.node)) rmdirSync(path);
    else rmSync(path, { recursive: true });
  }

  moved(dentry: Dentry, from: string, replaced: Dentry | undefined): void {
    const path = this.#pathOf(dentry);
    if (replaced) this.#forget(replaced);
    if (!path) return;
    let source = `${this.#folder?.path}${from}`;
    if (existsSync(source)) {
      mkdirSync(dirname(path), { recursive: true });
    } else {
      // From where nobody watches: it comes from somewhere all the same.
      if (!this.#isSeen(dentry) && !existsSync(path)) return;
      // By this name it is not there yet.
      this.#forget(dentry);
      source = this.#makeAside(dentry);
      this.#note(dentry);
    }
    renameSync(source, path);
  }

  exchanged(one: Dentry, other: Dentry): void {
    const [path, otherPath] = [one, other].map((each) => this.#pathOf(each)) as [string, string];
    if (!existsSync(path) && !existsSync(otherPath)) return;
    // What is mirrored of either stands where that was before.
    for (const [each, before] of [
      [one, otherPath],
      [other, path],
    ] as const) {
      if (existsSync(before)) continue;
      this.#forget(each);
      mkdirSync(dirname(before), { recursive: true });
      this.#makeNode(before, each.node);
      this.#note(each);
    }
    orThrow(native.renameat2(otherPath, path, RENAME_EXCHANGE));
  }

  #isSeen({ parent }: Dentry): boolean {
    return parent !== undefined && this.#whole.has(parent);
  }

  close(): void {
    this.#folder?.close();
    this.#folder = undefined;
  }
}

function isEmpty(directory: Directory): boolean {
  return [...directory.dentries()].length === 0;
}
