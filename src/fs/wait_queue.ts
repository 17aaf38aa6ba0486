/**
 * Wait queues, as <linux/wait.h> has them. A handler never blocks the only thread: it gives back a
 * {@link Wait}, and is run again, from its start, when that is over. Awaitable calls and the parked
 * calls of programs both hang on the same queues.
 */
export class WaitQueue {
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

/** "Run me again when one of these queues is woken, or when the time is over." */
export class Wait {
  readonly queues: readonly WaitQueue[];
  /** Milliseconds from now, or undefined: as long as it takes. */
  readonly timeout: number | undefined;

  constructor(queues: readonly WaitQueue[], timeout?: number) {
    this.queues = queues;
    this.timeout = timeout;
  }
}

/** Calls back once when a wait is over; the answer of this function cancels it. */
export function onWake(wait: Wait, callback: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    clearTimeout(timer);
    for (const queue of wait.queues) queue.remove(wake);
  };
  const wake = () => {
    cancel();
    callback();
  };
  for (const queue of wait.queues) queue.add(wake);
  if (wait.timeout !== undefined) timer = setTimeout(wake, wait.timeout);
  return cancel;
}
