// Those that device drivers ask for.
export {
  CAP_DAC_OVERRIDE,
  CAP_FOWNER,
  CAP_MKNOD,
  CAP_SYS_ADMIN,
  CAP_SYS_NICE,
} from './abi/constants.js';
export type { MappableMemory, Shmem } from './backing/shmem.js';
export { VM_DONTEXPAND, VM_IO, VM_MIXEDMAP, VM_PFNMAP } from './backing/shmem.js';
export { TrackedMemory } from './backing/tracked.js';
export type {
  Attribute,
  AttributeGroup,
  Attributes,
  BinAttribute,
  TextAttribute,
} from './base/attribute.js';
export {
  type Bus,
  type BusInit,
  busRegister,
  busUnregister,
  type Driver,
  type DriverInit,
  driverRegister,
  driverUnregister,
} from './base/bus.js';
export {
  type Class,
  type ClassInit,
  classGet,
  classRegister,
  classUnregister,
} from './base/class.js';
export {
  BaseDevice,
  type BaseDeviceInit,
  type DeviceType,
  type DevNode,
  deviceAdd,
  deviceCreate,
  deviceDel,
  deviceUnregister,
} from './base/core.js';
export {
  type Kobject,
  type KobjectAction,
  kobjectUevent,
  kobjectUeventEnv,
  UeventEnv,
} from './base/kobject_uevent.js';
export * from './base/platform.js';
export type { UdevInfo, UdevRules } from './base/udev_rules.js';
export type { Coherency, KernelCore, KernelOptions } from './core.js';
export { miscRegister } from './drivers/char/misc.js';
export {
  type DmaBuf,
  type DmaBufExportInfo,
  type DmaBufOps,
  dmaBufBeginCpuAccess,
  dmaBufEndCpuAccess,
  dmaBufExport,
  dmaBufFd,
  dmaBufGet,
  dmaBufList,
  dmaBufMmap,
  dmaBufPut,
  getDmaBuf,
} from './drivers/dma-buf/dma-buf.js';
export {
  DmaBufAttachment,
  type DmaBufAttachOps,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufDynamicAttach,
  dmaBufMapAttachment,
  dmaBufMapAttachmentUnlocked,
  dmaBufMoveNotify,
  dmaBufPin,
  dmaBufUnmapAttachment,
  dmaBufUnmapAttachmentUnlocked,
  dmaBufUnpin,
} from './drivers/dma-buf/dma-buf-attach.js';
export * from './drivers/dma-buf/dma-buf-vmap.js';
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
export { allocateContiguous } from './drivers/dma-buf/heaps/cma_heap.js';
export {
  exportHeapBuffer,
  heapBufOps,
  type Placement,
} from './drivers/dma-buf/heaps/heap-buffer.js';
export { allocateScattered } from './drivers/dma-buf/heaps/system_heap.js';
export {
  type AttachmentLayout,
  type BufferLayout,
  dmaBufLayout,
  type MappingLayout,
  type PageRun,
} from './drivers/dma-buf/layout.js';
export {
  installSyncFile,
  SyncFile,
  syncFileCreate,
  syncFileGetFence,
} from './drivers/dma-buf/sync_file.js';
export { Errno, ErrnoError, errno } from './errno.js';
export type { ChaosOptions } from './fault/faults.js';
export type { FaultRule } from './fault/rule.js';
export type { CharDevice, CharDeviceOperations } from './fs/char_dev.js';
export type { DevT } from './fs/dev_t.js';
export {
  type File,
  type FileOperations,
  type MemoryPiece,
  makeShmem,
  type Segment,
  type Vma,
} from './fs/file.js';
export { FileCall, type UserArgument } from './fs/file_call.js';
export { HandleTable } from './fs/handle_table.js';
export type { UserArray } from './fs/ioctl_argument.js';
export {
  EXTENSIBLE,
  type HandlerArg,
  type IoctlAnswer,
  type IoctlHandler,
  type IoctlOperations,
  type IoctlRow,
  type IoctlRows,
  type IoctlStyle,
  type IoctlSubject,
  ioctlOperations,
} from './fs/ioctl_table.js';
export { Wait, type WaitOptions, WaitQueue, type Wakeable } from './fs/wait_queue.js';
export type { Credentials } from './host/credentials.js';
export type { Process } from './host/threads.js';
export { Kernel, type SpawnProgramOptions } from './kernel.js';
export {
  type DeviceAttribute,
  type DeviceCall,
  type DeviceDefinition,
  type DeviceFile,
  type DeviceOptions,
  defineDevice,
  type Handlers,
  type OptionValues,
} from './kit/define_device.js';
export { Engine, type EngineJob, type EngineMemory } from './kit/engine.js';
export type { ExampleSetting, Examples } from './kit/examples.js';
export type { RegisteredDevice } from './kit/register.js';
export { ktimeGet } from './ktime.js';
export type { ByteRange } from './mm/cache/byte_ranges.js';
export type { StaleAccess, StaleAccessKind } from './mm/cache/stale.js';
export * from './mm/dma-mapping.js';
export type { Chunk } from './mm/page.js';
export { GFP_DMA32, GFP_KERNEL, type MemoryOptions, PageAllocator } from './mm/page_alloc.js';
export * from './mm/scatterlist.js';
export { copyFromIter, copyToIter } from './mm/segments.js';
export { copyFromUser, copyToUser, strndupUser, type UserMemory } from './mm/uaccess.js';
export { type PinFlags, pinUserPages, UserPages } from './mm/user_pages.js';
export { defineModule, type KernelModule } from './module.js';
export { SystemError } from './native.js';
export {
  FINDING_KINDS,
  type Finding,
  type FindingBuffer,
  type FindingKind,
  type FindingPlace,
  type FindingProcess,
} from './observe/finding.js';
export { Report, type ReportJson } from './observe/report.js';
export type { TraceEventsOptions } from './observe/trace_events.js';
export * from './printk.js';
export { UnsupportedMachineError } from './supervisor/spawn.js';
export { drawLayout } from './svg/draw_layout.js';
export type { KernelSymbols, SymbolName } from './symbols.js';
export * from './syscall/calls.js';
export type { Task } from './task.js';
export {
  FEATURES,
  type Feature,
  type FeatureInfo,
  KERNEL_VERSIONS,
  type KernelVersion,
} from './version.js';
