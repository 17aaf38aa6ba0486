import { totalmem } from 'node:os';
import { describe, expect, test } from 'vitest';
import { Kernel } from '../../src/index.js';
import { PAGE_SIZE } from '../../src/mm/page.js';
import {
  GFP_DMA32,
  GFP_KERNEL,
  MAX_PAGE_ORDER,
  type MemoryOptions,
  PageAllocator,
} from '../../src/mm/page_alloc.js';
import { random } from '../../src/mm/random.js';
import { cpuTime, testKernel } from '../run.js';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
/** Frames of a block of the highest order. */
const BLOCK = 1 << MAX_PAGE_ORDER;
const FIRST = MiB / PAGE_SIZE;
const HOLE = (3 * GiB) / PAGE_SIZE;
const NORMAL = (4 * GiB) / PAGE_SIZE;

function allocator(options: MemoryOptions, reclaim = () => {}): PageAllocator {
  return new PageAllocator(options, reclaim);
}

/** Blocks of an order, until there are no more, or as many as are asked for. */
function take(memory: PageAllocator, order: number, count = Infinity, gfp = GFP_KERNEL): number[] {
  const pfns: number[] = [];
  while (pfns.length < count) {
    const pfn = memory.allocPages(order, gfp);
    if (pfn === undefined) break;
    pfns.push(pfn);
  }
  return pfns;
}

/** A block that has to be there. */
function one(memory: PageAllocator, order: number, gfp = GFP_KERNEL): number {
  const pfn = memory.allocPages(order, gfp);
  if (pfn === undefined) throw new Error(`no block of order ${order}`);
  return pfn;
}

describe('options', () => {
  test.each<[keyof MemoryOptions, number]>([
    ['size', -1],
    ['size', Number.NaN],
    ['size', Number.POSITIVE_INFINITY],
    ['size', 2 ** 42 + 1],
    ['cma', -1],
    ['cma', Number.NaN],
    ['cma', 3 * GiB],
    ['fragmentation', -0.1],
    ['fragmentation', 1.1],
    ['fragmentation', Number.NaN],
    ['seed', 0.5],
    ['seed', Number.NaN],
  ])('%s: %d is a RangeError that names it', (name, value) => {
    const make = () => new Kernel({ memory: { [name]: value } });
    expect(make).toThrow(RangeError);
    expect(make).toThrow(`memory.${name} is ${value}`);
  });

  test('by default there is what the machine has, whole, and no CMA area', () => {
    const { memory } = testKernel();
    const size = Math.floor(Math.min(totalmem(), 2 ** 42) / PAGE_SIZE) * PAGE_SIZE;
    expect(memory.size).toBe(size);
    expect(memory.meminfo()).toEqual({ MemTotal: size, MemFree: size, CmaTotal: 0, CmaFree: 0 });
  });

  test('parts of pages do not count', () => {
    const memory = allocator({ size: 3 * PAGE_SIZE + 1, cma: 2 * PAGE_SIZE + 1 });
    expect(memory.size).toBe(3 * PAGE_SIZE);
    expect(memory.meminfo().CmaTotal).toBe(2 * PAGE_SIZE);
    expect(take(memory, 0)).toHaveLength(3);
  });

  test('there may be no memory at all', () => {
    const memory = allocator({ size: 0 });
    expect(memory.allocPages(0)).toBeUndefined();
    expect(memory.cmaAlloc(1, 0)).toBeUndefined();
  });
});

