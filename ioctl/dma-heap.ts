/**
 * `<linux/dma-heap.h>`: allocation of dma-bufs from `/dev/dma_heap/*`.
 *
 * dma-heap looks at `_IOC_NR` alone and takes the size from the request: a shorter struct is padded
 * with zeros, of a longer one the tail is left alone. EINVAL for an unknown number.
 */

import { u32, u64, type View } from './ctype.js';
import { O_ACCMODE, O_CLOEXEC, OPEN_FLAGS } from './fcntl.js';
import { ioctls, iowr, requests } from './ioctl.js';
import { doc, field, struct } from './struct.js';

/** `fd_flags` may hold an access mode and O_CLOEXEC; anything else is EINVAL. */
export const DMA_HEAP_VALID_FD_FLAGS = O_CLOEXEC | O_ACCMODE;

/** No heap flags exist; anything but 0 is EINVAL. */
export const DMA_HEAP_VALID_HEAP_FLAGS = 0;

/** Argument of DMA_HEAP_IOCTL_ALLOC. */
export const dma_heap_allocation_data = struct('dma_heap_allocation_data', {
  len: doc(u64, 'in: bytes wanted; the buffer is rounded up to whole pages, this field is not'),
  fd: doc(u32, 'in: 0, else EINVAL; out: the descriptor of the dma-buf'),
  fd_flags: field(u32, {
    doc: 'in: access mode of the descriptor, and O_CLOEXEC',
    flags: OPEN_FLAGS,
  }),
  heap_flags: field(u64, { doc: 'in: DMA_HEAP_VALID_HEAP_FLAGS', flags: [] }),
});
export type dma_heap_allocation_data = View<typeof dma_heap_allocation_data>;

export const DMA_HEAP_IOC_MAGIC = 'H';

/** The ioctls of a heap. */
export const dma_heap_ioctls = ioctls({
  /**
   * Allocates a zeroed buffer and gives its descriptor.
   * EINVAL: a field out of its range, `len` 0 or too large. ENOMEM. EFAULT. EMFILE. ENFILE.
   */
  DMA_HEAP_IOCTL_ALLOC: iowr(DMA_HEAP_IOC_MAGIC, 0x0, dma_heap_allocation_data, {
    errors: ['EMFILE', 'ENFILE', 'ENOMEM'],
  }),
});
export const { DMA_HEAP_IOCTL_ALLOC } = requests(dma_heap_ioctls);
