/** The requests of dma-bufs: names, SYNC, sync_files in and out. Linux: drivers/dma-buf/dma-buf.c. */
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_NAME_LEN,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_VALID_FLAGS_MASK,
  dma_buf_export_sync_file,
  dma_buf_import_sync_file,
  dma_buf_sync,
} from '../../../ioctl/index.js';
import { errno } from '../../errno.js';
import { Wait } from '../../fs/wait_queue.js';
import { cacheOf } from '../../mm/cache/cache.js';
import { DMA_FROM_DEVICE } from '../../mm/dma-mapping.js';
import { copyFromUser, copyToUser, strndupUser } from '../../mm/uaccess.js';
import type { Task } from '../../task.js';
import { type DmaBuf, dmaBufBeginCpuAccess, dmaBufEndCpuAccess } from './dma-buf.js';
import { dmaFenceGetStub } from './dma-fence.js';
import { dmaFenceUnwrap } from './dma-fence-unwrap.js';
import {
  DMA_RESV_USAGE_READ,
  DMA_RESV_USAGE_WRITE,
  type DmaResvUsage,
  dmaResvUsageRw,
} from './dma-resv.js';
import { requestsSince } from './since.js';
import { installSyncFile, syncFileCreate, syncFileGetFence } from './sync_file.js';
import { accessOf, directionOf } from './sync_flags.js';

export function dmaBufIoctl(
  dmabuf: DmaBuf,
  request: number,
  arg: number,
  task: Task,
): number | Wait {
  const since = requestsSince.get(request);
  if (since && !task.kernel.has(since)) throw errno('ENOTTY');
  switch (request) {
    case DMA_BUF_IOCTL_SYNC:
      return sync(dmabuf, task, arg);
    case DMA_BUF_IOCTL_EXPORT_SYNC_FILE:
      return exportSyncFile(dmabuf, task, arg);
    case DMA_BUF_IOCTL_IMPORT_SYNC_FILE:
      return importSyncFile(dmabuf, task, arg);
    case DMA_BUF_SET_NAME_A:
    case DMA_BUF_SET_NAME_B:
      return setName(dmabuf, strndupUser(task.mm, arg, DMA_BUF_NAME_LEN));
    default:
      throw errno('ENOTTY');
  }
}

function setName(dmabuf: DmaBuf, name: string): number {
  const { kernel } = dmabuf.file;
  if (dmabuf.attachments.size > 0 && !kernel.has('DMA_BUF_SET_NAME_attached')) throw errno('EBUSY');
  dmabuf.name = name;
  return 0;
}

/** The argument of the SYNC at hand: made once, since no request is more frequent. */
const syncArgument = dma_buf_sync.create();
const INVALID_SYNC_FLAGS = ~BigInt(DMA_BUF_SYNC_VALID_FLAGS_MASK);

function sync(dmabuf: DmaBuf, task: Task, arg: number): number | Wait {
  task.mm.read(arg, syncArgument.bytes);
  const { flags } = syncArgument;
  if (flags & INVALID_SYNC_FLAGS) throw errno('EINVAL');
  const direction = directionOf(Number(flags) & DMA_BUF_SYNC_RW);
  if (Number(flags) & DMA_BUF_SYNC_END) {
    dmaBufEndCpuAccess(dmabuf, direction, task);
    return synced(dmabuf, Number(flags), task);
  }
  dmaBufBeginCpuAccess(dmabuf, direction, task);
  const usage = dmaResvUsageRw(direction !== DMA_FROM_DEVICE);
  const mayWait = task.kernel.has('DMA_BUF_IOCTL_SYNC_waits');
  if (!mayWait || !dmabuf.resv.nextPending(usage)) return synced(dmabuf, Number(flags), task);
  // The argument is that of another SYNC by the time that this one has waited.
  return waitForFences(dmabuf, usage, synced.bind(undefined, dmabuf, Number(flags), task));
}

/** The rest of {@link sync} if it has to wait. */
function waitForFences(dmabuf: DmaBuf, usage: DmaResvUsage, done: () => number): number | Wait {
  const pending = dmabuf.resv.nextPending(usage);
  if (!pending) {
    const cache = cacheOf(dmabuf.file.kernel);
    if (cache) for (const memory of dmabuf.contents) cache.waited(memory);
    return done();
  }
  return new Wait([pending], undefined, { resume: () => waitForFences(dmabuf, usage, done) });
}

/** A SYNC has succeeded: the result is 0. */
function synced(dmabuf: DmaBuf, flags: number, task: Task): number {
  const { observers } = dmabuf.file.kernel;
  if (observers.active) {
    observers.tell('synced', dmabuf, flags, observers.call?.pid ?? task.pid);
  }
  return 0;
}

function exportSyncFile(dmabuf: DmaBuf, task: Task, arg: number): number {
  const data = copyFromUser(task.mm, arg, dma_buf_export_sync_file);
  const usage = dmaResvUsageRw(accessOf(data.flags));
  const make = () => {
    const fence = dmabuf.resv.getSingleton(usage) ?? dmaFenceGetStub(task.kernel);
    const syncFile = syncFileCreate(task.kernel, fence);
    fence.put();
    return syncFile;
  };
  installSyncFile(task, make, (fd) => {
    data.fd = fd;
    copyToUser(task.mm, arg, data);
  });
  return 0;
}

function importSyncFile(dmabuf: DmaBuf, task: Task, arg: number): number {
  const data = copyFromUser(task.mm, arg, dma_buf_import_sync_file);
  const usage = accessOf(data.flags) ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ;
  const fence = syncFileGetFence(task, data.fd);
  if (!fence) throw errno('EINVAL');
  const { resv } = dmabuf;
  const fences = [...dmaFenceUnwrap(fence)];
  if (fences.length > 0) {
    resv.lock();
    resv.reserveFences(fences.length);
    for (const each of fences) resv.addFence(each, usage);
    resv.unlock();
  }
  fence.put();
  return 0;
}