describe('what is given', () => {
  test.each([0, 1, 4, 8, 10])('of order %d: neighbours, ascending, aligned', (order) => {
    const memory = allocator({ size: 64 * GiB });
    const pfns = take(memory, order, 3000);
    expect(pfns).toEqual(Array.from({ length: 3000 }, (_, i) => NORMAL + i * 2 ** order));
    expect(memory.used).toBe(3000 * PAGE_SIZE * 2 ** order);
    expect(memory.meminfo().MemFree).toBe(memory.size - memory.used);
  });

  test('there is no block above the highest order', () => {
    expect(allocator({ size: GiB }).allocPages(MAX_PAGE_ORDER + 1)).toBeUndefined();
  });

  test('what was freed is given before what was never used', () => {
    const memory = allocator({ size: 8 * GiB });
    const pfns = take(memory, 8, 6);
    memory.freePages(pfns[1] as number, 8);
    expect(memory.allocPages(0)).toBe(pfns[1]);
  });

  test('the smallest block that will do is the one that is split', () => {
    const memory = allocator({ size: 8 * GiB });
    const [first, second] = [one(memory, 10), one(memory, 10)];
    const frame = one(memory, 0);
    expect(frame).toBe(second + BLOCK);
    memory.freePages(first, 10);
    // Next to the frame there is one left over; the whole block is kept whole.
    expect(memory.allocPages(0)).toBe(frame + 1);
    expect(memory.allocPages(10)).toBe(first);
  });

  test('buddies merge, in whatever order they are freed', () => {
    const next = random(7);
    const memory = allocator({ size: 16 * MiB });
    const frames = take(memory, 0);
    expect(frames).toHaveLength(16 * 256);
    expect(memory.allocPages(0)).toBeUndefined();
    frames.sort(() => next() - 0.5);
    for (const pfn of frames) memory.freePages(pfn, 0);
    expect(memory.used).toBe(0);
    // From 1 MiB to 17 MiB there are three aligned blocks of 4 MiB, and 1 + 2 + 1 MiB around them.
    expect(take(memory, 10)).toHaveLength(3);
    expect(take(memory, 9)).toHaveLength(1);
    expect(take(memory, 8)).toHaveLength(2);
    expect(memory.used).toBe(memory.size);
  });

  test('neighbours that are no buddies do not merge', () => {
    const memory = allocator({ size: GiB });
    const frames = take(memory, 0);
    const odd = frames.find((pfn) => pfn % 2 === 1) as number;
    memory.freePages(odd, 0);
    memory.freePages(odd + 1, 0);
    expect(memory.allocPages(1)).toBeUndefined();
    expect(take(memory, 0).sort((a, b) => a - b)).toEqual([odd, odd + 1]);
  });

  test('a block that is freed twice, or not as it was given, is an error and changes nothing', () => {
    const memory = allocator({ size: GiB });
    const pfn = one(memory, 3);
    const message = /__free_pages: no block of order \d+ was given out/;
    expect(() => memory.freePages(pfn, 2)).toThrow(message);
    expect(() => memory.freePages(pfn, 4)).toThrow(message);
    expect(() => memory.freePages(pfn + 1, 0)).toThrow(message);
    expect(() => memory.freePages(pfn + 8, 3)).toThrow(message);
    for (const never of [0, -1, HOLE, NORMAL, 2 ** 32]) {
      expect(() => memory.freePages(never, 0)).toThrow(message);
    }
    expect(memory.used).toBe(8 * PAGE_SIZE);
    memory.freePages(pfn, 3);
    expect(() => memory.freePages(pfn, 3)).toThrow(message);
    expect(memory.used).toBe(0);
  });

  test('that a block has merged since does not hide that it is freed twice', () => {
    const memory = allocator({ size: GiB });
    const [lower, upper] = [one(memory, 0), one(memory, 0)];
    memory.freePages(lower, 0);
    memory.freePages(upper, 0);
    for (const pfn of [lower, upper]) expect(() => memory.freePages(pfn, 0)).toThrow(/free_pages/);
    expect(memory.used).toBe(0);
  });

  test.each([0, 0.5, 0.95, 1])('no frame is given twice (fragmentation %d)', (fragmentation) => {
    const next = random(42);
    const memory = allocator({ size: 48 * MiB, fragmentation, seed: 5 });
    const taken = new Set<number>();
    const held: { pfn: number; order: number }[] = [];
    for (let i = 0; i < 20_000; i++) {
      // Waves: mostly giving, then mostly freeing.
      if (next() < (i % 4000 < 2000 ? 0.7 : 0.3)) {
        const order = Math.floor(next() ** 3 * 8);
        const pfn = memory.allocPages(order);
        if (pfn === undefined) continue;
        expect(pfn % 2 ** order).toBe(0);
        for (let frame = pfn; frame < pfn + 2 ** order; frame++) {
          expect(taken.has(frame)).toBe(false);
          taken.add(frame);
        }
        held.push({ pfn, order });
      } else if (held.length > 0) {
        const [block] = held.splice(Math.floor(next() * held.length), 1);
        const { pfn, order } = block as (typeof held)[number];
        memory.freePages(pfn, order);
        for (let frame = pfn; frame < pfn + 2 ** order; frame++) taken.delete(frame);
      }
      expect(memory.used).toBe(taken.size * PAGE_SIZE);
    }
    for (const { pfn, order } of held) memory.freePages(pfn, order);
    expect(memory.used).toBe(0);
    expect(take(memory, 0)).toHaveLength(memory.size / PAGE_SIZE);
  });
});

