import type { MappableMemory } from '../backing/shmem.js';
import { BaseDevice, type BaseDeviceInit } from '../base/core.js';
import type { KernelCore } from '../core.js';
import { KERN_ERR, KERN_WARNING } from '../printk.js';
import { cacheOf } from './cache/cache.js';
import type { DmaCoherency } from './cache/dma-coherency.js';
import { dmaDirectUnmapSg } from './dma-direct.js';
import type { DmaDataDirection } from './dma-direction.js';
import { hex } from './hex.js';
import { IovaDomain, iommuDmaUnmapSg } from './iommu.js';
import { PAGE_SIZE } from './page.js';
import { ANY_ACCESS, type PageAccess, PageTable, READ_ACCESS, WRITE_ACCESS } from './page_table.js';
import { Runs } from './runs.js';
import type { SgTable } from './scatterlist.js';
import { inSwiotlb, Swiotlb, swiotlbOf } from './swiotlb.js';

declare module '../observe/observer.js' {
  interface Observer {
    /** A device is about to write bytes of memory: a buffer's own ({@link DmaBuf.contents}), or others'. */
    deviceWriting?(device: Device, memory: MappableMemory, offset: number, length: number): void;
    deviceWritten?(device: Device, memory: MappableMemory, offset: number, length: number): void;
    /** A device accessed an address that is not mapped for it. `text` is the line in the kernel log. */
    dmaFault?(device: Device, text: string): void;
  }
}

/** struct device_dma_parameters, and how many segments a device takes. */
export interface DeviceDmaParameters {
  /** Bytes a segment at most. */
  max_segment_size: number;
  /** No segment crosses a multiple of it + 1; 2^n − 1. */
  segment_boundary_mask: number;
  /** Segments a scatterlist at most: what an exporter can go by. Nothing here enforces it. */
  max_segments: number;
}

export interface DeviceInit extends BaseDeviceInit {
  /** The highest address that it can reach; {@link DMA_BIT_MASK}(32) by default. */
  dma_mask?: number;
  /** The same for memory that is allocated for it; by default as `dma_mask`. */
  coherent_dma_mask?: number;
  /** By default 64 KiB, no boundary, and any number. */
  dma_parms?: Partial<DeviceDmaParameters>;
  /** Whether it sees what is in the CPU's caches; true by default. */
  dma_coherent?: boolean;
  /** Whether an IOMMU is in front of it; false by default. */
  iommu?: boolean;
  /** Whether what it cannot reach is bounced, where there is no IOMMU; true by default. */
  swiotlb?: boolean;
}

/** What a device has mapped with one call. */
export interface DmaMapping {
  readonly direction: DmaDataDirection;
  /** Bytes. */
  readonly size: number;
  /** The segments, as the device has them. */
  readonly address: Float64Array;
  readonly length: Uint32Array;
  /** The range of addresses that an IOMMU gave: the first page, and how many. */
  readonly iova: number;
  readonly pages: number;
}

/** A mapping that was. */
interface Unmapped {
  mapping: DmaMapping;
  /** The buffer. */
  what: string;
}

type VisitRun = (
  cache: DmaCoherency,
  memory: MappableMemory,
  offset: number,
  length: number,
) => void;

/** dma_get_seg_boundary() of a device that has none: as large as addresses get. */
const NO_BOUNDARY = 2 ** 64 - 1;
/** How many of the mappings that were undone last are remembered, to explain faults. */
const REMEMBERED = 8;
/** Faults of a device that are logged, one by one. */
const LOGGED_FAULTS = 10;

/** What a device wants to access. */
interface Access {
  address: number;
  length: number;
  access: 'read' | 'write';
}

/** An access of a device to what is not mapped for it. Nothing has been changed. */
export class DmaFault extends Error {
  readonly device: Device;
  /** The first address of the access that the device may not use. */
  readonly address: number;
  readonly access: 'read' | 'write';
  /** Why not, and what buffer is there or was. */
  readonly reason: string;

  /** @internal */
  constructor(device: Device, { address, length, access }: Access, bad: number, reason: string) {
    const from = bad === address ? '' : `from ${hex(bad)} on: `;
    super(`${device.name}: ${access} of ${length} bytes at ${hex(address)}: ${from}${reason}`);
    this.name = 'DmaFault';
    this.device = device;
    this.address = bad;
    this.access = access;
    this.reason = reason;
  }
}

