import { describe, expect, test } from 'vitest';
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  dmaMapSgtable,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
} from '../../src/index.js';
import { swiotlbOf } from '../../src/mm/swiotlb.js';
import {
  columns,
  type Entry,
  expectErrno,
  expectNothingMapped,
  HIGH,
  LOW,
  list,
  logged,
  map,
  PAGE,
  segments,
  setUp,
  TestMemory,
} from './dma.js';

const POOL = 0xc0000000;
const KiB = 1024;

/** A buffer above 4 GiB, and what a device with 32 address bits sees of it. */
function bounced(dir: 0 | 1 | 2, attrs = 0) {
  const { kernel, dev } = setUp();
  const memory = new TestMemory(kernel, [HIGH]);
  const sgt = list([HIGH, 1000, 16]);
  dmaMapSgtable(dev, sgt, dir, attrs);
  const address = sgt.dma_address[0] as number;
  const inPool = () =>
    swiotlbOf(kernel)
      .bytes()
      .slice(address - POOL, address - POOL + 1000);
  return { kernel, dev, memory, sgt, address, inPool };
}

describe('what is copied', () => {
  test.each([
    ['to the device', DMA_TO_DEVICE, 0],
    ['from the device', DMA_FROM_DEVICE, 0],
    ['both ways', DMA_BIDIRECTIONAL, 0],
    // As Linux: what was in the pool before must not get out.
    ['from the device, without syncing', DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC],
  ] as const)('mapping for DMA %s fills the bounce buffer', (_what, dir, attrs) => {
    const { memory, inPool } = bounced(dir, attrs);
    expect(inPool()).toEqual(memory.content.subarray(16, 1016));
  });

  test.each([
    ['the device wrote', DMA_FROM_DEVICE, 0, true],
    ['both wrote', DMA_BIDIRECTIONAL, 0, true],
    ['the device wrote, without syncing', DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, false],
  ] as const)('unmapping after %s', (_what, dir, attrs, copied) => {
    const { dev, memory, sgt, address } = bounced(dir);
    const before = memory.content.slice();
    dev.fill(address + 100, 50, 0xcc);
    expect(memory.content).toEqual(before);
    dmaUnmapSgtable(dev, sgt, dir, attrs);
    if (copied) before.fill(0xcc, 116, 166);
    expect(memory.content).toEqual(before);
  });

  test('unmapping after DMA to the device brings nothing back', () => {
    const { dev, memory, sgt } = bounced(DMA_TO_DEVICE);
    memory.content.fill(1);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(memory.content).toEqual(new Uint8Array(PAGE).fill(1));
  });

  test('syncing copies one way each, and only for a direction that goes that way', () => {
    const { dev, memory, sgt, address, inPool } = bounced(DMA_BIDIRECTIONAL);
    const first = memory.content.slice(16, 1016);
    memory.content.fill(5);
    dmaSyncSgtableForDevice(dev, sgt, DMA_FROM_DEVICE);
    expect(inPool()).toEqual(first);
    dmaSyncSgtableForDevice(dev, sgt, DMA_TO_DEVICE);
    expect(inPool()).toEqual(new Uint8Array(1000).fill(5));

    dev.fill(address, 1000, 6);
    dmaSyncSgtableForCpu(dev, sgt, DMA_TO_DEVICE);
    expect(memory.content).toEqual(new Uint8Array(PAGE).fill(5));
    dmaSyncSgtableForCpu(dev, sgt, DMA_FROM_DEVICE);
    expect(memory.content).toEqual(new Uint8Array(PAGE).fill(5).fill(6, 16, 1016));

    memory.content.fill(7);
    dmaSyncSgtableForDevice(dev, sgt, DMA_BIDIRECTIONAL);
    expect(inPool()).toEqual(new Uint8Array(1000).fill(7));
    dev.fill(address, 1000, 8);
    dmaSyncSgtableForCpu(dev, sgt, DMA_BIDIRECTIONAL);
    expect(memory.content).toEqual(new Uint8Array(PAGE).fill(7).fill(8, 16, 1016));
  });

  test('a buffer of several memories is put together, and taken apart', () => {
    const { kernel, dev } = setUp();
    const [one, two] = [new TestMemory(kernel, [HIGH]), new TestMemory(kernel, [HIGH + 1])];
    const [sgt, address] = map(dev, DMA_BIDIRECTIONAL, [HIGH, 2 * PAGE - 64, 32]);
    dev.fill(address + PAGE - 40, 16, 0xdd);
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    expect(one.content.subarray(PAGE - 9)).toEqual(
      Uint8Array.of(one.content[PAGE - 9] as number, ...new Uint8Array(8).fill(0xdd)),
    );
    expect(two.content.subarray(0, 9)).toEqual(Uint8Array.of(...new Uint8Array(8).fill(0xdd), 8));
  });
});

