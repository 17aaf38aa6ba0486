/** What the file of a buffer did not always have. */
export const operationsSince = {
  ioctl: 'DMA_BUF_IOCTL_SYNC',
  llseek: 'dma_buf_llseek',
  mmap: 'dma_buf_mmap',
  poll: 'dma_buf_poll',
  showFdinfo: 'dma_buf_fdinfo',
} as const;
