/** `kernel.sys`: the way in for the process that the kernel runs in. */

import { constants } from 'node:fs';
import { resolve } from 'node:path';
import { O_ACCMODE, O_RDONLY, O_WRONLY, POLLIN, POLLOUT, PROT_WRITE } from '../../ioctl/index.js';
import type { KernelCore } from '../core.js';
import { Errno, ErrnoError, errno } from '../errno.js';
import { faultsOf } from '../fault/faults.js';
import {
  awaitWithFaults,
  callWithFaults,
  type LocalTarget,
  waitWithFaults,
} from '../fault/local_calls.js';
import { isOursAlone } from '../fs/directories.js';
import type { File } from '../fs/file.js';
import { namei } from '../fs/namei.js';
import { isPathOnly, openDentry } from '../fs/open.js';
import { pollMaskOf } from '../fs/readiness.js';
import { statFile } from '../fs/stat.js';
import { Directory } from '../fs/tree.js';
import { onWake, Wait } from '../fs/wait_queue.js';
import { cacheOf } from '../mm/cache/cache.js';
import { pageAlign } from '../mm/page.js';
import { ArgumentMemory } from '../mm/uaccess.js';
import { native, STAT_FIELDS, SystemError } from '../native.js';
import * as machine from '../posix.js';
import { KERN_WARNING } from '../printk.js';
import type { Argument, Message, PollFd, Posix, PosixPromises, StatResult } from './calls.js';
import { LocalCall } from './local_call.js';
import { LocalTask } from './local_task.js';
import { vfsLlseek } from './lseek.js';
import { isOwnMemory, mmapFile } from './mmap.js';
import { oursAmong, PollWait, reventsNow, tellRevents } from './poll_set.js';

const stat = new Float64Array(STAT_FIELDS);

type Transfer = 'read' | 'write';

export class Sys implements Posix {
  readonly #kernel: KernelCore;
  readonly #task: LocalTask;
  readonly promises: PosixPromises;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    this.#task = new LocalTask(kernel);
    this.promises = {
      ioctl: (fd, request, argument = null) => this.#ioctlAsync(fd, request, argument),
      read: (fd, buffer) => this.#transferAsync('read', fd, buffer),
      write: (fd, bytes) => this.#transferAsync('write', fd, bytes),
      poll: (fds, timeout) => {
        const make = () => this.#pollAsync(fds, timeout);
        const file = this.#faultyFile(fds);
        return file ? awaitWithFaults(this.#task, 'poll', { file }, make) : make();
      },
      recvmsg: async (fd, size, flags) => {
        const message = await machine.promises.recvmsg(fd, size, flags);
        return this.#took(message.fds, message);
      },
    };
  }

