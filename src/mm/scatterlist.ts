/**
 * Scatterlists: memory that is in several pieces. In columns instead of objects, for there may be an
 * entry for each page of a buffer. Linux: <linux/scatterlist.h>, lib/scatterlist.c.
 */
import { errno } from '../errno.js';
import { PAGE_SIZE } from './page.js';

const UINT_MAX = 2 ** 32 - 1;

/** struct sg_table, with its scatterlist. Lengths and offsets in bytes. */
export class SgTable {
  /** Entries. */
  orig_nents: number;
  /** Segments that a device sees, once it is mapped: it may be fewer. */
  nents: number;
  /** By entry: the number of the first page frame. */
  readonly page: Uint32Array;
  /** By entry: where the bytes begin, from the first page frame on. */
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  /** By segment: where the device sees it. The first `nents` mean something, once it is mapped. */
  readonly dma_address: Float64Array;
  readonly dma_length: Uint32Array;

  /** @internal Made by {@link sgAllocTable} and its kin. */
  constructor(count: number) {
    this.orig_nents = count;
    this.nents = count;
    this.page = new Uint32Array(count);
    this.offset = new Uint32Array(count);
    this.length = new Uint32Array(count);
    this.dma_address = new Float64Array(count);
    this.dma_length = new Uint32Array(count);
  }
}

/** sg_alloc_table(): `count` entries, with nothing in them. EINVAL for none. */
export function sgAllocTable(count: number): SgTable {
  if (count === 0) throw errno('EINVAL');
  return new SgTable(count);
}

/** sg_set_page(): what entry `i` is of. Note the order: the length before the offset. */
export function sgSetPage(
  table: SgTable,
  i: number,
  pfn: number,
  length: number,
  offset: number,
): void {
  table.page[i] = pfn;
  table.offset[i] = offset;
  table.length[i] = length;
}

/**
 * sg_alloc_table_from_pages_segment(): `size` bytes, from byte `offset` of the first of `pages` on. Pages
 * that are physically adjacent become one entry, of `max_segment` bytes at most, which is rounded down
 * to whole pages. EINVAL if that leaves none, or if the pages do not hold that many bytes.
 */
export function sgAllocTableFromPagesSegment(
  pages: ArrayLike<number>,
  offset: number,
  size: number,
  max_segment: number,
): SgTable {
  const most = Math.floor(max_segment / PAGE_SIZE);
  const count = Math.ceil((offset + size) / PAGE_SIZE);
  if (most < 1 || size < 1 || count > pages.length) throw errno('EINVAL');

  let entries = 0;
  for (let i = 0; i < count; i = endOfRun(pages, i, count, most)) entries++;
  const table = new SgTable(entries);
  let from = offset;
  let left = size;
  for (let i = 0, entry = 0; i < count; entry++) {
    const end = endOfRun(pages, i, count, most);
    const length = Math.min(left, (end - i) * PAGE_SIZE - from);
    sgSetPage(table, entry, pages[i] as number, length, from);
    left -= length;
    from = 0;
    i = end;
  }
  return table;
}

/** The index after the last page that is in one piece with page `first`, of at most `most` pages. */
function endOfRun(pages: ArrayLike<number>, first: number, count: number, most: number): number {
  const limit = Math.min(count, first + most);
  let end = first + 1;
  while (end < limit && pages[end] === (pages[end - 1] as number) + 1) end++;
  return end;
}

/** sg_alloc_table_from_pages(): entries as long as they come. EINVAL. */
export function sgAllocTableFromPages(
  pages: ArrayLike<number>,
  offset: number,
  size: number,
): SgTable {
  return sgAllocTableFromPagesSegment(pages, offset, size, UINT_MAX);
}

/** A table of the same memory, mapped for nobody: what exporters make for each attachment. */
export function sgDupTable(table: SgTable): SgTable {
  const copy = new SgTable(table.orig_nents);
  copy.page.set(table.page);
  copy.offset.set(table.offset);
  copy.length.set(table.length);
  return copy;
}

/** for_each_sgtable_sg(): the entries, as the CPU sees them. */
export function* forEachSgtableSg(
  table: SgTable,
): Generator<{ page: number; offset: number; length: number }> {
  for (let i = 0; i < table.orig_nents; i++) {
    yield {
      page: table.page[i] as number,
      offset: table.offset[i] as number,
      length: table.length[i] as number,
    };
  }
}

/** for_each_sgtable_dma_sg(): the segments, as the device sees them. */
export function* forEachSgtableDmaSg(
  table: SgTable,
): Generator<{ dma_address: number; dma_length: number }> {
  for (let i = 0; i < table.nents; i++) {
    yield {
      dma_address: table.dma_address[i] as number,
      dma_length: table.dma_length[i] as number,
    };
  }
}

/** for_each_sgtable_page(): the numbers of all page frames that entries are in, in order. */
export function* forEachSgtablePage(table: SgTable): Generator<number> {
  for (let i = 0; i < table.orig_nents; i++) {
    const pfn = table.page[i] as number;
    const bytes = (table.offset[i] as number) + (table.length[i] as number);
    const count = Math.ceil(bytes / PAGE_SIZE);
    for (let page = 0; page < count; page++) yield pfn + page;
  }
}
