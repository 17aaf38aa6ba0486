import { describe, expect, test } from 'vitest';
import {
  Device,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  DmaFault,
  dmaMapSgtable,
  dmaSetMask,
  dmaUnmapSgtable,
  type SgTable,
} from '../../src/index.js';
import {
  columns,
  type Entry,
  expectErrno,
  expectNothingMapped,
  LOW,
  list,
  map,
  PAGE,
  segments,
  setUp,
  TestMemory,
} from './dma.js';

/** `count` frames of which no two are adjacent, an entry each. */
const scattered = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => [LOW + 2 * i, PAGE]);

/** The segments of entries for a device with such limits. */
function segmentsOf(
  dma_parms: { max_segment_size?: number; segment_boundary_mask?: number },
  ...entries: Entry[]
): [number, number][] {
  const { dev } = setUp({ iommu: true, dma_parms });
  const [sgt] = map(dev, DMA_TO_DEVICE, ...entries);
  expect(sgt.orig_nents).toBe(entries.length);
  return segments(sgt);
}

describe('segments', () => {
  test('scattered pages become as few as they may be long', () => {
    expect(segmentsOf({}, ...scattered(32))).toEqual([
      [0xfffe0000, 65536],
      [0xffff0000, 65536],
    ]);
    expect(segmentsOf({ max_segment_size: 10000 }, ...scattered(5))).toEqual([
      [0xffff8000, 8192],
      [0xffffa000, 8192],
      [0xffffc000, 4096],
    ]);
    expect(segmentsOf({ max_segment_size: 0xffffffff }, ...scattered(8192))).toEqual([
      [0xfe000000, 32 * 1024 * 1024],
    ]);
  });

  test('an entry that is longer than a segment may be stays whole, and has all that follow join it', () => {
    expect(segmentsOf({ max_segment_size: 8192 }, [LOW, 4 * PAGE], [LOW + 8, PAGE])).toEqual([
      [0xffff8000, 20480],
    ]);
  });

  test('they are joined only at the edges of pages', () => {
    const first: Entry = [LOW, PAGE - 100, 100];
    expect(segmentsOf({}, first, [LOW + 2, PAGE], [LOW + 4, 200], [LOW + 6, PAGE])).toEqual([
      [0xffffc064, PAGE - 100 + PAGE + 200],
      [0xfffff000, PAGE],
    ]);
    expect(segmentsOf({}, [LOW, PAGE], [LOW + 2, 100, 8])).toEqual([
      [0xffffe000, PAGE],
      [0xfffff008, 100],
    ]);
    // Adjacent memory too, since the pages of two entries are not shared.
    expect(segmentsOf({}, [LOW, 1024], [LOW, 1024, 1024])).toEqual([
      [0xffffe000, 1024],
      [0xfffff400, 1024],
    ]);
  });

  test('an offset of more than a page is in the frame that it leads to', () => {
    const { kernel, dev } = setUp({ iommu: true });
    const memory = new TestMemory(kernel, [LOW, LOW + 1, LOW + 2]);
    const [, address] = map(dev, DMA_TO_DEVICE, [LOW, PAGE, PAGE + 16]);
    expect(address).toBe(0xffffe010);
    const into = new Uint8Array(PAGE);
    dev.read(address, into);
    expect(into).toEqual(memory.content.subarray(PAGE + 16, 2 * PAGE + 16));
  });

  describe('with a boundary every 16 KiB', () => {
    const segment_boundary_mask = 0x3fff;

    test('a segment ends at a boundary', () => {
      expect(segmentsOf({ segment_boundary_mask }, ...scattered(8))).toEqual([
        [0xffff8000, 16384],
        [0xffffc000, 16384],
      ]);
    });

    test('an entry that would cross one begins behind it, and nothing is mapped in between', () => {
      const { dev, kernel } = setUp({ iommu: true, dma_parms: { segment_boundary_mask } });
      new TestMemory(
        kernel,
        Array.from({ length: 8 }, (_, i) => LOW + i),
      );
      const [sgt] = map(dev, DMA_TO_DEVICE, [LOW, 3 * PAGE], [LOW + 4, 3 * PAGE]);
      expect(segments(sgt)).toEqual([
        [0xffff8000, 3 * PAGE],
        [0xffffc000, 3 * PAGE],
      ]);
      dev.read(0xffff8000, new Uint8Array(3 * PAGE));
      dev.read(0xffffc000, new Uint8Array(3 * PAGE));
      for (const page of [0xffff7000, 0xffffb000, 0xfffff000]) {
        expect(() => dev.read(page, new Uint8Array(1))).toThrow(DmaFault);
      }
      dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
      expect(() => dev.read(0xffffc000, new Uint8Array(1))).toThrow(DmaFault);
      expectNothingMapped(dev);
    });

    test('an entry that just fits stays where it is', () => {
      expect(segmentsOf({ segment_boundary_mask }, [LOW, 3 * PAGE], [LOW + 8, PAGE])).toEqual([
        [0xffffc000, 16384],
      ]);
    });

    test('an entry that is longer crosses one, as it must', () => {
      expect(segmentsOf({ segment_boundary_mask }, [LOW, 5 * PAGE], [LOW + 8, PAGE])).toEqual([
        [0xffff8000, 6 * PAGE],
      ]);
    });
  });

  test('boundaries of 64 bits are none', () => {
    const dma_parms = { segment_boundary_mask: DMA_BIT_MASK(64) };
    expect(segmentsOf(dma_parms, ...scattered(4))).toEqual([[0xffffc000, 16384]]);
  });
});