  /** @see Posix.open */
  open(path: string, flags: number, mode = 0o666): number {
    const caller = { tgid: () => process.pid, tid: process.pid, root: '' };
    const follow = !(flags & constants.O_NOFOLLOW);
    const found = namei(this.#kernel, caller, resolve(path), follow);
    if (found.kind === 'machine' || found.kind === 'descriptor') {
      return machine.open(found.path, flags, mode);
    }
    const make = () => {
      if (found.kind === 'error') throw errno(found.code);
      const { dentry } = found;
      if (dentry.node instanceof Directory) {
        if (isOursAlone(dentry.node)) throw errno('EISDIR');
        return machine.open(found.path, flags, mode);
      }
      const file = openDentry(dentry, this.#task, flags);
      try {
        return this.#task.installFd(file, flags);
      } finally {
        file.put();
      }
    };
    const ours =
      found.kind === 'node' &&
      !(found.dentry.node instanceof Directory && !isOursAlone(found.dentry.node));
    const met = ours ? () => this.#meet('openat', {}, make) : make;
    return this.#attempt('open', [path, flags], met);
  }

  /** @see Posix.close */
  close(fd: number): void {
    machine.close(fd);
    this.#kernel.releases.drain();
  }

  /** @see Posix.dup */
  dup(fd: number): number {
    const copy = machine.dup(fd);
    return this.#took([copy], copy);
  }

  /** Gives `result`; those who observe are told of the descriptors in it. */
  #took<T>(fds: readonly number[], result: T): T {
    const { observers } = this.#kernel;
    for (const fd of observers.active ? fds : []) {
      const file = this.#task.fget(fd);
      if (file) observers.tell('descriptorTaken', file, fd, process.pid);
    }
    return result;
  }

  /** @see Posix.ioctl */
  ioctl(fd: number, request: number, argument: Argument = null): number {
    const file = this.#task.fget(fd);
    if (!file) return machine.ioctl(fd, request, argument);
    const call = this.#observedIoctl(fd, request, argument);
    const make = () => this.#now('ioctl', this.#ioctl(fd, file, request, argument));
    if (!call && !faultsOf(this.#kernel)) return attempt('ioctl', make);
    const met = () => this.#meet('ioctl', { file, request }, make);
    return attempt('ioctl', () => (call ? call.step('ioctl', met) : met()));
  }

  /** Makes a call, with the faults that it meets. */
  #meet<T>(call: string, target: LocalTarget, make: () => T): T {
    return faultsOf(this.#kernel) ? callWithFaults(this.#task, call, target, make) : make();
  }

  /** A file of ours among those that are waited for, if there are faults to be injected. */
  #faultyFile(fds: readonly PollFd[]): File | undefined {
    if (!faultsOf(this.#kernel)) return undefined;
    for (const { fd } of fds) {
      const file = fd >= 0 ? this.#task.fget(fd) : undefined;
      if (file) return file;
    }
    return undefined;
  }

  /** An ioctl for those who observe, if anybody does. */
  #observedIoctl(fd: number, request: number, argument: Argument): LocalCall | undefined {
    if (!this.#kernel.observers.active) return undefined;
    const value = machine.argumentBytes(argument);
    const bytes = value instanceof Uint8Array;
    const args = [fd, request, bytes ? ArgumentMemory.ADDRESS : Number(value ?? 0)];
    return new LocalCall(this.#task, args, bytes ? new ArgumentMemory(value) : this.#task.mm);
  }

  /** What `make` gives, or an Error of the system call's; those who observe see the call. */
  #attempt<T>(
    name: string,
    args: readonly (number | string)[],
    make: () => T,
    resultOf?: (value: T) => number,
  ): T {
    if (!this.#kernel.observers.active) return attempt(name, make);
    return attempt(name, () => new LocalCall(this.#task, args).step(name, make, resultOf));
  }

  /** The result of a call that cannot wait, as nothing could end that. EDEADLK. */
  #now(name: string, result: number | Wait): number {
    if (!(result instanceof Wait)) return result;
    result.options.onInterrupt?.();
    // Who does not want to wait gets that for an answer, as in a program.
    if (result.timeout === 0) throw errno('EAGAIN');
    this.#kernel.printk(
      KERN_WARNING,
      `dmabuf-shim: ${name} had to wait, and nothing could end that while it kept the only thread; use kernel.sys.promises.${name}`,
    );
    const advice = `it waits, and would keep the only thread; await kernel.sys.promises.${name}()`;
    throw new SystemError(Errno.EDEADLK, name, advice);
  }

  #ioctl(fd: number, file: File, request: number, argument: Argument): number | Wait {
    const op = file.f_op.ioctl;
    const number = machine.requestNumber(request) >>> 0;
    if (!op) throw errno('ENOTTY');
    const value = machine.argumentBytes(argument);
    if (value instanceof Uint8Array) this.#task.mm = new ArgumentMemory(value);
    this.#task.fd = fd;
    const arg = value instanceof Uint8Array ? ArgumentMemory.ADDRESS : Number(value ?? 0);
    try {
      return op.call(file.f_op, file, number, arg, this.#task);
    } finally {
      cacheOf(this.#kernel)?.programsGoOn();
    }
  }

  async #ioctlAsync(fd: number, request: number, argument: Argument): Promise<number> {
    const file = this.#task.fget(fd);
    if (!file) return machine.promises.ioctl(fd, request, argument);
    const call = this.#observedIoctl(fd, request, argument);
    const make = () => this.#ioctl(fd, file, request, argument);
    return this.#later('ioctl', fd, { file, request }, call, make);
  }

  /** A call that may wait, to its end. */
  async #later(
    name: string,
    fd: number,
    target: LocalTarget & { file: File },
    call: LocalCall | undefined,
    make: () => number | Wait,
  ): Promise<number> {
    const { file } = target;
    const first = () =>
      faultsOf(this.#kernel) ? waitWithFaults(this.#task, name, target, make) : make();
    // The file stays, whatever becomes of the descriptor meanwhile.
    file.get(this.#task, fd);
    try {
      const step = (go: () => number | Wait) =>
        attempt(name, () => (call ? call.step(name, go) : go()));
      let result = step(first);
      while (result instanceof Wait) {
        const wait = result;
        await new Promise<void>((wake) => onWake(wait, wake));
        result = step(wait.options.resume ?? make);
      }
      return result;
    } finally {
      file.put();
    }
  }

  /** A file of ours that the machine does not read, or write, by itself. */
  #served(fd: number, name: Transfer): File | undefined {
    const file = this.#task.fget(fd);
    return file?.f_op.native && !file.f_op[name] ? undefined : file;
  }

  /** @see Posix.read */
  read(fd: number, buffer: Uint8Array): number {
    const file = this.#served(fd, 'read');
    if (!file) return machine.read(fd, buffer);
    const now = () => this.#now('read', this.#transfer('read', fd, file, buffer));
    const make = () => this.#meet('read', { file }, now);
    return this.#attempt('read', [fd, buffer.length], make, Number);
  }

  /** @see Posix.write */
  write(fd: number, bytes: Uint8Array): number {
    const file = this.#served(fd, 'write');
    if (!file) return machine.write(fd, bytes);
    const now = () => this.#now('write', this.#transfer('write', fd, file, bytes));
    const make = () => this.#meet('write', { file }, now);
    return this.#attempt('write', [fd, bytes.length], make, Number);
  }

  async #transferAsync(name: Transfer, fd: number, bytes: Uint8Array): Promise<number> {
    const file = this.#served(fd, name);
    if (!file) return machine.promises[name](fd, bytes);
    const call = this.#kernel.observers.active
      ? new LocalCall(this.#task, [fd, bytes.length])
      : undefined;
    const make = () => this.#transfer(name, fd, file, bytes);
    return this.#later(name, fd, { file }, call, make);
  }

  #transfer(name: Transfer, fd: number, file: File, bytes: Uint8Array): number | Wait {
    const denied = name === 'read' ? O_WRONLY : O_RDONLY;
    if ((file.openFlags & O_ACCMODE) === denied || isPathOnly(file)) throw errno('EBADF');
    const op = file.f_op[name];
    if (!op) throw errno('EINVAL');
    this.#task.mm = new ArgumentMemory(bytes);
    this.#task.fd = fd;
    const segment = { address: ArgumentMemory.ADDRESS, length: bytes.length };
    return op.call(file.f_op, file, bytes.length > 0 ? [segment] : [], this.#task);
  }

  /** @see Posix.mmap */
  mmap(length: number, prot: number, flags: number, fd: number, offset = 0): ArrayBuffer {
    const file = this.#task.fget(fd);
    if (!file) return machine.mmap(length, prot, flags, fd, offset);
    cacheOf(this.#kernel)?.mapping(process.pid, { address: 0, length, flags }, file);
    const make = () => {
      const mapping = this.#mmap(file, length, prot, flags, fd, offset);
      const { observers } = this.#kernel;
      if (!observers.active) return mapping;
      const address = addressOf(mapping);
      const bytes = pageAlign(length);
      observers.tell('mapped', { file, pid: process.pid, address, length: bytes, prot, offset });
      return mapping;
    };
    const met = () => this.#meet('mmap', { file }, make);
    const mapping = this.#attempt('mmap', [0, length, prot, flags, fd, offset], met, addressOf);
    cacheOf(this.#kernel)?.noteOwnMapping(mapping);
    return mapping;
  }

  #mmap(
    file: File,
    length: number,
    prot: number,
    flags: number,
    fd: number,
    offset: number,
  ): ArrayBuffer {
    const pieces = attempt('mmap', () =>
      mmapFile(file, { length, prot, flags, offset }, this.#task),
    );
    if (isOwnMemory(file, pieces, offset)) return machine.mmap(length, prot, flags, fd, offset);
    return attempt('mmap', () => {
      const mode = prot & PROT_WRITE ? constants.O_RDWR : constants.O_RDONLY;
      const memories = [...new Set(pieces.map((piece) => piece.memory))];
      const opened = new Map<unknown, number>();
      try {
        for (const memory of memories) opened.set(memory, memory.open(mode));
        const rows = pieces.flatMap((piece) => [
          opened.get(piece.memory) as number,
          piece.offset,
          piece.length,
        ]);
        const mapping = machine.checkMapping(native.mmapPieces(new Float64Array(rows), prot));
        const address = addressOf(mapping);
        for (const memory of memories) {
          memory.noteMapping?.(address, mapping.byteLength, pieces.length > 1);
        }
        return mapping;
      } finally {
        for (const descriptor of opened.values()) native.close(descriptor);
      }
    });
  }

  /** @see Posix.munmap */
  munmap(mapping: ArrayBuffer): void {
    cacheOf(this.#kernel)?.leavingOwn(mapping);
    const { observers } = this.#kernel;
    if (observers.active && mapping.byteLength > 0) {
      const [address, length] = [addressOf(mapping), pageAlign(mapping.byteLength)];
      this.#attempt('munmap', [address, length], () => {
        observers.tell('unmapped', process.pid, address, length);
        machine.munmap(mapping);
        return 0;
      });
    } else {
      machine.munmap(mapping);
    }
    this.#kernel.releases.drain();
  }

  /** @see Posix.poll */
  poll(fds: PollFd[], timeout: number): number {
    const file = this.#faultyFile(fds);
    const make = () => this.#poll(fds, timeout);
    return file ? callWithFaults(this.#task, 'poll', { file }, make) : make();
  }

  #poll(fds: PollFd[], timeout: number): number {
    const ours = oursAmong(this.#task, fds);
    if (!ours) return machine.poll(fds, timeout);
    // Ours do not change while this thread is in here; the others may.
    const others = fds.map((entry, i) => (ours[i] ? { ...entry, fd: -1 } : entry));
    const now = () => reventsNow(this.#task, fds, ours);
    if (!now().some(Boolean)) machine.poll(others, timeout);
    return tellRevents(fds, now());
  }

  async #pollAsync(fds: PollFd[], timeout: number): Promise<number> {
    const end = timeout < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout;
    for (;;) {
      const ours = oursAmong(this.#task, fds);
      const left = Math.max(0, Math.ceil(end - performance.now()));
      if (!ours) return machine.promises.poll(fds, Number.isFinite(left) ? left : -1);
      const revents = reventsNow(this.#task, fds, ours);
      if (left === 0 || revents.some(Boolean)) return tellRevents(fds, revents);
      const wait = new PollWait(this.#task, fds, ours);
      const wakes = new Wait(wait.sources, wait.timeout(left));
      await new Promise<void>((wake) => onWake(wakes, wake));
    }
  }

  /** @see Posix.fenceSignaled */
  async fenceSignaled(fd: number): Promise<void> {
    const file = this.#task.fget(fd);
    if (!file) return machine.fenceSignaled(fd);
    const events = pollMaskOf(file) & POLLOUT || POLLIN;
    await this.#pollAsync([{ fd, events }], -1);
  }

  /** @see Posix.lseek */
  lseek(fd: number, offset: number, whence: number): number {
    const file = this.#task.fget(fd);
    if (!file) return machine.lseek(fd, offset, whence);
    return this.#meet('lseek', { file }, () =>
      attempt('lseek', () => vfsLlseek(file, offset, whence, this.#task, fd)),
    );
  }

  /** @see Posix.fstat */
  fstat(fd: number): StatResult {
    const file = this.#task.lookUp(fd, stat);
    if (!file) return machine.fstat(fd);
    return this.#meet('fstat', { file }, () => machine.toStatResult(statFile(file, stat)));
  }

  /** @see Posix.socketpair */
  socketpair(type?: number): [number, number] {
    return machine.socketpair(type);
  }

  /** @see Posix.sendmsg */
  sendmsg(fd: number, data: Uint8Array, fds?: readonly number[], flags?: number): number {
    return machine.sendmsg(fd, data, fds, flags);
  }

  /** @see Posix.recvmsg */
  recvmsg(fd: number, size: number, flags?: number): Message {
    const message = machine.recvmsg(fd, size, flags);
    return this.#took(message.fds, message);
  }
}

function addressOf(mapping: ArrayBuffer): number {
  return native.addressOf(new Uint8Array(mapping));
}

/** Turns what a driver throws, or gives back as a negative errno, into an Error of the system call's. */
function attempt<T>(syscall: string, call: () => T): T {
  let result: T;
  try {
    result = call();
  } catch (error) {
    if (error instanceof ErrnoError) throw new SystemError(error.errno, syscall);
    throw error;
  }
  if (typeof result === 'number' && result < 0) throw new SystemError(-result, syscall);
  return result;
}