/**
 * struct device: one that can do DMA, whether it is in the driver model ({@link deviceAdd}) or not. It sees nothing
 * but what is mapped for it, even where there is no IOMMU; that is by page, as an IOMMU protects. Addresses and
 * lengths are in bytes.
 */
export class Device extends BaseDevice {
  dma_mask: number;
  coherent_dma_mask: number;
  readonly dma_parms: DeviceDmaParameters;
  readonly dma_coherent: boolean;
  readonly iommu: boolean;
  readonly swiotlb: boolean;
  /** Faults so far, and the last one. */
  faults = 0;
  lastFault: DmaFault | undefined;
  /** Scatterlists that are mapped, and bytes of them. */
  mappings = 0;
  mapped = 0;
  /** @internal */
  readonly pages = new PageTable();
  /** @internal Addresses that the IOMMU has given. */
  readonly iova = new IovaDomain();
  /** By scatterlist, since one that is mapped again is to be unmapped as often. */
  readonly #mappings = new Map<SgTable, DmaMapping[]>();
  /** The oldest first. */
  readonly #unmapped: Unmapped[] = [];

  constructor(kernel: KernelCore, init: DeviceInit) {
    super(kernel, init);
    this.dma_mask = init.dma_mask ?? 0xffffffff;
    this.coherent_dma_mask = init.coherent_dma_mask ?? this.dma_mask;
    this.dma_parms = {
      max_segment_size: 64 * 1024,
      segment_boundary_mask: NO_BOUNDARY,
      max_segments: Number.POSITIVE_INFINITY,
      ...init.dma_parms,
    };
    this.dma_coherent = init.dma_coherent ?? true;
    this.iommu = init.iommu ?? false;
    this.swiotlb = init.swiotlb ?? true;
  }

  /** Segments that it takes at most. */
  get max_segments(): number {
    return this.dma_parms.max_segments;
  }

