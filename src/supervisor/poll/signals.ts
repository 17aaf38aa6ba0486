/**
 * Descriptors of ours that tell epoll(7) of one event and nothing else: an entry that is made for that alone does not
 * ask for what else the machine would say of them, except for POLLERR and POLLHUP, which it tells unasked.
 */

import {
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  POLLERR,
  POLLHUP,
  POLLPRI,
} from '../../../ioctl/index.js';
import { MSG_DONTWAIT, MSG_OOB, SOCK_NONBLOCK, SOCK_STREAM } from '../../abi/constants.js';
import { orThrow } from '../../errno.js';
import type { File } from '../../fs/file.js';
import { pollMaskOf } from '../../fs/readiness.js';
import { native } from '../../native.js';

const byte = new Uint8Array(1);
const room = new Uint8Array(16);

export interface Signal {
  /** What entries are made of. */
  readonly fd: number;
  /** Says whether it is so; as often as it is said that it is, there is an edge. */
  show(on: boolean): void;
  close(): void;
}

/** POLLPRI: there is a byte out of band (Linux 5.15). POLLIN, which comes with it, is not to be asked for. */
export class PrioritySignal implements Signal {
  static #works: boolean | undefined;
  readonly fd: number;
  readonly #other: number;

  constructor() {
    const pair = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
    if (typeof pair === 'number') orThrow(pair);
    [this.fd, this.#other] = pair as [number, number];
  }

  /** Whether this machine has that. */
  static get works(): boolean {
    if (PrioritySignal.#works === undefined) {
      const signal = new PrioritySignal();
      PrioritySignal.#works = native.sendmsg(signal.#other, byte, [], MSG_OOB) === 1;
      signal.close();
    }
    return PrioritySignal.#works;
  }

  show(on: boolean): void {
    native.recvmsg(this.fd, byte, [], MSG_OOB | MSG_DONTWAIT);
    // What has been taken out of band is in the queue still, without its byte.
    native.recvmsg(this.fd, room, [], MSG_DONTWAIT);
    if (on) native.sendmsg(this.#other, byte, [], MSG_OOB);
  }

  close(): void {
    native.close(this.fd);
    native.close(this.#other);
  }
}

/** One end of a pipe that has no other end, and says so, until that is opened again. */
abstract class BrokenPipe implements Signal {
  abstract readonly fd: number;
  #other: number;
  /** How the other end is opened. */
  readonly #flags: number;

  constructor(other: number, flags: number) {
    this.#other = other;
    this.#flags = flags | O_NONBLOCK | O_CLOEXEC;
  }

  show(on: boolean): void {
    if (this.#other < 0) this.#other = native.reopen(this.fd, this.#flags);
    if (on) this.#closeOther();
  }

  #closeOther(): void {
    if (this.#other >= 0) native.close(this.#other);
    this.#other = -1;
  }

  close(): void {
    native.close(this.fd);
    this.#closeOther();
  }
}

function pipe(): [reading: number, writing: number] {
  const pair = native.pipe(O_CLOEXEC | O_NONBLOCK);
  if (typeof pair === 'number') orThrow(pair);
  return pair as [number, number];
}

/** POLLERR: it is written to, and nobody can read. */
export class ErrorSignal extends BrokenPipe {
  readonly fd: number;

  constructor() {
    const [reading, writing] = pipe();
    super(reading, O_RDONLY);
    this.fd = writing;
  }
}

/** POLLHUP: it is read from, and nobody can write. */
export class HangUpSignal extends BrokenPipe {
  readonly fd: number;

  constructor() {
    const [reading, writing] = pipe();
    super(writing, O_WRONLY);
    this.fd = reading;
  }
}

const SIGNALS: readonly [event: number, make: () => Signal][] = [
  [POLLPRI, () => new PrioritySignal()],
  [POLLERR, () => new ErrorSignal()],
  [POLLHUP, () => new HangUpSignal()],
];

const signalsOf = new WeakMap<File, FileSignals>();

/** What tells of those of these events that a file may say: made once for all entries of the file. */
export class FileSignals {
  readonly #file: File;
  readonly #signals = new Map<number, Signal>();
  #users = 0;
  #state = 0;

  /** Each who asks for it {@link release}s it. EMFILE, ENFILE. */
  static of(file: File): FileSignals {
    const signals = signalsOf.get(file) ?? new FileSignals(file);
    signalsOf.set(file, signals);
    signals.#users++;
    return signals;
  }

  private constructor(file: File) {
    this.#file = file;
    const mask = pollMaskOf(file);
    try {
      for (const [event, make] of SIGNALS) if (mask & event) this.#signals.set(event, make());
    } catch (error) {
      this.#close();
      throw error;
    }
    this.show(file.f_op.poll?.(file, 0) ?? 0, false);
  }

  /** Descriptors of their own for who makes entries: an epoll instance knows these by the number, too. */
  descriptors(): Map<number, number> {
    const fds = [...this.#signals].map(([event, { fd }]) => [event, native.dup(fd)] as const);
    return new Map(fds);
  }

  /** Says what the file is ready for; `woken`: that is news, even if it was so before. */
  show(ready: number, woken: boolean): void {
    const changed = ready ^ this.#state;
    this.#state = ready;
    for (const [event, signal] of this.#signals) {
      if (changed & event || (woken && ready & event)) signal.show((ready & event) !== 0);
    }
  }

  release(): void {
    if (--this.#users === 0) this.#close();
  }

  #close(): void {
    signalsOf.delete(this.#file);
    for (const signal of this.#signals.values()) signal.close();
  }
}
