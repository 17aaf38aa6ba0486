/**
 * /dev/udmabuf: dma-bufs made of pieces of a program's memfds.
 * Linux: drivers/dma-buf/udmabuf.c, include/uapi/linux/udmabuf.h.
 */

import {
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  PROT_READ,
  PROT_WRITE,
  UDMABUF_FLAGS_CLOEXEC,
  udmabuf_ioctls,
} from '../../../ioctl/index.js';
import {
  F_GET_SEALS,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
} from '../../abi/constants.js';
import type { Pin, PinnedMemfd } from '../../backing/pin.js';
import { VM_DONTEXPAND, VM_PFNMAP } from '../../backing/shmem.js';
import { intParam, moduleAdd } from '../../base/params.js';
import type { KernelCore } from '../../core.js';
import { Errno, errno, orThrow } from '../../errno.js';
import type { CharDeviceOperations } from '../../fs/char_dev.js';
import type { File, MemoryPiece, Vma } from '../../fs/file.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import { S_IFMT, S_IFREG } from '../../fs/tree.js';
import { cacheOf } from '../../mm/cache/cache.js';
import {
  Device,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  type DmaDataDirection,
  dmaMapSgtable,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
} from '../../mm/dma-mapping.js';
import { type Chunk, PAGE_SIZE, pageAlign } from '../../mm/page.js';
import {
  type SgTable,
  sgAllocTable,
  sgAllocTableFromPages,
  sgSetPage,
} from '../../mm/scatterlist.js';
import { native } from '../../native.js';
import { PerKernel } from '../../per_kernel.js';
import type { Task } from '../../task.js';
import { miscRegister } from '../char/misc.js';
import { type DmaBuf, type DmaBufOps, dmaBufExport, dmaBufFd, dmaBufPut } from './dma-buf.js';

type Parameters = Record<'list_limit' | 'size_limit_mb', number>;

/** Module parameters, as in /sys/module/udmabuf/parameters. */
const parametersOf = new PerKernel<KernelCore, Parameters>(() => ({
  /** Items of a list. */
  list_limit: 1024,
  /** MiB a buffer. */
  size_limit_mb: 64,
}));

/** The memory must not go away under the buffer … */
const SEALS_WANTED = F_SEAL_SHRINK;
/** … and must be writable, as the buffer is. */
const SEALS_DENIED = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

/** The largest file offset. */
const MAX_LFS_FILESIZE = 2n ** 63n - 1n;

/** A window into a memfd. In bytes, whole pages. */
interface Item {
  memfd: number;
  offset: bigint;
  size: bigint;
}

export function udmabufInit(kernel: KernelCore): void {
  // What it has to keep in step for its importers is what a device that does not snoop sees.
  const dma_coherent = cacheOf(kernel) === undefined;
  const device = new Device(kernel, { name: 'udmabuf', dma_mask: DMA_BIT_MASK(64), dma_coherent });
  const parameters = parametersOf.of(kernel);
  miscRegister(kernel, 'udmabuf', udmabufFops(parameters), { private_data: device });
  if (!kernel.has('udmabuf_parameters')) return;
  moduleAdd(kernel, 'udmabuf', {
    list_limit: intParam(parameters, 'list_limit'),
    size_limit_mb: intParam(parameters, 'size_limit_mb'),
  });
}

const udmabufFops = (parameters: Parameters): CharDeviceOperations => ({
  positioned: true,

  ...ioctlOperations(
    udmabuf_ioctls,
    { of: (file: File) => file.private_data as Device },
    {
      UDMABUF_CREATE: (device, { memfd, flags, offset, size }, { task }) =>
        create(task, device, flags, [{ memfd, offset, size }]),
      UDMABUF_CREATE_LIST: {
        counted: {
          get max() {
            return parameters.list_limit;
          },
        },
        handle: (device, { flags, list }, { task }) => create(task, device, flags, list.toObject()),
      },
    },
  ),
});

