/**
 * The CMA heap: memory in one piece, from the area that is set aside for it.
 * Linux: drivers/dma-buf/heaps/cma_heap.c.
 */

import type { KernelCore } from '../../../core.js';
import { ErrnoError, errno } from '../../../errno.js';
import { PAGE_SIZE } from '../../../mm/page.js';
import type { PageAllocator } from '../../../mm/page_alloc.js';
import { sgAllocTableFromPages } from '../../../mm/scatterlist.js';
import type { DmaBufOps } from '../dma-buf.js';
import { type DmaHeapExportInfo, dmaHeapAdd } from '../dma-heap.js';
import { bytesOf, exportHeapBuffer, framesOf, heapBufOps, type Placement } from './heap-buffer.js';

/** CONFIG_CMA_ALIGNMENT: blocks of this order are not aligned to more. */
const MAX_ALIGNMENT = 8;

/** `size` bytes in a row. ENOMEM. */
export function allocateContiguous(memory: PageAllocator, size: number): Placement {
  const count = size / PAGE_SIZE;
  const align = Math.min(MAX_ALIGNMENT, Math.ceil(Math.log2(count)));
  const pfn = memory.cmaAlloc(count, align);
  if (pfn === undefined) throw errno('ENOMEM');
  const placement: Placement = {
    chunks: [{ pfn, count }],
    free: () => memory.cmaRelease(pfn, count),
    table() {
      return sgAllocTableFromPages(framesOf(placement), 0, bytesOf({ pfn, count }));
    },
  };
  return placement;
}

const cmaHeapBufOps: DmaBufOps = {
  ...heapBufOps,

  // Whatever is in the way, this heap calls it a lack of memory.
  mapDmaBuf(attachment, direction) {
    try {
      return heapBufOps.mapDmaBuf(attachment, direction);
    } catch (error) {
      throw error instanceof ErrnoError ? errno('ENOMEM') : error;
    }
  },
};

/** /dev/dma_heap/reserved, if there is an area. */
export function cmaHeapInit(kernel: KernelCore): void {
  const optional = kernel.memory.meminfo().CmaTotal === 0;
  const info: DmaHeapExportInfo = {
    name: 'reserved',
    ops: {
      allocate(_heap, size, flags) {
        const placement = allocateContiguous(kernel.memory, size);
        return exportHeapBuffer(kernel, placement, {
          exp_name: 'reserved',
          ops: cmaHeapBufOps,
          size,
          flags,
        });
      },
    },
  };
  dmaHeapAdd(kernel, info, { optional });
}
