/**
 * A fence as a descriptor. Linux: drivers/dma-buf/sync_file.c, include/uapi/linux/sync_file.h.
 */
import { constants } from 'node:fs';
import {
  O_CLOEXEC,
  O_RDONLY,
  offsetof,
  POLLIN,
  sync_fence_info,
  type sync_file_info,
  sync_file_ioctls,
  sync_merge_data,
  type sync_set_deadline,
} from '../../../ioctl/index.js';
import { Pipe } from '../../backing/pipe.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import { File, type FileOperations, orNoMemory } from '../../fs/file.js';
import type { FileCall } from '../../fs/file_call.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import type { Installer, Task } from '../../task.js';
import {
  type DmaFence,
  describeFence,
  dmaFenceGetStatus,
  dmaFenceIsSignaled,
  dmaFenceSetDeadline,
} from './dma-fence.js';
import { dmaFenceUnwrap, dmaFenceUnwrapMerge } from './dma-fence-unwrap.js';

/** Bytes of a name, the NUL included. */
const NAME_SIZE = 32;

/** struct sync_file */
export class SyncFile {
  readonly kernel: KernelCore;
  readonly fence: DmaFence;
  readonly file: File;
  /** What SYNC_IOC_MERGE called it. */
  readonly userName: string;
  readonly #pipe: Pipe;

  /** @internal Made by {@link syncFileCreate}. */
  constructor(kernel: KernelCore, fence: DmaFence, userName: string) {
    this.kernel = kernel;
    this.fence = fence.get();
    this.userName = userName;
    this.#pipe = orNoMemory(kernel, () => new Pipe());
    this.file = new File(kernel, {
      name: 'sync_file',
      backing: this.#pipe,
      f_op: syncFileFops,
      attributes: { mode: constants.S_IRUSR | constants.S_IWUSR, size: 0 },
      link: () => 'anon_inode:sync_file',
    });
    this.file.f_flags = O_RDONLY;
    this.file.private_data = this;
    if (dmaFenceIsSignaled(fence)) this.#signaled();
    else fence.add(this.#signaled);
  }

  readonly #signaled = () => this.#pipe.setReadable();

  /** sync_file_get_name() */
  get name(): string {
    return (this.userName || describeFence(this.fence)).slice(0, NAME_SIZE - 1);
  }

  /** @internal */
  release(): void {
    this.fence.remove(this.#signaled);
    this.fence.put();
  }
}

/**
 * sync_file_create(): a file for a fence, of which it takes a reference of its own; the file comes
 * with one for the caller. ENOMEM.
 */
export function syncFileCreate(kernel: KernelCore, fence: DmaFence, userName = ''): SyncFile {
  return new SyncFile(kernel, fence, userName);
}

/** A descriptor of a new sync_file for a caller, close-on-exec. It takes over the kernel's reference. EMFILE. */
export function installSyncFile(caller: Installer, { file }: SyncFile): number {
  try {
    return caller.installFd(file, O_CLOEXEC);
  } finally {
    file.put();
  }
}

/** sync_file_get_fence(): the fence behind a descriptor, with a reference; undefined if there is none. */
export function syncFileGetFence(task: Task, fd: number): DmaFence | undefined {
  const file = task.fget(fd);
  return file && asSyncFile(file)?.fence.get();
}

/** The sync_file of a file, if it is one. */
export function asSyncFile(file: File): SyncFile | undefined {
  return file.f_op === syncFileFops ? syncFileOf(file) : undefined;
}

function syncFileOf(file: File): SyncFile {
  return file.private_data as SyncFile;
}

const syncFileFops: FileOperations = {
  ...ioctlOperations(
    sync_file_ioctls,
    { of: syncFileOf },
    {
      SYNC_IOC_MERGE: { since: 'sync_file', handle: merge },
      SYNC_IOC_FILE_INFO: { since: 'sync_file', handle: fileInfo },
      SYNC_IOC_SET_DEADLINE: { since: 'SYNC_IOC_SET_DEADLINE', handle: setDeadline },
    },
  ),

  /** Readable when the fence is signalled; nothing else, ever. */
  poll: (file) => (dmaFenceIsSignaled(syncFileOf(file).fence) ? POLLIN : 0),

  pollMask: POLLIN,

  pollSources(file) {
    const { fence } = syncFileOf(file);
    return dmaFenceIsSignaled(fence) ? [] : [fence];
  },

  release(file) {
    syncFileOf(file).release();
  },
};

function merge(syncFile: SyncFile, data: sync_merge_data, call: FileCall): void {
  if (data.flags || data.pad) throw errno('EINVAL');
  const other = syncFileGetFence(call.task, data.fd2);
  if (!other) throw errno('ENOENT');
  data.bytes[offsetof(sync_merge_data, 'name') + NAME_SIZE - 1] = 0;
  try {
    const { kernel } = call.task;
    const merged = dmaFenceUnwrapMerge(kernel, syncFile.fence, other);
    try {
      data.fence = installSyncFile(call, syncFileCreate(kernel, merged, data.name));
    } finally {
      merged.put();
    }
  } finally {
    other.put();
  }
}

function fileInfo({ fence, name }: SyncFile, info: sync_file_info, call: FileCall): void {
  if (info.flags || info.pad) throw errno('EINVAL');
  const fences = [...dmaFenceUnwrap(fence)];
  if (info.num_fences === 0) {
    info.status = dmaFenceGetStatus(fence);
  } else {
    if (info.num_fences < fences.length) throw errno('EINVAL');
    const array = new Uint8Array(fences.length * sync_fence_info.size);
    // 1 if all are over, else the first that is not, or failed.
    info.status = 1;
    for (const [i, each] of fences.entries()) {
      const entry = sync_fence_info.view(array, i * sync_fence_info.size);
      fillFenceInfo(each, entry);
      if (info.status > 0) info.status = entry.status;
    }
    call.copyToUser(info.sync_fence_info, array);
  }
  info.name = name;
  info.num_fences = fences.length;
}

function fillFenceInfo(fence: DmaFence, info: sync_fence_info): void {
  info.obj_name = fence.ops.getTimelineName(fence);
  info.driver_name = fence.ops.getDriverName(fence);
  info.status = dmaFenceGetStatus(fence);
  info.timestamp_ns = fence.timestamp ?? 0n;
}

function setDeadline({ fence }: SyncFile, { deadline_ns, pad }: sync_set_deadline): void {
  if (pad) throw errno('EINVAL');
  // A time of the kernel's has a sign.
  dmaFenceSetDeadline(fence, BigInt.asIntN(64, deadline_ns));
}