function create(task: Task, device: Device, flags: number, items: Item[]): number {
  const limit = BigInt(parametersOf.of(task.kernel).size_limit_mb) * 1024n * 1024n;
  let size = 0n;
  for (const item of items) {
    if (item.offset % BigInt(PAGE_SIZE) || item.size % BigInt(PAGE_SIZE)) throw errno('EINVAL');
    size += item.size;
    if (size > limit) throw errno('EINVAL');
  }
  if (size === 0n) throw errno('EINVAL');

  const pins = new Map<number, Pin>();
  const pieces: Piece[] = [];
  let dmabuf: DmaBuf;
  try {
    for (const item of items) {
      const [offset, length] = [Number(item.offset), Number(item.size)];
      pieces.push({ memory: pin(task, item, pins), offset, length });
    }
    dmabuf = dmaBufExport(task.kernel, {
      exp_name: 'udmabuf',
      ops: udmabufOps,
      size: Number(size),
      flags: O_RDWR,
      priv: new Udmabuf(device, pieces),
    });
  } catch (error) {
    for (const each of pins.values()) each.unpin();
    throw error;
  }
  const vm_flags = task.kernel.has('udmabuf_pfnmap') ? VM_PFNMAP | VM_DONTEXPAND : 0;
  for (const each of pins.values()) {
    each.memory.vm_flags = vm_flags;
    dmabuf.addPin(each);
  }
  try {
    const cloexec = flags & UDMABUF_FLAGS_CLOEXEC ? O_CLOEXEC : 0;
    return dmaBufFd(task, dmabuf, cloexec);
  } catch (error) {
    dmaBufPut(dmabuf);
    throw error;
  }
}

/** Pins the memfd of an item, once for each inode, and checks its seals and the window. */
function pin(task: Task, item: Item, pins: Map<number, Pin>): PinnedMemfd {
  const fd = item.memfd | 0;
  const mode = task.modeOf(fd);
  // Of regular files Linux takes those of tmpfs for its own kind, and misses their seals. The root
  // file system of the recorded kernels is one; of other machines' it is not known, so that all are
  // treated alike.
  if (mode === undefined || (mode & S_IFMT) !== S_IFREG || task.fget(fd)) throw errno('EBADFD');
  checkSeals(task, fd);
  const fresh = task.kernel.pins.pin(openForPin(task, fd));
  const { memory } = fresh;
  memory.givenAs.add(fd);
  if (pins.has(memory.ino)) fresh.unpin();
  else pins.set(memory.ino, fresh);
  const pinsFolios = task.kernel.has('udmabuf_pin_folios');
  // Before, only the sum of the sizes counts …
  if (item.size === 0n && pinsFolios) throw errno('EINVAL');
  // … the memfd's size is taken in whole pages …
  const size = pinsFolios ? memory.size : pageAlign(memory.size);
  if (item.offset + item.size > BigInt(size)) {
    // … and the page cache's limit comes before it.
    const beyondAllFiles = item.offset > MAX_LFS_FILESIZE;
    throw errno(beyondAllFiles && !pinsFolios ? 'EFBIG' : 'EINVAL');
  }
  return memory;
}

/** Before anything is opened: of files that are no memfds that may wait, for a lease to end. */
function checkSeals(task: Task, fd: number): void {
  const duplicate = task.tryDuplicate(fd);
  // Where a machine does not let us duplicate, it may let us open.
  const same = duplicate >= 0 ? duplicate : openForPin(task, fd);
  const seals = native.fcntl(same, F_GET_SEALS, 0);
  native.close(same);
  // O_PATH.
  if (seals === -Errno.EBADF) throw errno('EBADFD');
  if (seals < 0 || (seals & SEALS_WANTED) !== SEALS_WANTED || seals & SEALS_DENIED) {
    throw errno('EINVAL');
  }
}

/** EAGAIN for a memfd that somebody has a lease of. */
function openForPin(task: Task, fd: number): number {
  try {
    return task.openDescriptor(fd, O_RDWR | O_NONBLOCK);
  } catch (error) {
    // A memfd can always be opened by whom it is of: this is some other file, and without seals.
    throw error === errno('EACCES') ? errno('EINVAL') : error;
  }
}

interface Piece extends MemoryPiece {
  memory: PinnedMemfd;
}

function makeTable(kernel: KernelCore, frames: Uint32Array): SgTable {
  if (!kernel.has('udmabuf_pin_folios')) {
    return sgAllocTableFromPages(frames, 0, frames.length * PAGE_SIZE);
  }
  const table = sgAllocTable(frames.length);
  for (const [i, frame] of frames.entries()) sgSetPage(table, i, frame, PAGE_SIZE, 0);
  return table;
}

/** struct udmabuf */
class Udmabuf {
  readonly device: Device;
  readonly pieces: readonly Piece[];
  /** Mapped for the device itself, from the CPU's first access on. */
  table: SgTable | undefined;
  #frames: Uint32Array | undefined;

