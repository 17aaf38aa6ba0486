/**
 * The dma-buf core: buffers that drivers export as descriptors, and what programs do with those.
 * Linux: drivers/dma-buf/dma-buf.c, include/linux/dma-buf.h, include/uapi/linux/dma-buf.h.
 */
import { constants } from 'node:fs';
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_NAME_LEN,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_READ,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_VALID_FLAGS_MASK,
  DMA_BUF_SYNC_WRITE,
  dma_buf_export_sync_file,
  dma_buf_import_sync_file,
  dma_buf_ioctls,
  dma_buf_sync,
  O_ACCMODE,
  O_CLOEXEC,
  POLLIN,
  POLLOUT,
} from '../../../ioctl/index.js';
import { errno } from '../../errno.js';
import { File, type FileOperations, type MemoryPiece, makeShmem, type Vma } from '../../fs/file.js';
import { countUses } from '../../fs/uses.js';
import { Wait } from '../../fs/wait_queue.js';
import type { Kernel } from '../../kernel.js';
import type { Pin } from '../../mm/pin.js';
import type { Shmem } from '../../mm/shmem.js';
import { copyFromUser, copyToUser, strndupUser } from '../../mm/uaccess.js';
import type { Task } from '../../task.js';
import { type DmaFence, dmaFenceGetStub } from './dma-fence.js';
import { dmaFenceUnwrap } from './dma-fence-unwrap.js';
import {
  DMA_RESV_USAGE_READ,
  DMA_RESV_USAGE_WRITE,
  DmaResv,
  type DmaResvUsage,
  dmaResvUsageRw,
} from './dma-resv.js';
import { installSyncFile, syncFileCreate, syncFileGetFence } from './sync_file.js';

/** Direction of a transfer, <linux/dma-direction.h>. */
export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export type DmaDataDirection =
  | typeof DMA_BIDIRECTIONAL
  | typeof DMA_TO_DEVICE
  | typeof DMA_FROM_DEVICE;

/** What an exporter does; Linux's struct dma_buf_ops. */
export interface DmaBufOps {
  /** Mandatory. Called once, when the last descriptor, mapping and reference are gone. */
  release(dmabuf: DmaBuf): void;
  /**
   * Optional: without it mmap(2) is EINVAL. The memory that makes up the mapping; it is within the
   * buffer, the core has seen to that. An exporter whose buffers lie in their own memory answers
   * `dmabuf.ownPieces(vma)`.
   */
  mmap?(dmabuf: DmaBuf, vma: Vma): MemoryPiece[];
  /** Optional. The CPU is about to access the buffer (DMA_BUF_SYNC_START). */
  beginCpuAccess?(dmabuf: DmaBuf, direction: DmaDataDirection): void;
  /** Optional. The CPU has done so (DMA_BUF_SYNC_END). */
  endCpuAccess?(dmabuf: DmaBuf, direction: DmaDataDirection): void;
}

/** struct dma_buf_export_info */
export interface DmaBufExportInfo {
  /** Name of the exporter, as fdinfo and bufinfo show it. */
  exp_name: string;
  ops: DmaBufOps;
  /** Bytes; whole pages. */
  size: number;
  /** Access mode of its descriptors: O_RDONLY, O_WRONLY or O_RDWR. */
  flags: number;
  /** Free for the exporter. */
  priv?: unknown;
}

/** A buffer shared between devices and processes. */
export class DmaBuf {
  readonly size: number;
  readonly ops: DmaBufOps;
  readonly exp_name: string;
  readonly priv: unknown;
  readonly file: File;
  /** Its own memory: what descriptors are of, and the content, unless the exporter has it elsewhere. */
  readonly memory: Shmem;
  /** What DMA_BUF_SET_NAME gave it. */
  name: string | undefined;
  /** The fences that are on it. */
  readonly resv: DmaResv;
  readonly #pins: Pin[] = [];
  readonly #polled = new Set<number>();

  /** @internal Buffers are made by {@link dmaBufExport}. */
  constructor(kernel: Kernel, info: DmaBufExportInfo) {
    this.size = info.size;
    this.ops = info.ops;
    this.exp_name = info.exp_name;
    this.priv = info.priv;
    this.memory = makeShmem(kernel, 'dmabuf', info.size);
    this.file = new File(kernel, {
      backing: this.memory,
      name: 'dmabuf',
      f_op: dmaBufFops,
      attributes: { mode: constants.S_IRUSR | constants.S_IWUSR, size: info.size },
      link: () => `/dmabuf:${this.name ?? ''}`,
    });
    this.resv = new DmaResv(kernel);
    this.resv.add(() => {
      kernel.busyFiles.add(this.file);
      this.file.changed.wakeUp();
    });
    this.file.f_flags = info.flags & O_ACCMODE;
    this.file.private_data = this;
  }

