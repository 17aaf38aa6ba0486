import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { MappableMemory } from '../../src/backing/shmem.js';
import { MemMap } from '../../src/mm/mem_map.js';
import { PAGE_SIZE } from '../../src/mm/page.js';
import { random } from '../../src/mm/random.js';

/** Something to tell from others: no byte of it is looked at. */
function memory(): MappableMemory {
  const none = () => {
    throw new Error('not to be touched');
  };
  return { fd: -1, open: none, bytes: none };
}

type Run = [memory: MappableMemory, offset: number, length: number];

/** The runs of a stretch; undefined if it is not all there. */
function runs(map: MemMap, pfn: number, offset: number, length: number): Run[] | undefined {
  const found: Run[] = [];
  return map.runs(pfn, offset, length, (...run) => found.push(run)) ? found : undefined;
}

const [one, other] = [memory(), memory()];

describe('what is in a frame', () => {
  test('is the byte that belongs there', () => {
    const map = new MemMap();
    map.set(1000, 4, one, 8 * PAGE_SIZE);
    expect(runs(map, 1000, 0, 1)).toEqual([[one, 8 * PAGE_SIZE, 1]]);
    expect(runs(map, 1001, 5, 10)).toEqual([[one, 9 * PAGE_SIZE + 5, 10]]);
    expect(runs(map, 1000, 0, 4 * PAGE_SIZE)).toEqual([[one, 8 * PAGE_SIZE, 4 * PAGE_SIZE]]);
  });

  test('an offset may be beyond the first frame', () => {
    const map = new MemMap();
    map.set(1000, 4, one, 0);
    expect(runs(map, 1000, 2 * PAGE_SIZE + 7, 9)).toEqual([[one, 2 * PAGE_SIZE + 7, 9]]);
  });

  test('no bytes are no run, even where there is nothing', () => {
    expect(runs(new MemMap(), 5, 0, 0)).toEqual([]);
  });

  test('the highest frame that there can be, and pages beyond 4 GiB of a memory', () => {
    const map = new MemMap();
    const top = 2 ** 32 - 1;
    map.set(top, 1, one, 5 * 2 ** 40);
    expect(runs(map, top, 1, 2)).toEqual([[one, 5 * 2 ** 40 + 1, 2]]);
    map.clear(top, 1);
    expect(runs(map, top, 1, 2)).toBeUndefined();
  });
});

describe('runs', () => {
  test('go on from frame to frame where a memory does, and end where it does not', () => {
    const map = new MemMap();
    map.set(10, 1, one, 0);
    map.set(11, 1, one, PAGE_SIZE);
    map.set(12, 1, one, 5 * PAGE_SIZE);
    map.set(13, 1, other, 6 * PAGE_SIZE);
    map.set(14, 1, one, 7 * PAGE_SIZE);
    expect(runs(map, 10, 100, 5 * PAGE_SIZE - 200)).toEqual([
      [one, 100, 2 * PAGE_SIZE - 100],
      [one, 5 * PAGE_SIZE, PAGE_SIZE],
      [other, 6 * PAGE_SIZE, PAGE_SIZE],
      [one, 7 * PAGE_SIZE, PAGE_SIZE - 100],
    ]);
  });

  test('descending pages are runs of their own', () => {
    const map = new MemMap();
    map.set(10, 1, one, PAGE_SIZE);
    map.set(11, 1, one, 0);
    expect(runs(map, 10, 0, 2 * PAGE_SIZE)).toEqual([
      [one, PAGE_SIZE, PAGE_SIZE],
      [one, 0, PAGE_SIZE],
    ]);
  });

  test.each([1, 1023, 1024, 1025, 5000])('%d frames across all boundaries are one', (count) => {
    const map = new MemMap();
    for (const pfn of [0, 1, 1000, 2 ** 20 - 3]) {
      map.set(pfn, count, one, 0);
      expect(runs(map, pfn, 0, count * PAGE_SIZE)).toEqual([[one, 0, count * PAGE_SIZE]]);
      expect(runs(map, pfn, 1, count * PAGE_SIZE)).toBeUndefined();
      map.clear(pfn, count);
    }
  });

  test('a frame with nothing in it is told, whether first, in between or last', () => {
    const map = new MemMap();
    map.set(10, 3, one, 0);
    map.clear(11, 1);
    expect(runs(map, 9, 0, PAGE_SIZE + 1)).toBeUndefined();
    expect(runs(map, 10, 0, 3 * PAGE_SIZE)).toBeUndefined();
    expect(runs(map, 12, 0, PAGE_SIZE + 1)).toBeUndefined();
    expect(runs(map, 12, 0, PAGE_SIZE)).toEqual([[one, 2 * PAGE_SIZE, PAGE_SIZE]]);
  });
});

