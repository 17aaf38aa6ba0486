/**
 * `dmabuf-shim/posix`: the functions of `kernel.sys`, made with real system calls. On a machine with
 * real nodes they reach the real kernel; under `dmabuf-shim run` they reach the shim. A program that
 * is written against it needs no change to move between the two.
 */
import * as fs from 'node:fs';
import { isIoctlArg, O_CLOEXEC, POLLIN, POLLOUT } from '../ioctl/index.js';
import { F_DUPFD_CLOEXEC, POLLFD_SIZE } from './abi/constants.js';
import { Errno } from './errno.js';
import { linkOfDescriptor } from './host/descriptors.js';
import { check, native, STAT_FIELDS, Stat, SystemError } from './native.js';
import {
  type Argument,
  type Message,
  type PollFd,
  type PosixPromises,
  SOCK_SEQPACKET,
  type StatResult,
} from './syscall/calls.js';

export * from './syscall/calls.js';

/**
 * The address of the first byte of an array, for the fields of structs that are pointers. It is good for
 * as long as the array is in use.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(native.addressOf(bytes));
}

/** @internal The request of an ioctl: in code that no compiler has looked at it may be the definition of one. */
export function requestNumber(request: number): number {
  if (typeof request === 'number') return request;
  throw new TypeError('the request of an ioctl is a number: that of a definition is its `request`');
}

/** The bytes of an ioctl's argument, if it has any. */
export function argumentBytes(argument: Argument): Uint8Array | number | bigint | null {
  if (argument === null || typeof argument === 'number' || typeof argument === 'bigint') {
    return argument;
  }
  if (ArrayBuffer.isView(argument)) {
    return new Uint8Array(argument.buffer, argument.byteOffset, argument.byteLength);
  }
  if (isIoctlArg(argument)) return argument.bytes;
  throw new TypeError('the argument of an ioctl is a struct, a typed array, a number or null');
}

/** @see Posix.open */
export function open(path: string, flags: number, mode = 0o666): number {
  return check(`open '${path}'`, native.open(path, flags | O_CLOEXEC, mode));
}

/** @see Posix.close */
export function close(fd: number): void {
  check('close', native.close(fd));
}