describe('addresses', () => {
  test('are given from the top, aligned to the next power of two', () => {
    const { dev } = setUp({ iommu: true });
    const addresses = [1, 1, 3, 4, 1].map(
      (pages) => map(dev, DMA_TO_DEVICE, [LOW, pages * PAGE])[1],
    );
    expect(addresses).toEqual([0xfffff000, 0xffffe000, 0xffff8000, 0xffff4000, 0xffff3000]);
  });

  test('what is freed is given again', () => {
    const { dev } = setUp({ iommu: true });
    const tables = [1, 1, 1, 1].map((pages) => map(dev, DMA_TO_DEVICE, [LOW, pages * PAGE])[0]);
    dmaUnmapSgtable(dev, tables[1] as SgTable, DMA_TO_DEVICE);
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xffffe000);
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xffffb000);
  });

  test('are of 48 bits at most, and within the mask, which can change', () => {
    const { dev } = setUp({ iommu: true, dma_mask: DMA_BIT_MASK(64) });
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xfffffffff000);
    dmaSetMask(dev, DMA_BIT_MASK(36));
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xffffff000);
  });

  test('are each device’s own', () => {
    const { kernel, dev } = setUp({ iommu: true });
    const other = new Device(kernel, { name: 'display', iommu: true });
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xfffff000);
    expect(map(other, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xfffff000);
  });

  test('run out: ENOMEM, until some are freed', () => {
    const { dev } = setUp({ iommu: true, dma_mask: DMA_BIT_MASK(16) });
    const sgt = list([LOW, 8 * PAGE]);
    const before = columns(sgt);
    // 16 pages, but the first is never given.
    const tables = [8, 4, 2, 1].map((pages) => map(dev, DMA_TO_DEVICE, [LOW, pages * PAGE])[0]);
    expect(tables.map((table) => table.dma_address[0])).toEqual([0x8000, 0x4000, 0x2000, 0x1000]);
    expectErrno('ENOMEM', () => map(dev, DMA_TO_DEVICE, [LOW, 1]));
    expectErrno('ENOMEM', () => dmaMapSgtable(dev, sgt, DMA_TO_DEVICE));
    expect(columns(sgt)).toEqual(before);
    expect(dev.mappings).toBe(4);
    dmaUnmapSgtable(dev, tables[0] as SgTable, DMA_TO_DEVICE);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(segments(sgt)).toEqual([[0x8000, 8 * PAGE]]);
  });

  test('a place above those that were given last is found when there is none below', () => {
    const { dev } = setUp({ iommu: true, dma_mask: DMA_BIT_MASK(16) });
    // Leaves a hole of a page at the top, and takes the rest.
    expect(map(dev, DMA_TO_DEVICE, [LOW, 7 * PAGE])[1]).toBe(0x8000);
    expect(map(dev, DMA_TO_DEVICE, [LOW, 4 * PAGE])[1]).toBe(0x4000);
    expect(map(dev, DMA_TO_DEVICE, [LOW, 2 * PAGE])[1]).toBe(0x2000);
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0x1000);
    expect(map(dev, DMA_TO_DEVICE, [LOW, PAGE])[1]).toBe(0xf000);
  });

  test('that are made to fail leave nothing', () => {
    const { kernel, dev } = setUp({ iommu: true });
    new TestMemory(kernel, [LOW]);
    const sgt = list([LOW, PAGE]);
    const before = columns(sgt);
    const asked: string[] = [];
    kernel.memory.failNext = (what) => asked.push(what) === 1;
    expectErrno('ENOMEM', () => dmaMapSgtable(dev, sgt, DMA_TO_DEVICE));
    expect(columns(sgt)).toEqual(before);
    expectNothingMapped(dev);
    expect(() => dev.read(0xfffff000, new Uint8Array(1))).toThrow(DmaFault);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(sgt.dma_address[0]).toBe(0xfffff000);
    expect(asked).toEqual(['iova', 'iova']);
  });

  test('a table that is mapped again is unmapped once: the first mapping is lost', () => {
    const { kernel, dev } = setUp({ iommu: true });
    new TestMemory(kernel, [LOW]);
    const sgt = list([LOW, PAGE]);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(kernel.log.records.map(({ text }) => text)).toEqual([
      'DMA-API: gpu: device driver tries to free DMA memory it has not allocated ' +
        '[device address=0x00000000ffffe000] [size=4096 bytes]',
    ]);
    expect(dev.mappings).toBe(1);
    dev.close();
    expectNothingMapped(dev);
  });

  test('random ranges never overlap, and all can be given again', () => {
    const { dev } = setUp({ iommu: true, dma_mask: DMA_BIT_MASK(24) });
    const live = new Map<SgTable, [start: number, end: number]>();
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed % below;
    };
    let refused = 0;
    for (let step = 0; step < 3000; step++) {
      if (random(5) < 3) {
        const pages = 1 + random(random(4) ? 40 : 700);
        const sgt = list([LOW, pages * PAGE]);
        try {
          dmaMapSgtable(dev, sgt, DMA_FROM_DEVICE);
        } catch {
          refused++;
          continue;
        }
        const [[start, length]] = segments(sgt) as [[number, number]];
        expect(start % (2 ** Math.ceil(Math.log2(pages)) * PAGE)).toBe(0);
        expect(start).toBeGreaterThan(0);
        expect(start + length).toBeLessThanOrEqual(2 ** 24);
        for (const [from, to] of live.values()) {
          if (start < to && from < start + length) throw new Error('they overlap');
        }
        live.set(sgt, [start, start + length]);
      } else {
        const sgt = [...live.keys()][random(live.size || 1)];
        if (!sgt) continue;
        live.delete(sgt);
        dmaUnmapSgtable(dev, sgt, DMA_FROM_DEVICE);
      }
    }
    expect(refused).toBeGreaterThan(0);
    for (const sgt of live.keys()) dmaUnmapSgtable(dev, sgt, DMA_FROM_DEVICE);
    expectNothingMapped(dev);
    // All but the lower half, of which page 0 is not to be had.
    expect(map(dev, DMA_TO_DEVICE, [LOW, 2 ** 23])[1]).toBe(2 ** 23);
    expect(map(dev, DMA_TO_DEVICE, [LOW, 2 ** 22])[1]).toBe(2 ** 22);
  });
});

