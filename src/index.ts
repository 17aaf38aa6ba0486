export {
  type DmaBuf,
  type DmaBufExportInfo,
  type DmaBufOps,
  type DmaDataDirection,
  dmaBufExport,
  dmaBufFd,
  dmaBufGet,
  dmaBufList,
  dmaBufPut,
  getDmaBuf,
} from './drivers/dma-buf/dma-buf.js';
export * from './drivers/dma-buf/dma-fence.js';
export { asDmaFenceArray, DmaFenceArray } from './drivers/dma-buf/dma-fence-array.js';
export {
  asDmaFenceChain,
  DmaFenceChain,
  dmaFenceChainFindSeqno,
} from './drivers/dma-buf/dma-fence-chain.js';
export { dmaFenceUnwrap, dmaFenceUnwrapMerge } from './drivers/dma-buf/dma-fence-unwrap.js';
export {
  type DmaHeap,
  type DmaHeapExportInfo,
  type DmaHeapOps,
  dmaHeapAdd,
} from './drivers/dma-buf/dma-heap.js';
export * from './drivers/dma-buf/dma-resv.js';
export {
  installSyncFile,
  SyncFile,
  syncFileCreate,
  syncFileGetFence,
} from './drivers/dma-buf/sync_file.js';
export { miscRegister } from './drivers/misc.js';
export { Errno, ErrnoError, errno } from './errno.js';
export type { CharDevice, CharDeviceOperations } from './fs/char_dev.js';
export type { File, FileOperations, MemoryPiece, Vma } from './fs/file.js';
export { Wait, type WaitOptions, WaitQueue, type Wakeable } from './fs/wait_queue.js';
export {
  KERNEL_VERSIONS,
  Kernel,
  type KernelOptions,
  type KernelVersion,
  type SpawnProgramOptions,
} from './kernel.js';
export { copyFromUser, copyToUser, strndupUser, type UserMemory } from './mm/uaccess.js';
export { SystemError } from './native.js';
export * from './printk.js';
export { UnsupportedMachineError } from './supervisor/spawn.js';
export * from './syscall/posix.js';
export type { Task } from './task.js';
