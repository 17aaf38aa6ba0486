/**
 * The only module that loads the addon. The addon (native/) makes system calls and holds no policy.
 *
 * Convention: a function answers what the system call answers, a failure as the negative errno
 * (`-EFAULT`), never an exception: on the hot path an errno is an everyday answer, not an accident.
 * {@link check} turns one into an Error with `errno`, `code` and `syscall`, as Node's own have.
 *
 * Addresses, lengths and file offsets are numbers (user addresses have 47 bits; what does not fit a
 * double exactly is no valid address and comes back as EFAULT or EINVAL from the kernel itself).
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { errnoName } from './errno.js';

/** A uv_poll watch; `close()` ends it. Watches keep the event loop alive unless `unref()`ed. */
export interface FdWatch {
  ref(): void;
  unref(): void;
  close(): void;
}

/** One system call to be made by another thread, as {@link Native.injectCalls} takes it. */
export interface InjectedCall {
  nr: number;
  /** Up to six arguments. */
  args: number[];
  /** Add the result of the call with this index to `args[0]` (mapping a piece at a reserved base). */
  base?: number;
  /** An argument that is a lent descriptor: its place, and the descriptor's index. */
  fd?: [argument: number, index: number];
  /** Make this call even after an earlier one has failed (cleaning up). */
  always?: boolean;
  /** Of the first: the thread sees 0 for its result. */
  quiet?: boolean;
  /** Make this call only after an earlier one has failed (undoing). */
  onFailure?: boolean;
}

