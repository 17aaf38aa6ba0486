/** One call on an open file, from when its driver is asked until the caller has its answer. */
import {
  type ArrayView,
  array,
  type CType,
  O_NONBLOCK,
  type Plain,
  type Value,
  type View,
} from '../../ioctl/index.js';
import { errno } from '../errno.js';
import { ktimeGet } from '../ktime.js';
import { copyFromUser, copyToUser } from '../mm/uaccess.js';
import { errnoOf, type Given, type Task, tellOrWithdraw } from '../task.js';
import { waitFor } from './completion.js';
import type { File } from './file.js';
import type { UserArray } from './ioctl_argument.js';
import { Wait, type WaitQueue } from './wait_queue.js';

/** Where a caller has the argument of its ioctl. */
export interface UserArgument {
  /** Or the number itself, for a request without a struct. */
  readonly address: number;
  /** Bytes, as the request says. */
  readonly size: number;
}

export class FileCall {
  readonly file: File;
  readonly task: Task;
  /** Of an ioctl; the address and the size that the caller has passed. */
  readonly argument: UserArgument;
  #nonblocking: boolean | undefined;
  #abort: AbortController | undefined;
  #aborted = false;
  #ended: Promise<boolean> | undefined;
  #resolve: ((succeeded: boolean) => void) | undefined;
  #succeeded: boolean | undefined;
  #held = false;
  readonly #given: Given[] = [];
  /** Lets go of what was lent to the driver. */
  #borrowed: (() => void)[] | undefined;
  /** Puts back what the driver took. */
  #undo: (() => void)[] | undefined;
  /** Who is to be said to have made what the driver makes, also when it goes on later. */
  readonly #observed: Task['kernel']['observers']['call'];
  readonly #caller: number;

  /** `nonblocking`: if that is not for the descriptor to say which the call is on. */
  constructor(file: File, task: Task, nonblocking?: boolean, argument: UserArgument = NONE) {
    this.file = file;
    this.task = task;
    this.argument = argument;
    this.#nonblocking = nonblocking;
    this.#observed = task.kernel.observers.call;
    this.#caller = task.kernel.caller;
  }

  /** The caller does not want to wait. */
  get nonblocking(): boolean {
    this.#nonblocking ??= (this.file.f_flags & O_NONBLOCK) !== 0;
    return this.#nonblocking;
  }

