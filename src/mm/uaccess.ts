import type { CType, IoctlArg, View } from '../../ioctl/index.js';
import { Errno, errno } from '../errno.js';
import { native } from '../native.js';
import { PAGE_SIZE } from './page.js';

/**
 * The memory of whoever makes a call. A driver does not know whether that is another process or this
 * one: an address is a number, and one that is not there is EFAULT.
 */
export interface UserMemory {
  /** Fills `into` from `address`. EFAULT if not all of it is readable. */
  read(address: number, into: Uint8Array): void;
  /** Writes `bytes` to `address`. EFAULT if not all of it is writable. */
  write(address: number, bytes: Uint8Array): void;
  /** Reads what is there, up to the length of `into`; answers how much that was. */
  readSome(address: number, into: Uint8Array): number;
}

/** The caller does not let us look into its memory (PR_SET_DUMPABLE, Yama), or is gone. */
export class UnreachableError extends Error {
  constructor(pid: number) {
    super(`the memory of process ${pid} is out of reach`);
    this.name = 'UnreachableError';
  }
}

/** The memory of another process, by way of process_vm_readv(2) and process_vm_writev(2). */
export class ProcessMemory implements UserMemory {
  readonly #pid: number;

  /** `pid` may be that of any thread of the process. */
  constructor(pid: number) {
    this.#pid = pid;
  }

  read(address: number, into: Uint8Array): void {
    if (this.readSome(address, into) !== into.length) throw errno('EFAULT');
  }

  write(address: number, bytes: Uint8Array): void {
    const n = native.processVmWritev(this.#pid, address, bytes, 0, bytes.length);
    if (n !== bytes.length) this.#fail(n);
  }

  #fail(answer: number): never {
    if (answer === -Errno.EPERM || answer === -Errno.ESRCH) throw new UnreachableError(this.#pid);
    throw errno('EFAULT');
  }

  readSome(address: number, into: Uint8Array): number {
    const n = native.processVmReadv(this.#pid, address, into, 0, into.length);
    if (n < 0 && n !== -Errno.EFAULT) this.#fail(n);
    return Math.max(n, 0);
  }
}

/**
 * The argument of an in-process call: a buffer of JavaScript's that stands at a made-up address (in
 * the hole between user and kernel addresses, where nothing real can be). What a struct in it
 * points at is this process's own memory, which is reached like that of any other process.
 */
export class ArgumentMemory implements UserMemory {
  static readonly ADDRESS = 2 ** 50;
  readonly #argument: Uint8Array;
  readonly #own = new ProcessMemory(process.pid);

  constructor(argument: Uint8Array) {
    this.#argument = argument;
  }

  read(address: number, into: Uint8Array): void {
    if (this.readSome(address, into) !== into.length) throw errno('EFAULT');
  }

  write(address: number, bytes: Uint8Array): void {
    const start = address - ArgumentMemory.ADDRESS;
    if (start < 0) {
      this.#own.write(address, bytes);
    } else {
      if (start + bytes.length > this.#argument.length) throw errno('EFAULT');
      this.#argument.set(bytes, start);
    }
  }

  readSome(address: number, into: Uint8Array): number {
    const start = address - ArgumentMemory.ADDRESS;
    if (start < 0) return this.#own.readSome(address, into);
    const part = this.#argument.subarray(start, start + into.length);
    into.set(part);
    return part.length;
  }
}

/**
 * copy_from_user() of one object of the given type, whose size a program may have said. EFAULT, and ENOMEM as
 * vmemdup_user() has it.
 */
export function copyFromUser<T extends CType>(mm: UserMemory, address: number, type: T): View<T> {
  return type.view(memdupUser(mm, address, type.size)) as View<T>;
}

/** MAX_RW_COUNT of <linux/fs.h>: what one call moves at most. kvmalloc() refuses what is more than INT_MAX. */
const MAX_SIZE = 2 ** 31 - PAGE_SIZE;

/** vmemdup_user(): so many bytes of the caller's, whose number a program may have said. EFAULT, ENOMEM. */
export function memdupUser(mm: UserMemory, address: number, size: number): Uint8Array {
  if (size > MAX_SIZE) throw errno('ENOMEM');
  if (size === 0) return new Uint8Array();
  // A length that is made up mostly goes beyond what is there: that is found before there is memory for it.
  if (size > PAGE_SIZE) {
    for (const edge of [address, address + size - 1]) mm.read(edge, new Uint8Array(1));
  }
  const bytes = allocate(size);
  mm.read(address, bytes);
  return bytes;
}

/** Zeroed memory, for as many bytes as a program may have said. ENOMEM. */
export function allocate(size: number): Uint8Array {
  if (size > MAX_SIZE) throw errno('ENOMEM');
  try {
    return new Uint8Array(size);
  } catch (error) {
    if (error instanceof RangeError) throw errno('ENOMEM');
    throw error;
  }
}

/** copy_to_user(). EFAULT. */
export function copyToUser(mm: UserMemory, address: number, data: Uint8Array | IoctlArg): void {
  mm.write(address, data instanceof Uint8Array ? data : data.bytes);
}

/**
 * strndup_user: the NUL-terminated string at `address`. EFAULT if it runs out of mapped memory,
 * EINVAL if it has `max` bytes or more without its NUL (`tooLong` says which errno).
 */
export function strndupUser(
  memory: UserMemory,
  address: number,
  max: number,
  tooLong: 'EINVAL' | 'ENAMETOOLONG' | 'ERANGE' = 'EINVAL',
): string {
  let bytes = new Uint8Array(Math.min(max, 256));
  let have = 0;
  for (;;) {
    // Not across the end of a page: the next one may not be there, and need not be.
    const room = PAGE_SIZE - ((address + have) % PAGE_SIZE);
    const chunk = bytes.subarray(have, Math.min(bytes.length, have + room));
    const n = memory.readSome(address + have, chunk);
    const end = chunk.subarray(0, n).indexOf(0);
    if (end >= 0) return Buffer.from(bytes.buffer, 0, have + end).toString();
    if (n < chunk.length) throw errno('EFAULT');
    have += n;
    if (have === max) throw errno(tooLong);
    if (have === bytes.length) {
      const longer = new Uint8Array(Math.min(max, have * 4));
      longer.set(bytes);
      bytes = longer;
    }
  }
}