describe('where', () => {
  test('only what the device cannot reach is bounced, at the same offset in a page', () => {
    const { dev } = setUp();
    const [sgt] = map(
      dev,
      DMA_TO_DEVICE,
      [LOW, PAGE],
      [HIGH, PAGE],
      [HIGH + 4, 100, 3000],
      // The last byte is beyond.
      [HIGH - 1, PAGE + 1],
      [HIGH + 6, 100, 5],
    );
    expect(segments(sgt)).toEqual([
      [LOW * PAGE, PAGE],
      [POOL, PAGE],
      [POOL + PAGE + 3000, 100],
      [POOL + 2 * PAGE, PAGE + 1],
      // Slots are of 2 KiB: the first half of that page is free.
      [POOL + PAGE + 5, 100],
    ]);
    expect(swiotlbOf(dev.kernel).used).toBe(7);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(swiotlbOf(dev.kernel).used).toBe(0);
  });

  test('256 KiB is the most, alignment included', () => {
    const { kernel, dev } = setUp();
    expect(map(dev, DMA_TO_DEVICE, [HIGH, 256 * KiB])[1]).toBe(POOL);
    expect(map(dev, DMA_TO_DEVICE, [HIGH, 254 * KiB, 2048])[1]).toBe(POOL + 256 * KiB + 2048);
    expectErrno('EIO', () => map(dev, DMA_TO_DEVICE, [HIGH, 256 * KiB, 16]));
    expectErrno('EIO', () => map(dev, DMA_TO_DEVICE, [HIGH, 256 * KiB + 1]));
    expect(logged(kernel)).toEqual([
      'gpu: swiotlb buffer is full (sz: 262144 bytes), total 32768 (slots), used 255 (slots)',
      'gpu: swiotlb buffer is full (sz: 262145 bytes), total 32768 (slots), used 255 (slots)',
    ]);
    expect(dev.mappings).toBe(2);
  });

  test('what is in a row is within 256 KiB of the pool', () => {
    const { dev } = setUp();
    const [first] = map(dev, DMA_TO_DEVICE, [HIGH, 32 * KiB]);
    map(dev, DMA_TO_DEVICE, [HIGH, 32 * KiB]);
    const [third] = map(dev, DMA_TO_DEVICE, [HIGH, 192 * KiB]);
    dmaUnmapSgtable(dev, first, DMA_TO_DEVICE);
    dmaUnmapSgtable(dev, third, DMA_TO_DEVICE);
    // 224 KiB are free in the first 256, but not in a row.
    expect(map(dev, DMA_TO_DEVICE, [HIGH, 200 * KiB])[1]).toBe(POOL + 256 * KiB);
    expect(map(dev, DMA_TO_DEVICE, [HIGH, 192 * KiB])[1]).toBe(POOL + 64 * KiB);
    expect(map(dev, DMA_TO_DEVICE, [HIGH, 32 * KiB])[1]).toBe(POOL);
  });

  test('64 MiB is all there is: EIO, and the log says so; what was taken for it is given back', () => {
    const { kernel, dev } = setUp();
    const entries = Array.from({ length: 256 }, (_, i): Entry => [HIGH + i * 64, 256 * KiB]);
    const sgt = list(...entries, [LOW, PAGE], [HIGH, PAGE]);
    const before = columns(sgt);
    expectErrno('EIO', () => dmaMapSgtable(dev, sgt, DMA_TO_DEVICE));
    expect(logged(kernel)).toEqual([
      'gpu: swiotlb buffer is full (sz: 4096 bytes), total 32768 (slots), used 32768 (slots)',
    ]);
    expect(columns(sgt)).toEqual(before);
    expectNothingMapped(dev);
    expect(swiotlbOf(kernel).used).toBe(0);
    const [full] = map(dev, DMA_TO_DEVICE, ...entries);
    expect(segments(full).map(([address]) => address)).toEqual(
      entries.map((_, i) => POOL + i * 256 * KiB),
    );
    dmaUnmapSgtable(dev, full, DMA_TO_DEVICE);
    expect(swiotlbOf(kernel).used).toBe(0);
  });

  test('a device that cannot reach the pool either gets EIO', () => {
    const { kernel, dev } = setUp({ dma_mask: DMA_BIT_MASK(24) });
    expectErrno('EIO', () => map(dev, DMA_TO_DEVICE, [HIGH, PAGE]));
    expect(logged(kernel)).toEqual([
      'gpu: swiotlb addr 0x00000000c0000000+4096 overflow (mask ffffff, bus limit 0)',
    ]);
    expect(swiotlbOf(kernel).used).toBe(0);
  });

  test.each([1, 2, 3])('when slot allocation %i fails, nothing is left', (nth) => {
    const { kernel, dev } = setUp();
    const sgt = list([HIGH, PAGE], [LOW, PAGE], [HIGH + 2, PAGE], [HIGH + 4, 3 * PAGE]);
    const before = columns(sgt);
    const asked: string[] = [];
    kernel.memory.failNext = (what) => asked.push(what) === nth;
    expectErrno('EIO', () => dmaMapSgtable(dev, sgt, DMA_BIDIRECTIONAL));
    expect(asked).toEqual(Array(nth).fill('swiotlb'));
    expect(columns(sgt)).toEqual(before);
    expectNothingMapped(dev);
    expect(swiotlbOf(kernel).used).toBe(0);
    kernel.memory.failNext = undefined;
    dmaMapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    expect(segments(sgt)[0]).toEqual([POOL, PAGE]);
  });

  test('the pools of two kernels are two', () => {
    const [one, other] = [bounced(DMA_TO_DEVICE), bounced(DMA_TO_DEVICE)];
    expect(one.address).toBe(other.address);
    expect(swiotlbOf(one.kernel)).not.toBe(swiotlbOf(other.kernel));
  });
});