  /** Resolves when the caller has its answer: whether the call has succeeded. */
  get ended(): Promise<boolean> {
    this.#ended ??= new Promise((resolve) => {
      if (this.#succeeded === undefined) this.#resolve = resolve;
      else resolve(this.#succeeded);
    });
    return this.#ended;
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#aborted) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  /** @internal What was taken of arrays that the argument has the addresses of. */
  arrays: readonly { which: UserArray; view: ArrayView }[] = [];

  /** The elements of an array that the row of the ioctl names; none where the argument has no such array. */
  array<E extends CType>(which: UserArray<E>): ArrayView<Value<E>, Plain<E>> {
    const found =
      this.arrays.find((each) => each.which === which)?.view ?? array(which.element, 0).create();
    return found as ArrayView<Value<E>, Plain<E>>;
  }

  /** A new descriptor of `file` for the caller, which is taken back if the call fails after all. EMFILE. */
  installFd(file: File, flags: number): number {
    this.assertAwaited();
    const fd = this.#within(() => this.task.installFd(file, flags));
    this.#given.push({ file, fd });
    return fd;
  }

  /** copy_from_user(): what a pointer in the argument points at. EFAULT. */
  copyFromUser<T extends CType>(address: bigint | number, type: T): View<T> {
    this.assertAwaited();
    return copyFromUser(this.task.mm, Number(address), type);
  }

  /** copy_to_user(). EFAULT. */
  copyToUser(address: bigint | number, data: Uint8Array | { readonly bytes: Uint8Array }): void {
    this.assertAwaited();
    copyToUser(this.task.mm, Number(address), data);
  }

  /**
   * wait_event_interruptible(): until `condition` holds, which is looked at whenever the file says that it has
   * changed. EAGAIN with O_NONBLOCK; EINTR when nobody waits any more; ETIME when the `deadline` has passed.
   */
  async waitEvent(condition: () => boolean, deadline?: bigint): Promise<void> {
    this.assertAwaited();
    while (!condition()) {
      const left = deadline === undefined ? undefined : deadline - ktimeGet();
      if (left !== undefined && left <= 0n) throw errno('ETIME');
      if (this.nonblocking) throw errno('EAGAIN');
      await wokenOrAborted(this.file.changed, this.signal, left);
      this.assertAwaited();
    }
  }

  /** Has something put back when the call is over: what was lent to the driver for as long. */
  onEnd(back: () => void): void {
    this.#borrowed ??= [];
    this.#borrowed.push(back);
  }

  /** Calls `undo` if the caller does not get what the driver has for it. */
  onFailure(undo: () => void): void {
    if (this.#succeeded === false) {
      undo();
      return;
    }
    this.#undo ??= [];
    this.#undo.push(undo);
  }

  /** The caller has gone on: it has no use for anything. */
  protected assertAwaited(): void {
    if (this.#aborted) throw errno('EINTR');
  }

  /** What is made in `action` was made by this call. */
  #within<T>(action: () => T): T {
    const { kernel } = this.task;
    const [call, caller] = [kernel.observers.call, kernel.caller];
    kernel.observers.call = this.#observed;
    kernel.caller = this.#caller;
    try {
      return action();
    } finally {
      kernel.observers.call = call;
      kernel.caller = caller;
    }
  }

  /** @internal The driver is not done yet: its file is not released before it is, whoever has gone. */
  holdFile(): void {
    if (this.#held) return;
    this.#held = true;
    this.file.hold();
    this.onEnd(() => this.file.unhold());
  }

  /** @internal The driver has done its work: what it gave is told by `tell`, or taken back. */
  finish(tell: () => void): void {
    let succeeded = false;
    try {
      tellOrWithdraw(this.task, this.#given, tell);
      succeeded = true;
    } finally {
      this.#end(succeeded);
      this.#giveBack();
      // The call may have taken something away, such as the last event.
      this.file.tellEpoll();
    }
  }

  /**
   * @internal The driver has failed, or nobody waits for it any more: what it was lent it has until it
   * comes to its end.
   */
  fail(error: unknown, running?: Promise<unknown>): void {
    this.#aborted = true;
    this.#abort?.abort();
    this.#end(false);
    if (running) {
      const end = () => this.#giveBack();
      running.then(end, end);
    } else {
      this.#giveBack();
    }
    if (this.#given.length > 0) this.task.withdrawFds(this.#given, errnoOf(error));
  }

  #end(succeeded: boolean): void {
    this.#succeeded ??= succeeded;
    const undo = this.#undo;
    this.#undo = undefined;
    if (undo && !this.#succeeded) for (const each of undo) each();
    this.#resolve?.(this.#succeeded);
  }

  #giveBack(): void {
    const borrowed = this.#borrowed;
    this.#borrowed = undefined;
    if (borrowed) for (const back of borrowed) back();
  }
}

const NONE: UserArgument = { address: 0, size: 0 };

/** What a driver does in a call. */
export interface Work<T> {
  /** Its answer, now or later; what it waits for, as a {@link Wait}: then it is asked again. */
  run(): T | Promise<T> | Wait;
  /** Tells the caller of what came of it: the call's result. */
  done(value: T): number;
  /** Optional: what the caller is told nevertheless when it has failed. May throw what the caller sees instead. */
  failed?(error: unknown): void;
  /** Signals do not end the wait: only the caller's death does. */
  uninterruptible?: boolean | undefined;
}

/** Has a driver do its work, now or later, and tells the caller of the result. */
export function serve<T>(call: FileCall, work: Work<T>, run = work.run): number | Wait {
  const fail = (reason: unknown, running?: Promise<unknown>): unknown => {
    let error = reason;
    try {
      work.failed?.(reason);
    } catch (worse) {
      error = worse;
    }
    call.fail(error, running);
    return error;
  };
  const done = (value: T): number => {
    let result = 0;
    call.finish(() => {
      result = work.done(value);
    });
    return result;
  };
  let answer: ReturnType<Work<T>['run']>;
  try {
    answer = run();
  } catch (error) {
    throw fail(error);
  }
  const { uninterruptible } = work;
  if (answer instanceof Promise) {
    call.holdFile();
    const running = answer;
    const failed = (error: unknown) => fail(error, running);
    const { nonblocking } = call;
    return waitFor(running, { done, failed, nonblocking, uninterruptible });
  }
  if (!(answer instanceof Wait)) return done(answer);
  call.holdFile();
  const { sources, timeout, interrupted, options } = answer;
  return new Wait(sources, timeout, {
    ...options,
    interrupted,
    uninterruptible,
    onInterrupt() {
      options.onInterrupt?.();
      fail(errno('EINTR'));
    },
    resume: () => serve(call, work, (options.resume as (() => T | Wait) | undefined) ?? work.run),
  });
}

/** Longest wait of a timer, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

/** `left`: after so many nanoseconds in any case, or earlier if that is more than a timer can wait. */
function wokenOrAborted(queue: WaitQueue, signal: AbortSignal, left?: bigint): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const wake = () => {
      queue.remove(wake);
      signal.removeEventListener('abort', wake);
      clearTimeout(timer);
      resolve();
    };
    if (signal.aborted) return resolve();
    queue.add(wake);
    signal.addEventListener('abort', wake);
    if (left === undefined) return;
    timer = setTimeout(wake, Math.min(Math.ceil(Number(left) / 1e6), MAX_TIMER));
  });
}
