import {
  type IoctlDef,
  type IoctlTable,
  O_APPEND,
  O_CLOEXEC,
  O_NOATIME,
  O_NONBLOCK,
  O_RDWR,
} from '../../ioctl/index.js';
import { AT_FDCWD, AT_STATX_DONT_SYNC } from '../abi/constants.js';
import type { Backing } from '../backing/backing.js';
import { type MappableMemory, Shmem } from '../backing/shmem.js';
import type { KernelCore } from '../core.js';
import { ErrnoError, errno, orThrow } from '../errno.js';
import { fdinfoOf, flagsIn, type Inode, statDescriptor } from '../host/descriptors.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { KERN_ERR } from '../printk.js';
import type { Task } from '../task.js';
import { readinessOf } from './readiness.js';
import type { Dentry } from './tree.js';
import { type Wait, WaitQueue, type Wakeable } from './wait_queue.js';

/** A stretch of memory that a mapping is made of. All in bytes, all whole pages. */
export interface MemoryPiece {
  memory: MappableMemory;
  offset: number;
  length: number;
}

/** A piece of a caller's memory: struct iovec. */
export interface Segment {
  address: number;
  /** Bytes. */
  length: number;
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
  /**
   * The memory behind the descriptor is what programs read: read(2), lseek(2) and what else is done with it is left
   * to the machine, but for what is written if there is a `write`.
   */
  native?: boolean;
  /** With `native`: called before a program sets its position to 0, while the kernel holds a reference. */
  rewind?(file: File): void;
  /** With `native`: called when a program has set its position. */
  seek?(file: File, position: number): void;
  /** Missing: ENOTTY. `arg` is the argument as it came: mostly an address in the caller's memory. */
  ioctl?(file: File, request: number, arg: number, task: Task): number | Wait;
  /**
   * The requests that `ioctl` knows, for `--trace` to show by name and field; {@link ioctlOperations} gives all three.
   * Those of the types of terminals (T) and sockets (0x89) reach it only if they are here.
   */
  ioctls?: IoctlTable;
  /** Which of them a request is; missing: the one with its number. */
  findIoctl?(request: number): IoctlDef | undefined;
  /**
   * read(2): fills the caller's memory, and answers how many bytes; 0 at the end. Missing: EINVAL. Programs
   * get here only if there was a node of a driver that has it when they were started, or with `exact`.
   */
  read?(file: File, segments: readonly Segment[], task: Task): number | Wait;
  /** The machine's read(2) does the same: `read` is for who is served all the same. */
  readsNatively?: boolean;
  /** write(2), in the same way: how many bytes were taken. */
  write?(file: File, segments: readonly Segment[], task: Task): number | Wait;
  /** pwrite(2) at an offset in bytes, in the same way. Missing: as `positioned` says. */
  writeAt?(file: File, segments: readonly Segment[], offset: number, task: Task): number | Wait;
  /**
   * Hardly anybody reads or writes it (sysfs has many such files): then no program's standard input and output are to
   * cost more. What a shell redirects to it is stored a moment later, and what is wrong with it is told in the log alone;
   * by way of a shell's redirection it is not read. With `exact` all is served.
   */
  seldom?: boolean;
  /**
   * Missing: ENODEV. The pieces that make up the mapping, in order, `vma.length` bytes in all. Whether they are mapped
   * still, as vm_operations would tell, a {@link TrackedMemory} knows.
   */
  mmap?(file: File, vma: Vma, task: Task): MemoryPiece[];
  /**
   * FMODE_PREAD and FMODE_PWRITE: what reads and writes at a position gets as far as read(2) does;
   * else it is ESPIPE.
   */
  positioned?: boolean;
  /** Missing: ESPIPE. */
  llseek?(file: File, offset: number, whence: number): number;
  /**
   * Missing: always ready, and EPERM from epoll_ctl(2). What is ready now: POLLIN, POLLOUT …
   * `wanted` are the events that a program asks for; 0 when the kernel itself has a look.
   */
  poll?(file: File, wanted: number): number;
  /** With `poll`: what may change its answer; nothing when it is ready for all. */
  pollSources?(file: File): Wakeable[];
  /** With `poll`: all that it can answer. Missing: anything. */
  pollMask?: number;
  /**
   * With `poll`: its descriptors go from process to process, as those of dma-bufs do, so that calls which wait look for it
   * at any number. Others are looked for where they were opened, from HIGH_FDS on, until one is seen elsewhere.
   */
  passedAround?: boolean;
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
  /** What fstatfs(2) says; without it, what it says of the node, or the machine of the memory. */
  f_type?: number;
  /** The name that was opened: stat(2) says of the open file what it says of that. */
  dentry?: Dentry;
}

