/**
 * A heap whose buffers lie where all devices that have them can reach them: memory is chosen when a
 * device first maps a buffer and all that is attached is known, and moved when a device comes that needs
 * it elsewhere. Not one of Linux's heaps: the exporter that dma-buf was designed for, as GPU drivers
 * are.
 *
 * A mapping through an IOMMU, which is dear, is kept from one use to the next, until the device is
 * detached or the buffer moves.
 */

import type { KernelCore } from '../../../core.js';
import { errno } from '../../../errno.js';
import {
  type Device,
  DMA_BIDIRECTIONAL,
  type DmaDataDirection,
  dmaMapSgtable,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
} from '../../../mm/dma-mapping.js';
import { PAGE_SIZE } from '../../../mm/page.js';
import { GFP_DMA32 } from '../../../mm/page_alloc.js';
import type { SgTable } from '../../../mm/scatterlist.js';
import { type DmaBuf, type DmaBufOps, dmaBufExport } from '../dma-buf.js';
import { type DmaBufAttachment, dmaBufMoveNotify } from '../dma-buf-attach.js';
import { dmaHeapAdd } from '../dma-heap.js';
import { allocateContiguous } from './cma_heap.js';
import { forgetFrames, layFrames, type Placement } from './heap-buffer.js';
import { allocateScattered } from './system_heap.js';

/** What a device has of a buffer. */
interface Share {
  table: SgTable | undefined;
  direction: DmaDataDirection;
  /** Whether the importer has it now; else the mapping is only kept. */
  inUse: boolean;
}

class MovableBuffer {
  placement: Placement | undefined;
  pins = 0;
  readonly shares = new Map<DmaBufAttachment, Share>();

  /** The memory, chosen now if it is not yet. EBUSY: it would have to move, and cannot. ENOMEM, EINVAL. */
  place(dmabuf: DmaBuf): Placement {
    const devices = [...this.shares.keys()].map(({ dev }) => dev);
    if (!this.placement) {
      this.placement = choose(dmabuf, devices);
      layFrames(dmabuf, this.placement);
    } else if (!devices.every((dev) => reaches(dev, this.placement as Placement))) {
      this.#move(dmabuf, devices);
    }
    return this.placement;
  }

  #move(dmabuf: DmaBuf, devices: Device[]): void {
    if (this.pins > 0) throw errno('EBUSY');
    const next = choose(dmabuf, devices);
    dmaBufMoveNotify(dmabuf);
    for (const [attachment, share] of this.shares) {
      // A dynamic importer that does not let go keeps everybody where they are.
      if (share.inUse) {
        next.free();
        throw errno('EBUSY');
      }
      this.forget(attachment, share);
    }
    this.drop(dmabuf);
    this.placement = next;
    layFrames(dmabuf, next);
  }

  /** Gives a mapping up that was kept. */
  forget({ dev }: DmaBufAttachment, share: Share): void {
    if (share.table) dmaUnmapSgtable(dev, share.table, share.direction);
    share.table = undefined;
  }

  drop(dmabuf: DmaBuf): void {
    if (!this.placement) return;
    forgetFrames(dmabuf.file.kernel, this.placement);
    this.placement.free();
    this.placement = undefined;
  }
}

/** Whether a device can have memory as it lies. */
function reaches(dev: Device, { chunks }: Placement): boolean {
  if (dev.iommu) return true;
  if (chunks.length > dev.dma_parms.max_segments) return false;
  return chunks.every(({ pfn, count }) => (pfn + count) * PAGE_SIZE - 1 <= dev.dma_mask);
}

/** Memory that all devices can have: scattered if that will do, for there is more of it. ENOMEM, EINVAL. */
function choose(dmabuf: DmaBuf, devices: Device[]): Placement {
  const { memory } = dmabuf.file.kernel;
  const ways = [
    () => allocateScattered(memory, dmabuf.size),
    () => allocateScattered(memory, dmabuf.size, GFP_DMA32),
    () => allocateContiguous(memory, dmabuf.size),
  ];
  let failure = errno('EINVAL');
  for (const way of ways) {
    let placement: Placement;
    try {
      placement = way();
    } catch (error) {
      if (error !== errno('ENOMEM')) throw error;
      failure = error as typeof failure;
      continue;
    }
    if (devices.every((dev) => reaches(dev, placement))) return placement;
    placement.free();
  }
  throw failure;
}

