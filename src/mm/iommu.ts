/**
 * DMA through an IOMMU: what is scattered in memory gets addresses in a row. Linux:
 * drivers/iommu/dma-iommu.c, drivers/iommu/iova.c. Every device has a domain of its own.
 */
import { errno } from '../errno.js';
import type { Device, DmaMapping } from './device.js';
import type { DmaDataDirection } from './dma-direction.js';
import { PAGE_SIZE } from './page.js';
import type { SgTable } from './scatterlist.js';

/** Pages of the largest address space that an IOMMU translates: 48 bits. */
const APERTURE = 2 ** 36;
/** dma_length has 32 bits. */
const MAX_LENGTH = 0xffffffff;

/** A range of addresses that is taken. In pages; `end` is the first one behind it. */
interface Iova {
  start: number;
  end: number;
}

/** struct iova_domain: which addresses of a device are taken. Numbers are of pages; page 0 is never given. */
export class IovaDomain {
  /** From the highest to the lowest. */
  readonly #taken: Iova[] = [];
  /** The range that was given last, below which the next is looked for; −1: from the top. */
  #cursor = -1;

  /**
   * alloc_iova(): the first of `count` pages, all below page `limit`, aligned to the next power of two. They
   * are as high as they can be below those that were given last, or else as high as they can be.
   * Undefined: there is no such place.
   */
  alloc(count: number, limit: number): number | undefined {
    const start = this.#allocBelow(this.#cursor, count, limit);
    if (start !== undefined || this.#cursor < 0) return start;
    return this.#allocBelow(-1, count, limit);
  }

  #allocBelow(cursor: number, count: number, limit: number): number | undefined {
    const alignment = 2 ** Math.ceil(Math.log2(count));
    let high = Math.min(limit, APERTURE, this.#taken[cursor]?.start ?? APERTURE);
    for (let i = cursor + 1; ; i++) {
      const below = this.#taken[i];
      const start = Math.floor((high - count) / alignment) * alignment;
      if (start >= (below?.end ?? 1)) {
        this.#taken.splice(i, 0, { start, end: start + count });
        this.#cursor = i;
        return start;
      }
      if (!below) return undefined;
      high = Math.min(high, below.start);
    }
  }

  /** free_iova(): a range by its first page. */
  free(start: number): void {
    let low = 0;
    let high = this.#taken.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#taken[middle] as Iova).start > start) low = middle + 1;
      else high = middle;
    }
    this.#taken.splice(low, 1);
    if (low <= this.#cursor) this.#cursor = low - 1;
  }
}

/**
 * iommu_dma_map_sg(): one range of addresses for the whole list, and as few segments in it as the
 * device's limits allow. ENOMEM when there are no addresses left.
 */
export function iommuDmaMapSg(
  dev: Device,
  sgt: SgTable,
  direction: DmaDataDirection,
  size: number,
): DmaMapping {
  const window = Math.max(1, Math.floor((dev.dma_parms.segment_boundary_mask + 1) / PAGE_SIZE));
  const starts = new Float64Array(sgt.orig_nents);
  const pages = layOut(sgt, window, starts);
  const limit = Math.floor((dev.dma_mask + 1) / PAGE_SIZE);
  const failed = dev.kernel.memory.failNext?.('iova') ?? false;
  const base = failed ? undefined : dev.iova.alloc(pages, limit);
  if (base === undefined) throw errno('ENOMEM');

  for (let i = 0; i < sgt.orig_nents; i++) {
    const offset = sgt.offset[i] as number;
    const first = (sgt.page[i] as number) + Math.floor(offset / PAGE_SIZE);
    const count = pagesOf(offset, sgt.length[i] as number);
    dev.pages.map(base + (starts[i] as number), first, count, direction);
  }
  sgt.nents = finalise(dev, sgt, window, base, starts, pages);
  return {
    direction,
    size,
    address: sgt.dma_address.slice(0, sgt.nents),
    length: sgt.dma_length.slice(0, sgt.nents),
    iova: base,
    pages,
  };
}

/** iommu_dma_unmap_sg() */
export function iommuDmaUnmapSg(dev: Device, { iova, pages, direction }: DmaMapping): void {
  dev.pages.unmap(iova, pages, direction);
  dev.iova.free(iova);
}

/** Pages that bytes touch. */
function pagesOf(offset: number, length: number): number {
  return Math.ceil(((offset & (PAGE_SIZE - 1)) + length) / PAGE_SIZE);
}

/** The remainder, which as an operator is slow beyond 32 bits. */
function modulo(value: number, modulus: number): number {
  return value - Math.floor(value / modulus) * modulus;
}

/**
 * Where each entry begins in the range, in pages: entry after entry, with pages in between so that none
 * crosses a boundary that it could stay clear of. Counted from the start of the range, since that is
 * aligned to more than it is long. Nothing is mapped in between. The pages of all.
 */
function layOut(sgt: SgTable, window: number, starts: Float64Array): number {
  let pages = 0;
  for (let i = 0; i < sgt.orig_nents; i++) {
    const count = pagesOf(sgt.offset[i] as number, sgt.length[i] as number);
    const left = window - modulo(pages, window);
    if (left < window && left < count) pages += left;
    starts[i] = pages;
    pages += count;
  }
  return pages;
}

/**
 * __finalise_sg(): entries become one segment where the first ends with a page, the second begins with one
 * right behind it, no boundary is between them, and the sum is not too long. The segments.
 */
function finalise(
  dev: Device,
  sgt: SgTable,
  window: number,
  base: number,
  starts: Float64Array,
  pages: number,
): number {
  const longest = Math.min(dev.dma_parms.max_segment_size, MAX_LENGTH);
  let nents = 0;
  /** Bytes of the segment that may go on; 0 for none. */
  let current = 0;
  for (let i = 0; i < sgt.orig_nents; i++) {
    const inPage = (sgt.offset[i] as number) & (PAGE_SIZE - 1);
    const length = sgt.length[i] as number;
    const start = starts[i] as number;
    // Linux subtracts without a sign: an entry that is too long by itself gets company.
    const fits = (longest - current) >>> 0 >= length;
    const joins = current > 0 && inPage === 0 && fits;
    if (joins && modulo(base + start, window) !== 0) {
      current += length;
    } else {
      sgt.dma_address[nents++] = (base + start) * PAGE_SIZE + inPage;
      current = length;
    }
    sgt.dma_length[nents - 1] = current;
    if (inPage + length < ((starts[i + 1] ?? pages) - start) * PAGE_SIZE) current = 0;
  }
  return nents;
}
