/**
 * Where buffers are: the page frames of each, and what its devices see of them. Linux shows neither; this
 * is what /sys/kernel/debug/dmabuf-shim/layout has, and what drawings of buffers are made from.
 */
import type { KernelCore } from '../../core.js';
import { dir2name } from '../../mm/dma-direction.js';
import { type Chunk, PAGE_SIZE } from '../../mm/page.js';
import type { PageAllocator } from '../../mm/page_alloc.js';
import {
  forEachSgtableDmaSg,
  forEachSgtablePage,
  forEachSgtableSg,
  type SgTable,
} from '../../mm/scatterlist.js';
import { type DmaBuf, dmaBufList } from './dma-buf.js';
import type { DmaBufAttachment } from './dma-buf-attach.js';

/** Page frames in a row: the first, how many, and what they are of. */
export type PageRun = [pfn: number, count: number, area: ReturnType<PageAllocator['areaOf']>];

/** A mapping that a device has of a buffer. */
export interface MappingLayout {
  /** DMA_BIDIRECTIONAL, DMA_TO_DEVICE or DMA_FROM_DEVICE. */
  direction: string;
  /** Entries of the scatterlist. */
  orig_nents: number;
  /** Segments that the device sees. */
  nents: number;
  /** The segments, in the order of the buffer's bytes: the device's address, and bytes. */
  segments: [address: number, length: number][];
}

/** A device that a buffer is shared with. */
export interface AttachmentLayout {
  device: string;
  /** Behind an IOMMU: its addresses are not those of memory. */
  iommu: boolean;
  /** Whether it sees what is in the CPU's caches. */
  coherent: boolean;
  /** The highest address that it can reach. */
  dma_mask: number;
  max_segment_size: number;
  segment_boundary_mask: number;
  /** Null for any number. */
  max_segments: number | null;
  /** The importer can have the buffer move. */
  dynamic: boolean;
  /** How often it keeps the buffer from moving. */
  pins: number;
  mappings: MappingLayout[];
}

/** A buffer: where it is in memory, and for its devices. */
export interface BufferLayout {
  ino: number;
  exp_name: string;
  /** What DMA_BUF_SET_NAME gave it. */
  name: string | null;
  /** Bytes. */
  size: number;
  /** File references, as bufinfo counts them. */
  references: number;
  /** Its page frames, in the order of its bytes; null while it has none, or nobody has asked for them. */
  pages: PageRun[] | null;
  attachments: AttachmentLayout[];
}

/** The layout of each live buffer of a kernel, the oldest first. */
export function dmaBufLayout(kernel: KernelCore): BufferLayout[] {
  kernel.settle();
  return Array.from(dmaBufList(kernel), (dmabuf) => ({
    ino: dmabuf.ino,
    exp_name: dmabuf.exp_name,
    name: dmabuf.name ?? null,
    size: dmabuf.size,
    references: dmabuf.fileCount,
    pages: pagesOf(kernel, dmabuf),
    attachments: Array.from(dmabuf.attachments, attachmentLayout),
  }));
}

/** An exporter that does not tell is found out by what devices have mapped. */
function pagesOf(kernel: KernelCore, dmabuf: DmaBuf): PageRun[] | null {
  const chunks = dmabuf.ops.frames?.(dmabuf) ?? mappedFrames(dmabuf);
  if (!chunks) return null;
  const runs: PageRun[] = [];
  for (const { pfn, count } of chunks) {
    const area = kernel.memory.areaOf(pfn);
    const last = runs.at(-1);
    if (last && last[0] + last[1] === pfn && last[2] === area) last[1] += count;
    else runs.push([pfn, count, area]);
  }
  return runs;
}

function mappedFrames({ attachments, size }: DmaBuf): Chunk[] | undefined {
  for (const attachment of attachments) {
    for (const { table } of tablesOf(attachment)) {
      const whole = [...forEachSgtableSg(table)].every(({ offset }) => offset % PAGE_SIZE === 0);
      const chunks = Array.from(forEachSgtablePage(table), (pfn) => ({ pfn, count: 1 }));
      if (whole && chunks.length === size / PAGE_SIZE) return chunks;
    }
  }
  return undefined;
}

/** The mapping that is kept as long as the attachment, and those that the importer has made. */
function tablesOf({ sgt, dir, mapped }: DmaBufAttachment) {
  return [...(sgt ? [{ table: sgt, direction: dir }] : []), ...mapped];
}

function attachmentLayout(attachment: DmaBufAttachment): AttachmentLayout {
  const { dev, dmabuf, sgt, pins, importer_ops } = attachment;
  const { dma_mask, dma_parms, dma_coherent, iommu } = dev;
  const { max_segment_size, segment_boundary_mask, max_segments } = dma_parms;
  // An importer that cannot have it move pins it as long as it is attached.
  const always = sgt && dmabuf.ops.pin ? 1 : 0;
  return {
    device: dev.name,
    iommu,
    coherent: dma_coherent,
    dma_mask,
    max_segment_size,
    segment_boundary_mask,
    max_segments: Number.isFinite(max_segments) ? max_segments : null,
    dynamic: importer_ops !== undefined,
    pins: pins + always,
    mappings: tablesOf(attachment).map(({ table, direction }) => ({
      direction: dir2name(direction),
      orig_nents: table.orig_nents,
      nents: table.nents,
      segments: segmentsOf(table),
    })),
  };
}

function segmentsOf(table: SgTable): MappingLayout['segments'] {
  return Array.from(forEachSgtableDmaSg(table), ({ dma_address, dma_length }) => [
    dma_address,
    dma_length,
  ]);
}