/** What the addon exports. `fd`s are ints; every `number` result may be a negative errno. */
export interface Native {
  // --- descriptors -----------------------------------------------------------------------------
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  fcntl(fd: number, cmd: number, arg: number): number;
  read(fd: number, buffer: Uint8Array): number;
  pread(fd: number, buffer: Uint8Array, offset: number): number;
  write(fd: number, buffer: Uint8Array): number;
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, length: number): number;
  /** `arg`: bytes to point at (-EFAULT if fewer than the request's size says), or the argument itself
   *  (number, bigint; null is 0). */
  ioctl(fd: number, request: number, arg: Uint8Array | number | bigint | null): number;
  /** poll(2) on `struct pollfd[]` in `fds` (8 bytes each: s32 fd, s16 events, s16 revents). */
  poll(fds: Uint8Array, timeoutMs: number): number;
  /** The same, on a thread of libuv's pool; the result as a promise. */
  pollAsync(fds: Uint8Array, timeoutMs: number): Promise<number>;
  /** ioctl on a thread of libuv's pool. `arg`'s bytes must not be detached meanwhile. */
  ioctlAsync(
    fd: number,
    request: number,
    arg: Uint8Array | number | bigint | null,
  ): Promise<number>;
  /** pipe2(2): the reading and the writing end. */
  pipe(flags: number): [number, number] | number;
  readlink(path: string): string | number;
  /** access(2) with F_OK, in one system call: 0 or -errno. */
  access(path: string): number;
  /** mknod(2) of what has no device number. */
  mknod(path: string, mode: number): number;
  /** renameat2(2) of absolute paths. */
  renameat2(from: string, to: string, flags: number): number;
  /** 0 if there is something at `path`, and the kernel knows it without asking a disk, a server or a
   *  program; otherwise -EAGAIN, or why there is nothing. */
  isCached(path: string): number;
  /**
   * fstat(2) of `fd` into `out` ({@link STAT_FIELDS} doubles, in the order of {@link Stat}).
   */
  fstat(fd: number, out: Float64Array): number;
  /** fstatat(2), symbolic links followed unless flags say AT_SYMLINK_NOFOLLOW (0x100). */
  fstatat(dirfd: number, path: string, flags: number, out: Float64Array): number;
  /** fstatat(2) of an entry whose name is a number: that of a descriptor in /proc/PID/fd. Times and size
   *  are those that the kernel has (AT_STATX_DONT_SYNC). */
  fstatNumber(dirfd: number, name: number, out: Float64Array): number;
  /** The same of many: pairs (device, inode) into `out`, 0 and 0 where there is none. How many there are. */
  inodesOfNumbers(dirfd: number, names: Int32Array, out: Float64Array): number;

  // --- memory ----------------------------------------------------------------------------------
  memfdCreate(name: string, flags: number): number;
  /** open("/proc/self/fd/N", flags): a new open file description on the same inode. */
  reopen(fd: number, flags: number): number;
  /** mmap(2) as an external ArrayBuffer that unmaps itself when collected. -ENOTSUP where the
   *  runtime refuses external buffers. */
  mmap(
    length: number,
    prot: number,
    flags: number,
    fd: number,
    offset: number,
  ): ArrayBuffer | number;
  /** One contiguous mapping made of pieces: `[fd, offset, length]` each, page-aligned, MAP_SHARED. */
  mmapPieces(pieces: Float64Array, prot: number): ArrayBuffer | number;
  /** Unmaps and detaches. -EINVAL for a buffer that mmap/mmapPieces did not give, or twice. */
  munmap(mapping: ArrayBuffer): number;
  /** The address of a buffer's first byte. */
  addressOf(buffer: Uint8Array): number;

  // --- sockets ---------------------------------------------------------------------------------
  /** socketpair(AF_UNIX, type | SOCK_CLOEXEC). */
  socketpair(type: number): [number, number] | number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  sendmsg(fd: number, data: Uint8Array, fds: number[], flags: number): number;
  /** recvmsg(MSG_CMSG_CLOEXEC | flags) into `data`; received descriptors are appended to `fds`. */
  recvmsg(fd: number, data: Uint8Array, fds: number[], flags: number): number;
  /** socket(domain, type | SOCK_CLOEXEC, protocol). */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2) to an address as it lies in memory. */
  bind(fd: number, address: Uint8Array): number;

  // --- events ----------------------------------------------------------------------------------
  inotifyInit(flags: number): number;
  inotifyAddWatch(fd: number, path: string, mask: number): number;
  inotifyRmWatch(fd: number, wd: number): number;
  /** fcntl(F_OFD_SETLK) of the one byte at `start`; exclusive or shared. */
  ofdLock(fd: number, start: number, exclusive: boolean): number;
  /** fcntl(F_OFD_GETLK) with F_WRLCK from `start`, `length` bytes (0: to the end): the first byte
   *  that somebody else has locked, or -1 if none (other failures: -errno < -1). */
  ofdTest(fd: number, start: number, length: number): number;
  epollCreate(): number;
  /** epoll_ctl(2); `data` comes back from {@link epollWait}. */
  epollCtl(epfd: number, op: number, fd: number, events: number, data: number | bigint): number;
  /** epoll_ctl(2) with a struct epoll_event as this machine lays it out. */
  epollCtlEvent(epfd: number, op: number, fd: number, event: Uint8Array): number;
  /** epoll_pwait2(2) (epoll_wait where the kernel lacks it): pairs (data, events) into `out`. */
  epollWait(epfd: number, out: Uint32Array, timeoutNs: number): number;
  /**
   * {@link epollWait}, and then {@link notifRecv} from what is ready first, if that is a listener
   * registered under its own number. If its caller is gone meanwhile, its events are cleared.
   */
  epollReceive(epfd: number, out: Uint32Array, notif: Uint8Array, timeoutNs: number): number;
  /**
   * Calls back on the event loop whenever `fd` is readable (level-triggered). The descriptor becomes
   * non-blocking, for all who share it. Throws (with `code`, `errno`) what cannot be watched.
   */
  watchFd(fd: number, callback: () => void): FdWatch;

  // --- other processes -------------------------------------------------------------------------
  pidfdOpen(pid: number, flags: number): number;
  pidfdGetfd(pidfd: number, fd: number): number;
  /**
   * poll(2), without waiting, of descriptors of another process, as `struct pollfd[]`. -errno where one cannot be had
   * that there is.
   */
  pollOf(pidfd: number, fds: Uint8Array): number;
  kcmp(pid1: number, pid2: number, type: number, idx1: number, idx2: number): number;
  processVmReadv(
    pid: number,
    address: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): number;
  processVmWritev(
    pid: number,
    address: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): number;
  /** Raises RLIMIT_NOFILE as far as this user may, up to `wanted`; answers the limit reached. */
  raiseNofile(wanted: number): number;
  /** getdents64(2) into `buffer`. */
  getdents64(fd: number, buffer: Uint8Array): number;

  // --- seccomp user notification ---------------------------------------------------------------
  /** Sizes of struct seccomp_notif, seccomp_notif_resp, seccomp_data, or -errno. */
  notifSizes(): [number, number, number] | number;
  /** SECCOMP_IOCTL_NOTIF_RECV into `notif` (zeroed first). */
  notifRecv(listener: number, notif: Uint8Array): number;
  /** A listener with notifications that {@link injectCalls} has put by, or -1. */
  notifPutBy(): number;
  /** SECCOMP_IOCTL_NOTIF_SEND of struct seccomp_notif_resp. */
  notifSend(listener: number, response: Uint8Array): number;
  /** SECCOMP_IOCTL_NOTIF_ID_VALID; `id` is the first 8 bytes of `notif`. */
  notifIdValid(listener: number, notif: Uint8Array): number;
  /** SECCOMP_IOCTL_NOTIF_SET_FLAGS (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP is 1). */
  notifSetFlags(listener: number, flags: number): number;
  /** SECCOMP_IOCTL_NOTIF_ADDFD: `id` is the first 8 bytes of `notif`; the new descriptor's number. */
  notifAddfd(
    listener: number,
    notif: Uint8Array,
    srcfd: number,
    flags: number,
    newfd: number,
    newfdFlags: number,
  ): number;

  /**
   * Has an idle processor wake up, so that a program's thread which is to take a descriptor finds it
   * running: until the next notifSend, 100 µs at most. 0, or -EAGAIN if there is no thread to be had.
   */
  rouse(): number;

  /**
   * Lets the thread `tid`, which waits in the notification `notif`, make system calls of our choosing
   * instead of its own, and then continue as if its own had returned `results[0]`, or the first
   * failure. Answers 0, or -errno if the thread could not be seized (-EPERM: another tracer has it)
   * or went away (-ESRCH); the notification is then unanswered. `results` of calls not made: -ECANCELED.
   *
   * `fds` are descriptors of this process that the thread has for the time of its calls. If they do
   * not fit its table (-EMFILE), it makes no call and sees that. With `apart`, a thread that is made for this makes the
   * calls: it has the program's memory, but a descriptor table of its own, so that no other thread gets at them. It
   * cannot always be made (-EAGAIN). A filter of the program's own that forbids its close(2) has the program killed, and
   * the answer is -ENOTRECOVERABLE. `mark`, for the filter, is the sixth argument of its exit(2). Notifications of
   * others that come meanwhile are put by, for `notifRecv` and `epollReceive` to give.
   */
  injectCalls(
    listener: number,
    notif: Uint8Array,
    tid: number,
    calls: InjectedCall[],
    results: Float64Array,
    fds?: number[],
    apart?: boolean,
    mark?: number,
  ): number;
  /**
   * Lets the thread `tid`, which waits in the notification `notif`, make its call again with `path` in place of
   * its argument number `argument`, and `mark`, for the filter, as the sixth. Answers 0, with the call's
   * result in `result[0]`; -EINPROGRESS if that takes long: the thread goes on by itself, and the
   * notification has ended; or as {@link injectCalls} where it could not be.
   */
  redirectCall(
    listener: number,
    notif: Uint8Array,
    tid: number,
    places: readonly number[],
    paths: readonly string[],
    mark: number,
    result: Float64Array,
  ): number;

  /**
   * Has the thread `tid` leave the notification `notif` to handle a signal, if there is one for it: its call
   * ends with `error` (positive: ERESTARTSYS, ERESTARTNOHAND), so that without a signal it is made again. With
   * `sigmask`, the address of a mask, signals are looked at as ppoll(2) does. Answers as `injectCalls` does.
   */
  interruptCall(
    listener: number,
    notif: Uint8Array,
    tid: number,
    error: number,
    sigmask: number,
  ): number;

  // --- signals -----------------------------------------------------------------------------------
  /**
   * sigaction(SA_SIGINFO) for `signals`; calls back on the event loop with the signal, `si_code`
   * (SI_USER is 0, SI_KERNEL, as a terminal's Ctrl-C has it, is 0x80), the sender's pid, and whether
   * it came after `renewSignals`. Closing the watch restores the default actions. At most one such
   * watch a process: EBUSY is thrown.
   */
  watchSignals(
    signals: number[],
    callback: (signal: number, code: number, pid: number, renewed: boolean) => void,
  ): FdWatch;
  /**
   * Divides the watched signals, exactly, into those that came before and those that come from now on.
   * What no thread has taken yet is discarded; what one has, is told, as one that came before.
   */
  renewSignals(): void;
  /** Default action for `signal`, unblocked, then kill(getpid(), signal). */
  raiseDefault(signal: number): number;

  /** System call numbers of this machine by name (what the filter and injectCalls need). */
  readonly SYS: Readonly<Record<string, number>>;
  /** AUDIT_ARCH_* of this machine, as struct seccomp_data.arch holds it. */
  readonly AUDIT_ARCH: number;
}

