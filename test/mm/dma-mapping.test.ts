import { describe, expect, test } from 'vitest';
import {
  Device,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  DMA_FROM_DEVICE,
  DMA_NONE,
  DMA_TO_DEVICE,
  type DmaDataDirection,
  DmaFault,
  dmaGetMaxSegSize,
  dmaGetSegBoundary,
  dmaMapSgtable,
  dmaSetMask,
  dmaSetMaskAndCoherent,
  dmaSetMaxSegSize,
  dmaSetSegBoundary,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
  sgAllocTable,
} from '../../src/index.js';
import { caches, type StrictCoherency } from '../../src/mm/cache/cache.js';
import {
  columns,
  expectErrno,
  expectNothingMapped,
  LOW,
  list,
  logged,
  map,
  PAGE,
  segments,
  setUp,
  TestMemory,
} from './dma.js';

/** What a device faults with. */
function faultOf(access: () => void): DmaFault {
  try {
    access();
  } catch (error) {
    if (error instanceof DmaFault) return error;
    throw error;
  }
  throw new Error('no fault');
}

const KINDS = [
  ['direct', {}],
  ['through an IOMMU', { iommu: true }],
  ['bounced', { dma_mask: DMA_BIT_MASK(32) }],
] as const;
/** Where memory is to be, to be mapped in that way. */
const frame = (kind: string) => (kind === 'bounced' ? 0x100000 : LOW);

