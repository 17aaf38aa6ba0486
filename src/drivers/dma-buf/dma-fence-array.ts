/** A fence that stands for several, and is signalled when all of them are. Linux: dma-fence-array.c. */
import type { KernelCore } from '../../core.js';
import { DmaFence, type DmaFenceOps, dmaFenceIsSignaled, dmaFenceSignal } from './dma-fence.js';

const arrayOps: DmaFenceOps = {
  getDriverName: () => 'dma_fence_array',
  getTimelineName: () => 'unbound',
  enableSignaling: (fence) => (fence as DmaFenceArray).waitForNext(),
  signaled: (fence) => (fence as DmaFenceArray).allSignaled(),
  release: (fence) => (fence as DmaFenceArray).drop(),
};

/** struct dma_fence_array */
export class DmaFenceArray extends DmaFence {
  readonly fences: readonly DmaFence[];
  /** Those before are signalled. */
  #next = 0;

  /** dma_fence_array_create(): takes over the references of `fences`. */
  constructor(kernel: KernelCore, fences: readonly DmaFence[], context: number, seqno: number) {
    super(kernel, { ops: arrayOps, context, seqno });
    this.fences = fences;
  }

  /** @internal */
  allSignaled(): boolean {
    while (this.#next < this.fences.length) {
      const fence = this.fences[this.#next] as DmaFence;
      if (!dmaFenceIsSignaled(fence)) return false;
      this.error ||= fence.error;
      this.#next++;
    }
    return true;
  }

  /**
   * @internal Waits for one after the other: all have to be signalled anyway, and so an array costs one
   * callback, however many fences are in it. False when none is left.
   */
  waitForNext(): boolean {
    for (;;) {
      if (this.allSignaled()) return false;
      const fence = this.fences[this.#next] as DmaFence;
      if (fence.addCallback(this.#onSignaled)) return true;
    }
  }

  /** @internal */
  drop(): void {
    for (const fence of this.fences) {
      fence.removeCallback(this.#onSignaled);
      fence.put();
    }
  }

  readonly #onSignaled = () => {
    if (!this.waitForNext()) dmaFenceSignal(this);
  };
}

/** to_dma_fence_array() */
export function asDmaFenceArray(fence: DmaFence): DmaFenceArray | undefined {
  return fence instanceof DmaFenceArray ? fence : undefined;
}