/** Index of each field that {@link Native.fstat} writes. */
export const Stat = {
  dev: 0,
  ino: 1,
  mode: 2,
  nlink: 3,
  uid: 4,
  gid: 5,
  rdev: 6,
  size: 7,
  blksize: 8,
  blocks: 9,
  atimeSec: 10,
  atimeNsec: 11,
  mtimeSec: 12,
  mtimeNsec: 13,
  ctimeSec: 14,
  ctimeNsec: 15,
} as const;
export const STAT_FIELDS = 16;

function load(): { native: Native; launcher: string } {
  // Compiled, this file is two folders below the package's root; run from source, one.
  for (const root of ['../', '../../']) {
    const release = new URL(`${root}build/Release/`, import.meta.url);
    const launcher = fileURLToPath(new URL('launcher', release));
    if (!existsSync(launcher)) continue;
    const addon = fileURLToPath(new URL('dmabuf_shim.node', release));
    return { native: createRequire(import.meta.url)(addon) as Native, launcher };
  }
  throw new Error(
    'dmabuf-shim: its native helper is not built; run `npm rebuild dmabuf-shim` (needs a C compiler, make and python3)',
  );
}

export const { native, launcher } = load();

/** A failed system call, with the fields of Node's own system errors. */
export class SystemError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly syscall: string;
  constructor(errno: number, syscall: string, advice?: string) {
    const code = errnoName(errno);
    super(advice ? `${code}: ${syscall}: ${advice}` : `${code}: ${syscall}`);
    this.name = 'SystemError';
    // As in Node's own errors, `errno` is the negative number.
    this.errno = -errno;
    this.code = code;
    this.syscall = syscall;
  }
}

/** Gives back what a {@link Native} function answered, or throws it as a {@link SystemError}. */
export function check<T>(syscall: string, answer: T | number): T {
  if (typeof answer === 'number' && answer < 0) throw new SystemError(-answer, syscall);
  return answer as T;
}