describe.each(KINDS)('memory that is mapped %s', (kind, init) => {
  function mapped(dir: 0 | 1 | 2 = DMA_BIDIRECTIONAL) {
    const { kernel, dev } = setUp(init);
    const first = frame(kind);
    // Not in the order of their frames, the second page elsewhere.
    const memory = new TestMemory(kernel, [first + 1, first, first + 7]);
    const [sgt, address] = map(dev, dir, [first + 1, PAGE], [first, PAGE], [first + 7, PAGE - 96]);
    return { kernel, dev, memory, sgt, address, at: sgt.dma_address };
  }

  test('the device reads what the CPU wrote, and the CPU what the device wrote', () => {
    const { dev, memory, sgt, at } = mapped();
    const before = memory.content.slice();
    const into = new Uint8Array(100);
    // Segments may be one, or several.
    const third = sgt.nents === 1 ? (at[0] as number) + 2 * PAGE : (at[2] as number);
    dev.read(third + 50, into);
    expect(into).toEqual(before.subarray(2 * PAGE + 50, 2 * PAGE + 150));
    dev.write(third + 8, Uint8Array.of(1, 2, 3));
    dev.fill(third + 20, 4, 9);
    dev.copy(at[0] as number, third, 32);
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    const after = before.slice();
    after.set([1, 2, 3], 2 * PAGE + 8);
    after.fill(9, 2 * PAGE + 20, 2 * PAGE + 24);
    after.copyWithin(0, 2 * PAGE, 2 * PAGE + 32);
    expect(memory.content).toEqual(after);
    expectNothingMapped(dev);
  });

  test('nothing of an access is done when a part of it faults', () => {
    const { dev, memory, at } = mapped();
    const before = memory.content.slice();
    const end = (at[2] || (at[0] as number) + 2 * PAGE) + PAGE;
    const into = new Uint8Array(64).fill(0xee);
    expect(() => dev.read(end - 32, into)).toThrow(DmaFault);
    expect(() => dev.write(end - 32, into)).toThrow(DmaFault);
    expect(() => dev.fill(end - 32, 64, 1)).toThrow(DmaFault);
    expect(() => dev.copy(end - 64, end - 32, 64)).toThrow(DmaFault);
    expect(() => dev.copy(end - 32, end - 64 - PAGE / 2, 64)).toThrow(DmaFault);
    expect(into).toEqual(new Uint8Array(64).fill(0xee));
    const now = new Uint8Array(PAGE - 96);
    dev.read(end - PAGE, now);
    expect(now).toEqual(before.subarray(2 * PAGE, 3 * PAGE - 96));
    expect(dev.faults).toBe(5);
    expect(faultOf(() => dev.read(end - 32, into)).address).toBe(end);
  });

  test.each([
    ['read', DMA_FROM_DEVICE],
    ['write', DMA_TO_DEVICE],
  ] as const)('a device must not %s against the direction', (access, dir) => {
    const { kernel, dev, memory, address } = mapped(dir);
    const before = memory.content.slice();
    const bytes = new Uint8Array(64);
    const fault = faultOf(() => dev[access](address + 16, bytes));
    expect(fault).toMatchObject({ device: dev, access, address: address + 16 });
    expect(fault.reason).toBe(
      `not mapped for ${access === 'read' ? 'reading' : 'writing'} (dmabuf "frame")`,
    );
    expect(logged(kernel).at(-1)).toContain(`gpu: ${access} of 64 bytes at 0x`);
    // The other way about is what it is mapped for.
    dev[access === 'read' ? 'write' : 'read'](address + 16, bytes);
    expect(() => dev.copy(address + 128, address, 64)).toThrow(DmaFault);
    expect(memory.content.subarray(128)).toEqual(before.subarray(128));
  });

  test('what is unmapped faults, and the log says what it was', () => {
    const { kernel, dev, memory, sgt, address } = mapped();
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    const before = memory.content.slice();
    const fault = faultOf(() => dev.write(address, new Uint8Array(64)));
    const hex = `0x${address.toString(16).padStart(16, '0')}`;
    expect(logged(kernel)).toEqual([
      `${dev.iommu ? 'iommu' : 'dma'}: gpu: write of 64 bytes at ${hex}: ` +
        'not mapped (dmabuf "frame" was until it was unmapped)',
    ]);
    expect(`dma: ${fault.message}`).toContain(logged(kernel)[0]?.replace('iommu', 'dma'));
    expect(memory.content).toEqual(before);
  });

  test('unmapping it twice is reported, and does nothing', () => {
    const { kernel, dev, sgt, address } = mapped();
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    dmaSyncSgtableForCpu(dev, sgt, DMA_BIDIRECTIONAL);
    const where = `[device address=0x${address.toString(16).padStart(16, '0')}] [size=12192 bytes]`;
    expect(logged(kernel)).toEqual([
      `DMA-API: gpu: device driver tries to free DMA memory it has not allocated ${where}`,
      `DMA-API: gpu: device driver tries to sync DMA memory it has not allocated ${where}`,
    ]);
    expectNothingMapped(dev);
  });

  test('the same memory can be mapped twice; it is seen until it is unmapped as often', () => {
    const { dev, sgt, address } = mapped(DMA_TO_DEVICE);
    const first = frame(kind);
    const [again, other] = map(dev, DMA_FROM_DEVICE, [first + 1, PAGE]);
    expect([dev.mappings, dev.mapped]).toEqual([2, 12192 + PAGE]);
    dev.write(other, new Uint8Array(8));
    dmaUnmapSgtable(dev, again, DMA_FROM_DEVICE);
    dev.read(address, new Uint8Array(8));
    expect(() => dev.write(other, new Uint8Array(8))).toThrow(DmaFault);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(() => dev.read(address, new Uint8Array(8))).toThrow(DmaFault);
    expectNothingMapped(dev);
  });

  test('what one device has mapped no other one sees', () => {
    const { kernel, address } = mapped();
    const other = new Device(kernel, { name: 'display', ...init });
    expect(faultOf(() => other.read(address, new Uint8Array(1))).reason).toBe('not mapped');
  });

  test('a device that goes with something mapped is reported, and leaves nothing', () => {
    const { kernel, dev, sgt, address } = mapped();
    map(dev, DMA_TO_DEVICE, [frame(kind), PAGE]);
    dev.close();
    expect(logged(kernel)).toEqual([
      'DMA-API: gpu: device driver has pending DMA allocations while released from device [count=2]',
    ]);
    expectNothingMapped(dev);
    expect(() => dev.read(address, new Uint8Array(1))).toThrow(DmaFault);
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    expect(logged(kernel)).toHaveLength(3);
    dev.close();
    expect(logged(kernel)).toHaveLength(3);
  });

  test('memory that is freed while it is mapped is a fault', () => {
    const { kernel, dev, address } = mapped();
    kernel.memMap.clear(frame(kind) + 1, 1);
    const fault = () => faultOf(() => dev.read(address, new Uint8Array(1)));
    // What is bounced is in the pool.
    if (kind === 'bounced') expect(fault).toThrow('no fault');
    else expect(fault().reason).toBe('mapped, but its memory has been freed');
  });

  test('random mapping, unmapping and access: accounts go back to nothing', () => {
    const { kernel, dev } = setUp(init);
    const first = frame(kind);
    const memory = new TestMemory(
      kernel,
      Array.from({ length: 64 }, (_, i) => first + i),
    );
    const model = memory.content.slice();
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed % below;
    };
    const live: { sgt: ReturnType<typeof list>; dir: 0 | 1 | 2; page: number }[] = [];
    let bytes = 0;
    for (let step = 0; step < 2000; step++) {
      if (live.length < 12 && random(2)) {
        // Ranges that are bounced for writing must not overlap: each copies all of it back.
        const page = random(64);
        if (live.some((each) => each.page === page)) continue;
        const dir = random(3) as 0 | 1 | 2;
        const offset = random(PAGE - 1);
        const sgt = list([first + page, 1 + random(PAGE - offset), offset]);
        dmaMapSgtable(dev, sgt, dir);
        live.push({ sgt, dir, page });
        bytes += sgt.length[0] as number;
      } else if (live.length > 0) {
        const [{ sgt, dir, page }] = live.splice(random(live.length), 1) as [(typeof live)[0]];
        const [[address, length]] = segments(sgt) as [[number, number]];
        const at = page * PAGE + (sgt.offset[0] as number);
        if (dir !== DMA_TO_DEVICE) {
          dev.fill(address, length, step & 0xff);
          model.fill(step & 0xff, at, at + length);
        } else {
          const into = new Uint8Array(length);
          dev.read(address, into);
          expect(Buffer.compare(into, model.subarray(at, at + length))).toBe(0);
        }
        dmaUnmapSgtable(dev, sgt, dir);
        bytes -= length;
        // Two that are bounced may share a page of the pool.
        const pageOf = (at: number) => Math.floor(at / PAGE);
        if (!live.some((each) => pageOf(each.sgt.dma_address[0] as number) === pageOf(address))) {
          expect(() => dev.read(address, new Uint8Array(1))).toThrow(DmaFault);
        }
      }
      expect([dev.mappings, dev.mapped]).toEqual([live.length, bytes]);
    }
    for (const { sgt, dir } of live) dmaUnmapSgtable(dev, sgt, dir);
    expectNothingMapped(dev);
    expect(Buffer.compare(memory.content, model)).toBe(0);
    expect(logged(kernel).filter((text) => text.startsWith('DMA-API'))).toEqual([]);
  });
});

