/** The requests of dma-bufs: names, SYNC, sync_files in and out. Linux: drivers/dma-buf/dma-buf.c. */
import {
  DMA_BUF_NAME_LEN,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_VALID_FLAGS_MASK,
  type dma_buf_export_sync_file,
  type dma_buf_import_sync_file,
  dma_buf_ioctls,
  type dma_buf_sync,
} from '../../../ioctl/index.js';
import { errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import type { FileCall } from '../../fs/file_call.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import { Wait } from '../../fs/wait_queue.js';
import { cacheOf } from '../../mm/cache/cache.js';
import { DMA_FROM_DEVICE } from '../../mm/dma-mapping.js';
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
import { installSyncFile, syncFileCreate, syncFileGetFence } from './sync_file.js';
import { accessOf, directionOf } from './sync_flags.js';

const NAME = { max: DMA_BUF_NAME_LEN };

export const dmaBufIoctls = ioctlOperations(
  dma_buf_ioctls,
  { of: (file: File) => file.private_data as DmaBuf },
  {
    // No request is more frequent.
    DMA_BUF_IOCTL_SYNC: { plain: sync },
    DMA_BUF_SET_NAME_A: { since: 'DMA_BUF_SET_NAME_A', string: NAME, handle: setName },
    DMA_BUF_SET_NAME_B: { since: 'DMA_BUF_SET_NAME', string: NAME, handle: setName },
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE: {
      since: 'DMA_BUF_IOCTL_EXPORT_SYNC_FILE',
      handle: exportSyncFile,
    },
    DMA_BUF_IOCTL_IMPORT_SYNC_FILE: {
      since: 'DMA_BUF_IOCTL_IMPORT_SYNC_FILE',
      handle: importSyncFile,
    },
  },
);

function setName(dmabuf: DmaBuf, name: { readonly value: string }): void {
  const { kernel } = dmabuf.file;
  if (dmabuf.attachments.size > 0 && !kernel.has('DMA_BUF_SET_NAME_attached')) throw errno('EBUSY');
  dmabuf.name = name.value;
}

const INVALID_SYNC_FLAGS = ~BigInt(DMA_BUF_SYNC_VALID_FLAGS_MASK);

function sync(dmabuf: DmaBuf, { flags }: dma_buf_sync, task: Task): number | Wait {
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

function exportSyncFile(dmabuf: DmaBuf, data: dma_buf_export_sync_file, call: FileCall): void {
  const { kernel } = call.task;
  const usage = dmaResvUsageRw(accessOf(data.flags));
  const fence = dmabuf.resv.getSingleton(usage) ?? dmaFenceGetStub(kernel);
  try {
    data.fd = installSyncFile(call, syncFileCreate(kernel, fence));
  } finally {
    fence.put();
  }
}

function importSyncFile(dmabuf: DmaBuf, data: dma_buf_import_sync_file, { task }: FileCall): void {
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
}
