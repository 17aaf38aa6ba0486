import { describe, expect, test } from 'vitest';
import { PAGE_SIZE } from '../../src/mm/page.js';
import { random } from '../../src/mm/random.js';
import {
  forEachSgtableDmaSg,
  forEachSgtablePage,
  forEachSgtableSg,
  type SgTable,
  sgAllocTable,
  sgAllocTableFromPages,
  sgAllocTableFromPagesSegment,
  sgDupTable,
  sgSetPage,
} from '../../src/mm/scatterlist.js';

const EINVAL = expect.objectContaining({ code: 'EINVAL' });
const UINT_MAX = 2 ** 32 - 1;

/** The entries as [page, offset, length]. */
const entries = (table: SgTable) =>
  [...forEachSgtableSg(table)].map(({ page, offset, length }) => [page, offset, length]);

/** Page frames, as runs of [first, count]. */
const frames = (...runs: [first: number, count: number][]) =>
  runs.flatMap(([first, count]) => Array.from({ length: count }, (_, i) => first + i));

describe('a table made entry by entry', () => {
  test('has room for as many entries as were asked for', () => {
    const table = sgAllocTable(3);
    expect([table.orig_nents, table.nents]).toEqual([3, 3]);
    sgSetPage(table, 0, 2 ** 32 - 1, PAGE_SIZE, 0);
    sgSetPage(table, 1, 7, 2 ** 31, 12);
    sgSetPage(table, 2, 0, 1, PAGE_SIZE - 1);
    expect(entries(table)).toEqual([
      [2 ** 32 - 1, 0, PAGE_SIZE],
      [7, 12, 2 ** 31],
      [0, PAGE_SIZE - 1, 1],
    ]);
  });

  test('of no entries is EINVAL', () => {
    expect(() => sgAllocTable(0)).toThrow(EINVAL);
  });
});

describe('a table made from pages', () => {
  test('has one entry for pages in a row', () => {
    const table = sgAllocTableFromPages(frames([100, 8]), 0, 8 * PAGE_SIZE);
    expect(entries(table)).toEqual([[100, 0, 8 * PAGE_SIZE]]);
    expect([table.orig_nents, table.nents, table.page.length]).toEqual([1, 1, 1]);
  });

  test('begins an entry wherever the next page is not the next frame', () => {
    const pages = frames([100, 2], [103, 1], [102, 1], [50, 3], [52, 1]);
    expect(entries(sgAllocTableFromPages(pages, 0, pages.length * PAGE_SIZE))).toEqual([
      [100, 0, 2 * PAGE_SIZE],
      [103, 0, PAGE_SIZE],
      [102, 0, PAGE_SIZE],
      [50, 0, 3 * PAGE_SIZE],
      [52, 0, PAGE_SIZE],
    ]);
  });

  test('begins within the first page, and ends within the last', () => {
    const pages = frames([100, 2], [200, 2]);
    expect(entries(sgAllocTableFromPages(pages, 100, 4 * PAGE_SIZE - 300))).toEqual([
      [100, 100, 2 * PAGE_SIZE - 100],
      [200, 0, 2 * PAGE_SIZE - 200],
    ]);
    expect(entries(sgAllocTableFromPages(frames([9, 1]), 10, 20))).toEqual([[9, 10, 20]]);
  });

  test('leaves pages alone that the bytes do not reach', () => {
    expect(entries(sgAllocTableFromPages(frames([100, 8], [5, 1]), 0, PAGE_SIZE + 1))).toEqual([
      [100, 0, PAGE_SIZE + 1],
    ]);
  });

  test('entries are no longer than max_segment, in whole pages', () => {
    const pages = frames([100, 5], [200, 2]);
    const expected = [
      [100, 0, 2 * PAGE_SIZE],
      [102, 0, 2 * PAGE_SIZE],
      [104, 0, PAGE_SIZE],
      [200, 0, 2 * PAGE_SIZE],
    ];
    for (const max of [2 * PAGE_SIZE, 3 * PAGE_SIZE - 1]) {
      expect(entries(sgAllocTableFromPagesSegment(pages, 0, 7 * PAGE_SIZE, max))).toEqual(expected);
    }
    // The pages count, and not the bytes of the first that are left out.
    expect(
      entries(sgAllocTableFromPagesSegment(pages, 96, 7 * PAGE_SIZE - 96, 2 * PAGE_SIZE)),
    ).toEqual([[100, 96, 2 * PAGE_SIZE - 96], ...expected.slice(1)]);
  });

  test('a max_segment of less than a page is EINVAL', () => {
    const pages = frames([100, 2]);
    for (const max of [0, 1, PAGE_SIZE - 1]) {
      expect(() => sgAllocTableFromPagesSegment(pages, 0, PAGE_SIZE, max)).toThrow(EINVAL);
    }
    expect(sgAllocTableFromPagesSegment(pages, 0, 2 * PAGE_SIZE, PAGE_SIZE).nents).toBe(2);
  });

  test('more bytes than the pages hold, or none, are EINVAL', () => {
    expect(() => sgAllocTableFromPages(frames([1, 2]), 0, 2 * PAGE_SIZE + 1)).toThrow(EINVAL);
    expect(() => sgAllocTableFromPages(frames([1, 2]), 1, 2 * PAGE_SIZE)).toThrow(EINVAL);
    expect(() => sgAllocTableFromPages(frames([1, 2]), 0, 0)).toThrow(EINVAL);
    expect(() => sgAllocTableFromPages([], 0, 1)).toThrow(EINVAL);
  });

  test('an entry is less than 4 GiB long, whatever is adjacent', () => {
    const count = 2 ** 20 + 1;
    const pages = Uint32Array.from({ length: count }, (_, i) => 2 ** 20 + i);
    expect(entries(sgAllocTableFromPages(pages, 0, count * PAGE_SIZE))).toEqual([
      [2 ** 20, 0, 2 ** 32 - PAGE_SIZE],
      [2 ** 21 - 1, 0, 2 * PAGE_SIZE],
    ]);
  });

  test('has the bytes of the pages, all and in order, in as few entries as can be', () => {
    const next = random(1);
    for (let round = 0; round < 200; round++) {
      const pages: number[] = [];
      while (pages.length < 40) {
        const first = Math.floor(next() * 1000);
        pages.push(...frames([first, 1 + Math.floor(next() * 6)]));
      }
      const offset = Math.floor(next() * PAGE_SIZE);
      const size = 1 + Math.floor(next() * (pages.length * PAGE_SIZE - offset));
      const most = 1 + Math.floor(next() * 5);
      const max = next() < 0.3 ? UINT_MAX : most * PAGE_SIZE + Math.floor(next() * PAGE_SIZE);
      const table = sgAllocTableFromPagesSegment(pages, offset, size, max);
      const used = Math.ceil((offset + size) / PAGE_SIZE);

      expect([...forEachSgtablePage(table)]).toEqual(pages.slice(0, used));
      const all = [...forEachSgtableSg(table)];
      expect(all.reduce((sum, { length }) => sum + length, 0)).toBe(size);
      for (const [i, { page, offset: from, length }] of all.entries()) {
        expect(from).toBe(i === 0 ? offset : 0);
        expect(from + length).toBeLessThanOrEqual(max);
        const before = all[i - 1];
        if (!before) continue;
        const count = (before.offset + before.length) / PAGE_SIZE;
        expect(Number.isInteger(count)).toBe(true);
        // What would go on where the last entry ends is only cut because that is full.
        if (before.page + count === page) expect(count).toBe(Math.floor(max / PAGE_SIZE));
      }
    }
  });
});