describe('mapping without an IOMMU', () => {
  test('addresses are where the memory is, a segment for each entry, whatever the limits', () => {
    const { dev } = setUp({
      dma_parms: { max_segment_size: PAGE, segment_boundary_mask: PAGE - 1 },
    });
    const sgt = list([LOW, 3 * PAGE], [LOW + 3, PAGE, 16], [LOW + 9, 100, 5000]);
    sgt.nents = 1;
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    expect(segments(sgt)).toEqual([
      [LOW * PAGE, 3 * PAGE],
      [(LOW + 3) * PAGE + 16, PAGE],
      [(LOW + 9) * PAGE + 5000, 100],
    ]);
  });

  test('what is beyond the mask is EIO without bounce buffers, and nothing is mapped', () => {
    const { kernel, dev } = setUp({ swiotlb: false, dma_mask: DMA_BIT_MASK(30) });
    const sgt = list([LOW, PAGE], [2 ** 18 - 1, 2 * PAGE]);
    const before = columns(sgt);
    expectErrno('EIO', () => dmaMapSgtable(dev, sgt, DMA_TO_DEVICE));
    expect(columns(sgt)).toEqual(before);
    expectNothingMapped(dev);
    expect(logged(kernel)).toEqual([
      'gpu: DMA addr 0x000000003ffff000+8192 overflow (mask 3fffffff, bus limit 0)',
    ]);
    // The last byte that it reaches.
    dmaMapSgtable(dev, list([2 ** 18 - 1, PAGE]), DMA_TO_DEVICE);
  });

  test('a table that is mapped again is unmapped as often', () => {
    const { dev, kernel } = setUp();
    const memory = new TestMemory(kernel, [LOW]);
    const sgt = list([LOW, PAGE]);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    const into = new Uint8Array(4);
    dev.read(LOW * PAGE, into);
    expect(into).toEqual(memory.content.subarray(0, 4));
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    expectNothingMapped(dev);
    expect(logged(kernel)).toEqual([]);
  });
});

