/** DMA_BUF_SYNC_READ and DMA_BUF_SYNC_WRITE, as drivers understand them. */
import { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_RW, DMA_BUF_SYNC_WRITE } from '../../../ioctl/index.js';
import { errno } from '../../errno.js';
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDataDirection,
} from '../../mm/dma-mapping.js';

/** The access that a sync_file is exported or imported for: to write? EINVAL for none, or unknown flags. */
export function accessOf(flags: number): boolean {
  if (flags & ~DMA_BUF_SYNC_RW || (flags & DMA_BUF_SYNC_RW) === 0) throw errno('EINVAL');
  return (flags & DMA_BUF_SYNC_WRITE) !== 0;
}

/** What the CPU wants to do, from the device's point of view. */
export function directionOf(access: number): DmaDataDirection {
  switch (access) {
    case DMA_BUF_SYNC_READ:
      return DMA_FROM_DEVICE;
    case DMA_BUF_SYNC_WRITE:
      return DMA_TO_DEVICE;
    case DMA_BUF_SYNC_RW:
      return DMA_BIDIRECTIONAL;
    default:
      throw errno('EINVAL');
  }
}
