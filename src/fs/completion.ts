/** Promises as something that a system call can wait for. */
import { errno } from '../errno.js';
import { Wait, WaitQueue, type Wakeable } from './wait_queue.js';

type Outcome<T> = { value: T } | { error: unknown };

/** Wakes when a promise is settled. */
class Completion<T> implements Wakeable {
  outcome: Outcome<T> | undefined;
  readonly #queue = new WaitQueue();

  constructor(promise: Promise<T>) {
    const settle = (outcome: Outcome<T>) => {
      this.outcome = outcome;
      this.#queue.wakeUp();
    };
    promise.then(
      (value) => settle({ value }),
      (error: unknown) => settle({ error }),
    );
  }

  add(wake: () => void): void {
    if (this.outcome) wake();
    else this.#queue.add(wake);
  }

  remove(wake: () => void): void {
    this.#queue.remove(wake);
  }
}

export interface Awaited<T> {
  /** Turns what the promise gave into the call's result. */
  done(value: T): number;
  /**
   * The promise failed, or nobody waits for it any more: called once, instead of `done`, with the reason. Its answer is
   * what the call fails with.
   */
  failed(error: unknown): unknown;
  /** EAGAIN at once if the promise does not settle by itself. */
  nonblocking: boolean;
  uninterruptible?: boolean | undefined;
}

/** The call sleeps until the promise is settled. A signal ends it as SA_RESTART says. */
export function waitFor<T>(promise: Promise<T>, awaited: Awaited<T>): Wait {
  const { done, failed, nonblocking, uninterruptible } = awaited;
  const completion = new Completion(promise);
  return new Wait([completion], nonblocking ? 0 : undefined, {
    uninterruptible,
    onInterrupt() {
      failed(errno('EINTR'));
    },
    resume() {
      const { outcome } = completion;
      if (outcome && 'value' in outcome) return done(outcome.value);
      throw failed(outcome ? outcome.error : errno('EAGAIN'));
    },
  });
}