test('an access may be to several memories', () => {
  const { kernel, dev } = setUp();
  const one = new TestMemory(kernel, [LOW, LOW + 2]);
  const other = new TestMemory(kernel, [LOW + 1]);
  other.content.fill(0xaa);
  const [, address] = map(dev, DMA_BIDIRECTIONAL, [LOW, 3 * PAGE]);
  const into = new Uint8Array(3 * PAGE);
  dev.read(address, into);
  const expected = [one.content.slice(0, PAGE), other.content, one.content.slice(PAGE)];
  expect(Buffer.compare(into, Buffer.concat(expected))).toBe(0);
  dev.fill(address + PAGE - 1, PAGE + 2, 7);
  expect(one.content.subarray(PAGE - 2, PAGE + 2)).toEqual(
    Uint8Array.of(into[PAGE - 2] ?? 0, 7, 7, into[2 * PAGE + 1] ?? 0),
  );
  expect(other.content).toEqual(new Uint8Array(PAGE).fill(7));
});

describe('mistakes', () => {
  test('no direction, or an empty list, is EINVAL', () => {
    const { dev } = setUp();
    for (const dir of [DMA_NONE, -1, 4]) {
      const none = dir as DmaDataDirection;
      expectErrno('EINVAL', () => dmaMapSgtable(dev, list([LOW, PAGE]), none));
    }
    expectErrno('EINVAL', () => dmaMapSgtable(dev, sgAllocTable(1), DMA_TO_DEVICE));
    const [sgt] = map(dev, DMA_TO_DEVICE, [LOW, PAGE]);
    expectErrno('EINVAL', () => dmaSyncSgtableForCpu(dev, sgt, DMA_NONE));
    expectErrno('EINVAL', () => dmaSyncSgtableForDevice(dev, sgt, DMA_NONE));
  });

  test('another direction than it was mapped with is reported; it is unmapped all the same', () => {
    const { kernel, dev } = setUp();
    const [sgt] = map(dev, DMA_TO_DEVICE, [LOW, PAGE]);
    dmaUnmapSgtable(dev, sgt, DMA_FROM_DEVICE);
    expectNothingMapped(dev);
    expect(() => dev.read(LOW * PAGE, new Uint8Array(1))).toThrow(DmaFault);
    expect(logged(kernel)[0]).toBe(
      'DMA-API: gpu: device driver frees DMA memory with different direction ' +
        '[device address=0x0000000001000000] [size=4096 bytes] ' +
        '[mapped with DMA_TO_DEVICE] [unmapped with DMA_FROM_DEVICE]',
    );
  });

  test('an access that runs past the end of a buffer says so', () => {
    const { kernel, dev } = setUp();
    new TestMemory(kernel, [LOW]);
    map(dev, DMA_BIDIRECTIONAL, [LOW, PAGE]);
    const end = (LOW + 1) * PAGE;
    const past = 'not mapped (it is past the end of dmabuf "frame")';
    expect(faultOf(() => dev.read(end - 8, new Uint8Array(16))).reason).toBe(past);
    expect(faultOf(() => dev.fill(end, 1, 0)).reason).toBe(past);
    expect(logged(kernel)).toEqual([
      `dma: gpu: read of 16 bytes at 0x0000000001000ff8: from 0x0000000001001000 on: ${past}`,
      `dma: gpu: write of 1 bytes at 0x0000000001001000: ${past}`,
    ]);
  });

  test('behind one buffer, where another was: what is named is what the access began in', () => {
    const { kernel, dev } = setUp();
    new TestMemory(kernel, [LOW], 'first');
    new TestMemory(kernel, [LOW + 1], 'second');
    map(dev, DMA_BIDIRECTIONAL, [LOW, PAGE]);
    const [second, address] = map(dev, DMA_BIDIRECTIONAL, [LOW + 1, PAGE]);
    dmaUnmapSgtable(dev, second, DMA_BIDIRECTIONAL);
    expect(faultOf(() => dev.fill(address, 8, 0)).reason).toBe(
      'not mapped (dmabuf "second" was until it was unmapped)',
    );
    expect(faultOf(() => dev.fill(address - 4, 8, 0)).reason).toBe(
      'not mapped (it is past the end of dmabuf "first")',
    );
  });

  test('what was unmapped is remembered for some time', () => {
    const { kernel, dev } = setUp();
    const frames = Array.from({ length: 9 }, (_, i) => LOW + 2 * i);
    new TestMemory(kernel, frames);
    for (const pfn of frames) {
      const [sgt] = map(dev, DMA_TO_DEVICE, [pfn, PAGE]);
      dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE);
    }
    const reasons = frames.map((pfn) => faultOf(() => dev.fill(pfn * PAGE, 1, 0)).reason);
    const was = 'not mapped (dmabuf "frame" was until it was unmapped)';
    expect(reasons).toEqual(['not mapped', ...Array(8).fill(was)]);
  });

  test('addresses that are none fault too; no bytes are no access', () => {
    const { dev } = setUp();
    for (const address of [-1, Number.NaN, 2 ** 53, 2 ** 64, 0.5, 2 ** 53 - 2]) {
      expect(faultOf(() => dev.fill(address, 8, 0)).reason).toBe('not mapped');
    }
    dev.read(LOW, new Uint8Array(0));
    dev.fill(LOW, 0, 1);
    dev.copy(LOW, LOW, 0);
    expect(dev.faults).toBe(6);
  });

  test('the first ten faults are logged, and counted are all', () => {
    const { kernel, dev } = setUp();
    for (let i = 0; i < 20; i++) faultOf(() => dev.fill(i * PAGE, 1, 0));
    expect(dev.faults).toBe(20);
    expect(dev.lastFault?.address).toBe(19 * PAGE);
    expect(logged(kernel)).toHaveLength(11);
    expect(logged(kernel)[10]).toBe('dma: gpu: further faults are not logged');
    dev.clearFaults();
    expect([dev.faults, dev.lastFault]).toEqual([0, undefined]);
    faultOf(() => dev.fill(0, 1, 0));
    expect(logged(kernel)).toHaveLength(12);
  });
});

