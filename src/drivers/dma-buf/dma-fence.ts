/**
 * Fences: an event in a driver's work that others wait for. It happens once, and with a result.
 * Linux: drivers/dma-buf/dma-fence.c, include/linux/dma-fence.h.
 */

import type { KernelCore } from '../../core.js';
import { Errno, errno } from '../../errno.js';
import { onWake, Wait, type Wakeable } from '../../fs/wait_queue.js';
import { ktimeGet } from '../../ktime.js';
import { cacheOf } from '../../mm/cache/cache.js';
import { PerKernel } from '../../per_kernel.js';
import { KERN_ERR } from '../../printk.js';

declare module '../../observe/observer.js' {
  interface Observer {
    /** It is not complete yet: what its operations tell (its names) is not to be asked for now. */
    fenceMade?(fence: DmaFence): void;
    /** Before those who wait for it are told. */
    fenceSignaled?(fence: DmaFence): void;
    fenceReleased?(fence: DmaFence): void;
    /** It is not signalled in time, as a line says. */
    fenceLate?(fence: DmaFence, text: string): void;
  }
}

/** What a kind of fence can do; Linux's struct dma_fence_ops. */
export interface DmaFenceOps {
  /** Mandatory. */
  getDriverName(fence: DmaFence): string;
  /** Mandatory. */
  getTimelineName(fence: DmaFence): string;
  /**
   * Optional: called once, when somebody waits for the first time, to have the work reported. False if
   * it is over already: the fence is then signalled.
   */
  enableSignaling?(fence: DmaFence): boolean;
  /** Optional: whether the work is over, though nobody has said so yet. */
  signaled?(fence: DmaFence): boolean;
  /** Optional: called once, when the last reference is gone. */
  release?(fence: DmaFence): void;
  /** Optional: somebody would like to have it by then (CLOCK_MONOTONIC, nanoseconds). */
  setDeadline?(fence: DmaFence, deadline: bigint): void;
}

export type DmaFenceCallback = (fence: DmaFence) => void;

export interface DmaFenceInit {
  ops: DmaFenceOps;
  /** {@link dmaFenceContextAlloc}: fences of one context are signalled in the order of their seqno. */
  context: number;
  seqno: number;
  /** seqno has 64 bits rather than 32, so that it never wraps. */
  use64BitSeqno?: boolean;
}

/** struct dma_fence. Made with one reference. */
export class DmaFence implements Wakeable {
  readonly kernel: KernelCore;
  readonly ops: DmaFenceOps;
  readonly context: number;
  readonly seqno: number;
  readonly use64BitSeqno: boolean;
  /** 0, or a negative errno set before it was signalled. */
  error = 0;
  /** @internal The thread in whose call it was made; 0 for none. */
  readonly madeBy: number;
  /** When it was signalled, CLOCK_MONOTONIC in nanoseconds. */
  timestamp: bigint | undefined;
  #signaled = false;
  #enabled = false;
  #references = 1;
  readonly #callbacks = new Set<DmaFenceCallback>();
  /** Those of them that have a reference. */
  readonly #waiters = new Set<() => void>();

  constructor(kernel: KernelCore, { ops, context, seqno, use64BitSeqno = false }: DmaFenceInit) {
    this.kernel = kernel;
    this.ops = ops;
    this.context = context;
    this.seqno = seqno;
    this.use64BitSeqno = use64BitSeqno;
    this.madeBy = kernel.caller;
    made.of(kernel).tell?.(this);
    if (kernel.observers.active) kernel.observers.tell('fenceMade', this);
  }

  /** dma_fence_get() */
  get(): this {
    this.#references++;
    return this;
  }

