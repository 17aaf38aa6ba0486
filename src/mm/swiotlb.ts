/**
 * Bounce buffers: memory that every device can reach, to copy through where one cannot reach the memory
 * itself. Linux: kernel/dma/swiotlb.c, Documentation/core-api/swiotlb.rst.
 */

import type { MappableMemory } from '../backing/shmem.js';
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { KERN_ERR, KERN_WARNING } from '../printk.js';
import { cacheOf } from './cache/cache.js';
import type { Device } from './device.js';
import { hex } from './hex.js';
import { PAGE_SIZE } from './page.js';

/** Bytes of a slot, which no two mappings share. */
export const IO_TLB_SIZE = 2048;
/** Slots in a row that one mapping can have at most. */
export const IO_TLB_SEGSIZE = 128;
/** Bytes of the pool. */
export const IO_TLB_DEFAULT_SIZE = 64 * 1024 * 1024;

const SLOTS = IO_TLB_DEFAULT_SIZE / IO_TLB_SIZE;
/** Where the pool lies: set aside when the kernel starts, right above the memory that is given out. */
const BASE = 3 * 1024 * 1024 * 1024;

/** The pool of a kernel. Addresses are physical ones. */
export class Swiotlb implements MappableMemory {
  /** No descriptor: it is not to be shared. */
  readonly fd = -1;
  readonly #kernel: KernelCore;
  readonly #bytes = new Uint8Array(IO_TLB_DEFAULT_SIZE);
  readonly #taken = new Uint8Array(SLOTS);
  /** By slot: the address of what is bounced through it. */
  readonly #origin = new Float64Array(SLOTS);
  /** By row of slots: how many are free. */
  readonly #free = new Uint8Array(SLOTS / IO_TLB_SEGSIZE).fill(IO_TLB_SEGSIZE);
  /** Slots that are taken. */
  used = 0;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    const pages = IO_TLB_DEFAULT_SIZE / PAGE_SIZE;
    kernel.memMap.set(BASE / PAGE_SIZE, pages, this, 0);
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }

  open(): number {
    throw errno('ENODEV');
  }

  /** Where the memory is that is bounced through an address of the pool. */
  origin(address: number): number {
    const at = address - BASE;
    return (this.#origin[Math.floor(at / IO_TLB_SIZE)] as number) + (at % IO_TLB_SIZE);
  }

  /**
   * swiotlb_tbl_map_single(): where `size` bytes from `address` on are bounced through, at the same offset
   * in a page. The bytes are copied in for every direction, and whatever DMA_ATTR_SKIP_CPU_SYNC says: a
   * device that writes part of them must neither uncover what was in the pool nor lose the rest.
   * Undefined, and the kernel log says why, when that cannot be had: it is more than 256 KiB or
   * than what the device takes between two boundaries, the pool is full, or the device cannot reach the pool either.
   */
  map(dev: Device, address: number, size: number): number | undefined {
    const inPage = address % PAGE_SIZE;
    const inSlot = inPage % IO_TLB_SIZE;
    const count = Math.ceil((inSlot + size) / IO_TLB_SIZE);
    const failed = this.#kernel.memory.failNext?.('swiotlb') ?? false;
    const longest = Math.min(
      IO_TLB_SEGSIZE,
      (dev.dma_parms.segment_boundary_mask + 1) / IO_TLB_SIZE,
    );
    const slot =
      failed || count > longest ? -1 : this.#find(count, Math.floor(inPage / IO_TLB_SIZE));
    if (slot < 0) {
      const slots = `total ${SLOTS} (slots), used ${this.used} (slots)`;
      this.#kernel.printk(
        KERN_WARNING,
        `${dev.name}: swiotlb buffer is full (sz: ${size} bytes), ${slots}`,
      );
      return undefined;
    }
    const at = BASE + slot * IO_TLB_SIZE + inSlot;
    if (at + size - 1 > dev.dma_mask) {
      const overflow = `overflow (mask ${dev.dma_mask.toString(16)}, bus limit 0)`;
      this.#kernel.printk(KERN_ERR, `${dev.name}: swiotlb addr ${hex(at)}+${size} ${overflow}`);
      return undefined;
    }
    this.#taken.fill(1, slot, slot + count);
    for (let i = 0; i < count; i++) this.#origin[slot + i] = address - inSlot + i * IO_TLB_SIZE;
    this.#count(slot, count);
    this.bounce(dev, at, size, true);
    return at;
  }

  /** swiotlb_tbl_unmap_single(), without copying anything. */
  unmap(address: number, size: number): void {
    const slot = Math.floor((address - BASE) / IO_TLB_SIZE);
    const count = Math.ceil(((address % IO_TLB_SIZE) + size) / IO_TLB_SIZE);
    this.#taken.fill(0, slot, slot + count);
    this.#count(slot, -count);
  }

  /** swiotlb_bounce(): copies what is mapped at an address of the pool, to there or back. */
  bounce(dev: Device, address: number, size: number, toPool: boolean): void {
    const origin = this.origin(address);
    const pfn = Math.floor(origin / PAGE_SIZE);
    let at = address - BASE;
    this.#kernel.memMap.runs(pfn, origin % PAGE_SIZE, size, (memory, offset, length) => {
      const inside = this.#bytes.subarray(at, at + length);
      if (toPool) {
        if (memory.remote) memory.remote.read(offset, inside);
        else inside.set(memory.bytes().subarray(offset, offset + length));
      } else {
        const cache = cacheOf(this.#kernel);
        const { observers } = this.#kernel;
        const { active } = observers;
        if (active) observers.tell('deviceWriting', dev, memory, offset, length);
        if (memory.remote) memory.remote.write(offset, inside);
        else memory.bytes().set(inside, offset);
        cache?.snoop(memory, offset, length);
        if (active) observers.tell('deviceWritten', dev, memory, offset, length);
      }
      at += length;
    });
  }

  /** The first of `count` free slots of one row, the `phase`th of a page; −1 if there are none. */
  #find(count: number, phase: number): number {
    const perPage = PAGE_SIZE / IO_TLB_SIZE;
    for (let row = 0; row < this.#free.length; row++) {
      if ((this.#free[row] as number) < count) continue;
      const end = (row + 1) * IO_TLB_SEGSIZE - count;
      for (let slot = row * IO_TLB_SEGSIZE + phase; slot <= end; slot += perPage) {
        let i = 0;
        while (i < count && this.#taken[slot + i] === 0) i++;
        if (i === count) return slot;
      }
    }
    return -1;
  }

  #count(slot: number, taken: number): void {
    const row = Math.floor(slot / IO_TLB_SEGSIZE);
    this.#free[row] = (this.#free[row] as number) - taken;
    this.used += taken;
  }
}

/** is_swiotlb_buffer(): whether a physical address is one of the pool's. */
export function inSwiotlb(address: number): boolean {
  return address >= BASE && address < BASE + IO_TLB_DEFAULT_SIZE;
}

const pools = new WeakMap<KernelCore, Swiotlb>();

/** The pool of a kernel, which is made for the first mapping that needs it. */
export function swiotlbOf(kernel: KernelCore): Swiotlb {
  let pool = pools.get(kernel);
  if (!pool) {
    pool = new Swiotlb(kernel);
    pools.set(kernel, pool);
  }
  return pool;
}