describe('what a device can', () => {
  test('has Linux’s defaults, and can be set', () => {
    const { dev } = setUp();
    expect([dev.dma_mask, dev.coherent_dma_mask]).toEqual([0xffffffff, 0xffffffff]);
    expect([dmaGetMaxSegSize(dev), dmaGetSegBoundary(dev)]).toEqual([65536, 2 ** 64 - 1]);
    expect([dev.dma_coherent, dev.iommu, dev.swiotlb]).toEqual([true, false, true]);
    expect(dev.max_segments).toBe(Number.POSITIVE_INFINITY);
    dmaSetMaxSegSize(dev, 8192);
    dmaSetSegBoundary(dev, 0xffff);
    dmaSetMaskAndCoherent(dev, DMA_BIT_MASK(40));
    expect([dmaGetMaxSegSize(dev), dmaGetSegBoundary(dev)]).toEqual([8192, 0xffff]);
    expect([dev.dma_mask, dev.coherent_dma_mask]).toEqual([2 ** 40 - 1, 2 ** 40 - 1]);
    expectErrno('EIO', () => dmaSetMask(dev, DMA_BIT_MASK(23)));
    expect(dev.dma_mask).toBe(2 ** 40 - 1);
  });

  test('with 64 address bits it reaches everything', () => {
    const { kernel, dev } = setUp({ dma_mask: DMA_BIT_MASK(64), swiotlb: false });
    new TestMemory(kernel, [2 ** 32 - 1]);
    const [, address] = map(dev, DMA_TO_DEVICE, [2 ** 32 - 1, PAGE]);
    expect(address).toBe((2 ** 32 - 1) * PAGE);
    dev.read(address, new Uint8Array(PAGE));
  });
});

