/**
 * The dma-buf core: buffers that drivers export as descriptors, and what programs do with those.
 * Linux: drivers/dma-buf/dma-buf.c, include/linux/dma-buf.h, include/uapi/linux/dma-buf.h.
 */

import { constants } from 'node:fs';
import { O_ACCMODE, O_CLOEXEC, POLLIN, POLLOUT, PROT_READ } from '../../../ioctl/index.js';
import { SEEK_END, SEEK_SET } from '../../abi/constants.js';
import { ExportedMemory } from '../../backing/exported.js';
import type { Pin } from '../../backing/pin.js';
import type { MappableMemory, Shmem } from '../../backing/shmem.js';
import { TrackedMemory } from '../../backing/tracked.js';
import { countUses } from '../../backing/uses.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import {
  File,
  type FileOperations,
  type MemoryPiece,
  makeShmem,
  orNoMemory,
  type Vma,
} from '../../fs/file.js';
import { readinessOf } from '../../fs/readiness.js';
import { List } from '../../list.js';
import { cacheOf } from '../../mm/cache/cache.js';
import type { DmaDataDirection } from '../../mm/dma-mapping.js';
import type { Chunk } from '../../mm/page.js';
import type { SgTable } from '../../mm/scatterlist.js';
import { PerKernel } from '../../per_kernel.js';
import type { Installer, Task } from '../../task.js';
import { operationsAsOf } from '../../version.js';
import { checkDetached, type DmaBufAttachment } from './dma-buf-attach.js';
import { dmaBufIoctls } from './dma-buf-ioctl.js';
import type { DmaFence } from './dma-fence.js';
import {
  DMA_RESV_USAGE_READ,
  DMA_RESV_USAGE_WRITE,
  DmaResv,
  type DmaResvUsage,
} from './dma-resv.js';
import { operationsSince } from './since.js';

declare module '../../observe/observer.js' {
  interface Observer {
    /** What it is made of may not be known yet (a udmabuf's memfds). */
    bufferExported?(dmabuf: DmaBuf): void;
    bufferReleased?(dmabuf: DmaBuf): void;
    /** DMA_BUF_IOCTL_SYNC that succeeded, when it has waited for what it had to; `flags` are its own. */
    synced?(dmabuf: DmaBuf, flags: number, pid: number): void;
    /** The kernel may write a buffer's bytes (dma_buf_vmap, dma_buf_begin_cpu_access), until it has let go of them. */
    vmapped?(dmabuf: DmaBuf): void;
    vunmapped?(dmabuf: DmaBuf): void;
  }
}

/** What an exporter does; Linux's struct dma_buf_ops. Errors are thrown. */
export interface DmaBufOps {
  /** Keep the mapping of an attachment until it is detached: for mappings that are dear. Not with `pin`. */
  cache_sgt_mapping?: boolean;
  /** Optional. A device is to have the buffer: what it needs is in `attachment.dev`. Refused by an error. */
  attach?(dmabuf: DmaBuf, attachment: DmaBufAttachment): void;
  detach?(dmabuf: DmaBuf, attachment: DmaBufAttachment): void;
  /**
   * Optional, with `unpin`: an exporter that moves its buffers when it likes (after dmaBufMoveNotify).
   * Pinned, a buffer stays. Called with the reservation object locked.
   */
  pin?(attachment: DmaBufAttachment): void;
  unpin?(attachment: DmaBufAttachment): void;
  /**
   * Mandatory: the buffer in the address space of the attachment's device, a mapped scatterlist. From
   * here on to the unmapping it stays where it is, unless the importer is dynamic.
   */
  mapDmaBuf(attachment: DmaBufAttachment, direction: DmaDataDirection): SgTable;
  /** Mandatory. */
  unmapDmaBuf(attachment: DmaBufAttachment, table: SgTable, direction: DmaDataDirection): void;
  /**
   * Optional, and not one of Linux's: the page frames that the buffer is in, in its order, for those who
   * want to see them; undefined while there are none.
   */
  frames?(dmabuf: DmaBuf): readonly Chunk[] | undefined;
  /** Optional: the buffer's bytes for kernel code. */
  vmap?(dmabuf: DmaBuf): Uint8Array;
  vunmap?(dmabuf: DmaBuf, map: Uint8Array): void;
  /** Mandatory. Called once, when the last descriptor, mapping and reference are gone. */
  release(dmabuf: DmaBuf): void;
  /**
   * Optional: without it mmap(2) is EINVAL. The memory that makes up the mapping; it is within the
   * buffer, the core has seen to that. An exporter whose buffers lie in their own memory, or in one that it handed over,
   * answers `dmabuf.ownPieces(vma)`. The mapping holds the buffer, whatever it is made of.
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
  /**
   * Memory of the exporter's that is the buffer, all of it: descriptors are of it, so that what programs do with them
   * costs what it costs with a buffer of the core's own. Several buffers may be of one memory. It stays the exporter's,
   * to be mapped through its node or to be closed: not before `release`. Without it the core makes memory for the
   * descriptors, which is the content unless `mmap` says otherwise.
   */
  memory?: Shmem;
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
  /** What descriptors are of, and the content, unless the exporter has it elsewhere. */
  readonly memory: Shmem;
  /** What DMA_BUF_SET_NAME gave it. */
  name: string | undefined;
  /** The fences that are on it. */
  readonly resv: DmaResv;
  /** The devices that it is shared with. */
  readonly attachments = new List<DmaBufAttachment>();
  /** @internal Its bytes, while kernel code has them ({@link dmaBufVmap}). */
  vmap_ptr: Uint8Array | undefined;
  /** @internal How often they were asked for. */
  vmapping_counter = 0;
  readonly #backing: Shmem | ExportedMemory;
  readonly #pins: Pin[] = [];
  /** What is mapped that is not its own. */
  readonly #tracked = new Map<MappableMemory, TrackedMemory>();
  readonly #polled = new Set<number>();

