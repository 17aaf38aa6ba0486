/** A system call that a program waits in, and the ways to answer it. */

import { O_CLOEXEC } from '../../ioctl/index.js';
import { INJECTED_FAILURE, type Needs } from '../abi/system_calls.js';
import { Errno, orThrow } from '../errno.js';
import type { CallFault } from '../fault/program_calls.js';
import type { Wait } from '../fs/wait_queue.js';
import { native } from '../native.js';
import type { ObservedCall } from '../observe/observer.js';
import type { RemoteTask } from './task.js';

/** Let the machine's kernel make the call as it stands. */
export const CONTINUE = Symbol('continue');
/** Somebody has answered it already. */
export const ANSWERED = Symbol('answered');

/** What a handler gives back: the call's result (a negative errno for a failure), or one of these. */
export type Answer = number | typeof CONTINUE | typeof ANSWERED | Wait;

export type Handler = (call: Call) => Answer;

/**
 * Takes the result of a call, before the caller goes on; undefined where the machine's kernel makes the call.
 * The arguments are in `call`, which for one that has waited is another object than at first.
 */
export type Traced = (call: Call, answer: number | undefined) => void;

/** struct seccomp_notif: u64 id, u32 pid, u32 flags, then s32 nr, u32 arch, u64 ip, u64 args[6]. */
const ARGS = 32;
const SECCOMP_ADDFD_FLAG_SETFD = 1 << 0;
const SECCOMP_ADDFD_FLAG_SEND = 1 << 1;
const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1;
const RESPONSE_SIZE = 24;

export class Call {
  listener: number;
  /** The notification, struct seccomp_notif. */
  readonly notif: Uint8Array;
  readonly #words: DataView;
  /** The result of a call that was answered at once, with a descriptor or by injection. */
  answered = 0;
  /** When a call that waits for a given time is over, by performance.now(). */
  deadline: number | undefined;
  /** Whether the caller was given a descriptor before the answer. */
  installed = false;
  /** The fault that is injected into it; null: none; undefined: nobody has asked yet. */
  fault: CallFault | null | undefined;
  /** The thread that waits. */
  task!: RemoteTask;
  /** What the filter of its program was made for. */
  needs!: Needs;
  /** What those who observe know it as, if anybody does. */
  observed: ObservedCall | undefined;
  /** To be told of the answer, for `--trace`. */
  traced: Traced | undefined;

  constructor(listener: number, notif: Uint8Array) {
    this.listener = listener;
    this.notif = notif;
    this.#words = new DataView(notif.buffer, notif.byteOffset);
  }

  /** Thread id of the caller, in our pid namespace; 0 if it is not visible there. */
  get tid(): number {
    return this.#words.getUint32(8, true);
  }

  get nr(): number {
    return this.#words.getInt32(16, true);
  }

  /** An argument as an unsigned number: an address, a length. Beyond 2^53 not exact, as nothing valid is. */
  arg(index: number): number {
    const at = ARGS + index * 8;
    return this.#words.getUint32(at + 4, true) * 2 ** 32 + this.#words.getUint32(at, true);
  }

  /** An argument as a signed 64-bit number. */
  signed(index: number): number {
    const at = ARGS + index * 8;
    return this.#words.getInt32(at + 4, true) * 2 ** 32 + this.#words.getUint32(at, true);
  }

  /** An argument as an int: a descriptor, flags. */
  int(index: number): number {
    return this.#words.getInt32(ARGS + index * 8, true);
  }

  /** An argument as an unsigned int: an ioctl's request. */
  uint(index: number): number {
    return this.#words.getUint32(ARGS + index * 8, true);
  }

  /** Whether the caller waits still. */
  get valid(): boolean {
    return native.notifIdValid(this.listener, this.notif) === 0;
  }