describe('zones', () => {
  test('what fits below 3 GiB lies there, from 1 MiB on', () => {
    const memory = allocator({ size: 2 * GiB });
    const frames = take(memory, 0);
    expect(frames).toEqual(Array.from({ length: 2 * (GiB / PAGE_SIZE) }, (_, i) => FIRST + i));
  });

  test('memory from 4 GiB on is taken first; the hole below it, and the first MiB, are never', () => {
    const memory = allocator({ size: 4 * GiB });
    const blocks = take(memory, 8);
    expect(blocks).toHaveLength(memory.size / MiB);
    expect(blocks[0]).toBe(NORMAL);
    const low = blocks.findIndex((pfn) => pfn < NORMAL);
    // All but 3 GiB, less the first MiB, is above.
    expect(low).toBe(GiB / MiB + 1);
    expect(blocks.slice(low).every((pfn) => pfn >= FIRST && pfn < HOLE)).toBe(true);
    expect(blocks.slice(0, low).every((pfn) => pfn >= NORMAL)).toBe(true);
    expect(new Set(blocks).size).toBe(blocks.length);
  });

  test('GFP_DMA32 is below 4 GiB, and has an end', () => {
    const memory = allocator({ size: 4 * GiB });
    const blocks = take(memory, 8, Infinity, GFP_DMA32);
    expect(blocks).toHaveLength((3 * GiB) / MiB - 1);
    expect(Math.max(...blocks)).toBe(HOLE - 256);
    expect(memory.allocPages(0)).toBe(NORMAL);
  });

  test('the zones do not get what is freed mixed up', () => {
    const memory = allocator({ size: 8 * GiB });
    const [low, high] = [one(memory, 0, GFP_DMA32), one(memory, 0)];
    expect([low, high]).toEqual([FIRST, NORMAL]);
    memory.freePages(low, 0);
    memory.freePages(high, 0);
    expect(memory.allocPages(0)).toBe(high);
    expect(memory.allocPages(0, GFP_DMA32)).toBe(low);
  });
});

describe('fragmentation', () => {
  test('at 1 no two free frames are buddies, and one of each two is in use', () => {
    const memory = allocator({ size: 32 * MiB, fragmentation: 1 });
    expect(memory.allocPages(1)).toBeUndefined();
    const frames = take(memory, 0);
    expect(frames).toHaveLength((32 * MiB) / PAGE_SIZE);
    expect(new Set(frames.map((pfn) => pfn >> 1)).size).toBe(frames.length);
    // Not always the same of the two.
    const odd = frames.filter((pfn) => pfn % 2 === 1).length / frames.length;
    expect(odd).toBeGreaterThan(0.4);
    expect(odd).toBeLessThan(0.6);
    // The whole takes twice its size.
    expect(frames.at(-1)).toBeGreaterThan(FIRST + (63 * MiB) / PAGE_SIZE);
    expect(frames.at(-1)).toBeLessThan(FIRST + (64 * MiB) / PAGE_SIZE);
    for (const pfn of frames) memory.freePages(pfn, 0);
    expect(memory.allocPages(1)).toBeUndefined();
  });

  test('single frames ascend nevertheless', () => {
    const frames = take(allocator({ size: 8 * GiB, fragmentation: 1 }), 0, 5000);
    expect(frames).toEqual(frames.toSorted((a, b) => a - b));
  });

  test('in between, some blocks are whole: about as many as the option says', () => {
    for (const fragmentation of [0.2, 0.5, 0.8]) {
      const memory = allocator({ size: 8 * GiB, fragmentation });
      const whole = take(memory, 10, 300);
      expect(whole).toHaveLength(300);
      const carved = ((whole.at(-1) as number) - NORMAL) / BLOCK + 1;
      expect(whole.length / carved).toBeGreaterThan(1 - fragmentation - 0.1);
      expect(whole.length / carved).toBeLessThan(1 - fragmentation + 0.1);
    }
  });

  test('a broken block has frames in use, and some of its halves whole', () => {
    const memory = allocator({ size: 8 * GiB, fragmentation: 0.5 });
    const [first = 0] = take(memory, 10, 50);
    expect(first).toBeGreaterThanOrEqual(NORMAL);
    // What is left in what was carved are pieces of broken blocks, of all orders.
    for (let order = 9; order >= 0; order--) {
      const pfn = one(memory, order);
      memory.freePages(pfn, order);
    }
  });

  test('all of the size can be had, in both zones, whatever the fragmentation', () => {
    for (const fragmentation of [0.3, 0.9, 1]) {
      const memory = allocator({ size: 3 * GiB + 5 * PAGE_SIZE, fragmentation, seed: 9 });
      const seen = new Uint8Array(2 ** 21);
      let count = 0;
      for (let pfn = memory.allocPages(0); pfn !== undefined; pfn = memory.allocPages(0)) {
        // No expect(): there are 786,437 of them.
        if (seen[pfn] !== 0 || pfn < FIRST || (pfn >= HOLE && pfn < NORMAL)) {
          throw new Error(`frame ${pfn} given`);
        }
        seen[pfn] = 1;
        count++;
      }
      expect(count).toBe(memory.size / PAGE_SIZE);
      expect(memory.used).toBe(memory.size);
    }
  });

  test('what DMA32 turns out not to have is above 4 GiB', () => {
    // Which seeds have more frames in use than on average is chance: some of these do.
    const above = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
      const memory = allocator({ size: 3 * GiB, fragmentation: 0.8, seed });
      const low = take(memory, 0, Infinity, GFP_DMA32).length;
      const rest = take(memory, 0);
      expect(low + rest.length).toBe(memory.size / PAGE_SIZE);
      expect(rest.every((pfn) => pfn >= NORMAL)).toBe(true);
      return rest.length;
    });
    expect(new Set(above).size).toBeGreaterThan(1);
  });

  test('a seed gives the same memory each time, another seed other memory', () => {
    const frames = (seed: number) =>
      take(allocator({ size: GiB, fragmentation: 0.9, seed }), 0, 2000);
    expect(frames(1)).toEqual(frames(1));
    expect(frames(1)).not.toEqual(frames(2));
    expect(frames(2 ** 40 + 1)).toHaveLength(2000);
  });

  test('no search goes through all of a large memory', () => {
    const memory = allocator({ size: 2 ** 42, fragmentation: 1 - 2 ** -40 });
    const took = cpuTime(() => expect(memory.allocPages(MAX_PAGE_ORDER)).toBeUndefined());
    // To lay 4 TiB out would take a minute.
    expect(took).toBeLessThan(10_000);
  });
});