describe('setting and clearing', () => {
  test('a frame holds one thing at a time', () => {
    const map = new MemMap();
    map.set(10, 2, one, 0);
    expect(() => map.set(11, 1, other, 0)).toThrow('page frame 11 is in use');
    expect(() => map.set(11, 1, one, PAGE_SIZE)).toThrow('page frame 11 is in use');
    map.clear(10, 2);
    expect(() => map.clear(10, 1)).toThrow('page frame 10 is not in use');
    expect(() => map.clear(2 ** 30, 1)).toThrow(`page frame ${2 ** 30} is not in use`);
    map.set(11, 1, other, 0);
    expect(runs(map, 11, 0, 1)).toEqual([[other, 0, 1]]);
  });

  test('what several memories are in can be cleared at once', () => {
    const map = new MemMap();
    map.set(10, 1, one, 0);
    map.set(11, 1, other, 0);
    map.set(12, 1, one, PAGE_SIZE);
    map.clear(10, 2);
    expect(runs(map, 12, 0, 1)).toEqual([[one, PAGE_SIZE, 1]]);
    expect(runs(map, 10, 0, 1)).toBeUndefined();
    expect(runs(map, 11, 0, 1)).toBeUndefined();
  });

  test('a memory that is gone from all frames is forgotten', async () => {
    const map = new MemMap();
    const gone = (() => {
      const temporary = memory();
      map.set(10, 2, temporary, 0);
      map.clear(10, 1);
      map.clear(11, 1);
      return new WeakRef(temporary);
    })();
    // A WeakRef holds on until the end of the job.
    await new Promise(setImmediate);
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    expect(gone.deref()).toBeUndefined();
  });

  test('agrees with a plain map over many changes', () => {
    const next = random(11);
    const map = new MemMap();
    const plain = new Map<number, { memory: MappableMemory; page: number }>();
    const memories = Array.from({ length: 6 }, memory);
    const span = 3000;
    for (let i = 0; i < 4000; i++) {
      const pfn = Math.floor(next() * span);
      const count = 1 + Math.floor(next() * 40);
      const frames = Array.from({ length: count }, (_, k) => pfn + k);
      if (frames.every((frame) => !plain.has(frame))) {
        const owner = memories[Math.floor(next() * memories.length)] as MappableMemory;
        const page = Math.floor(next() * 1000);
        map.set(pfn, count, owner, page * PAGE_SIZE);
        for (const frame of frames) plain.set(frame, { memory: owner, page: page + frame - pfn });
      } else if (frames.every((frame) => plain.has(frame))) {
        map.clear(pfn, count);
        for (const frame of frames) plain.delete(frame);
      }
    }
    expect(plain.size).toBeGreaterThan(100);
    for (let frame = 0; frame < span + 40; frame++) {
      const known = plain.get(frame);
      const expected = known && [[known.memory, known.page * PAGE_SIZE, PAGE_SIZE]];
      expect(runs(map, frame, 0, PAGE_SIZE)).toEqual(expected);
    }
  });
});