  /** The device reads memory, as much as `into` has room for. Throws {@link DmaFault}. */
  read(address: number, into: Uint8Array): void {
    const runs = this.#resolve(address, into.length, 'read');
    for (let i = 0, at = 0; i < runs.count; i++) {
      const length = runs.length[i] as number;
      into.set(this.#load(runs, i, 0, length), at);
      at += length;
    }
  }

  /** The device writes memory. Throws {@link DmaFault}. */
  write(address: number, from: Uint8Array): void {
    const runs = this.#resolve(address, from.length, 'write');
    for (let i = 0, at = 0; i < runs.count; i++) {
      const length = runs.length[i] as number;
      this.#store(runs, i, 0, from.subarray(at, at + length));
      at += length;
    }
  }

  /** The device writes the byte `value` `length` times. Throws {@link DmaFault}. */
  fill(address: number, length: number, value: number): void {
    const runs = this.#resolve(address, length, 'write');
    for (let i = 0; i < runs.count; i++) {
      const offset = runs.offset[i] as number;
      const count = runs.length[i] as number;
      const memory = runs.memory[i] as MappableMemory;
      if (this.#coherencyWith(memory)) {
        this.#store(runs, i, 0, new Uint8Array(count).fill(value));
      } else {
        this.#writing(memory, offset, count, () => {
          runs.fill(i, value);
          cacheOf(this.kernel)?.snoop(memory, offset, count);
        });
      }
    }
  }

  /** The device copies memory; the two must not overlap. Throws {@link DmaFault}. */
  copy(to: number, from: number, length: number): void {
    const source = this.#resolve(from, length, 'read');
    const target = this.#resolve(to, length, 'write');
    // Where the next byte is: in which run, and how far into it.
    let [s, sAt, t, tAt] = [0, 0, 0, 0];
    while (s < source.count) {
      const sLeft = (source.length[s] as number) - sAt;
      const tLeft = (target.length[t] as number) - tAt;
      const count = Math.min(sLeft, tLeft);
      this.#store(target, t, tAt, this.#load(source, s, sAt, count));
      [s, sAt] = count === sLeft ? [s + 1, 0] : [s, sAt + count];
      [t, tAt] = count === tLeft ? [t + 1, 0] : [t, tAt + count];
    }
  }

  /** Forgets the faults; the next ones are logged again. */
  clearFaults(): void {
    this.faults = 0;
    this.lastFault = undefined;
  }

  /** The device goes. What it has mapped still is reported, and unmapped. */
  close(): void {
    if (this.mappings === 0) return;
    const what = 'device driver has pending DMA allocations while released from device';
    this.kernel.printk(KERN_WARNING, `DMA-API: ${this.name}: ${what} [count=${this.mappings}]`);
    for (const [sgt, mappings] of this.#mappings) {
      while (mappings.length > 0) this.removeMapping(sgt, mappings[0] as DmaMapping);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Takes note of a mapping that was made. */
  addMapping(sgt: SgTable, mapping: DmaMapping): void {
    const known = this.#mappings.get(sgt);
    if (known) known.push(mapping);
    else this.#mappings.set(sgt, [mapping]);
    this.mappings++;
    this.mapped += mapping.size;
    this.forEachCachedRun(mapping, (cache, memory, offset, length) =>
      cache.map(this, memory, offset, length, mapping.direction),
    );
  }

  /** @internal The mapping that a scatterlist tells of; undefined: there is none, any more. */
  findMapping(sgt: SgTable): DmaMapping | undefined {
    return this.#mappings.get(sgt)?.findLast(({ address }) => address[0] === sgt.dma_address[0]);
  }

  /** @internal Undoes a mapping. */
  removeMapping(sgt: SgTable, mapping: DmaMapping): void {
    const known = this.#mappings.get(sgt) as DmaMapping[];
    known.splice(known.indexOf(mapping), 1);
    if (known.length === 0) this.#mappings.delete(sgt);
    this.mappings--;
    this.mapped -= mapping.size;
    const what = this.#whatIsAt(mapping.address[0] as number);
    if (what) this.#unmapped.push({ mapping, what });
    if (this.#unmapped.length > REMEMBERED) this.#unmapped.shift();
    this.forEachCachedRun(mapping, (cache, memory, offset, length) =>
      cache.unmap(this, memory, offset, length, mapping.direction),
    );
    if (this.iommu) iommuDmaUnmapSg(this, mapping);
    else dmaDirectUnmapSg(this, mapping);
  }

  /** @internal Calls `visit` for each run of a mapping's bytes, if caches are between the device and them. */
  forEachCachedRun({ address, length }: DmaMapping, visit: VisitRun): void {
    const cache = cacheOf(this.kernel);
    if (!cache || this.dma_coherent) return;
    const runs = new Runs();
    for (let i = 0; i < address.length; i++) {
      this.#collect(address[i] as number, length[i] as number, ANY_ACCESS, runs);
    }
    for (let i = 0; i < runs.count; i++) {
      const memory = runs.memory[i] as MappableMemory;
      if (!this.#coherencyWith(memory)) continue;
      visit(cache, memory, runs.offset[i] as number, runs.length[i] as number);
    }
  }

  /** What an access is to; all of it, or a {@link DmaFault}. */
  #resolve(address: number, length: number, access: 'read' | 'write'): Runs {
    const runs = new Runs();
    const wanted = access === 'read' ? READ_ACCESS : WRITE_ACCESS;
    const bad = this.#collect(address, length, wanted, runs);
    if (bad !== undefined) this.#fault({ address, length, access }, bad, wanted);
    return runs;
  }

  /** Adds what is mapped at a range of addresses to `runs`. The first address where nothing is. */
  #collect(address: number, length: number, access: PageAccess, runs: Runs): number | undefined {
    const end = address + length;
    if (address < 0 || !Number.isSafeInteger(end)) return address;
    const { pages } = this;
    const { memMap } = this.kernel;
    const last = Math.floor((end - 1) / PAGE_SIZE);
    let page = Math.floor(address / PAGE_SIZE);
    let next = pages.frame(page, access);
    for (let at = address; at < end; at = page * PAGE_SIZE) {
      const [first, pfn] = [page, next];
      if (pfn < 0) return at;
      for (page++; page <= last; page++) {
        next = pages.frame(page, access);
        if (next !== pfn + page - first) break;
      }
      const count = Math.min(end, page * PAGE_SIZE) - at;
      if (!memMap.runs(pfn, at - first * PAGE_SIZE, count, runs.add)) return at;
    }
    return undefined;
  }

  #fault(wanted: Access, bad: number, access: PageAccess): never {
    const fault = new DmaFault(this, wanted, bad, this.#reason(wanted, bad, access));
    this.faults++;
    this.lastFault = fault;
    const line = (text: string) => `${this.iommu ? 'iommu' : 'dma'}: ${text}`;
    const log = (text: string) => this.kernel.printk(KERN_ERR, line(text));
    const { observers } = this.kernel;
    if (observers.active) observers.tell('dmaFault', this, line(fault.message));
    if (this.faults <= LOGGED_FAULTS) log(fault.message);
    else if (this.faults === LOGGED_FAULTS + 1) log(`${this.name}: further faults are not logged`);
    throw fault;
  }

  #reason({ address, access }: Access, bad: number, wanted: PageAccess): string {
    const what = this.#whatIsAt(bad);
    const page = Math.floor(bad / PAGE_SIZE);
    if (this.pages.frame(page, wanted) >= 0) return 'mapped, but its memory has been freed';
    if (what) return `not mapped for ${access === 'read' ? 'reading' : 'writing'} (${what})`;
    const before = this.#whatIsAt(page * PAGE_SIZE - 1);
    const past = before && `not mapped (it is past the end of ${before})`;
    const was = this.#whatWasAt(bad);
    const gone = was && `not mapped (${was} was until it was unmapped)`;
    return (bad > address ? (past ?? gone) : (gone ?? past)) ?? 'not mapped';
  }

  /** The buffer that is mapped at an address. */
  #whatIsAt(address: number): string | undefined {
    const pfn = this.pages.frame(Math.floor(address / PAGE_SIZE), ANY_ACCESS);
    if (pfn < 0) return undefined;
    let at = pfn * PAGE_SIZE + (address % PAGE_SIZE);
    if (inSwiotlb(at)) at = swiotlbOf(this.kernel).origin(at);
    let what = 'a buffer';
    this.kernel.memMap.runs(Math.floor(at / PAGE_SIZE), at % PAGE_SIZE, 1, (memory) => {
      what = memory.describe?.() ?? what;
    });
    return what;
  }

  /** The buffer that was mapped at an address, lately. */
  #whatWasAt(address: number): string | undefined {
    const within = (start: number, i: number, length: Uint32Array) =>
      address >= start && address < start + (length[i] as number);
    return this.#unmapped.findLast(({ mapping }) =>
      mapping.address.some((start, i) => within(start, i, mapping.length)),
    )?.what;
  }

  /** The caches between the device and a memory, if there are any. The bounce buffers are coherent, and what is not here cannot be looked into. */
  #coherencyWith(memory: MappableMemory): DmaCoherency | undefined {
    if (this.dma_coherent || memory.remote || memory instanceof Swiotlb) return undefined;
    return cacheOf(this.kernel);
  }

  /** `count` bytes of a run, from its byte `from` on, as the device reads them. */
  #load(runs: Runs, run: number, from: number, count: number): Uint8Array {
    const memory = runs.memory[run] as MappableMemory;
    const offset = (runs.offset[run] as number) + from;
    const cache = this.#coherencyWith(memory);
    if (!cache) return runs.load(run, from, count);
    const bytes = new Uint8Array(count);
    cache.read(this, memory, offset, bytes);
    return bytes;
  }

  /** Stores bytes in a run, from its byte `at` on, as the device writes them. */
  #store(runs: Runs, run: number, at: number, bytes: Uint8Array): void {
    const memory = runs.memory[run] as MappableMemory;
    const offset = (runs.offset[run] as number) + at;
    this.#writing(memory, offset, bytes.length, () => {
      const cache = this.#coherencyWith(memory);
      if (cache) {
        cache.write(this, memory, offset, bytes);
      } else {
        runs.store(run, at, bytes);
        cacheOf(this.kernel)?.snoop(memory, offset, bytes.length);
      }
    });
  }

  /** Tells those who observe what `write` writes. */
  #writing(memory: MappableMemory, offset: number, length: number, write: () => void): void {
    const { observers } = this.kernel;
    if (!observers.active) {
      write();
      return;
    }
    observers.tell('deviceWriting', this, memory, offset, length);
    write();
    observers.tell('deviceWritten', this, memory, offset, length);
  }
}
