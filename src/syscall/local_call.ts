/** Calls of `kernel.sys` as those see them who observe the kernel. */
import { Errno, ErrnoError } from '../errno.js';
import { Wait } from '../fs/wait_queue.js';
import type { UserMemory } from '../mm/uaccess.js';
import { SystemError } from '../native.js';
import type { CallArguments } from '../observe/call_text.js';
import type { ObservedCall } from '../observe/observer.js';
import type { Task } from '../task.js';

export class LocalCall implements CallArguments {
  readonly task: CallArguments['task'];
  readonly #task: Task;
  readonly #args: readonly (number | string)[];
  #observed: ObservedCall | undefined;

  constructor(task: Task, args: readonly (number | string)[], mm: UserMemory = task.mm) {
    const { pid, comm } = task;
    this.task = { pid, comm, mm, fget: (fd) => task.fget(fd) };
    this.#task = task;
    this.#args = args;
  }

  arg(index: number): number {
    return Number(this.#args[index]);
  }

  signed(index: number): number {
    return Number(this.#args[index]);
  }

  int(index: number): number {
    return Number(this.#args[index]) | 0;
  }

  uint(index: number): number {
    return Number(this.#args[index]) >>> 0;
  }

  path(index: number): string | undefined {
    const value = this.#args[index];
    return typeof value === 'string' ? value : undefined;
  }

  /** Makes the call, or goes on with it; a {@link Wait} parks it. `resultOf`: what the system call answers. */
  step<T>(name: string, action: () => T, resultOf = (value: T) => Number(value)): T {
    const { observers } = this.#task.kernel;
    const before = observers.call;
    const observed = observers.enter(this, name, this.task.pid, this.#observed);
    if (!observed) return action();
    this.#observed = observed;
    try {
      const value = action();
      if (value instanceof Wait) observers.park(observed, this);
      else observers.leave(observed, resultOf(value));
      return value;
    } catch (error) {
      observers.leave(observed, failureOf(error));
      throw error;
    } finally {
      observers.call = before;
    }
  }
}

/** A negative errno. */
function failureOf(error: unknown): number {
  if (error instanceof ErrnoError) return -error.errno;
  // Its errno is negative, as in Node's own.
  return error instanceof SystemError ? error.errno : -Errno.EIO;
}