describe('when memory is short', () => {
  test('it is reclaimed, once, before an allocation fails', () => {
    let calls = 0;
    let give = () => {};
    const memory = allocator({ size: 4 * PAGE_SIZE, cma: 4 * PAGE_SIZE }, () => {
      calls++;
      give();
    });
    const frames = take(memory, 0, 4);
    expect(calls).toBe(0);
    expect(memory.allocPages(0)).toBeUndefined();
    expect(calls).toBe(1);
    give = () => memory.freePages(frames.pop() as number, 0);
    const last = frames.at(-1);
    expect(memory.allocPages(0)).toBe(last);
    expect(calls).toBe(2);

    const pfn = memory.cmaAlloc(3, 0) as number;
    give = () => {};
    expect(memory.cmaAlloc(2, 0)).toBeUndefined();
    expect(calls).toBe(3);
    give = () => memory.cmaRelease(pfn, 3);
    expect(memory.cmaAlloc(2, 0)).toBe(pfn);
    expect(calls).toBe(4);
  });

  test('failNext is asked before each allocation, and has it fail', () => {
    let calls = 0;
    const memory = allocator({ size: GiB, cma: MiB }, () => calls++);
    const asked: string[] = [];
    memory.failNext = (what) => asked.push(what) % 2 === 0;
    expect(memory.allocPages(0)).toBe(FIRST);
    expect(memory.allocPages(0)).toBeUndefined();
    expect(memory.cmaAlloc(1, 0)).toBeDefined();
    expect(memory.cmaAlloc(1, 0)).toBeUndefined();
    expect(asked).toEqual(['alloc_pages', 'alloc_pages', 'cma_alloc', 'cma_alloc']);
    // What is made to fail is not for want of memory.
    expect(calls).toBe(0);
    expect(memory.used).toBe(PAGE_SIZE);
    memory.failNext = undefined;
    expect(memory.allocPages(0)).toBe(FIRST + 1);
  });
});