test('a large buffer of pages here and there is one to the device', () => {
  const { kernel, dev } = setUp({ iommu: true, dma_parms: { max_segment_size: 2 ** 30 } });
  const count = 3000;
  const frames = Array.from({ length: count }, (_, i) => LOW + ((i * 1009) % count) * 2);
  const memory = new TestMemory(kernel, frames);
  const before = memory.content.slice();
  const [sgt, address] = map(dev, DMA_BIDIRECTIONAL, ...frames.map((pfn): Entry => [pfn, PAGE]));
  expect(segments(sgt)).toEqual([[(2 ** 20 - 4096) * PAGE, count * PAGE]]);
  const into = new Uint8Array(count * PAGE - 10);
  dev.read(address + 5, into);
  expect(Buffer.compare(into, before.subarray(5, -5))).toBe(0);
  dev.copy(address + 1000 * PAGE + 3, address + 7, 999 * PAGE);
  before.copyWithin(1000 * PAGE + 3, 7, 7 + 999 * PAGE);
  expect(Buffer.compare(memory.content, before)).toBe(0);
  dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
  expectNothingMapped(dev);
});

test('what is copied between memories goes where it belongs, however each of them lies', () => {
  const { kernel, dev } = setUp({ iommu: true });
  // Pages of two memories in turn, on either side.
  const one = new TestMemory(kernel, [LOW, LOW + 1, LOW + 2, LOW + 3]);
  const other = new TestMemory(kernel, [LOW + 10, LOW + 11, LOW + 12, LOW + 13]);
  other.content.fill(0xaa);
  const [, from] = map(dev, DMA_TO_DEVICE, [LOW + 3, PAGE], [LOW + 1, PAGE], [LOW, 2 * PAGE]);
  const [, to] = map(dev, DMA_FROM_DEVICE, [LOW + 12, 2 * PAGE], [LOW + 10, 2 * PAGE]);
  const [from0, from1, from2, from3] = [3, 1, 0, 1].map((page) =>
    one.content.slice(page * PAGE, (page + 1) * PAGE),
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const source = Buffer.concat([from0, from1, from2, from3]);
  dev.copy(to + 100, from + 50, 3 * PAGE);
  const expected = Buffer.alloc(4 * PAGE, 0xaa);
  source.copy(expected, 100, 50, 50 + 3 * PAGE);
  const result = Buffer.concat([
    other.content.subarray(2 * PAGE),
    other.content.subarray(0, 2 * PAGE),
  ]);
  expect(Buffer.compare(result, expected)).toBe(0);
});
