/**
 * DMA-BUF heaps: /dev/dma_heap/NAME, from which programs allocate buffers.
 * Linux: drivers/dma-buf/dma-heap.c, include/uapi/linux/dma-heap.h.
 */
import {
  _IOC_NR,
  _IOC_SIZE,
  DMA_HEAP_IOCTL_ALLOC,
  DMA_HEAP_VALID_FD_FLAGS,
  DMA_HEAP_VALID_HEAP_FLAGS,
  dma_heap_allocation_data,
  dma_heap_ioctls,
  IOC_IN,
  IOC_OUT,
  type View,
} from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import type { CharDevice, CharDeviceOperations } from '../../fs/char_dev.js';
import { pageAlign } from '../../mm/page.js';
import { type Given, type Task, tellOrWithdraw } from '../../task.js';
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

/** By _IOC_NR: the number alone chooses the request, whatever type, size and direction come with it. */
const requests = [DMA_HEAP_IOCTL_ALLOC];

const dmaHeapFops: CharDeviceOperations = {
  ioctls: dma_heap_ioctls,

  ioctl(file, request, arg, task) {
    const known = requests[_IOC_NR(request)];
    if (known === undefined) throw errno('EINVAL');
    // The struct is as long as the caller says, to either side of what this kernel knows: what the
    // caller does not have is zero, what this kernel does not know comes back as it was.
    const size = _IOC_SIZE(request);
    const data = new Uint8Array(Math.max(size, dma_heap_allocation_data.size));
    if (request & known & IOC_IN) task.mm.read(arg, data.subarray(0, size));
    // An address that cannot be written to wins over any other error, and costs no descriptor.
    const given: Given[] = [];
    try {
      const heap = file.private_data as DmaHeap;
      given.push(allocate(heap, task, dma_heap_allocation_data.view(data)));
    } finally {
      if (request & known & IOC_OUT) {
        tellOrWithdraw(task, given, () => task.mm.write(arg, data.subarray(0, size)));
      }
    }
    return 0;
  },
};

function allocate(heap: DmaHeap, task: Task, data: View<typeof dma_heap_allocation_data>): Given {
  if (data.fd) throw errno('EINVAL');
  if (data.fd_flags & ~DMA_HEAP_VALID_FD_FLAGS) throw errno('EINVAL');
  if (data.heap_flags & ~BigInt(DMA_HEAP_VALID_HEAP_FLAGS)) throw errno('EINVAL');
  // Rounding up wraps around at 2^64, and a length of 0 is none.
  const length = Number(BigInt.asUintN(64, data.len + 4095n) & ~4095n);
  if (length === 0) throw errno('EINVAL');
  const dmabuf = heap.ops.allocate(heap, pageAlign(length), data.fd_flags, data.heap_flags);
  try {
    data.fd = dmaBufFd(task, dmabuf, data.fd_flags);
    return { file: dmabuf.file, fd: data.fd };
  } catch (error) {
    dmaBufPut(dmabuf);
    throw error;
  }
}
