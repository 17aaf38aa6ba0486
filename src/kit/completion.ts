/** Promises as something that a system call can wait for. */
import { errno } from '../errno.js';
import { Wait, WaitQueue, type Wakeable } from '../fs/wait_queue.js';

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
  /** The promise failed, or nobody waits for it any more: called once, instead of `done`, with the reason. */
  failed(error: unknown): void;
  /** EAGAIN at once if the promise does not settle by itself. */
  nonblocking: boolean;
}

/** The call sleeps until the promise is settled. A signal ends it as SA_RESTART says. */
export function waitFor<T>(promise: Promise<T>, { done, failed, nonblocking }: Awaited<T>): Wait {
  const completion = new Completion(promise);
  return new Wait([completion], nonblocking ? 0 : undefined, {
    onInterrupt: () => failed(errno('EINTR')),
    resume() {
      const { outcome } = completion;
      if (outcome && 'value' in outcome) return done(outcome.value);
      const error = outcome ? outcome.error : errno('EAGAIN');
      failed(error);
      throw error;
    },
  });
}