const bufferOf = (dmabuf: DmaBuf) => dmabuf.priv as MovableBuffer;

const movableHeapBufOps: DmaBufOps = {
  attach(dmabuf, attachment) {
    const buffer = bufferOf(dmabuf);
    const { dev } = attachment;
    // What cannot be met is refused now, and not when the device wants to begin.
    if (buffer.pins > 0 && buffer.placement && !reaches(dev, buffer.placement))
      throw errno('EBUSY');
    if (!buffer.placement || !reaches(dev, buffer.placement)) {
      choose(dmabuf, [...[...buffer.shares.keys()].map((each) => each.dev), dev]).free();
    }
    buffer.shares.set(attachment, {
      table: undefined,
      direction: DMA_BIDIRECTIONAL,
      inUse: false,
    });
  },

  detach(dmabuf, attachment) {
    const { shares } = bufferOf(dmabuf);
    const share = shares.get(attachment);
    if (share) bufferOf(dmabuf).forget(attachment, share);
    shares.delete(attachment);
  },

  pin({ dmabuf }) {
    const buffer = bufferOf(dmabuf);
    buffer.place(dmabuf);
    buffer.pins++;
  },

  unpin({ dmabuf }) {
    bufferOf(dmabuf).pins--;
  },

  mapDmaBuf(attachment, direction) {
    const { dmabuf, dev } = attachment;
    const buffer = bufferOf(dmabuf);
    const share = buffer.shares.get(attachment) as Share;
    if (share.inUse) throw errno('EBUSY');
    const placement = buffer.place(dmabuf);
    if (share.table && share.direction !== direction) buffer.forget(attachment, share);
    if (share.table) {
      dmaSyncSgtableForDevice(dev, share.table, direction);
    } else {
      const table = placement.table();
      dmaMapSgtable(dev, table, direction);
      share.table = table;
      share.direction = direction;
    }
    share.inUse = true;
    return share.table;
  },

  unmapDmaBuf(attachment, table, direction) {
    const { dmabuf, dev } = attachment;
    const buffer = bufferOf(dmabuf);
    const share = buffer.shares.get(attachment) as Share;
    share.inUse = false;
    if (dev.iommu) dmaSyncSgtableForCpu(dev, table, direction);
    else buffer.forget(attachment, share);
  },

  beginCpuAccess(dmabuf, direction) {
    for (const [{ dev }, { table }] of bufferOf(dmabuf).shares) {
      if (table) dmaSyncSgtableForCpu(dev, table, direction);
    }
  },

  endCpuAccess(dmabuf, direction) {
    for (const [{ dev }, { table }] of bufferOf(dmabuf).shares) {
      if (table) dmaSyncSgtableForDevice(dev, table, direction);
    }
  },

  frames: (dmabuf) => bufferOf(dmabuf).placement?.chunks,

  mmap: (dmabuf, vma) => dmabuf.ownPieces(vma),

  vmap: (dmabuf) => dmabuf.memory.bytes(),

  release: (dmabuf) => bufferOf(dmabuf).drop(dmabuf),
};

/** /dev/dma_heap/movable, if it is asked for. */
export function movableHeapInit(kernel: KernelCore): void {
  dmaHeapAdd(
    kernel,
    {
      name: 'movable',
      ops: {
        allocate(_heap, size, flags) {
          if (size > kernel.memory.size) throw errno('ENOMEM');
          return dmaBufExport(kernel, {
            exp_name: 'movable',
            ops: movableHeapBufOps,
            size,
            flags,
            priv: new MovableBuffer(),
          });
        },
      },
    },
    { optional: true },
  );
}