/** Whether reads and writes of a file have to come to its driver. */
export function isServed({ read, readsNatively, write }: FileOperations) {
  return { read: read !== undefined && !readsNatively, write: write !== undefined };
}

export interface FileInit {
  /** For /proc/PID/maps of programs, behind "/memfd:". */
  name: string;
  f_op: FileOperations;
  attributes: FileAttributes;
  /** What readlink(2) of /proc/PID/fd/N says. */
  link: () => string;
  /** Without it, memory of `attributes.size` bytes. */
  backing?: Backing;
}

/** What fcntl(F_SETFL) changes of a description, and files of ours have. */
const SETFL_MASK = O_APPEND | O_NONBLOCK | O_NOATIME;

/** What stands for a file in programs' epoll instances. */
export interface EpollCompanion {
  /** In how many of them it has been entered and not taken out. */
  registrations: number;
  /** epoll_ctl(2) with these events, for the descriptor that programs call their own. A negative errno. */
  control(epfd: number, op: number, event: Uint8Array): number;
  /** Says what the file is ready for now. */
  refresh(): void;
  close(): void;
}

/**
 * An open file: Linux's struct file. Programs hold it through descriptors and mappings of its memory,
 * the kernel through counted references; when both are gone it is released.
 */
export class File {
  readonly kernel: KernelCore;
  readonly f_op: FileOperations;
  readonly attributes: FileAttributes;
  readonly backing: Backing;
  /** Gives what /proc/PID/fd/N points at. */
  readonly link: () => string;
  /** Free for the driver. */
  private_data: unknown;
  #openFlags = O_RDWR;
  /** A thread, and the descriptor that it last named the file by. */
  #seenBy = 0;
  #seenAt = -1;
  /** What stands for it in programs' epoll instances, by the descriptor's number; closed with it. */
  readonly companions = new Map<number, EpollCompanion>();
  /** Woken when there is something new for `poll` to look at: as often as this is said, an edge for epoll. */
  readonly changed = new WaitQueue();
  /** What else is to be done when it ends. */
  readonly atEnd: (() => void)[] = [];
  /** The kernel's own references; made with one. */
  #references = 1;
  /** Programs had it: they may have it still, until the inode ends. */
  #handedOut = false;
  /** What else keeps it: mappings of memory that is not its own. */
  #holds = 0;
  #ended = false;

  /** ENOMEM when memory or descriptors run out. */
  constructor(kernel: KernelCore, init: FileInit) {
    this.kernel = kernel;
    this.f_op = init.f_op;
    this.attributes = init.attributes;
    this.link = init.link;
    this.backing = init.backing ?? makeShmem(kernel, init.name, init.attributes.size);
    kernel.files.add(this);
    readinessOf(kernel).add(this);
  }

  /** What open(2) was given: access mode and flags. Those that fcntl(2) changes are as they were when they were last read. */
  get openFlags(): number {
    return this.#openFlags;
  }