describe('going through a table', () => {
  test('pages are all those that any byte is in', () => {
    const table = sgAllocTable(3);
    sgSetPage(table, 0, 10, 2, PAGE_SIZE - 1);
    sgSetPage(table, 1, 20, PAGE_SIZE, 0);
    sgSetPage(table, 2, 30, 2 * PAGE_SIZE + 1, 0);
    expect([...forEachSgtablePage(table)]).toEqual([10, 11, 20, 30, 31, 32]);
  });

  test('a device sees the segments that it was mapped as, the CPU the entries', () => {
    const table = sgAllocTableFromPages(frames([10, 1], [20, 1], [30, 1]), 0, 3 * PAGE_SIZE);
    table.nents = 2;
    table.dma_address.set([2 ** 40, 2 ** 52 + 1, 99]);
    table.dma_length.set([2 * PAGE_SIZE, PAGE_SIZE, 99]);
    expect([...forEachSgtableDmaSg(table)]).toEqual([
      { dma_address: 2 ** 40, dma_length: 2 * PAGE_SIZE },
      { dma_address: 2 ** 52 + 1, dma_length: PAGE_SIZE },
    ]);
    expect(entries(table)).toHaveLength(3);
    expect([...forEachSgtablePage(table)]).toEqual([10, 20, 30]);
  });
});

describe('a copy', () => {
  test('is of the same memory, mapped for nobody, and on its own', () => {
    const table = sgAllocTableFromPages(frames([10, 2], [20, 1]), 5, 3 * PAGE_SIZE - 5);
    table.nents = 1;
    table.dma_address[0] = 4096;
    table.dma_length[0] = 3 * PAGE_SIZE;
    const copy = sgDupTable(table);
    expect(entries(copy)).toEqual(entries(table));
    expect([copy.orig_nents, copy.nents]).toEqual([2, 2]);
    expect([...copy.dma_address, ...copy.dma_length]).toEqual([0, 0, 0, 0]);
    sgSetPage(copy, 0, 99, 1, 0);
    copy.dma_address[0] = 1;
    expect(entries(table)[0]).toEqual([10, 5, 2 * PAGE_SIZE - 5]);
    expect(table.dma_address[0]).toBe(4096);
  });
});
