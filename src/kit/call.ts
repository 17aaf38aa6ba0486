/** A call on a device of one's own, as its handlers see it. */
import type { CType, View } from '../../ioctl/index.js';
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { type DmaBuf, dmaBufGet, dmaBufPut } from '../drivers/dma-buf/dma-buf.js';
import { type DmaFence, ktimeGet } from '../drivers/dma-buf/dma-fence.js';
import { syncFileCreate, syncFileGetFence } from '../drivers/dma-buf/sync_file.js';
import { errno } from '../errno.js';
import type { File } from '../fs/file.js';
import type { WaitQueue } from '../fs/wait_queue.js';
import { copyFromUser, copyToUser, type UserMemory } from '../mm/uaccess.js';
import { errnoOf, type Given, type Task, tellOrWithdraw } from '../task.js';
import type { DeviceCall } from './device.js';

export class DeviceCallImpl implements DeviceCall {
  readonly task: Task;
  readonly #file: File;
  readonly #mm: UserMemory;
  readonly #abort = new AbortController();
  readonly #given: Given[] = [];
  #ended: Promise<boolean> | undefined;
  #resolve: ((succeeded: boolean) => void) | undefined;
  #succeeded: boolean | undefined;
  /** Lets go of what was lent to the handler. */
  readonly #borrowed: (() => void)[] = [];
  /** Puts back what the handler took. */
  readonly #undo: (() => void)[] = [];
  /** Who is to be said to have made what the handler makes, also when it goes on later. */
  readonly #observed: Task['kernel']['observers']['call'];
  readonly #caller: number;

  #nonblocking: boolean | undefined;

  /** `nonblocking`: if that is not for the descriptor to say which the call is on. */
  constructor(file: File, task: Task, nonblocking?: boolean) {
    this.#file = file;
    this.task = task;
    this.#mm = task.mm;
    this.#nonblocking = nonblocking;
    this.#observed = task.kernel.observers.call;
    this.#caller = task.kernel.caller;
  }

  get nonblocking(): boolean {
    this.#nonblocking ??= this.task.nonblocking;
    return this.#nonblocking;
  }

  get ended(): Promise<boolean> {
    this.#ended ??= new Promise((resolve) => {
      if (this.#succeeded === undefined) this.#resolve = resolve;
      else resolve(this.#succeeded);
    });
    return this.#ended;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  getDmaBuf(fd: number): DmaBuf {
    this.#assertAwaited();
    const dmabuf = dmaBufGet(this.task, fd);
    this.#borrowed.push(() => dmaBufPut(dmabuf));
    return dmabuf;
  }

  installDmaBuf(dmabuf: DmaBuf, flags: number = O_CLOEXEC): number {
    try {
      const { f_flags } = dmabuf.file;
      return this.#install(dmabuf.file, (f_flags & O_ACCMODE) | (flags & O_CLOEXEC));
    } finally {
      dmaBufPut(dmabuf);
    }
  }

  getFence(fd: number): DmaFence {
    this.#assertAwaited();
    const fence = syncFileGetFence(this.task, fd);
    if (!fence) throw errno('EINVAL');
    this.#borrowed.push(() => fence.put());
    return fence;
  }

  installFence(fence: DmaFence): number {
    const { file } = syncFileCreate(this.task.kernel, fence);
    try {
      return this.#install(file, O_CLOEXEC);
    } finally {
      file.put();
    }
  }

  #install(file: File, flags: number): number {
    this.#assertAwaited();
    const fd = this.within(() => this.task.installFd(file, flags));
    this.#given.push({ file, fd });
    return fd;
  }

  copyFromUser<T extends CType>(address: bigint | number, type: T): View<T> {
    this.#assertAwaited();
    return copyFromUser(this.#mm, Number(address), type);
  }

  copyToUser(address: bigint | number, data: Uint8Array | { readonly bytes: Uint8Array }): void {
    this.#assertAwaited();
    copyToUser(this.#mm, Number(address), data);
  }

  async waitEvent(condition: () => boolean, deadline?: bigint): Promise<void> {
    this.#assertAwaited();
    while (!condition()) {
      const left = deadline === undefined ? undefined : deadline - ktimeGet();
      if (left !== undefined && left <= 0n) throw errno('ETIME');
      if (this.nonblocking) throw errno('EAGAIN');
      await wokenOrAborted(this.#file.changed, this.signal, left);
      this.#assertAwaited();
    }
  }

  /** The caller has gone on: it has no use for anything. */
  #assertAwaited(): void {
    if (this.signal.aborted) throw errno('EINTR');
  }

  /** @internal What is made in `action` was made by this call. */
  within<T>(action: () => T): T {
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

  /** @internal The handler is not done yet: its file is not released before it is, whoever has gone. */
  holdFile(): void {
    this.#file.hold();
    this.#borrowed.push(() => this.#file.unhold());
  }

  /** @internal The handler has done its work: what it gave is told by `tell`, or taken back. */
  finish(tell: () => void): void {
    let succeeded = false;
    try {
      tellOrWithdraw(this.task, this.#given, tell);
      succeeded = true;
    } finally {
      this.#end(succeeded);
      this.#giveBack();
      // The call may have taken something away, such as the last event.
      this.#file.tellEpoll();
    }
  }

  /**
   * @internal The handler has failed, or nobody waits for it any more: what it was lent it has until it
   * comes to its end.
   */
  fail(error: unknown, running?: Promise<unknown>): void {
    this.#abort.abort();
    this.#end(false);
    if (running) {
      const end = () => this.#giveBack();
      running.then(end, end);
    } else {
      this.#giveBack();
    }
    if (this.#given.length > 0) this.task.withdrawFds(this.#given, errnoOf(error));
  }

  /** @internal Calls `undo` if the caller does not get what the handler has for it. */
  onFailure(undo: () => void): void {
    if (this.#succeeded === false) undo();
    else this.#undo.push(undo);
  }

  #end(succeeded: boolean): void {
    this.#succeeded ??= succeeded;
    const undo = this.#undo.splice(0);
    if (!this.#succeeded) for (const each of undo) each();
    this.#resolve?.(this.#succeeded);
  }

  #giveBack(): void {
    for (const back of this.#borrowed.splice(0)) back();
  }
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
