import { Errno } from '../errno.js';

/** What can wake somebody: a queue, or an event that happens once. */
export interface Wakeable {
  /** Has `wake` called, at once if there is nothing to wait for. */
  add(wake: () => void): void;
  remove(wake: () => void): void;
}

/**
 * Wait queues, as <linux/wait.h> has them. A handler never blocks the only thread: it gives back a
 * {@link Wait}, and is run again, from its start, when that is over. Awaitable calls and the parked
 * calls of programs both hang on the same queues.
 */
export class WaitQueue implements Wakeable {
  readonly #waiters = new Set<() => void>();

  add(wake: () => void): void {
    this.#waiters.add(wake);
  }

  remove(wake: () => void): void {
    this.#waiters.delete(wake);
  }

  /** Wakes all: each looks again at its own condition. */
  wakeUp(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  get active(): boolean {
    return this.#waiters.size > 0;
  }
}

export interface WaitOptions {
  /**
   * What a program's call ends with when a signal comes: ERESTARTSYS (EINTR, or once more, as its
   * handler's SA_RESTART says) unless this says ERESTARTNOHAND (EINTR in any case).
   */
  interrupted?: number | undefined;
  /** Signals do not end the wait; only that the caller is gone does. */
  uninterruptible?: boolean | undefined;
  /** Called before the call ends with `interrupted`. */
  onInterrupt?: (() => void) | undefined;
  /** What to do then, in place of the handler from its start: for one that has done part of its work. */
  resume?: (() => number | Wait) | undefined;
  /** The signals that are blocked while it waits, if not those that are anyway. */
  sigmask?: SignalMask | undefined;
}

export interface SignalMask {
  /** A bit each: that of signal n is n − 1. */
  signals: bigint;
  /** Where the caller has it. */
  address: number;
}

/** The longest that a timer of Node's may take; who waits for longer looks again. */
const LONGEST = 2 ** 31 - 1;

/** "Run me again when one of these wakes me, or when the time is over." */
export class Wait {
  readonly sources: readonly Wakeable[];
  /** Milliseconds from now, or undefined: as long as it takes. */
  readonly timeout: number | undefined;
  readonly interrupted: number;
  readonly options: WaitOptions;

  constructor(sources: readonly Wakeable[], timeout?: number, options: WaitOptions = {}) {
    this.sources = sources;
    this.timeout = timeout;
    this.interrupted = options.interrupted ?? Errno.ERESTARTSYS;
    this.options = options;
  }
}

/**
 * Calls back once when a wait is over, which may be now; the answer of this function cancels it.
 */
export function onWake(wait: Wait, callback: () => void): () => void {
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    over = true;
    clearTimeout(timer);
    for (const source of wait.sources) source.remove(wake);
  };
  const wake = () => {
    if (over) return;
    cancel();
    callback();
  };
  if (wait.timeout !== undefined) timer = setTimeout(wake, Math.min(wait.timeout, LONGEST));
  for (const source of wait.sources) if (!over) source.add(wake);
  return cancel;
}
