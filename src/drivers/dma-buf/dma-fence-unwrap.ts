/** Containers of fences taken apart, and put together again with less in them. Linux: dma-fence-unwrap.c. */
import type { KernelCore } from '../../core.js';
import { ktimeGet } from '../../ktime.js';
import {
  type DmaFence,
  dmaFenceAllocatePrivateStub,
  dmaFenceContextAlloc,
  dmaFenceIsLater,
  dmaFenceIsSignaled,
} from './dma-fence.js';
import { asDmaFenceArray, DmaFenceArray } from './dma-fence-array.js';
import { asDmaFenceChain } from './dma-fence-chain.js';

/** dma_fence_unwrap_for_each(): the fences that are in a fence, arrays and chains taken apart. */
export function* dmaFenceUnwrap(fence: DmaFence): Iterable<DmaFence> {
  for (let at: DmaFence | undefined = fence; at; ) {
    const link: ReturnType<typeof asDmaFenceChain> = asDmaFenceChain(at);
    const content: DmaFence = link ? link.fence : at;
    yield* asDmaFenceArray(content)?.fences ?? [content];
    at = link?.previous();
  }
}

/**
 * dma_fence_unwrap_merge(): one fence for all that is in the given ones, with a reference for the
 * caller. What is signalled is left out, and of each context only the latest is kept.
 */
export function dmaFenceUnwrapMerge(kernel: KernelCore, ...fences: DmaFence[]): DmaFence {
  const latest = new Map<number, DmaFence>();
  let timestamp: bigint | undefined;
  for (const container of fences) {
    for (const fence of dmaFenceUnwrap(container)) {
      if (dmaFenceIsSignaled(fence)) {
        const at = fence.timestamp ?? 0n;
        if (timestamp === undefined || at > timestamp) timestamp = at;
        continue;
      }
      const known = latest.get(fence.context);
      if (!known || dmaFenceIsLater(fence, known)) latest.set(fence.context, fence);
    }
  }
  const [first, ...others] = [...latest.values()].sort((a, b) => a.context - b.context);
  if (!first) return dmaFenceAllocatePrivateStub(kernel, timestamp ?? ktimeGet());
  if (others.length === 0) return first.get();
  const all = [first, ...others].map((fence) => fence.get());
  return new DmaFenceArray(kernel, all, dmaFenceContextAlloc(kernel), 1);
}