describe('the CMA area', () => {
  test('lies at the top of DMA32, where nothing else is given, and does not count', () => {
    const memory = allocator({ size: 4 * GiB, cma: 64 * MiB });
    const count = (64 * MiB) / PAGE_SIZE;
    expect(memory.cmaAlloc(count, 8)).toBe(HOLE - count);
    expect(memory.used).toBe(0);
    expect(memory.meminfo()).toEqual({
      MemTotal: 4 * GiB + 64 * MiB,
      MemFree: 4 * GiB,
      CmaTotal: 64 * MiB,
      CmaFree: 0,
    });
    const blocks = take(memory, 8);
    expect(blocks).toHaveLength((4 * GiB) / MiB);
    expect(blocks.some((pfn) => pfn >= HOLE - count && pfn < HOLE)).toBe(false);
  });

  test('is as large as asked for, not larger', () => {
    const memory = allocator({ size: GiB, cma: 5 * PAGE_SIZE });
    expect(memory.cmaAlloc(6, 0)).toBeUndefined();
    expect(memory.cmaAlloc(0, 0)).toBeUndefined();
    expect(memory.cmaAlloc(5, 0)).toBe(HOLE - BLOCK);
    expect(memory.cmaAlloc(1, 0)).toBeUndefined();
  });

  test('gives the first frames that will do, aligned', () => {
    const memory = allocator({ size: GiB, cma: 16 * MiB });
    const base = HOLE - (16 * MiB) / PAGE_SIZE;
    expect(memory.cmaAlloc(3, 0)).toBe(base);
    expect(memory.cmaAlloc(16, 4)).toBe(base + 16);
    // Into the gap that the alignment left.
    expect(memory.cmaAlloc(13, 0)).toBe(base + 3);
    expect(memory.cmaAlloc(1, 0)).toBe(base + 32);
    expect(memory.meminfo().CmaFree).toBe(16 * MiB - 33 * PAGE_SIZE);
  });

  test('what is released joins what is free next to it', () => {
    const memory = allocator({ size: GiB, cma: 4 * MiB });
    const pieces = Array.from({ length: 4 }, () => memory.cmaAlloc(256, 8) as number);
    const [a = 0, b = 0, c = 0, d = 0] = pieces;
    expect(memory.cmaAlloc(1, 0)).toBeUndefined();
    memory.cmaRelease(a, 256);
    memory.cmaRelease(c, 256);
    expect(memory.cmaAlloc(257, 0)).toBeUndefined();
    memory.cmaRelease(b, 256);
    expect(memory.cmaAlloc(768, 0)).toBe(a);
    memory.cmaRelease(d, 256);
    memory.cmaRelease(a, 768);
    expect(memory.cmaAlloc(1024, 10)).toBe(a);
  });

  test('what was not given cannot be released', () => {
    const memory = allocator({ size: GiB, cma: 4 * MiB });
    const pfn = memory.cmaAlloc(4, 0) as number;
    for (const [at, count] of [
      [pfn, 3],
      [pfn + 1, 3],
      [pfn + 4, 4],
    ] as const) {
      expect(() => memory.cmaRelease(at, count)).toThrow(/cma_release/);
    }
    memory.cmaRelease(pfn, 4);
    expect(() => memory.cmaRelease(pfn, 4)).toThrow(/cma_release/);
    expect(memory.meminfo().CmaFree).toBe(4 * MiB);
  });

  test('no frame is given twice', () => {
    const next = random(3);
    const memory = allocator({ size: 0, cma: 8 * MiB });
    const taken = new Set<number>();
    const held: { pfn: number; count: number }[] = [];
    for (let i = 0; i < 5000; i++) {
      if (next() < 0.55) {
        const count = 1 + Math.floor(next() ** 3 * 300);
        const align = Math.floor(next() * 9);
        const pfn = memory.cmaAlloc(count, align);
        if (pfn === undefined) continue;
        expect(pfn % 2 ** align).toBe(0);
        for (let frame = pfn; frame < pfn + count; frame++) {
          expect(taken.has(frame)).toBe(false);
          taken.add(frame);
        }
        held.push({ pfn, count });
      } else if (held.length > 0) {
        const [piece] = held.splice(Math.floor(next() * held.length), 1);
        const { pfn, count } = piece as (typeof held)[number];
        memory.cmaRelease(pfn, count);
        for (let frame = pfn; frame < pfn + count; frame++) taken.delete(frame);
      }
      expect(memory.meminfo().CmaFree).toBe(8 * MiB - taken.size * PAGE_SIZE);
    }
    for (const { pfn, count } of held) memory.cmaRelease(pfn, count);
    expect(memory.cmaAlloc(2048, 10)).toBeDefined();
  });
});

describe('chance', () => {
  test('is the same for a seed, even, and within 0 and 1', () => {
    const numbers = (seed: number) => Array.from({ length: 10_000 }, random(seed));
    const some = numbers(1);
    expect(some).toEqual(numbers(1));
    expect(some).not.toEqual(numbers(2));
    expect(Math.min(...some)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...some)).toBeLessThan(1);
    const tenths = new Array(10).fill(0);
    for (const number of some) tenths[Math.floor(number * 10)]++;
    expect(Math.min(...tenths)).toBeGreaterThan(900);
    expect(Math.max(...tenths)).toBeLessThan(1100);
  });
});