describe('caches', () => {
  /** A kernel whose caches only take note. */
  function cached(init: Parameters<typeof setUp>[0]) {
    const { kernel, dev } = setUp(init);
    const calls: unknown[][] = [];
    const note =
      (what: string) =>
      (_dev: Device, memory: unknown, offset: number, of: number | Uint8Array, dir?: number) =>
        calls.push([
          what,
          (memory as TestMemory).name,
          offset,
          typeof of === 'number' ? of : of.length,
          dir,
        ]);
    caches.of(kernel).cache = {
      map: note('map'),
      unmap: note('unmap'),
      syncForDevice: note('device'),
      syncForCpu: note('cpu'),
      read: note('read'),
      write: note('write'),
      snoop: (memory: TestMemory, offset: number, length: number) =>
        calls.push(['snoop', memory.name, offset, length]),
      close() {},
    } as unknown as StrictCoherency;
    return { kernel, dev, calls };
  }

  test.each([
    ['direct', {}],
    ['through an IOMMU', { iommu: true }],
  ])('are told of every run of bytes that a device has, mapped %s', (_kind, init) => {
    const { kernel, dev, calls } = cached({ ...init, dma_coherent: false });
    new TestMemory(kernel, [LOW, LOW + 2, LOW + 1], 'a');
    new TestMemory(kernel, [LOW + 8], 'b');
    const [sgt, address] = map(
      dev,
      DMA_BIDIRECTIONAL,
      [LOW, PAGE],
      [LOW + 2, PAGE],
      [LOW + 8, 100, 0],
    );
    dmaSyncSgtableForCpu(dev, sgt, DMA_FROM_DEVICE);
    dmaSyncSgtableForDevice(dev, sgt, DMA_TO_DEVICE);
    dev.read(address + 4, new Uint8Array(8));
    dev.write(address + 8, new Uint8Array(16));
    dev.fill(address, 4, 1);
    dev.copy(address, address + 64, 32);
    dmaUnmapSgtable(dev, sgt, DMA_BIDIRECTIONAL);
    const both = (what: string, dir: number) => [
      [what, 'a', 0, 2 * PAGE, dir],
      [what, 'b', 0, 100, dir],
    ];
    expect(calls).toEqual([
      ...both('map', DMA_BIDIRECTIONAL),
      ...both('device', DMA_BIDIRECTIONAL),
      ...both('cpu', DMA_FROM_DEVICE),
      ...both('device', DMA_TO_DEVICE),
      ['read', 'a', 4, 8, undefined],
      ['write', 'a', 8, 16, undefined],
      ['write', 'a', 0, 4, undefined],
      ['read', 'a', 64, 32, undefined],
      ['write', 'a', 0, 32, undefined],
      ...both('cpu', DMA_BIDIRECTIONAL),
      ...both('unmap', DMA_BIDIRECTIONAL),
    ]);
  });

  test('are told what is mapped, but not to sync, with DMA_ATTR_SKIP_CPU_SYNC', () => {
    const { kernel, dev, calls } = cached({ dma_coherent: false });
    new TestMemory(kernel, [LOW], 'a');
    const sgt = list([LOW, PAGE]);
    dmaMapSgtable(dev, sgt, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
    dmaUnmapSgtable(dev, sgt, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
    expect(calls.map(([what]) => what)).toEqual(['map', 'unmap']);
  });

  test('are only told what was written by coherent devices, and to what is bounced', () => {
    const one = cached({});
    new TestMemory(one.kernel, [LOW], 'a');
    const [, address] = map(one.dev, DMA_BIDIRECTIONAL, [LOW, PAGE]);
    one.dev.copy(address, address + 64, 32);
    one.dev.fill(address + 8, 16, 1);
    one.dev.close();
    expect(one.calls).toEqual([
      ['snoop', 'a', 0, 32],
      ['snoop', 'a', 8, 16],
    ]);

    const other = cached({ dma_coherent: false });
    const memory = new TestMemory(other.kernel, [0x100000], 'a');
    const [sgt, bounced] = map(other.dev, DMA_BIDIRECTIONAL, [0x100000, PAGE]);
    other.dev.fill(bounced, 8, 3);
    dmaUnmapSgtable(other.dev, sgt, DMA_BIDIRECTIONAL);
    expect(other.calls.filter(([, name]) => name === 'a')).toEqual([['snoop', 'a', 0, PAGE]]);
    expect(memory.content.subarray(0, 9)).toEqual(Uint8Array.of(3, 3, 3, 3, 3, 3, 3, 3, 8));
  });

  test('lose what a device has that goes', () => {
    const { kernel, dev, calls } = cached({ dma_coherent: false });
    new TestMemory(kernel, [LOW], 'a');
    map(dev, DMA_TO_DEVICE, [LOW, PAGE]);
    dev.close();
    expect(calls.map(([what]) => what)).toEqual(['map', 'device', 'unmap']);
  });
});