  /** Access mode and flags as they are now: fcntl(2) has changed O_NONBLOCK and O_APPEND where it was asked to. */
  get f_flags(): number {
    const fdinfo = this.#seenAt < 0 ? '' : fdinfoOf(this.#seenBy, this.#seenAt);
    if (this.#isOf(fdinfo)) {
      const own = SETFL_MASK & ~(this.backing.ownFlags ?? 0);
      this.#openFlags = (this.#openFlags & ~own) | ((flagsIn(fdinfo) ?? 0) & own);
    }
    return this.#openFlags;
  }

  set f_flags(flags: number) {
    this.#openFlags = flags;
  }

  /** A thread has named it by this descriptor: what is said there of the open file is said of this. */
  seen(tid: number, fd: number): void {
    this.#seenBy = tid;
    this.#seenAt = fd;
  }

  /** Whether this is still of what the descriptor was of. */
  #isOf(fdinfo: string): boolean {
    const { ino, has } = this.backing;
    return fdinfo.includes(`\nino:\t${ino}\n`) && (!has || this.backing.has?.(fdinfo) === true);
  }

  /** References of the kernel itself. */
  get references(): number {
    return this.#references;
  }

  /**
   * get_file(). The first reference that the kernel takes of a file which only programs have needs to
   * know where one of them has it: `task` at `fd`.
   */
  get(task?: Task, fd?: number): this {
    if (this.#references === 0) {
      if (this.backing.acquire) this.backing.acquire();
      else if (!task || fd === undefined)
        throw new Error('a reference of a file that only programs hold');
      else this.backing.adopt(this.#obtain(task, fd));
    }
    this.#references++;
    return this;
  }

  #obtain(task: Task, fd: number): number {
    const { access, single } = this.backing;
    return single ? orThrow(task.tryDuplicate(fd)) : task.openDescriptor(fd, access);
  }

  /** fput() */
  put(): void {
    if (--this.#references > 0) return;
    this.backing.close();
    if (!this.#handedOut) this.#end();
  }

  /** Keeps the file, though not its memory, until {@link unhold}. */
  hold(): void {
    this.#holds++;
  }

  unhold(): void {
    if (--this.#holds === 0 && this.#ended) this.#end();
  }

  /**
   * Gives `use` a descriptor of this process's, for it to hand on to a program or to duplicate.
   * `flags`: access mode, O_NONBLOCK and the like. The kernel has to hold a reference. ENOMEM when
   * inotify watches run out.
   */
  lend<T>(flags: number, use: (fd: number) => T): T {
    if (!this.#handedOut) {
      this.#watch();
      this.#handedOut = true;
    }
    // The kernel's own descriptor is as good as another, but for its access mode.
    if ((flags & ~O_CLOEXEC) === this.backing.access) return use(this.backing.fd);
    const fd = this.backing.open(flags);
    try {
      return use(fd);
    } finally {
      native.close(fd);
    }
  }

  #watch(): void {
    try {
      this.backing.watch(this.kernel.releases, () => this.#end());
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.kernel.printk(
        KERN_ERR,
        `dmabuf-shim: cannot watch another file (${error.code}): raise fs.inotify.max_user_watches`,
      );
      throw errno('ENOMEM');
    }
  }

  /** An epoll instance does not ask: it has to be told of what the file is no longer ready for. */
  tellEpoll(): void {
    for (const companion of this.companions.values()) companion.refresh();
  }

  /** For an open(2) that failed half way: gone without `release`, as the driver never saw it opened. */
  abandon(): void {
    this.#forget();
    this.backing.close();
    this.backing.end?.();
  }

  #forget(): void {
    this.kernel.files.delete(this);
    readinessOf(this.kernel).delete(this);
  }

  /** The memory is gone, or was never given to anybody. */
  #end(): void {
    this.#ended = true;
    this.backing.end?.();
    if (this.#holds > 0) return;
    const { observers } = this.kernel;
    this.#forget();
    for (const action of this.atEnd.splice(0)) action();
    for (const companion of this.companions.values()) companion.close();
    if (observers.active) observers.tell('fileReleased', this);
    try {
      this.f_op.release?.(this);
    } catch (error) {
      // Nobody waits for this who could be told.
      this.kernel.bug(`${this.link()}: release`, error);
    }
  }

  /** The kernel ends: what it has of the file is closed, what programs have stays theirs. */
  shutdown(): void {
    for (const action of this.atEnd.splice(0)) action();
    if (this.#references > 0) this.backing.close();
    this.backing.end?.();
    for (const companion of this.companions.values()) companion.close();
  }
}

/** ENOMEM, and a line in the log, when memory or descriptors run out. */
export function makeShmem(kernel: KernelCore, name: string, size: number): Shmem {
  return orNoMemory(kernel, () => new Shmem(name, size));
}

/** The kernel's own limits look like a lack of memory to a program. */
export function orNoMemory<T>(kernel: KernelCore, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    kernel.printk(
      KERN_ERR,
      `dmabuf-shim: no memory or descriptor for another file (${error.code})`,
    );
    throw errno('ENOMEM');
  }
}

const stat = new Float64Array(STAT_FIELDS);

/** The open files by the inode behind their descriptors. */
export class FileTable {
  /** Mostly one an inode; several where they say by themselves which descriptors are theirs. */
  readonly #byDev = new Map<number, Map<number, File[]>>();

  add(file: File): void {
    const { dev, ino } = file.backing;
    let inodes = this.#byDev.get(dev);
    if (!inodes) {
      inodes = new Map();
      this.#byDev.set(dev, inodes);
    }
    const others = inodes.get(ino)?.filter(({ backing }) => backing.has) ?? [];
    inodes.set(ino, [file, ...others]);
  }

  delete(file: File): void {
    const { dev, ino } = file.backing;
    const inodes = this.#byDev.get(dev);
    const left = inodes?.get(ino)?.filter((each) => each !== file) ?? [];
    if (left.length > 0) inodes?.set(ino, left);
    else inodes?.delete(ino);
  }

  /** Whether descriptors and mappings of an inode are of files of ours. */
  hasInode({ dev, ino }: Inode): boolean {
    return this.#byDev.get(dev)?.has(ino) ?? false;
  }

  /** A file that descriptors and mappings of an inode are of. */
  ofInode({ dev, ino }: Inode): File | undefined {
    return this.#byDev.get(dev)?.get(ino)?.[0];
  }

  /** The file behind descriptor `fd` of a process, by any thread of it, which is of this inode. */
  find(dev: number, ino: number, tid: number, fd: number): File | undefined {
    const files = this.#byDev.get(dev)?.get(ino);
    if (!files || files.length === 1) return files?.[0];
    const fdinfo = fdinfoOf(tid, fd);
    return files.find(({ backing }) => backing.has?.(fdinfo));
  }

  /**
   * The file, alone on its inode, that a link of /proc leads to, such as /proc/PID/cwd; `fields` gets what the machine
   * says of it.
   */
  behind(link: string, fields = stat): File | undefined {
    fields.fill(0);
    if (native.fstatat(AT_FDCWD, link, AT_STATX_DONT_SYNC, fields) < 0) return undefined;
    return this.#byDev.get(fields[Stat.dev] as number)?.get(fields[Stat.ino] as number)?.[0];
  }

  /**
   * The file behind a descriptor of a process, whose `tid` may be any thread's; `fields` gets what the machine says
   * of it.
   */
  at(tid: number, fd: number, fields = stat): File | undefined {
    if (statDescriptor(tid, fd, fields) < 0) return undefined;
    return this.find(fields[Stat.dev] as number, fields[Stat.ino] as number, tid, fd);
  }

  get size(): number {
    return [...this].length;
  }

  *[Symbol.iterator](): Iterator<File> {
    for (const inodes of this.#byDev.values()) {
      for (const files of inodes.values()) yield* files;
    }
  }
}
