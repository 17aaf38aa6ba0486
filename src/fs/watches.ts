/** What inotify watches of ours: a file or directory of the machine's, to which happens what happens to the node. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { native } from '../native.js';
import type { File } from './file.js';
import { type Dentry, Directory, type TreeObserver } from './tree.js';

/** For a few directory entries, which nobody looks at. */
const ROOM = 512;

/**
 * There is nothing until a program watches something of ours. Then what it watches, and what is in it, is mirrored
 * below a directory of its own, which goes with the kernel.
 */
export class Watches implements TreeObserver {
  readonly #root: Directory;
  #top: string | undefined;
  readonly #opened = new WeakMap<File, number>();
  /** Directories all of whose entries are mirrored. */
  readonly #whole = new WeakSet<Directory>();

  constructor(root: Directory) {
    this.#root = root;
  }

  /** The path of what stands for the node that has this name. */
  standIn(dentry: Dentry): string {
    if (this.#top === undefined) {
      this.#top = mkdtempSync(join(tmpdir(), 'dmabuf-shim-watch-'));
      this.#root.observer = this;
    }
    const path = this.#pathOf(dentry) as string;
    this.#make(path, dentry);
    if (dentry.node instanceof Directory && !this.#whole.has(dentry.node)) {
      for (const child of dentry.node.dentries()) this.#make(join(path, child.name), child);
      this.#whole.add(dentry.node);
    }
    return path;
  }

  #pathOf({ path }: Dentry): string | undefined {
    return this.#top && `${this.#top}${path}`;
  }

  #make(path: string, { node }: Dentry): void {
    if (existsSync(path)) return;
    if (node instanceof Directory) {
      mkdirSync(path, { recursive: true });
    } else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
    }
  }

  /** A program opens it: what stands for it is open as long as the file. */
  opened(file: File, dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path === undefined) return;
    const fd = native.open(path, (file.f_flags & O_ACCMODE) | O_CLOEXEC, 0);
    if (fd < 0) return;
    this.#opened.set(file, fd);
    file.atEnd.push(() => native.close(fd));
  }

  /** Its directory is listed. */
  listed(file: File): void {
    const fd = this.#opened.get(file);
    if (fd !== undefined) native.getdents64(fd, new Uint8Array(ROOM));
  }

  /** Its mode, owner, times or attributes were set. */
  attributes(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path !== undefined && existsSync(path)) utimesSync(path, 0, 0);
  }

  added(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path && dentry.parent && this.#whole.has(dentry.parent)) this.#make(path, dentry);
  }

  removed(dentry: Dentry): void {
    const path = this.#pathOf(dentry);
    if (path) rmSync(path, { recursive: true, force: true });
  }

  moved(dentry: Dentry, from: string): void {
    const path = this.#pathOf(dentry);
    if (!path || !existsSync(`${this.#top}${from}`)) {
      this.added(dentry);
      return;
    }
    mkdirSync(dirname(path), { recursive: true });
    renameSync(`${this.#top}${from}`, path);
  }

  close(): void {
    if (this.#top) rmSync(this.#top, { recursive: true, force: true });
    this.#top = undefined;
  }
}
