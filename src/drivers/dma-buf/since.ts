/** What the file of a buffer did not always have. */
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
} from '../../../ioctl/index.js';
import type { Feature } from '../../version.js';

export const operationsSince = {
  ioctl: 'DMA_BUF_IOCTL_SYNC',
  llseek: 'dma_buf_llseek',
  mmap: 'dma_buf_mmap',
  poll: 'dma_buf_poll',
  showFdinfo: 'dma_buf_fdinfo',
} as const;

/** Requests that came later than ioctl(2) itself. */
export const requestsSince: ReadonlyMap<number, Feature> = new Map<number, Feature>([
  [DMA_BUF_IOCTL_EXPORT_SYNC_FILE, 'DMA_BUF_IOCTL_EXPORT_SYNC_FILE'],
  [DMA_BUF_IOCTL_IMPORT_SYNC_FILE, 'DMA_BUF_IOCTL_IMPORT_SYNC_FILE'],
  [DMA_BUF_SET_NAME_A, 'DMA_BUF_SET_NAME_A'],
  [DMA_BUF_SET_NAME_B, 'DMA_BUF_SET_NAME'],
]);
