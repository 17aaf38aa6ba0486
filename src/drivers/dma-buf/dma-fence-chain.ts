/** Points of a timeline, each a fence that also stands for all before it. Linux: dma-fence-chain.c. */

import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import {
  DmaFence,
  type DmaFenceOps,
  dmaFenceContextAlloc,
  dmaFenceIsSignaled,
  dmaFenceSignal,
} from './dma-fence.js';

const chainOps: DmaFenceOps = {
  getDriverName: () => 'dma_fence_chain',
  getTimelineName: () => 'unbound',
  enableSignaling: (fence) => (fence as DmaFenceChain).waitForNext(),
  signaled: (fence) => (fence as DmaFenceChain).allSignaled(),
  release: (fence) => (fence as DmaFenceChain).drop(),
};

/** struct dma_fence_chain */
export class DmaFenceChain extends DmaFence {
  /** What has to be signalled at this point. */
  readonly fence: DmaFence;
  /** seqno of the point before, when this one was made; 0 at the beginning of a timeline. */
  readonly prevSeqno: number;
  #previous: DmaFence | undefined;
  #waitsFor: DmaFence | undefined;

  /**
   * dma_fence_chain_init(): a point `seqno` after `previous`, whose reference it takes over as that of
   * `fence`. A point that comes no later than the one before begins a timeline of its own, there.
   */
  constructor(kernel: KernelCore, previous: DmaFence | undefined, fence: DmaFence, seqno: number) {
    const link = previous && asDmaFenceChain(previous);
    const continues = link !== undefined && seqno > link.seqno;
    const context = continues ? link.context : dmaFenceContextAlloc(kernel);
    super(kernel, {
      ops: chainOps,
      context,
      seqno: Math.max(seqno, link?.seqno ?? 0),
      use64BitSeqno: true,
    });
    this.fence = fence;
    this.prevSeqno = continues ? link.seqno : 0;
    this.#previous = previous;
  }

  /** The point before, with links that are signalled left out for good: dma_fence_chain_walk(). */
  previous(): DmaFence | undefined {
    for (;;) {
      const previous = this.#previous;
      const link = previous && asDmaFenceChain(previous);
      if (!previous || !dmaFenceIsSignaled(link ? link.fence : previous)) return previous;
      this.#previous = link ? link.#previous?.get() : undefined;
      previous.put();
    }
  }

  /** The fences that are not signalled, of this point and those before; the latest first. */
  *pending(): Iterable<DmaFence> {
    for (let at: DmaFence | undefined = this; at; ) {
      const link: DmaFenceChain | undefined = asDmaFenceChain(at);
      const fence: DmaFence = link ? link.fence : at;
      if (!dmaFenceIsSignaled(fence)) yield fence;
      at = link?.previous();
    }
  }

  /** @internal */
  allSignaled(): boolean {
    for (const _ of this.pending()) return false;
    return true;
  }

  /** @internal As DmaFenceArray's. */
  waitForNext(): boolean {
    for (const fence of this.pending()) {
      if (!fence.addCallback(this.#onSignaled)) continue;
      this.#waitsFor = fence;
      return true;
    }
    this.#waitsFor = undefined;
    return false;
  }

  readonly #onSignaled = () => {
    if (!this.waitForNext()) dmaFenceSignal(this);
  };

  /** @internal Lets go link by link, not of one within the other: a chain may be long. */
  drop(): void {
    this.#waitsFor?.removeCallback(this.#onSignaled);
    this.fence.put();
    let previous = this.#previous;
    this.#previous = undefined;
    while (previous) {
      const link: DmaFenceChain | undefined = asDmaFenceChain(previous);
      const before: DmaFence | undefined = link?.lastReference ? link.#previous : undefined;
      if (link && before) link.#previous = undefined;
      previous.put();
      previous = before;
    }
  }
}

/** to_dma_fence_chain() */
export function asDmaFenceChain(fence: DmaFence): DmaFenceChain | undefined {
  return fence instanceof DmaFenceChain ? fence : undefined;
}

/**
 * dma_fence_chain_find_seqno(): the first point of a timeline that is at `seqno` or later, without a
 * reference of its own; undefined when all up to there is signalled. 0 is where the timeline stands.
 * EINVAL for a point that is not there yet.
 */
export function dmaFenceChainFindSeqno(fence: DmaFence, seqno: number): DmaFence | undefined {
  if (seqno === 0) return fence;
  const chain = asDmaFenceChain(fence);
  if (!chain || chain.seqno < seqno) throw errno('EINVAL');
  for (let at: DmaFence | undefined = chain; at; ) {
    const link: DmaFenceChain | undefined = asDmaFenceChain(at);
    if (link?.context !== chain.context || link.prevSeqno < seqno) return at;
    at = link.previous();
  }
  return undefined;
}
