/**
 * Reservation objects: the fences that are on a buffer, and what each of them does there.
 * Linux: drivers/dma-buf/dma-resv.c, include/linux/dma-resv.h.
 */

import type { KernelCore } from '../../core.js';
import type { Wakeable } from '../../fs/wait_queue.js';
import { KERN_WARNING } from '../../printk.js';
import {
  type DmaFence,
  dmaFenceContextAlloc,
  dmaFenceIsLater,
  dmaFenceIsSignaled,
  dmaFenceWait,
} from './dma-fence.js';
import { DmaFenceArray } from './dma-fence-array.js';

/** What a fence on a buffer is for; to ask for one usage is to ask for those before it, too. */
export const DMA_RESV_USAGE_KERNEL = 0;
export const DMA_RESV_USAGE_WRITE = 1;
export const DMA_RESV_USAGE_READ = 2;
export const DMA_RESV_USAGE_BOOKKEEP = 3;
export type DmaResvUsage = 0 | 1 | 2 | 3;

const USAGES = ['kernel', 'write', 'read', 'bookkeep'] as const;

/** dma_resv_usage_rw(): what has to be over before somebody may write, or read. */
export function dmaResvUsageRw(write: boolean): DmaResvUsage {
  // Who writes waits for readers and writers, who reads for writers.
  return write ? DMA_RESV_USAGE_READ : DMA_RESV_USAGE_WRITE;
}

interface Entry {
  fence: DmaFence;
  usage: DmaResvUsage;
}

/** struct dma_resv */
export class DmaResv implements Wakeable {
  readonly #kernel: KernelCore;
  #entries: Entry[] = [];
  #reserved = 0;
  #locked = false;
  /** Who wants to know of new fences. */
  readonly #watchers = new Set<() => void>();

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  /** Wakeable: called when a fence was added, which may change what there is to wait for. */
  add(wake: () => void): void {
    this.#watchers.add(wake);
  }

  remove(wake: () => void): void {
    this.#watchers.delete(wake);
  }

  /** dma_resv_lock(), dma_resv_unlock(): around changes. In one thread nobody has to wait for it. */
  lock(): void {
    this.#check(!this.#locked, 'locked twice');
    this.#locked = true;
  }

  unlock(): void {
    this.#check(this.#locked, 'unlocked, and was not locked');
    this.#locked = false;
    this.#reserved = 0;
  }

  /** What `action` gives, done under the lock. */
  locked<T>(action: () => T): T {
    this.lock();
    try {
      return action();
    } finally {
      this.unlock();
    }
  }

  /** dma_resv_assert_held() */
  assertHeld(): void {
    this.#check(this.#locked, 'used without the lock');
  }

  /** dma_resv_reserve_fences(): room for `count` more, so that adding them cannot fail. */
  reserveFences(count: number): void {
    this.#check(this.#locked, 'reserve without the lock');
    this.#check(count > 0, 'no fence reserved');
    this.#reserved = Math.max(this.#reserved, count);
  }

  /**
   * dma_resv_add_fence(): puts a fence on the buffer. One of the same context that it comes after, and
   * what is signalled, make room for it.
   */
  addFence(fence: DmaFence, usage: DmaResvUsage): void {
    this.#check(this.#locked, 'a fence added without the lock');
    fence.get();
    const replaced = this.#entries.find(
      ({ fence: old, usage: oldUsage }) =>
        (old.context === fence.context && oldUsage >= usage && !dmaFenceIsLater(old, fence)) ||
        dmaFenceIsSignaled(old),
    );
    if (replaced) {
      replaced.fence.put();
      replaced.fence = fence;
      replaced.usage = usage;
    } else {
      this.#check(this.#reserved > 0, 'a fence added without a reservation');
      this.#reserved--;
      this.#entries.push({ fence, usage });
    }
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** dma_resv_replace_fences(): puts another in the place of all fences of a context. */
  replaceFences(context: number, replacement: DmaFence, usage: DmaResvUsage): void {
    this.#check(this.#locked, 'fences replaced without the lock');
    for (const entry of this.#entries) {
      if (entry.fence.context !== context) continue;
      entry.fence.put();
      entry.fence = replacement.get();
      entry.usage = usage;
    }
  }

  /** dma_resv_for_each_fence(): those of a usage, or of one that comes before it, not signalled. */
  *fences(usage: DmaResvUsage): Iterable<DmaFence> {
    for (const entry of [...this.#entries]) {
      if (entry.usage <= usage && !dmaFenceIsSignaled(entry.fence)) yield entry.fence;
    }
  }

  /** @internal All of them, signalled or not. */
  all(): readonly Readonly<Entry>[] {
    return this.#entries;
  }

  /** dma_resv_get_singleton(): one fence for all of them, with a reference; undefined for none. */
  getSingleton(usage: DmaResvUsage): DmaFence | undefined {
    const fences = [...this.fences(usage)].map((fence) => fence.get());
    if (fences.length <= 1) return fences[0];
    return new DmaFenceArray(this.#kernel, fences, dmaFenceContextAlloc(this.#kernel), 1);
  }

  /** dma_resv_copy_fences(): the fences of another object, in place of those here. */
  copyFences(source: DmaResv): void {
    this.#check(this.#locked, 'fences copied without the lock');
    const entries = source.#entries.filter(({ fence }) => !dmaFenceIsSignaled(fence));
    for (const { fence } of entries) fence.get();
    this.fini();
    this.#entries = entries.map((entry) => ({ ...entry }));
  }

  /** dma_resv_test_signaled(): whether there is nothing to wait for. */
  testSignaled(usage: DmaResvUsage): boolean {
    return this.nextPending(usage) === undefined;
  }

  /**
   * dma_resv_wait_timeout(): resolves to true when there is nothing to wait for any more, to false when
   * `timeout` milliseconds are over before that.
   */
  async wait(usage: DmaResvUsage, timeout?: number): Promise<boolean> {
    const end = timeout === undefined ? undefined : performance.now() + timeout;
    for (let next = this.nextPending(usage); next; next = this.nextPending(usage)) {
      const left = end === undefined ? undefined : Math.max(0, end - performance.now());
      if (!(await dmaFenceWait(next, left))) return false;
    }
    return true;
  }

  /** What to wait for first, if there is anything: who waits looks again after each. */
  nextPending(usage: DmaResvUsage): DmaFence | undefined {
    return this.#entries.find((entry) => entry.usage <= usage && !dmaFenceIsSignaled(entry.fence))
      ?.fence;
  }

  /** dma_resv_describe(): a line for each fence. */
  describe(): string[] {
    return this.#entries.map(({ fence, usage }) => {
      const { ops, seqno } = fence;
      const state = dmaFenceIsSignaled(fence) ? 'signalled' : 'unsignalled';
      const name = `${ops.getDriverName(fence)} ${ops.getTimelineName(fence)}`;
      return `\t${USAGES[usage]} fence:${name} seq ${seqno} ${state}`;
    });
  }

  /** dma_resv_fini() */
  fini(): void {
    for (const { fence } of this.#entries) fence.put();
    this.#entries = [];
  }

  #check(holds: boolean, rule: string): void {
    if (holds) return;
    const where = new Error().stack?.split('\n')[3]?.trim() ?? '';
    this.#kernel.printk(KERN_WARNING, `WARNING: dma_resv: ${rule} ${where}`);
  }
}