  /** @internal Buffers are made by {@link dmaBufExport}. */
  constructor(kernel: KernelCore, info: DmaBufExportInfo) {
    this.size = info.size;
    this.ops = info.ops;
    this.exp_name = info.exp_name;
    this.priv = info.priv;
    const { memory } = info;
    this.memory = memory ?? makeShmem(kernel, 'dmabuf', info.size);
    this.#backing = memory ? orNoMemory(kernel, () => new ExportedMemory(memory)) : this.memory;
    this.memory.describe ??= () => this.describe();
    this.file = new File(kernel, {
      backing: this.#backing,
      name: 'dmabuf',
      f_op: operationsAsOf(kernel, dmaBufFops, operationsSince),
      attributes: {
        mode: constants.S_IRUSR | constants.S_IWUSR,
        size: kernel.has('dma_buf_inode') ? info.size : 0,
        f_type: kernel.has('dma_buf_inode') ? DMA_BUF_MAGIC : ANON_INODE_FS_MAGIC,
      },
      link: () =>
        kernel.has('dma_buf_inode') ? `/dmabuf:${this.name ?? ''}` : 'anon_inode:dmabuf',
    });
    this.resv = new DmaResv(kernel);
    this.resv.add(() => {
      readinessOf(kernel).mayHaveChanged(this.file);
      this.file.tellEpoll();
    });
    this.file.f_flags = info.flags & O_ACCMODE;
    this.file.private_data = this;
  }

  /** Inode number: st_ino of every descriptor of it. */
  get ino(): number {
    return this.memory.ino;
  }

  /** What it is, for the log. */
  describe(): string {
    return `dmabuf ${this.ino} (${this.exp_name}${this.name === undefined ? '' : `, ${this.name}`})`;
  }

  /** The part of the buffer's memory that a mapping shows. */
  ownPieces(vma: Vma): MemoryPiece[] {
    return [{ memory: this.memory, offset: vma.offset, length: vma.length }];
  }

