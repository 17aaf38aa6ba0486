/**
 * The calls that `kernel.sys` and `dmabuf-shim/posix` have in common. Each answers what the system
 * call answers, or throws an Error with `code`, `errno` and `syscall`, as Node's own functions do.
 */
import type { IoctlArg } from '../../ioctl/index.js';

export {
  MAP_PRIVATE,
  MAP_SHARED,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../ioctl/index.js';

export {
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../abi/constants.js';

/**
 * The argument of an ioctl: a struct (or anything that has its bytes in `bytes`), a Buffer or other
 * typed array, a number, or null. What the kernel writes is written into it.
 */
export type Argument = IoctlArg | ArrayBufferView | number | bigint | null;

/** struct pollfd */
export interface PollFd {
  fd: number;
  /** POLLIN, POLLOUT … asked for. */
  events: number;
  /** What there is; set by `poll`. */
  revents?: number;
}

/** struct stat, with Linux's names. Sizes in bytes, `st_blocks` in units of 512, times in seconds. */
export interface StatResult {
  st_dev: number;
  st_ino: number;
  st_mode: number;
  st_nlink: number;
  st_uid: number;
  st_gid: number;
  st_rdev: number;
  st_size: number;
  st_blksize: number;
  st_blocks: number;
  st_atime: number;
  st_mtime: number;
  st_ctime: number;
}

/** A message with descriptors, as recvmsg(2) gives it. */
export interface Message {
  /** Bytes received; empty at the end of the stream. */
  data: Uint8Array;
  /** The descriptors that came with it (SCM_RIGHTS), close-on-exec. The receiver owns them. */
  fds: number[];
}

export interface Posix {
  /** open(2). `mode` counts only for O_CREAT. */
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
  /** dup(2), close-on-exec as all descriptors of a Node process are. */
  dup(fd: number): number;
  /** read(2): how many bytes were read into `buffer`; 0 at the end. */
  read(fd: number, buffer: Uint8Array): number;
  /** write(2): how many of the bytes were written. */
  write(fd: number, bytes: Uint8Array): number;
  /** ioctl(2): the request's result, mostly 0. */
  ioctl(fd: number, request: number, argument?: Argument): number;
  /**
   * mmap(2): the mapping as an ArrayBuffer of `length` bytes. It is unmapped by `munmap`, or when it
   * is garbage.
   */
  mmap(length: number, prot: number, flags: number, fd: number, offset?: number): ArrayBuffer;
  /** munmap(2) of a whole mapping. The ArrayBuffer is detached: stale views throw or read nothing. */
  munmap(mapping: ArrayBuffer): void;
  /** poll(2): how many descriptors are ready. `timeout` in milliseconds, −1: without end. */
  poll(fds: PollFd[], timeout: number): number;
  /**
   * Resolves when the fence of a sync_file is signalled, or when all fences on a dma-buf are. The event
   * loop goes on meanwhile.
   */
  fenceSignaled(fd: number): Promise<void>;
  lseek(fd: number, offset: number, whence: number): number;
  fstat(fd: number): StatResult;
  /** socketpair(AF_UNIX, type), SOCK_SEQPACKET unless `type` says otherwise; close-on-exec. */
  socketpair(type?: number): [number, number];
  /** sendmsg(2) with descriptors; bytes sent. At least one byte must go with them. */
  sendmsg(fd: number, data: Uint8Array, fds?: readonly number[], flags?: number): number;
  /** recvmsg(2) of at most `size` bytes. */
  recvmsg(fd: number, size: number, flags?: number): Message;
  /** The calls that can block, awaitable: the event loop goes on meanwhile. */
  readonly promises: PosixPromises;
}

export interface PosixPromises {
  ioctl(fd: number, request: number, argument?: Argument): Promise<number>;
  read(fd: number, buffer: Uint8Array): Promise<number>;
  write(fd: number, bytes: Uint8Array): Promise<number>;
  poll(fds: PollFd[], timeout: number): Promise<number>;
  recvmsg(fd: number, size: number, flags?: number): Promise<Message>;
}
