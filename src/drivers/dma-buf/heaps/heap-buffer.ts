/**
 * Buffers of page frames that the kernel has given: what the system heap and the CMA heap have in
 * common. The bytes are in the buffer's memfd; the frames say where they are for devices.
 */

import { VM_IO } from '../../../backing/shmem.js';
import type { KernelCore } from '../../../core.js';
import {
  type DmaDataDirection,
  dmaMapSgtable,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
} from '../../../mm/dma-mapping.js';
import { type Chunk, PAGE_SIZE } from '../../../mm/page.js';
import { type SgTable, sgDupTable } from '../../../mm/scatterlist.js';
import { type DmaBuf, type DmaBufOps, dmaBufExport } from '../dma-buf.js';
import type { DmaBufAttachment } from '../dma-buf-attach.js';

/** Where a buffer lies, and how to let go of that. */
export interface Placement {
  readonly chunks: readonly Chunk[];
  /** The scatterlist of all of it, not mapped. ENOMEM. */
  table(): SgTable;
  free(): void;
}

/** What a buffer's `priv` is. */
class HeapBuffer {
  readonly placement: Placement;
  #table: SgTable | undefined;

  constructor(placement: Placement) {
    this.placement = placement;
  }

  /** Made for the first device: until then nobody looks into the frames. */
  tableOf(dmabuf: DmaBuf): SgTable {
    if (!this.#table) {
      this.#table = this.placement.table();
      layFrames(dmabuf, this.placement);
    }
    return this.#table;
  }

  free(kernel: KernelCore): void {
    if (this.#table) forgetFrames(kernel, this.placement);
    this.placement.free();
  }
}

/** What an attachment's `priv` is. */
interface HeapAttachment {
  readonly table: SgTable;
  mapped: boolean;
}

const bufferOf = (dmabuf: DmaBuf) => dmabuf.priv as HeapBuffer;
const privOf = ({ priv }: DmaBufAttachment) => priv as HeapAttachment;

/** Brings memory and all devices that have it mapped in step. */
function syncAll(
  { attachments }: DmaBuf,
  direction: DmaDataDirection,
  sync: typeof dmaSyncSgtableForCpu,
): void {
  for (const attachment of attachments) {
    const { table, mapped } = privOf(attachment);
    if (mapped) sync(attachment.dev, table, direction);
  }
}

export const heapBufOps: DmaBufOps = {
  attach(dmabuf, attachment) {
    const table = sgDupTable(bufferOf(dmabuf).tableOf(dmabuf));
    attachment.priv = { table, mapped: false } satisfies HeapAttachment;
  },

  mapDmaBuf(attachment, direction) {
    const own = privOf(attachment);
    dmaMapSgtable(attachment.dev, own.table, direction);
    own.mapped = true;
    return own.table;
  },

  unmapDmaBuf(attachment, table, direction) {
    privOf(attachment).mapped = false;
    dmaUnmapSgtable(attachment.dev, table, direction);
  },

  beginCpuAccess: (dmabuf, direction) => syncAll(dmabuf, direction, dmaSyncSgtableForCpu),

  endCpuAccess: (dmabuf, direction) => syncAll(dmabuf, direction, dmaSyncSgtableForDevice),

  frames: (dmabuf) => bufferOf(dmabuf).placement.chunks,

  mmap: (dmabuf, vma) => dmabuf.ownPieces(vma),

  vmap: (dmabuf) => dmabuf.memory.bytes(),

  release: (dmabuf) => bufferOf(dmabuf).free(dmabuf.file.kernel),
};

/** Exports a buffer that lies in `placement`, which is freed with it, or if that fails. ENOMEM. */
export function exportHeapBuffer(
  kernel: KernelCore,
  placement: Placement,
  info: { exp_name: string; ops: DmaBufOps; size: number; flags: number },
): DmaBuf {
  try {
    const dmabuf = dmaBufExport(kernel, { ...info, priv: new HeapBuffer(placement) });
    dmabuf.memory.vm_flags |= VM_IO;
    return dmabuf;
  } catch (error) {
    placement.free();
    throw error;
  }
}

/** Tells what bytes are in the frames of a placement: the buffer's, in order. */
export function layFrames(dmabuf: DmaBuf, { chunks }: Placement): void {
  let offset = 0;
  for (const { pfn, count } of chunks) {
    dmabuf.file.kernel.memMap.set(pfn, count, dmabuf.memory, offset);
    offset += count * PAGE_SIZE;
  }
}

export function forgetFrames(kernel: KernelCore, { chunks }: Placement): void {
  for (const { pfn, count } of chunks) kernel.memMap.clear(pfn, count);
}

/** The frames of a placement, one by one. */
export function framesOf({ chunks }: Placement): Uint32Array {
  const frames = new Uint32Array(chunks.reduce((sum, { count }) => sum + count, 0));
  let at = 0;
  for (const { pfn, count } of chunks) {
    for (let i = 0; i < count; i++) frames[at++] = pfn + i;
  }
  return frames;
}

/** Bytes of a chunk. */
export const bytesOf = ({ count }: Chunk) => count * PAGE_SIZE;
