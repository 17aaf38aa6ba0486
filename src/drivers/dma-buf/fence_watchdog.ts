import type { KernelCore } from '../../core.js';
import { holdersOf } from '../../host/descriptors.js';
import { readComm } from '../../host/threads.js';
import { KERN_WARNING } from '../../printk.js';
import { type DmaFence, describeFence, onFenceMade } from './dma-fence.js';
import { dmaFenceUnwrap } from './dma-fence-unwrap.js';
import { asSyncFile } from './sync_file.js';

interface Watched {
  fence: WeakRef<DmaFence>;
  since: number;
}

/** Entries that are looked at once more than half of the list is behind. */
const COMPACT = 1024;

/** Reports fences that are not signalled in time: somebody will wait for them for ever. */
class FenceWatchdog {
  readonly #kernel: KernelCore;
  readonly #timeout: number;
  #queue: Watched[] = [];
  #head = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `timeout` in milliseconds. */
  constructor(kernel: KernelCore, timeout: number) {
    this.#kernel = kernel;
    this.#timeout = timeout;
  }

  /** All fences have the same time, so that the oldest is always first. */
  add(fence: DmaFence): void {
    this.#queue.push({ fence: new WeakRef(fence), since: performance.now() });
    this.#timer ??= setTimeout(() => this.#look(), this.#timeout).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (; this.#head < this.#queue.length; this.#head++) {
      const { fence, since } = this.#queue[this.#head] as Watched;
      const target = fence.deref();
      if (!target || target.flaggedSignaled) continue;
      const left = since + this.#timeout - now;
      if (left > 0) {
        this.#timer = setTimeout(() => this.#look(), Math.ceil(left)).unref();
        break;
      }
      this.#report(target, now - since);
    }
    if (this.#head > COMPACT) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  #report(fence: DmaFence, age: number): void {
    const waiters = this.#kernel
      .waitersOn(fence)
      .map(({ tid, call, since }) => `${nameOf(tid)} in ${call} since ${seconds(since)}`);
    for (const file of this.#kernel.files) {
      const syncFile = asSyncFile(file);
      if (!syncFile || ![...dmaFenceUnwrap(syncFile.fence)].includes(fence)) continue;
      waiters.push(...holdersOf(file.backing).map((pid) => `${nameOf(pid)} has its sync_file`));
    }
    const maker = fence.madeBy === 0 ? 'a driver' : nameOf(fence.madeBy);
    const who = waiters.length > 0 ? waiters.join(', ') : 'nobody waits for it';
    const text = `${describeFence(fence)}, made by ${maker}, is not signalled after ${seconds(age)}: ${who}`;
    this.#kernel.printk(KERN_WARNING, `dma_fence: ${text}`);
    this.#kernel.observers.tell('fenceLate', fence, `fence ${text}`);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** `display[1234]`, or the number alone of what is gone. */
function nameOf(tid: number): string {
  const comm = readComm(tid);
  return comm === '' ? `[${tid}]` : `${comm}[${tid}]`;
}

export function fenceWatchdogInit(kernel: KernelCore): void {
  if (kernel.fenceTimeout === 0) return;
  const watchdog = new FenceWatchdog(kernel, kernel.fenceTimeout);
  onFenceMade(kernel, (fence) => watchdog.add(fence));
  kernel.onClose(() => watchdog.close());
}