  /** Inode number: st_ino of every descriptor of it. */
  get ino(): number {
    return this.memory.ino;
  }

  /** The part of the buffer's own memory that a mapping shows. */
  ownPieces(vma: Vma): MemoryPiece[] {
    return [{ memory: this.memory, offset: vma.offset, length: vma.length }];
  }

  /**
   * Makes pinned memory of a program's part of the buffer, for an exporter whose `mmap` answers pieces
   * of it: a mapping of it holds the buffer as a descriptor does. It is unpinned with the buffer.
   */
  addPin(pin: Pin): void {
    pin.onMapped = (mapped) => {
      if (mapped) this.file.hold();
      else this.file.unhold();
    };
    this.#pins.push(pin);
  }

  /**
   * @internal Who asks for an event leaves a reference behind, one for each of POLLIN and POLLOUT, until
   * the fence that was in the way is signalled: struct dma_buf_poll_cb_t.
   */
  holdForPoll(event: number, fence: DmaFence): void {
    if (this.#polled.has(event)) return;
    this.#polled.add(event);
    this.file.hold();
    fence.add(() => {
      this.#polled.delete(event);
      this.file.unhold();
    });
  }

  /** @internal */
  unpin(): void {
    for (const pin of this.#pins) pin.unpin();
  }

  /** References as Linux counts them: descriptors, mappings, and the kernel's own users. */
  get fileCount(): number {
    // One mapping may take several memfds, each of which has it.
    const mappings = Math.max(0, ...this.#pins.map((pin) => pin.mappings));
    return this.file.references + this.#polled.size + mappings + countUses(this.memory);
  }
}

/** The buffers of each kernel, in the order of their export. */
const lists = new WeakMap<Kernel, Set<DmaBuf>>();

/** The live buffers of a kernel, oldest first. */
export function dmaBufList(kernel: Kernel): ReadonlySet<DmaBuf> {
  return listOf(kernel);
}

function listOf(kernel: Kernel): Set<DmaBuf> {
  let list = lists.get(kernel);
  if (!list) {
    list = new Set();
    lists.set(kernel, list);
  }
  return list;
}

/**
 * dma_buf_export(): makes a buffer, with one reference that the caller owns until it gives it to a
 * descriptor ({@link dmaBufFd}) or drops it ({@link dmaBufPut}). EINVAL for a size that is not whole
 * pages, ENOMEM.
 */
export function dmaBufExport(kernel: Kernel, info: DmaBufExportInfo): DmaBuf {
  const dmabuf = new DmaBuf(kernel, info);
  kernel.pollable++;
  listOf(kernel).add(dmabuf);
  return dmabuf;
}

/**
 * dma_buf_fd(): a descriptor for the caller, which takes over the reference of this kernel's side.
 * `flags`: O_CLOEXEC or 0. On failure (EMFILE) the reference stays with the caller.
 */
export function dmaBufFd(task: Task, dmabuf: DmaBuf, flags: number): number {
  const fd = task.installFd(dmabuf.file, dmabuf.file.f_flags | (flags & O_CLOEXEC));
  dmaBufPut(dmabuf);
  return fd;
}

/**
 * dma_buf_get(): the buffer behind a descriptor, with a reference. EBADF for no descriptor, EINVAL for
 * one that is no dma-buf.
 */
export function dmaBufGet(task: Task, fd: number): DmaBuf {
  const file = task.fget(fd);
  if (!file) throw errno(task.modeOf(fd) === undefined ? 'EBADF' : 'EINVAL');
  const dmabuf = asDmaBuf(file);
  if (!dmabuf) throw errno('EINVAL');
  file.get(task, fd);
  return dmabuf;
}

/** get_dma_buf(): one more reference, for who has one. */
export function getDmaBuf(dmabuf: DmaBuf): DmaBuf {
  dmabuf.file.get();
  return dmabuf;
}

/** dma_buf_put(): one reference less. */
export function dmaBufPut(dmabuf: DmaBuf): void {
  dmabuf.file.put();
}

/** is_dma_buf_file(): the buffer of a file, if it is one. */
export function asDmaBuf(file: File): DmaBuf | undefined {
  return file.f_op === dmaBufFops ? bufferOf(file) : undefined;
}

function bufferOf(file: File): DmaBuf {
  return file.private_data as DmaBuf;
}

const SEEK_SET = 0;
const SEEK_END = 2;

const dmaBufFops: FileOperations = {
  ioctls: dma_buf_ioctls,

  /** Only to learn the size: to the start, or to the end, with offset 0. */
  llseek(file, offset, whence) {
    if (offset !== 0 || (whence !== SEEK_SET && whence !== SEEK_END)) throw errno('EINVAL');
    return whence === SEEK_END ? bufferOf(file).size : 0;
  },

  mmap(file, vma) {
    const dmabuf = bufferOf(file);
    if (!dmabuf.ops.mmap) throw errno('EINVAL');
    if (vma.offset + vma.length > dmabuf.size) throw errno('EINVAL');
    return dmabuf.ops.mmap(dmabuf, vma);
  },

  ioctl(file, request, arg, task) {
    const dmabuf = bufferOf(file);
    switch (request) {
      case DMA_BUF_IOCTL_SYNC:
        return sync(dmabuf, task, arg);
      case DMA_BUF_IOCTL_EXPORT_SYNC_FILE:
        return exportSyncFile(dmabuf, task, arg);
      case DMA_BUF_IOCTL_IMPORT_SYNC_FILE:
        return importSyncFile(dmabuf, task, arg);
      case DMA_BUF_SET_NAME_A:
      case DMA_BUF_SET_NAME_B:
        dmabuf.name = strndupUser(task.mm, arg, DMA_BUF_NAME_LEN);
        return 0;
      default:
        throw errno('ENOTTY');
    }
  },

  /** Readable when no writer is at work any more, writable when nobody is. */
  poll(file, wanted) {
    const dmabuf = bufferOf(file);
    const ready = (usage: DmaResvUsage, event: number) => {
      const pending = dmabuf.resv.nextPending(usage);
      if (pending && wanted & event) dmabuf.holdForPoll(event, pending);
      return pending ? 0 : event;
    };
    return ready(DMA_RESV_USAGE_WRITE, POLLIN) | ready(DMA_RESV_USAGE_READ, POLLOUT);
  },

  pollSources(file) {
    const { resv } = bufferOf(file);
    return [...resv.fences(DMA_RESV_USAGE_READ)];
  },

  showFdinfo(file) {
    const dmabuf = bufferOf(file);
    const lines = [
      `size:\t${dmabuf.size}`,
      `count:\t${dmabuf.fileCount}`,
      `exp_name:\t${dmabuf.exp_name}`,
    ];
    if (dmabuf.name !== undefined) lines.push(`name:\t${dmabuf.name}`);
    return lines.map((line) => `${line}\n`).join('');
  },

  release(file) {
    const dmabuf = bufferOf(file);
    file.kernel.pollable--;
    listOf(file.kernel).delete(dmabuf);
    dmabuf.ops.release(dmabuf);
    dmabuf.unpin();
    dmabuf.resv.fini();
    file.kernel.busyFiles.delete(file);
  },
};

/** The argument of the SYNC at hand: made once, since no request is more frequent. */
const syncArgument = dma_buf_sync.create();
const INVALID_SYNC_FLAGS = ~BigInt(DMA_BUF_SYNC_VALID_FLAGS_MASK);

function sync(dmabuf: DmaBuf, task: Task, arg: number): number | Wait {
  task.mm.read(arg, syncArgument.bytes);
  const { flags } = syncArgument;
  if (flags & INVALID_SYNC_FLAGS) throw errno('EINVAL');
  const direction = directionOf(Number(flags) & DMA_BUF_SYNC_RW);
  if (Number(flags) & DMA_BUF_SYNC_END) {
    dmabuf.ops.endCpuAccess?.(dmabuf, direction);
    return 0;
  }
  dmabuf.ops.beginCpuAccess?.(dmabuf, direction);
  return waitForFences(dmabuf, dmaResvUsageRw(direction !== DMA_FROM_DEVICE));
}

function waitForFences(dmabuf: DmaBuf, usage: DmaResvUsage): number | Wait {
  const pending = dmabuf.resv.nextPending(usage);
  if (!pending) return 0;
  return new Wait([pending], undefined, { resume: () => waitForFences(dmabuf, usage) });
}

/** The access that a sync_file is exported or imported for: to write? EINVAL for none, or unknown flags. */
function accessOf(flags: number): boolean {
  if (flags & ~DMA_BUF_SYNC_RW || (flags & DMA_BUF_SYNC_RW) === 0) throw errno('EINVAL');
  return (flags & DMA_BUF_SYNC_WRITE) !== 0;
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

/** What the CPU wants to do, from the device's point of view. */
function directionOf(access: number): DmaDataDirection {
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
