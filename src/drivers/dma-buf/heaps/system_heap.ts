/** The system heap: ordinary memory. Linux: drivers/dma-buf/heaps/system_heap.c. */
import { errno } from '../../../errno.js';
import type { Kernel } from '../../../kernel.js';
import { PAGE_SIZE } from '../../../mm/page.js';
import { type DmaBufOps, dmaBufExport } from '../dma-buf.js';
import { dmaHeapAdd } from '../dma-heap.js';

const systemHeapBufOps: DmaBufOps = {
  mmap(dmabuf, vma) {
    // Private mappings of more than a page of page frames are more than Linux can copy on write.
    if (!vma.shared && vma.length > PAGE_SIZE) throw errno('EINVAL');
    return dmabuf.ownPieces(vma);
  },
  release: (dmabuf) => dmabuf.file.kernel.memory.free(dmabuf.size),
};

export function systemHeapInit(kernel: Kernel): void {
  dmaHeapAdd(kernel, {
    name: 'system',
    ops: {
      allocate(_heap, size, flags) {
        kernel.memory.allocate(size);
        try {
          return dmaBufExport(kernel, { exp_name: 'system', ops: systemHeapBufOps, size, flags });
        } catch (error) {
          kernel.memory.free(size);
          throw error;
        }
      },
    },
  });
}