  constructor(device: Device, pieces: readonly Piece[]) {
    this.device = device;
    this.pieces = pieces;
  }

  /** get_sg_table(): all of it, mapped for a device. ENOMEM, or what the mapping fails with. */
  map(device: Device, direction: DmaDataDirection): SgTable {
    const frames = this.#getFrames();
    const table = makeTable(this.device.kernel, frames);
    dmaMapSgtable(device, table, direction);
    return table;
  }

  /** Where the pages are, if a device has asked. */
  get frames(): Chunk[] | undefined {
    return this.#frames && Array.from(this.#frames, (pfn) => ({ pfn, count: 1 }));
  }

  /** Where the pages are: found out for the first device. */
  #getFrames(): Uint32Array {
    if (this.#frames) return this.#frames;
    const { kernel } = this.device;
    const bytes = this.pieces.reduce((sum, { length }) => sum + length, 0);
    const frames = new Uint32Array(bytes / PAGE_SIZE);
    let at = 0;
    for (const [i, { memory, offset, length }] of this.pieces.entries()) {
      try {
        memory.frames.get(kernel, offset / PAGE_SIZE, length / PAGE_SIZE, frames, at);
      } catch (error) {
        this.#putFrames(this.pieces.slice(0, i));
        throw error;
      }
      at += length / PAGE_SIZE;
    }
    this.#frames = frames;
    return frames;
  }

  #putFrames(pieces: readonly Piece[]): void {
    for (const { memory, offset, length } of pieces) {
      memory.frames.put(this.device.kernel, offset / PAGE_SIZE, length / PAGE_SIZE);
    }
  }

  release(): void {
    if (this.table) dmaUnmapSgtable(this.device, this.table, DMA_BIDIRECTIONAL);
    if (this.#frames) this.#putFrames(this.pieces);
  }
}

const bufferOf = (dmabuf: DmaBuf) => dmabuf.priv as Udmabuf;

const udmabufOps: DmaBufOps = {
  cache_sgt_mapping: true,

  mapDmaBuf: ({ dmabuf, dev }, direction) => bufferOf(dmabuf).map(dev, direction),

  // Kept until the detaching, and then what a device has written to a bounce buffer is lost.
  unmapDmaBuf: ({ dev }, table, direction) =>
    dmaUnmapSgtable(dev, table, direction, DMA_ATTR_SKIP_CPU_SYNC),

  frames: (dmabuf) => bufferOf(dmabuf).frames,

  mmap(dmabuf, vma) {
    if (!vma.shared) throw errno('EINVAL');
    return cut(bufferOf(dmabuf).pieces, vma);
  },

  vmap(dmabuf) {
    if (!dmabuf.file.kernel.has('udmabuf_vmap')) throw errno('EINVAL');
    const pieces = bufferOf(dmabuf).pieces.flatMap(({ memory, offset, length }) => [
      memory.fd,
      offset,
      length,
    ]);
    const mapping = native.mmapPieces(new Float64Array(pieces), PROT_READ | PROT_WRITE);
    return new Uint8Array(orThrow<ArrayBuffer>(mapping));
  },

  vunmap(_dmabuf, map) {
    native.munmap(map.buffer as ArrayBuffer);
  },

  beginCpuAccess(dmabuf, direction) {
    if (!dmabuf.file.kernel.has('udmabuf_cpu_access')) return;
    const buffer = bufferOf(dmabuf);
    if (buffer.table) dmaSyncSgtableForCpu(buffer.device, buffer.table, direction);
    else buffer.table = buffer.map(buffer.device, direction);
  },

  endCpuAccess(dmabuf, direction) {
    if (!dmabuf.file.kernel.has('udmabuf_cpu_access')) return;
    const { device, table } = bufferOf(dmabuf);
    if (!table) throw errno('EINVAL');
    dmaSyncSgtableForDevice(device, table, direction);
  },

  // The core unpins the memfds.
  release: (dmabuf) => bufferOf(dmabuf).release(),
};

/** The part of a list of pieces that a mapping shows. */
function cut(pieces: readonly MemoryPiece[], vma: Vma): MemoryPiece[] {
  const result: MemoryPiece[] = [];
  let start = 0;
  for (const piece of pieces) {
    const from = Math.max(vma.offset, start);
    const to = Math.min(vma.offset + vma.length, start + piece.length);
    if (from < to) {
      const offset = piece.offset + from - start;
      result.push({ memory: piece.memory, offset, length: to - from });
    }
    start += piece.length;
  }
  return result;
}