  /** A copy that outlives the buffer which the next call is received into. */
  clone(): Call {
    const copy = new Call(this.listener, this.notif.slice());
    copy.task = this.task;
    copy.needs = this.needs;
    copy.deadline = this.deadline;
    // What has begun without a fault ends without one.
    copy.fault = this.fault ?? null;
    copy.observed = this.observed;
    copy.traced = this.traced;
    return copy;
  }

  /** Puts a descriptor of ours into the caller's table, at `number`, which is free, or the lowest. EMFILE when that is full. */
  addFd(fd: number, cloexec: boolean, number?: number): number {
    this.installed = true;
    return this.#addFd(fd, cloexec, 0, number);
  }

  /** The same, and the new descriptor is the call's result. */
  answerFd(fd: number, cloexec: boolean, number?: number): typeof ANSWERED {
    this.answered = this.#addFd(fd, cloexec, SECCOMP_ADDFD_FLAG_SEND, number);
    return ANSWERED;
  }

  /** The same with a descriptor (or a negative errno) that was made for this alone. */
  answerNewFd(fd: number, cloexec: boolean): typeof ANSWERED {
    try {
      return this.answerFd(orThrow(fd), cloexec);
    } finally {
      native.close(fd);
    }
  }

  /**
   * Has the caller close descriptors, and its call fail: in that order, as what it waits in
   * can be replaced by calls of our choosing, and the first that fails is what it sees. False where that is
   * not allowed (another process traces it): nothing has happened.
   */
  closeAndFail(fds: readonly number[], errno: number): boolean {
    const { close, mmap } = native.SYS as Record<'close' | 'mmap', number>;
    const calls = [
      ...fds.map((fd) => ({ nr: close, args: [fd] })),
      { nr: mmap, args: [errno, 0, 0, INJECTED_FAILURE * 2 ** 32] },
    ];
    const results = new Float64Array(calls.length);
    return native.injectCalls(this.listener, this.notif, this.tid, calls, results) !== -Errno.EPERM;
  }

  /**
   * Ends the call as a signal does, whichever thread the machine has chosen for it: `error` is ERESTARTSYS or
   * ERESTARTNOHAND, `sigmask` the address of the call's own mask, or 0. False where that is not allowed.
   */
  interrupt(error: number, sigmask: number): boolean {
    const { listener, notif, tid } = this;
    return native.interruptCall(listener, notif, tid, error, sigmask) !== -Errno.EPERM;
  }

  #addFd(fd: number, cloexec: boolean, flags: number, number: number | undefined): number {
    const { listener, notif } = this;
    const fdFlags = cloexec ? O_CLOEXEC : 0;
    if (number !== undefined) {
      const how = flags | SECCOMP_ADDFD_FLAG_SETFD;
      return orThrow(native.notifAddfd(listener, notif, fd, how, number, fdFlags));
    }
    return orThrow(native.notifAddfd(listener, notif, fd, flags, 0, fdFlags));
  }

  /** Sends an answer. That the caller is gone by now is no error. */
  send(answer: number | typeof CONTINUE): void {
    // struct seccomp_notif_resp: u64 id, s64 val, s32 error, u32 flags.
    response.setUint32(0, this.#words.getUint32(0, true), true);
    response.setUint32(4, this.#words.getUint32(4, true), true);
    if (answer === CONTINUE) {
      response.setUint32(8, 0, true);
      response.setInt32(12, 0, true);
      response.setInt32(16, 0, true);
      response.setUint32(20, SECCOMP_USER_NOTIF_FLAG_CONTINUE, true);
    } else {
      const value = answer < 0 ? 0 : answer;
      response.setUint32(8, value % 2 ** 32, true);
      response.setUint32(12, Math.floor(value / 2 ** 32), true);
      response.setInt32(16, answer < 0 ? answer : 0, true);
      response.setUint32(20, 0, true);
    }
    native.notifSend(this.listener, responseBytes);
  }
}

const responseBytes = new Uint8Array(RESPONSE_SIZE);
const response = new DataView(responseBytes.buffer);
