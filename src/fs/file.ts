import { constants } from 'node:fs';
import type { IoctlTable } from '../../ioctl/index.js';
import { ErrnoError, errno } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { Shmem } from '../mm/shmem.js';
import { native } from '../native.js';
import { KERN_ERR } from '../printk.js';
import type { Task } from '../task.js';
import { HeldMemory } from './release.js';
import type { DeviceNode } from './tree.js';
import type { Wait } from './wait_queue.js';

/** A stretch of memory that a mapping is made of. All in bytes, all whole pages. */
export interface MemoryPiece {
  memory: MappableMemory;
  offset: number;
  length: number;
}

/** Memory that can be mapped into programs: the kernel's own, or a program's that the kernel holds. */
export interface MappableMemory {
  /** The kernel's own descriptor. */
  readonly fd: number;
  /** A new descriptor of it, for mapping: while it or the mapping lives, `inUse` is true. */
  open(flags: number): number;
}

/** What mmap(2) asks for. */
export interface Vma {
  /** Bytes, rounded up to whole pages. */
  length: number;
  /** Byte offset into the file, page-aligned. */
  offset: number;
  prot: number;
  /** MAP_SHARED rather than MAP_PRIVATE. */
  shared: boolean;
}

/**
 * What a kind of file can do; Linux's struct file_operations. Every member is optional: what is
 * missing fails with the errno that Linux gives.
 */
export interface FileOperations {
  /** Missing: ENOTTY. `arg` is the argument as it came: mostly an address in the caller's memory. */
  ioctl?(file: File, request: number, arg: number, task: Task): number | Wait;
  /** The requests that `ioctl` knows, for `--trace` to show by name and field. */
  ioctls?: IoctlTable;
  /** Missing: ENODEV. The pieces that make up the mapping, in order, `vma.length` bytes in all. */
  mmap?(file: File, vma: Vma): MemoryPiece[];
  /** Missing: ESPIPE. */
  llseek?(file: File, offset: number, whence: number): number;
  /** Missing: always ready, and EPERM from epoll_ctl(2). What is ready now: POLLIN, POLLOUT … */
  poll?(file: File): number;
  /** Lines for /proc/PID/fdinfo/N, each with its newline. */
  showFdinfo?(file: File): string;
  /** Called once, when the last descriptor, mapping and kernel reference are gone. */
  release?(file: File): void;
}

/** What stat(2) says of a file, where that is not what the memory behind it says. */
export interface FileAttributes {
  mode: number;
  /** st_size in bytes. */
  size: number;
  /** The node that was opened: stat(2) says of the open file what it says of the node. */
  node?: { inode: DeviceNode; path: string };
}

export interface FileInit {
  /** For /proc/PID/maps of programs, behind "/memfd:". */
  name: string;
  f_op: FileOperations;
  attributes: FileAttributes;
  /** What readlink(2) of /proc/PID/fd/N says. */
  link: () => string;
  /** The memory that programs' descriptors are of; without it, `attributes.size` bytes are made. */
  memory?: Shmem;
}

/**
 * An open file: Linux's struct file. Programs hold it through descriptors and mappings of its memory,
 * the kernel through counted references; when both are gone it is released.
 */
export class File {
  readonly kernel: Kernel;
  readonly f_op: FileOperations;
  readonly attributes: FileAttributes;
  readonly memory: Shmem;
  /** Gives what /proc/PID/fd/N points at. */
  readonly link: () => string;
  /** Free for the driver. */
  private_data: unknown;
  /** How it was opened, for what is opened by path; O_RDWR for what a driver made. */
  f_flags = constants.O_RDWR;
  /** What stands for it in programs' epoll instances, by the descriptor's number; closed with it. */
  readonly companions = new Map<number, number>();
  /** The kernel's own references; made with one. */
  #references = 1;
  readonly #descriptors: HeldMemory;

  /** ENOMEM when memory, descriptors or inotify watches run out. */
  constructor(kernel: Kernel, init: FileInit) {
    this.kernel = kernel;
    this.f_op = init.f_op;
    this.attributes = init.attributes;
    this.link = init.link;
    this.memory = init.memory ?? allocate(kernel, init.name, init.attributes.size);
    this.#descriptors = new HeldMemory(kernel, this.memory, (held) => {
      if (!held) this.#releaseIfUnused();
    });
    kernel.files.add(this);
  }

  /** References of the kernel itself. */
  get references(): number {
    return this.#references;
  }

  /** get_file() */
  get(): this {
    this.#references++;
    return this;
  }

  /** fput() */
  put(): void {
    this.#references--;
    this.#releaseIfUnused();
  }

  /**
   * A descriptor for a program, of this process for now and close-on-exec. Whoever gets it holds the
   * file until it and what was made of it are gone.
   */
  open(flags: number): number {
    return this.#descriptors.open(flags);
  }

  /** For an open(2) that failed half way: gone without `release`, as the driver never saw it opened. */
  abandon(): void {
    this.kernel.files.delete(this);
    this.memory.close();
  }

  #releaseIfUnused(): void {
    if (this.#references > 0 || this.#descriptors.held) return;
    this.kernel.files.delete(this);
    this.f_op.release?.(this);
    for (const companion of this.companions.values()) native.close(companion);
    this.memory.close();
  }
}

function allocate(kernel: Kernel, name: string, size: number): Shmem {
  try {
    return Shmem.create(name, size);
  } catch (error) {
    if (error instanceof ErrnoError && (error.code === 'EMFILE' || error.code === 'ENFILE')) {
      kernel.printk(
        KERN_ERR,
        `dmabuf-shim: no descriptor left (${error.code}) for another file: raise ulimit -n`,
      );
    }
    throw outOfMemory(error);
  }
}

/** The kernel's own limits look like a lack of memory to a program. */
function outOfMemory(error: unknown): unknown {
  return error instanceof ErrnoError ? errno('ENOMEM') : error;
}

/** The open files by the inode behind their descriptors. */
export class FileTable {
  readonly #byIno = new Map<number, File>();
  #dev = -1;

  add(file: File): void {
    // All memfds of a machine are on one file system.
    this.#dev = file.memory.dev;
    this.#byIno.set(file.memory.ino, file);
  }

  delete(file: File): void {
    this.#byIno.delete(file.memory.ino);
  }

  find(dev: number, ino: number): File | undefined {
    return dev === this.#dev ? this.#byIno.get(ino) : undefined;
  }

  get size(): number {
    return this.#byIno.size;
  }

  [Symbol.iterator](): Iterator<File> {
    return this.#byIno.values();
  }
}
