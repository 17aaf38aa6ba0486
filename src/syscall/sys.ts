/** `kernel.sys`: the way in for the process that the kernel runs in. */
import { constants } from 'node:fs';
import { resolve } from 'node:path';
import { O_CLOEXEC, POLLIN, POLLOUT, PROT_WRITE } from '../../ioctl/index.js';
import { ErrnoError, errno, orThrow } from '../errno.js';
import { openFileNode } from '../fs/char_dev.js';
import type { File } from '../fs/file.js';
import { namei } from '../fs/namei.js';
import { Pipe } from '../fs/pipe.js';
import { statFile } from '../fs/stat.js';
import { Directory, FileNode, GeneratedFile } from '../fs/tree.js';
import { onWake, Wait } from '../fs/wait_queue.js';
import type { Kernel } from '../kernel.js';
import { ArgumentMemory, ProcessMemory, type UserMemory } from '../mm/uaccess.js';
import { native, STAT_FIELDS, Stat, SystemError } from '../native.js';
import * as machine from '../posix.js';
import { KERN_WARNING } from '../printk.js';
import type { Task } from '../task.js';
import { openGenerated } from './generated.js';
import { vfsLlseek } from './lseek.js';
import { isOwnMemory, mmapFile } from './mmap.js';
import { oursAmong, PollSet } from './poll_set.js';
import type { Argument, Message, PollFd, Posix, PosixPromises, StatResult } from './posix.js';

const F_DUPFD = 0;
const F_DUPFD_CLOEXEC = 1030;

const stat = new Float64Array(STAT_FIELDS);

/** This process as a caller. */
class LocalTask implements Task {
  readonly kernel: Kernel;
  readonly pid = process.pid;
  readonly comm = process.title;
  mm: UserMemory = new ProcessMemory(process.pid);

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  fget(fd: number): File | undefined {
    if (native.fstat(fd, stat) < 0) return undefined;
    return this.kernel.files.find(stat[Stat.dev] as number, stat[Stat.ino] as number);
  }

  openDescriptor(fd: number, flags: number): number {
    return orThrow(native.reopen(fd, flags | O_CLOEXEC));
  }

  tryDuplicate(fd: number): number {
    return native.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  }

  modeOf(fd: number): number | undefined {
    return native.fstat(fd, stat) < 0 ? undefined : stat[Stat.mode];
  }

  installFd(file: File, flags: number): number {
    const command = flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
    return file.lend(flags, (fd) => orThrow(native.fcntl(fd, command, 0)));
  }

  withdrawFd(_file: File, fd: number): void {
    native.close(fd);
  }
}

