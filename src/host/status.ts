/** /proc/TID/status */
import { O_CLOEXEC } from '../../ioctl/index.js';
import { native } from '../native.js';
import { readText } from './read.js';

/** The fields of one reading. What is not there is 0, or nothing. */
export class Status {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether there was anything to read. */
  get exists(): boolean {
    return this.#text !== '';
  }

  #value(name: string): string {
    const text = this.#text;
    const label = `\n${name}:`;
    const at = text.indexOf(label);
    if (at < 0) return '';
    return text.slice(at + label.length, text.indexOf('\n', at + 1)).trim();
  }

  /** `Tgid`, `FDSize`, `TracerPid`; of several the first. */
  number(name: string): number {
    return Number.parseInt(this.#value(name), 10) || 0;
  }

  /** `Uid`, `Groups`, `NSpid`. */
  numbers(name: string): number[] {
    return (this.#value(name).match(/\d+/g) ?? []).map(Number);
  }

  /** `CapEff`, `SigPnd`: a set of bits. */
  mask(name: string): bigint {
    return BigInt(`0x${this.#value(name) || 0}`);
  }
}

export function statusOf(tid: number): Status {
  return new Status(readText(`/proc/${tid}/status`));
}

/** More than there is, but for a thread with hundreds of groups. */
const text = Buffer.alloc(8192);

/** The same of a thread over and over, at half the cost: through a descriptor that is kept. */
export class StatusFile {
  readonly #tid: number;
  #fd = -1;

  constructor(tid: number) {
    this.#tid = tid;
  }

  read(): Status {
    let length = this.#fd < 0 ? -1 : native.pread(this.#fd, text, 0);
    if (length <= 0) {
      // It is that of an earlier thread with this id.
      this.close();
      this.#fd = native.open(`/proc/${this.#tid}/status`, O_CLOEXEC, 0);
      length = native.pread(this.#fd, text, 0);
    }
    if (length === text.length) return statusOf(this.#tid);
    return new Status(text.toString('latin1', 0, Math.max(length, 0)));
  }

  close(): void {
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
  }
}

/** Whether what a process's pages show may be somebody else's doing: a debugger's, or a core dump's. */
export function isLookedInto(pid: number): boolean {
  const status = statusOf(pid);
  return !status.exists || status.number('TracerPid') !== 0 || status.number('CoreDumping') !== 0;
}

/** A signal that a waiting thread would handle now, were it not waiting. */
export interface PendingSignal {
  /** Its process. */
  pid: number;
  /** Only the mask of the call lets it through, not the thread's own. */
  masked: boolean;
  /** Sent to a process of several threads: each that does not block it may be the one to handle it. */
  anyones: boolean;
  /** The program has a handler for it. Otherwise the call is made again, unless this is the end. */
  caught: boolean;
}

/** The signal, if there is one, that is pending for a thread and not blocked by its own mask and the call's. */
export function pendingSignal(status: Status, sigmask?: bigint): PendingSignal | undefined {
  const [own, shared, blocked] = [
    status.mask('SigPnd'),
    status.mask('ShdPnd'),
    status.mask('SigBlk'),
  ];
  if (((own | shared) & ~(sigmask ?? blocked)) === 0n) return undefined;
  const masked = ((own | shared) & ~blocked & ~(sigmask ?? 0n)) === 0n;
  const anyones = (own & ~blocked & ~(sigmask ?? 0n)) === 0n && status.number('Threads') !== 1;
  const caught = ((own | shared) & status.mask('SigCgt')) !== 0n;
  return { pid: status.number('Tgid'), masked, anyones, caught };
}

/** Whose signals are counted together with a thread's: those of a user, in a user namespace. */
export function signalQueueOf(tid: number, status: Status): string {
  return `${status.number('Uid')} ${native.readlink(`/proc/${tid}/ns/user`)}`;
}

const NONE = '0000000000000000\nShdPnd:\t0000000000000000';

/** Which signals are pending for a thread: asked over and over, at the cost of one system call. */
export class PendingSignals {
  /** `SigPnd` and `ShdPnd`, as a text that is another when they are others; undefined: none. */
  pending: string | undefined;
  /** `SigQ`: how many are queued for its user, to all threads of all processes. */
  queued = '';
  readonly #fd: number;

  constructor(tid: number) {
    this.#fd = native.open(`/proc/${tid}/status`, O_CLOEXEC, 0);
  }

  /** Has a look; false if the thread is gone. */
  read(): boolean {
    if (native.pread(this.#fd, text, 0) <= 0) return false;
    const queue = text.indexOf('\nSigQ:\t', 0, 'latin1') + '\nSigQ:\t'.length;
    this.queued = text.toString('latin1', queue, text.indexOf('/', queue, 'latin1'));
    const at = text.indexOf('\nSigPnd:\t', queue, 'latin1') + '\nSigPnd:\t'.length;
    const pending = text.toString('latin1', at, at + NONE.length);
    this.pending = pending === NONE ? undefined : pending;
    return true;
  }

  close(): void {
    native.close(this.#fd);
  }
}
