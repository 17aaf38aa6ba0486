/** Memory and devices to try DMA with. */
import { expect } from 'vitest';
import type { MappableMemory } from '../../src/backing/shmem.js';
import {
  Device,
  type DeviceInit,
  type DmaDataDirection,
  dmaMapSgtable,
  type Kernel,
  type SgTable,
  sgAllocTable,
  sgSetPage,
} from '../../src/index.js';
import { testKernel } from '../run.js';

export const PAGE = 4096;
/** A frame at 16 MiB, and one at 4 GiB. */
export const LOW = 0x1000;
export const HIGH = 0x100000;

/** Memory that no program has, of as many pages as it has frames. Every byte tells where it is. */
export class TestMemory implements MappableMemory {
  readonly fd = -1;
  readonly content: Uint8Array;
  readonly name: string;

  constructor(kernel: Kernel, frames: readonly number[], name = 'frame') {
    this.content = new Uint8Array(frames.length * PAGE).map((_, i) => i + (i >> 8) * 7);
    this.name = name;
    for (const [i, pfn] of frames.entries()) kernel.memMap.set(pfn, 1, this, i * PAGE);
  }

  bytes(): Uint8Array {
    return this.content;
  }

  open(): number {
    throw new Error('nobody opens it');
  }

  describe(): string {
    return `dmabuf "${this.name}"`;
  }
}

/** An entry of a scatterlist: frame, bytes, offset. */
export type Entry = [pfn: number, length: number, offset?: number];

export function list(...entries: Entry[]): SgTable {
  const sgt = sgAllocTable(entries.length);
  for (const [i, [pfn, length, offset = 0]] of entries.entries()) {
    sgSetPage(sgt, i, pfn, length, offset);
  }
  return sgt;
}

/** The segments that a device has. */
export function segments(sgt: SgTable): [address: number, length: number][] {
  return Array.from({ length: sgt.nents }, (_, i) => [
    sgt.dma_address[i] as number,
    sgt.dma_length[i] as number,
  ]);
}

/** A kernel with a device. */
export function setUp(init: Partial<DeviceInit> = {}): { kernel: Kernel; dev: Device } {
  const kernel = testKernel();
  return { kernel, dev: new Device(kernel, { name: 'gpu', ...init }) };
}

/** Maps entries, and says at which address the first is. */
export function map(dev: Device, dir: DmaDataDirection, ...entries: Entry[]): [SgTable, number] {
  const sgt = list(...entries);
  dmaMapSgtable(dev, sgt, dir);
  return [sgt, sgt.dma_address[0] as number];
}

/** The texts of the kernel log. */
export const logged = (kernel: Kernel) => kernel.log.records.map(({ text }) => text);

export function expectErrno(code: string, action: () => void): void {
  expect(action).toThrow(expect.objectContaining({ code }));
}

/** Nothing is mapped, and nothing is left of what was. */
export function expectNothingMapped(dev: Device): void {
  expect([dev.mappings, dev.mapped]).toEqual([0, 0]);
}

/** A table's columns as they are, to compare with. */
export const columns = (sgt: SgTable) => structuredClone({ ...sgt });
