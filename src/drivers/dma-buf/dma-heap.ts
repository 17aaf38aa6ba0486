/**
 * DMA-BUF heaps: /dev/dma_heap/NAME, from which programs allocate buffers.
 * Linux: drivers/dma-buf/dma-heap.c, include/uapi/linux/dma-heap.h.
 */
import {
  DMA_HEAP_VALID_FD_FLAGS,
  DMA_HEAP_VALID_HEAP_FLAGS,
  type dma_heap_allocation_data,
  dma_heap_ioctls,
} from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import type { CharDevice, CharDeviceOperations } from '../../fs/char_dev.js';
import type { File } from '../../fs/file.js';
import type { FileCall } from '../../fs/file_call.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import { pageAlign } from '../../mm/page.js';
import { type DmaBuf, dmaBufFd, dmaBufPut } from './dma-buf.js';

/** struct dma_heap_ops */
export interface DmaHeapOps {
  /**
   * Makes a buffer, with one reference for the caller. `length` is in bytes, whole pages, not 0;
   * `fd_flags` has the access mode of its descriptors; `heap_flags` are checked already.
   * ENOMEM when there is no more.
   */
  allocate(heap: DmaHeap, length: number, fd_flags: number, heap_flags: bigint): DmaBuf;
}

/** struct dma_heap_export_info */
export interface DmaHeapExportInfo {
  /** The node is /dev/dma_heap/NAME. */
  name: string;
  ops: DmaHeapOps;
  /** Free for the heap. */
  priv?: unknown;
}

export interface DmaHeap extends DmaHeapExportInfo {
  readonly kernel: KernelCore;
}

/** dma_heap_add(): a heap with its node; `optional`: see {@link CharDevice}. */
export function dmaHeapAdd(
  kernel: KernelCore,
  info: DmaHeapExportInfo,
  { optional }: Pick<CharDevice, 'optional'> = {},
): DmaHeap {
  const heap: DmaHeap = { ...info, kernel };
  const major = kernel.charDevices.dynamicMajor('dma_heap');
  kernel.addCharDevice({
    name: `dma_heap/${info.name}`,
    className: 'dma_heap',
    major,
    minor: kernel.charDevices.nextMinor(major),
    mode: 0o600,
    f_op: dmaHeapFops,
    private_data: heap,
    optional,
  });
  return heap;
}

const dmaHeapFops: CharDeviceOperations = ioctlOperations(
  dma_heap_ioctls,
  {
    // The number alone chooses the request, whatever type, size and direction come with it. An address that cannot be
    // written to wins over any other error, and costs no descriptor.
    match: 'number',
    unknown: 'EINVAL',
    beyond: 'ignored',
    copyOutOnError: true,
    of: (file: File) => file.private_data as DmaHeap,
  },
  { DMA_HEAP_IOCTL_ALLOC: allocate },
);

function allocate(heap: DmaHeap, data: dma_heap_allocation_data, call: FileCall): void {
  if (data.fd) throw errno('EINVAL');
  if (data.fd_flags & ~DMA_HEAP_VALID_FD_FLAGS) throw errno('EINVAL');
  if (data.heap_flags & ~BigInt(DMA_HEAP_VALID_HEAP_FLAGS)) throw errno('EINVAL');
  // Rounding up wraps around at 2^64, and a length of 0 is none.
  const length = Number(BigInt.asUintN(64, data.len + 4095n) & ~4095n);
  if (length === 0) throw errno('EINVAL');
  const dmabuf = heap.ops.allocate(heap, pageAlign(length), data.fd_flags, data.heap_flags);
  try {
    data.fd = dmaBufFd(call, dmabuf, data.fd_flags);
  } catch (error) {
    dmaBufPut(dmabuf);
    throw error;
  }
}
