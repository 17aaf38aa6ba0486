import type { KernelCore } from './core.js';
import { Errno, ErrnoError } from './errno.js';
import type { File } from './fs/file.js';
import type { Credentials, Ids } from './host/credentials.js';
import type { Process } from './host/threads.js';
import type { UserMemory } from './mm/uaccess.js';

/**
 * Whoever makes a system call: a program under the supervisor, or this process through `kernel.sys`.
 * Drivers see no difference.
 */
export interface Task {
  readonly kernel: KernelCore;
  /** Process id (the thread group's, as getpid(2) gives it). */
  readonly pid: number;
  /** Its process, for whatever outlives the call: ids are used again. */
  readonly process: Process;
  /** Who it is, as of now. */
  readonly credentials: Credentials;
  /** The same without groups and capabilities, which cost more. */
  readonly ids: Ids;
  /** capable(): whether it has a capability (`CAP_SYS_ADMIN`), as of now. */
  capable(capability: number): boolean;
  /** umask(2), as of now. */
  readonly umask: number;
  /** The program's name, as ps(1) shows it: up to 15 bytes. */
  readonly comm: string;
  /** The memory that the addresses in its arguments are of. */
  readonly mm: UserMemory;
  /** fget(): the file of ours behind a descriptor of the caller, if it is one of ours. */
  fget(fd: number): File | undefined;
  /** The same for many. */
  fgetAll(fds: Int32Array): (File | undefined)[];
  /** Whether a descriptor may be of a file of ours, if it is not of one that is passed around. */
  mayHave(fd: number): boolean;
  /**
   * poll(2) of the caller's descriptors, as the machine's kernel answers it, at once: `struct pollfd[]`. A negative errno
   * if it cannot be asked.
   */
  pollNow(fds: Uint8Array): number;
  /**
   * A descriptor in this process of whatever the caller has at `fd` (a memfd that a driver is to
   * hold, say), opened anew. EBADF if there is none.
   */
  openDescriptor(fd: number, flags: number): number;
  /**
   * A descriptor in this process of the same open file description as the caller's; a negative errno if
   * there is none.
   */
  tryDuplicate(fd: number): number;
  /** The descriptor that the current call is on. */
  readonly fd: number;
  /** st_mode of whatever the caller has at `fd`, or undefined if there is nothing. */
  modeOf(fd: number): number | undefined;
  /**
   * Gives the caller a new descriptor of `file`. `flags`: access mode and O_CLOEXEC. EMFILE when the
   * caller may have no more.
   */
  installFd(file: File, flags: number): number;
  /**
   * Takes the descriptors back that {@link installFd} has just given, as the call fails after all: with this
   * errno.
   */
  withdrawFds(given: readonly Given[], errno: number): void;
}

/** Who gives a caller descriptors: a task, or a call, which takes them back if it fails after all. */
export type Installer = Pick<Task, 'installFd'>;

/** A descriptor that a caller was given. */
export interface Given {
  file: File;
  fd: number;
}

/** Tells a caller of the descriptors that it was given; if that cannot be done, they are taken back. */
export function tellOrWithdraw(task: Task, given: readonly Given[], tell: () => void): void {
  try {
    tell();
  } catch (error) {
    if (given.length > 0) task.withdrawFds(given, errnoOf(error));
    throw error;
  }
}

/** What a caller sees of an exception. */
export function errnoOf(error: unknown): number {
  return error instanceof ErrnoError ? error.errno : Errno.EIO;
}