/** @see Posix.dup */
export function dup(fd: number): number {
  return check('dup', native.fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/** @see Posix.read */
export function read(fd: number, buffer: Uint8Array): number {
  return check('read', native.read(fd, buffer));
}

/** @see Posix.write */
export function write(fd: number, bytes: Uint8Array): number {
  return check('write', native.write(fd, bytes));
}

/** @see Posix.ioctl */
export function ioctl(fd: number, request: number, argument: Argument = null): number {
  return check('ioctl', native.ioctl(fd, requestNumber(request), argumentBytes(argument)));
}

/** @see Posix.mmap */
export function mmap(
  length: number,
  prot: number,
  flags: number,
  fd: number,
  offset = 0,
): ArrayBuffer {
  return checkMapping(native.mmap(length, prot, flags, fd, offset));
}

/** @internal What the addon's mmap answered, or an Error that says why there is no mapping. */
export function checkMapping(mapping: ArrayBuffer | number): ArrayBuffer {
  if (mapping === -Errno.ENOTSUP) {
    throw Object.assign(new SystemError(Errno.ENOTSUP, 'mmap'), {
      message:
        'ENOTSUP: this runtime (Electron, for instance) refuses ArrayBuffers over memory that is ' +
        'not its own, so a buffer cannot be shared with it; use Node',
    });
  }
  return check('mmap', mapping);
}

/** @see Posix.munmap */
export function munmap(mapping: ArrayBuffer): void {
  check('munmap', native.munmap(mapping));
}

/** @see Posix.poll */
export function poll(fds: PollFd[], timeout: number): number {
  const array = packPollFds(fds);
  const end = performance.now() + timeout;
  let ready: number;
  let left = timeout;
  do {
    // Node handles signals in its event loop: here they only interrupt, and the call goes on.
    ready = native.poll(array, left);
    if (timeout >= 0) left = Math.max(0, Math.ceil(end - performance.now()));
  } while (ready === -Errno.EINTR);
  check('poll', ready);
  unpackRevents(array, fds);
  return ready;
}

function packPollFds(fds: PollFd[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(fds.length * POLLFD_SIZE));
  fds.forEach(({ fd, events }, i) => {
    view.setInt32(i * POLLFD_SIZE, fd, true);
    view.setInt16(i * POLLFD_SIZE + 4, events, true);
  });
  return new Uint8Array(view.buffer);
}

function unpackRevents(array: Uint8Array, fds: PollFd[]): void {
  const view = new DataView(array.buffer);
  fds.forEach((entry, i) => {
    entry.revents = view.getInt16(i * POLLFD_SIZE + 6, true);
  });
}

/** @see Posix.fenceSignaled */
export async function fenceSignaled(fd: number): Promise<void> {
  // A sync_file becomes readable; a buffer is writable when nobody is at work on it any more.
  const isBuffer = linkOfDescriptor(process.pid, fd)?.startsWith('/dmabuf:');
  await promises.poll([{ fd, events: isBuffer ? POLLOUT : POLLIN }], -1);
}

/** @see Posix.lseek */
export function lseek(fd: number, offset: number, whence: number): number {
  return check('lseek', native.lseek(fd, offset, whence));
}

const stat = new Float64Array(STAT_FIELDS);

/** @see Posix.fstat */
export function fstat(fd: number): StatResult {
  check('fstat', native.fstat(fd, stat));
  return toStatResult(stat);
}

/** @internal */
export function toStatResult(fields: Float64Array): StatResult {
  const at = (index: number) => fields[index] as number;
  const time = (seconds: number) => at(seconds) + at(seconds + 1) / 1e9;
  return {
    st_dev: at(Stat.dev),
    st_ino: at(Stat.ino),
    st_mode: at(Stat.mode),
    st_nlink: at(Stat.nlink),
    st_uid: at(Stat.uid),
    st_gid: at(Stat.gid),
    st_rdev: at(Stat.rdev),
    st_size: at(Stat.size),
    st_blksize: at(Stat.blksize),
    st_blocks: at(Stat.blocks),
    st_atime: time(Stat.atimeSec),
    st_mtime: time(Stat.mtimeSec),
    st_ctime: time(Stat.ctimeSec),
  };
}

/** @see Posix.socketpair */
export function socketpair(type = SOCK_SEQPACKET): [number, number] {
  return check('socketpair', native.socketpair(type));
}

/** @see Posix.sendmsg */
export function sendmsg(
  fd: number,
  data: Uint8Array,
  fds: readonly number[] = [],
  flags = 0,
): number {
  return check('sendmsg', native.sendmsg(fd, data, [...fds], flags));
}

/** @see Posix.recvmsg */
export function recvmsg(fd: number, size: number, flags = 0): Message {
  const data = new Uint8Array(size);
  const fds: number[] = [];
  const length = check('recvmsg', native.recvmsg(fd, data, fds, flags));
  return { data: data.subarray(0, length), fds };
}

/** The calls that can block, made on a thread of their own. */
/** On a thread of libuv's pool, which is not free for other things while it waits. */
function transfer(name: 'read' | 'write', fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: NodeJS.ErrnoException | null, count: number) => {
      if (error) reject(new SystemError(-(error.errno ?? 0), name));
      else resolve(count);
    };
    if (name === 'read') fs.read(fd, bytes, 0, bytes.length, null, done);
    else fs.write(fd, bytes, 0, bytes.length, null, done);
  });
}

export const promises: PosixPromises = {
  async ioctl(fd, request, argument = null) {
    return check(
      'ioctl',
      await native.ioctlAsync(fd, requestNumber(request), argumentBytes(argument)),
    );
  },
  read: (fd, buffer) => transfer('read', fd, buffer),
  write: (fd, bytes) => transfer('write', fd, bytes),
  async poll(fds, timeout) {
    const array = packPollFds(fds);
    const ready = check('poll', await native.pollAsync(array, timeout));
    unpackRevents(array, fds);
    return ready;
  },
  async recvmsg(fd, size, flags = 0) {
    const pollfd = { fd, events: POLLIN };
    await promises.poll([pollfd], -1);
    return recvmsg(fd, size, flags);
  },
};