export class Sys implements Posix {
  readonly #kernel: Kernel;
  readonly #task: LocalTask;
  readonly promises: PosixPromises;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new LocalTask(kernel);
    this.promises = {
      ioctl: (fd, request, argument = null) => this.#ioctlAsync(fd, request, argument),
      poll: (fds, timeout) => this.#pollAsync(fds, timeout),
      recvmsg: (fd, size, flags) => machine.promises.recvmsg(fd, size, flags),
    };
  }

  /** @see Posix.open */
  open(path: string, flags: number, mode = 0o666): number {
    const self = { tgid: () => process.pid, tid: process.pid };
    const found = namei(this.#kernel.root, resolve(path), !(flags & constants.O_NOFOLLOW), self);
    if (found.kind === 'machine' || found.kind === 'descriptor') {
      return machine.open(found.path, flags, mode);
    }
    return attempt('open', () => {
      if (found.kind === 'error') throw errno(found.code);
      if (found.node instanceof FileNode) {
        const file = openFileNode(found.node, this.#task, flags);
        try {
          return this.#task.installFd(file, flags);
        } finally {
          file.put();
        }
      }
      if (found.node instanceof GeneratedFile) return openGenerated(found.node, flags);
      if (found.node instanceof Directory && found.node.machineHasIt) {
        return machine.open(found.path, flags, mode);
      }
      throw errno('EISDIR');
    });
  }

  /** @see Posix.close */
  close(fd: number): void {
    machine.close(fd);
    this.#kernel.releases.drain();
  }

  /** @see Posix.dup */
  dup(fd: number): number {
    return machine.dup(fd);
  }

  /** @see Posix.ioctl */
  ioctl(fd: number, request: number, argument: Argument = null): number {
    const file = this.#task.fget(fd);
    if (!file) return machine.ioctl(fd, request, argument);
    return attempt('ioctl', () => {
      const result = this.#ioctl(file, request, argument);
      if (!(result instanceof Wait)) return result;
      this.#kernel.printk(
        KERN_WARNING,
        'dmabuf-shim: an ioctl had to wait, and nothing could end that while it kept the only thread; use kernel.sys.promises.ioctl',
      );
      throw errno('EDEADLK');
    });
  }

  #ioctl(file: File, request: number, argument: Argument): number | Wait {
    const op = file.f_op.ioctl;
    if (!op) throw errno('ENOTTY');
    const value = machine.argumentBytes(argument);
    if (value instanceof Uint8Array) this.#task.mm = new ArgumentMemory(value);
    const arg = value instanceof Uint8Array ? ArgumentMemory.ADDRESS : Number(value ?? 0);
    try {
      return op.call(file.f_op, file, request >>> 0, arg, this.#task);
    } finally {
      this.#kernel.cache?.programsGoOn();
    }
  }

  async #ioctlAsync(fd: number, request: number, argument: Argument): Promise<number> {
    const file = this.#task.fget(fd);
    if (!file) return machine.promises.ioctl(fd, request, argument);
    // The file stays, whatever becomes of the descriptor meanwhile.
    file.get(this.#task, fd);
    try {
      let result = attempt('ioctl', () => this.#ioctl(file, request, argument));
      while (result instanceof Wait) {
        const wait = result;
        await new Promise<void>((wake) => onWake(wait, wake));
        const again = wait.options.resume ?? (() => this.#ioctl(file, request, argument));
        result = attempt('ioctl', again);
      }
      return result;
    } finally {
      file.put();
    }
  }

  /** @see Posix.mmap */
  mmap(length: number, prot: number, flags: number, fd: number, offset = 0): ArrayBuffer {
    const file = this.#task.fget(fd);
    if (!file) return machine.mmap(length, prot, flags, fd, offset);
    this.#kernel.cache?.mapping(process.pid, { address: 0, length, flags }, file);
    const mapping = this.#mmap(file, length, prot, flags, fd, offset);
    this.#kernel.cache?.noteOwnMapping(mapping);
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
    const pieces = attempt('mmap', () => mmapFile(file, { length, prot, flags, offset }));
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
        const address = native.addressOf(new Uint8Array(mapping));
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
    this.#kernel.cache?.leavingOwn(mapping);
    machine.munmap(mapping);
    this.#kernel.releases.drain();
  }

  /** @see Posix.poll */
  poll(fds: PollFd[], timeout: number): number {
    const ours = oursAmong(this.#task, fds);
    if (!ours) return machine.poll(fds, timeout);
    // Ours do not change while this thread is in here; the others may.
    const others = fds.map((entry, i) => (ours[i] ? { ...entry, fd: -1 } : entry));
    const set = new PollSet(this.#task, fds, ours);
    try {
      if (!set.revents().some(Boolean)) machine.poll(others, timeout);
      return tellRevents(fds, set.revents());
    } finally {
      set.close();
    }
  }

  async #pollAsync(fds: PollFd[], timeout: number): Promise<number> {
    const end = timeout < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout;
    for (;;) {
      const ours = oursAmong(this.#task, fds);
      const left = Math.max(0, Math.ceil(end - performance.now()));
      if (!ours) return machine.promises.poll(fds, Number.isFinite(left) ? left : -1);
      const set = new PollSet(this.#task, fds, ours);
      const revents = set.revents();
      if (left === 0 || revents.some(Boolean)) {
        set.close();
        return tellRevents(fds, revents);
      }
      const wait = new Wait(set.sources(), Number.isFinite(left) ? left : undefined);
      await new Promise<void>((wake) => onWake(wait, wake));
    }
  }

  /** @see Posix.fenceSignaled */
  async fenceSignaled(fd: number): Promise<void> {
    const file = this.#task.fget(fd);
    if (!file) return machine.fenceSignaled(fd);
    const events = file.backing instanceof Pipe ? POLLIN : POLLOUT;
    await this.#pollAsync([{ fd, events }], -1);
  }

  /** @see Posix.lseek */
  lseek(fd: number, offset: number, whence: number): number {
    const file = this.#task.fget(fd);
    if (!file) return machine.lseek(fd, offset, whence);
    return attempt('lseek', () => vfsLlseek(file, offset, whence));
  }

  /** @see Posix.fstat */
  fstat(fd: number): StatResult {
    const file = this.#task.fget(fd);
    return file ? machine.toStatResult(statFile(file, stat)) : machine.fstat(fd);
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
    return machine.recvmsg(fd, size, flags);
  }
}

/** Sets what there is; how many have something. */
function tellRevents(fds: PollFd[], revents: number[]): number {
  fds.forEach((entry, i) => {
    entry.revents = revents[i] as number;
  });
  return revents.filter((events) => events !== 0).length;
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