  /** @internal Pieces of a mapping, such that it holds the buffer as a descriptor does. */
  holding(pieces: readonly MemoryPiece[]): MemoryPiece[] {
    return pieces.map((piece) => ({ ...piece, memory: this.#holding(piece.memory) }));
  }

  #holding(memory: MappableMemory): MappableMemory {
    if (memory === this.memory) return this.#backing;
    let tracked = this.#tracked.get(memory);
    if (!tracked) {
      const { file } = this;
      const onMapped = (mapped: boolean) => (mapped ? file.hold() : file.unhold());
      tracked = new TrackedMemory(file.kernel, memory, onMapped);
      this.#tracked.set(memory, tracked);
    }
    return tracked;
  }

  /** Makes pinned memory of a program's part of the buffer. It is unpinned with it. */
  addPin(pin: Pin): void {
    pin.memory.describe = () => this.describe();
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

  /** What a mapping of all of it is made of; undefined for one that programs cannot map. */
  get pieces(): readonly MemoryPiece[] | undefined {
    try {
      return this.ops.mmap?.(this, { offset: 0, length: this.size, prot: PROT_READ, shared: true });
    } catch {
      return undefined;
    }
  }

  /** What its bytes are in: memory of its own, or what else a mapping is made of. */
  get contents(): readonly MappableMemory[] {
    const pieces = this.pieces ?? [{ memory: this.memory }];
    return [...new Set(pieces.map(({ memory }) => memory))];
  }

  /** @internal */
  unpin(): void {
    for (const pin of this.#pins) pin.unpin();
  }

  /** References as Linux counts them: descriptors, mappings, and the kernel's own users. */
  get fileCount(): number {
    // One mapping may take several memfds, each of which has it.
    const mappings = Math.max(0, ...[...this.#tracked.values()].map((each) => each.mappings));
    return this.file.references + this.#polled.size + mappings + countUses(this.#backing);
  }
}

/** The buffers of each kernel, in the order of their export. */
const lists = new PerKernel<KernelCore, Set<DmaBuf>>(() => new Set());

/** The live buffers of a kernel, oldest first. */
export function dmaBufList(kernel: KernelCore): ReadonlySet<DmaBuf> {
  return lists.of(kernel);
}

/**
 * dma_buf_export(): makes a buffer, with one reference that the caller owns until it gives it to a
 * descriptor ({@link dmaBufFd}) or drops it ({@link dmaBufPut}). EINVAL for operations that do not go
 * together, or memory of another size; ENOMEM.
 */
export function dmaBufExport(kernel: KernelCore, info: DmaBufExportInfo): DmaBuf {
  const { ops } = info;
  if (!ops.pin !== !ops.unpin || (ops.cache_sgt_mapping && ops.pin)) throw errno('EINVAL');
  if (info.memory && info.memory.size !== info.size) throw errno('EINVAL');
  const dmabuf = new DmaBuf(kernel, info);
  lists.of(kernel).add(dmabuf);
  if (kernel.observers.active) kernel.observers.tell('bufferExported', dmabuf);
  return dmabuf;
}

/**
 * dma_buf_fd(): a descriptor for the caller, which takes over the reference of this kernel's side.
 * `flags`: O_CLOEXEC or 0. On failure (EMFILE) the reference stays with the caller.
 */
export function dmaBufFd(caller: Installer, dmabuf: DmaBuf, flags: number): number {
  const fd = caller.installFd(dmabuf.file, dmabuf.file.openFlags | (flags & O_CLOEXEC));
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
  const owner = file.private_data;
  return owner instanceof DmaBuf && owner.file === file ? owner : undefined;
}

function bufferOf(file: File): DmaBuf {
  return file.private_data as DmaBuf;
}

/** <linux/magic.h> */
const DMA_BUF_MAGIC = 0x444d4142;
const ANON_INODE_FS_MAGIC = 0x09041934;

const dmaBufFops: FileOperations = {
  ...dmaBufIoctls,

  /** Only to learn the size: to the start, or to the end, with offset 0. */
  llseek(file, offset, whence) {
    if (offset !== 0 || (whence !== SEEK_SET && whence !== SEEK_END)) throw errno('EINVAL');
    return whence === SEEK_END ? bufferOf(file).size : 0;
  },

  mmap(file, vma) {
    return dmaBufMmap(bufferOf(file), vma);
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

  pollMask: POLLIN | POLLOUT,
  passedAround: true,

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
    lists.of(file.kernel).delete(dmabuf);
    checkDetached(dmabuf);
    dmabuf.ops.release(dmabuf);
    dmabuf.unpin();
    dmabuf.resv.fini();
    file.kernel.observers.tell('bufferReleased', dmabuf);
  },
};

/**
 * dma_buf_begin_cpu_access(): before kernel code reads or writes a buffer through {@link dmaBufVmap}, or
 * `task` through its mapping; what the exporter throws. Fences on the buffer are the caller's to wait
 * for, in the reservation object.
 */
export function dmaBufBeginCpuAccess(
  dmabuf: DmaBuf,
  direction: DmaDataDirection,
  task?: Task,
): void {
  dmabuf.ops.beginCpuAccess?.(dmabuf, direction);
  const { kernel } = dmabuf.file;
  const { observers } = kernel;
  const cache = cacheOf(kernel);
  if (!task && observers.active) observers.tell('vmapped', dmabuf);
  if (cache) for (const memory of dmabuf.contents) cache.begin(memory, direction, task);
}

/** dma_buf_end_cpu_access() */
export function dmaBufEndCpuAccess(dmabuf: DmaBuf, direction: DmaDataDirection, task?: Task): void {
  const { kernel } = dmabuf.file;
  const { observers } = kernel;
  const cache = cacheOf(kernel);
  if (!task && observers.active) observers.tell('vunmapped', dmabuf);
  if (cache) for (const memory of dmabuf.contents) cache.end(memory, direction, task);
  dmabuf.ops.endCpuAccess?.(dmabuf, direction);
}

/** dma_buf_mmap(): the memory of a mapping that a driver makes through a node of its own. EINVAL. */
export function dmaBufMmap(dmabuf: DmaBuf, vma: Vma): MemoryPiece[] {
  if (!dmabuf.ops.mmap) throw errno('EINVAL');
  if (vma.offset + vma.length > dmabuf.size) throw errno('EINVAL');
  return dmabuf.holding(dmabuf.ops.mmap(dmabuf, vma));
}