  /** dma_fence_put(). A fence that goes without a signal, while others wait, is a driver's mistake. */
  put(): void {
    if (--this.#references > 0) return;
    if (!this.#signaled && this.#callbacks.size > 0) {
      this.kernel.printk(KERN_ERR, `Fence ${describeFence(this)} released with pending signals!`);
      this.error = -Errno.EDEADLK;
      dmaFenceSignal(this);
    }
    const { observers } = this.kernel;
    if (observers.active) observers.tell('fenceReleased', this);
    this.ops.release?.(this);
  }

  /** @internal Whether the next put() is the last. */
  get lastReference(): boolean {
    return this.#references === 1;
  }

  /** @internal */
  get flaggedSignaled(): boolean {
    return this.#signaled;
  }

  /** @internal */
  markSignaled(timestamp: bigint): void {
    this.#signaled = true;
    this.timestamp = timestamp;
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback(this);
    const waiters = this.#waiters.size;
    this.#waiters.clear();
    for (let i = 0; i < waiters; i++) this.put();
  }

  /**
   * Wakeable: as {@link dmaFenceAddCallback}, with a reference for as long as it waits; called at once if
   * there is nothing to wait for.
   */
  add(wake: () => void): void {
    if (this.#waiters.has(wake)) return;
    if (this.addCallback(wake)) {
      this.#waiters.add(wake);
      this.get();
    } else {
      wake();
    }
  }

  remove(wake: () => void): void {
    this.removeCallback(wake);
    if (this.#waiters.delete(wake)) this.put();
  }

  /** @internal */
  removeCallback(callback: DmaFenceCallback): void {
    this.#callbacks.delete(callback);
  }

  /** @internal */
  addCallback(callback: DmaFenceCallback): boolean {
    if (this.#signaled) return false;
    if (!this.#enabled) {
      this.#enabled = true;
      if (this.ops.enableSignaling && !this.ops.enableSignaling(this)) {
        dmaFenceSignal(this);
        return false;
      }
      if (this.#signaled) return false;
    }
    this.#callbacks.add(callback);
    return true;
  }
}

const made = new PerKernel<KernelCore, { next: number; tell?: (fence: DmaFence) => void }>(() => ({
  // 1 and 2 are a display driver's, as on the recorded kernels.
  next: 3,
}));

/** @internal Has `tell` called with each fence that is made. */
export function onFenceMade(kernel: KernelCore, tell: (fence: DmaFence) => void): void {
  made.of(kernel).tell = tell;
}

/** dma_fence_context_alloc(): the first of `count` numbers for new contexts. */
export function dmaFenceContextAlloc(kernel: KernelCore, count = 1): number {
  const contexts = made.of(kernel);
  const first = contexts.next;
  contexts.next += count;
  return first;
}

/** dma_fence_set_error(): how the work failed, a negative errno; before the fence is signalled. */
export function dmaFenceSetError(fence: DmaFence, error: number): void {
  if (fence.flaggedSignaled) {
    fence.kernel.printk(KERN_ERR, `BUG: error of a signalled fence, ${describeFence(fence)}`);
  }
  fence.error = error;
}

/** dma_fence_signal(): the work is over. A second time does nothing. */
export function dmaFenceSignal(fence: DmaFence, timestamp = ktimeGet()): void {
  if (fence.flaggedSignaled) return;
  const cache = cacheOf(fence.kernel);
  const { observers } = fence.kernel;
  cache?.programsGoOn();
  if (observers.active) observers.tell('fenceSignaled', fence);
  fence.markSignaled(timestamp);
}

/** dma_fence_is_signaled(): whether the work is over; asks the driver if nobody has said so. */
export function dmaFenceIsSignaled(fence: DmaFence): boolean {
  if (fence.flaggedSignaled) return true;
  if (!fence.ops.signaled?.(fence)) return false;
  dmaFenceSignal(fence);
  return true;
}

/** dma_fence_get_status(): 0 while it is active, 1 when it is over, a negative errno when it failed. */
export function dmaFenceGetStatus(fence: DmaFence): number {
  if (!dmaFenceIsSignaled(fence)) return 0;
  return fence.error || 1;
}

/**
 * dma_fence_add_callback(): calls back when it is signalled, in the same turn.
 * ENOENT if that has happened already.
 */
export function dmaFenceAddCallback(fence: DmaFence, callback: DmaFenceCallback): void {
  if (!fence.addCallback(callback)) throw errno('ENOENT');
}

/** dma_fence_remove_callback() */
export function dmaFenceRemoveCallback(fence: DmaFence, callback: DmaFenceCallback): void {
  fence.removeCallback(callback);
}

/**
 * dma_fence_wait_timeout(): resolves to true when it is signalled, to false when `timeout` milliseconds
 * are over before that. Without a timeout it waits as long as it takes.
 */
export function dmaFenceWait(fence: DmaFence, timeout?: number): Promise<boolean> {
  if (dmaFenceIsSignaled(fence)) return Promise.resolve(true);
  return new Promise((resolve) => {
    onWake(new Wait([fence], timeout), () => resolve(dmaFenceIsSignaled(fence)));
  });
}

/** dma_fence_set_deadline(): a hint to the driver, CLOCK_MONOTONIC in nanoseconds. */
export function dmaFenceSetDeadline(fence: DmaFence, deadline: bigint): void {
  if (!dmaFenceIsSignaled(fence)) fence.ops.setDeadline?.(fence, deadline);
}

/** __dma_fence_is_later(): whether seqno `a` comes after `b` on the timeline of `fence`. */
export function dmaFenceSeqnoIsLater(fence: DmaFence, a: number, b: number): boolean {
  return fence.use64BitSeqno ? a > b : ((a - b) | 0) > 0;
}

/** dma_fence_is_later(): whether `a` comes after `b`, both of one context. */
export function dmaFenceIsLater(a: DmaFence, b: DmaFence): boolean {
  return dmaFenceSeqnoIsLater(a, a.seqno, b.seqno);
}

/** The name that Linux gives a fence: `sw_sync-camera3-17`. */
export function describeFence(fence: DmaFence): string {
  const { ops, context, seqno } = fence;
  return `${ops.getDriverName(fence)}-${ops.getTimelineName(fence)}${context}-${seqno}`;
}

const stubOps: DmaFenceOps = {
  getDriverName: () => 'stub',
  getTimelineName: () => 'stub',
};

const stubs = new WeakMap<KernelCore, DmaFence>();

/** dma_fence_get_stub(): a fence that has always been signalled, for who needs one. */
export function dmaFenceGetStub(kernel: KernelCore): DmaFence {
  let stub = stubs.get(kernel);
  if (!stub) {
    stub = dmaFenceAllocatePrivateStub(kernel, ktimeGet());
    stubs.set(kernel, stub);
  }
  return stub.get();
}

/** dma_fence_allocate_private_stub(): one of one's own, signalled at `timestamp`. */
export function dmaFenceAllocatePrivateStub(kernel: KernelCore, timestamp: bigint): DmaFence {
  const stub = new DmaFence(kernel, { ops: stubOps, context: 0, seqno: 0 });
  dmaFenceSignal(stub, timestamp);
  return stub;
}
