/** The system heap: ordinary memory. Linux: drivers/dma-buf/heaps/system_heap.c. */

import type { KernelCore } from '../../../core.js';
import { errno } from '../../../errno.js';
import { type Chunk, PAGE_SIZE } from '../../../mm/page.js';
import type { PageAllocator } from '../../../mm/page_alloc.js';
import { sgAllocTable, sgSetPage } from '../../../mm/scatterlist.js';
import type { DmaBufOps } from '../dma-buf.js';
import { dmaHeapAdd } from '../dma-heap.js';
import { bytesOf, exportHeapBuffer, heapBufOps, type Placement } from './heap-buffer.js';

/** Orders of the blocks that are tried: 1 MiB, 64 KiB, a page. */
const ORDERS = [8, 4, 0];

const systemHeapBufOps: DmaBufOps = {
  ...heapBufOps,

  mmap(dmabuf, vma) {
    // Private mappings of more than a page of page frames are more than Linux can copy on write.
    if (!vma.shared && vma.length > PAGE_SIZE) throw errno('EINVAL');
    return dmabuf.ownPieces(vma);
  },
};

/** `size` bytes, in the largest blocks that are free and not larger than what is left. ENOMEM. */
export function allocateScattered(
  memory: PageAllocator,
  size: number,
  gfp?: number,
  orders: readonly number[] = ORDERS,
): Placement {
  if (size > memory.size) throw errno('ENOMEM');
  const chunks: Chunk[] = [];
  const free = () => {
    for (const { pfn, count } of chunks) memory.freePages(pfn, 31 - Math.clz32(count));
  };
  let maxOrder = Number.POSITIVE_INFINITY;
  for (let left = size / PAGE_SIZE; left > 0; ) {
    let pfn: number | undefined;
    for (const order of orders) {
      if (order > maxOrder || 1 << order > left) continue;
      pfn = memory.allocPages(order, gfp);
      if (pfn === undefined) continue;
      chunks.push({ pfn, count: 1 << order });
      left -= 1 << order;
      // What was not to be had a moment ago is not asked for again.
      maxOrder = order;
      break;
    }
    if (pfn === undefined) {
      free();
      throw errno('ENOMEM');
    }
  }
  return {
    chunks,
    free,
    table() {
      const table = sgAllocTable(chunks.length);
      for (const [i, chunk] of chunks.entries()) sgSetPage(table, i, chunk.pfn, bytesOf(chunk), 0);
      return table;
    },
  };
}

export function systemHeapInit(kernel: KernelCore): void {
  dmaHeapAdd(kernel, {
    name: 'system',
    ops: {
      allocate(_heap, size, flags) {
        const orders = kernel.has('system_heap_orders') ? ORDERS : [0];
        const placement = allocateScattered(kernel.memory, size, undefined, orders);
        return exportHeapBuffer(kernel, placement, {
          exp_name: 'system',
          ops: systemHeapBufOps,
          size,
          flags,
        });
      },
    },
  });
}
