/**
 * Physical memory: page frames, given out in blocks of 2^order. Linux: mm/page_alloc.c,
 * Documentation/mm/physical_memory.rst.
 */
import { totalmem } from 'node:os';
import { Cma } from './cma.js';
import { PAGE_SIZE } from './page.js';
import { averageInUse, MAX_ORDER_NR_PAGES, MAX_PAGE_ORDER, Zone } from './zone.js';

export { MAX_PAGE_ORDER };

export interface MemoryOptions {
  /**
   * Bytes that can be given out in all, the CMA area not counted; whole pages of them, and 4 TiB at most.
   * By default what the machine has.
   */
  size?: number;
  /**
   * Bytes of the CMA area, for memory in one piece: whole pages of them, and at most 4 MiB less than
   * 3 GiB. By default 0, no area.
   */
  cma?: number;
  /**
   * How broken up free memory is, from 0, all of it in blocks of 4 MiB, which is the default, to 1, no
   * two free pages being buddies that could merge. The pages in between, which others use, come on top
   * of `size`.
   */
  fragmentation?: number;
  /** An integer; with another one other pages are in use by others. 0 by default. */
  seed?: number;
}

/** Memory as <linux/gfp_types.h> asks for it: anywhere. */
export const GFP_KERNEL = 0xcc0;
/** Memory that devices reach that have 32 address bits. */
export const GFP_DMA32 = 0x4;

const MAX_SIZE = 2 ** 42;

/** Where memory begins, and where its zones do and end, in page frames. Above DMA32 is the PCI hole. */
const DMA32_START = 2 ** 20 / PAGE_SIZE;
const DMA32_END = (3 * 2 ** 30) / PAGE_SIZE;
const NORMAL_START = 2 ** 32 / PAGE_SIZE;
const NORMAL_END = 2 ** 32;

const MAX_CMA = (DMA32_END - MAX_ORDER_NR_PAGES) * PAGE_SIZE;

function checked(name: keyof MemoryOptions, value: number, min: number, max: number): number {
  // Written so that NaN is none of it.
  if (value >= min && value <= max) return value;
  throw new RangeError(`memory.${name} is ${value}, and has to be from ${min} to ${max}`);
}

/** The page frames of a kernel. A page frame number is below 2^32. */
export class PageAllocator {
  /** Bytes that can be given out, the CMA area not counted. */
  readonly size: number;
  /**
   * For tests of what happens when there is no memory: asked before every allocation, by the name of
   * Linux's function (`alloc_pages`, `cma_alloc`), and before addresses are taken (`iova`, `swiotlb`).
   * True has it fail.
   */
  failNext: ((what: string) => boolean) | undefined;
  readonly #reclaim: () => void;
  readonly #maxOrder: number;
  readonly #dma32: Zone;
  readonly #normal: Zone;
  readonly #cma: Cma;
  readonly #cmaStart: number;
  #used = 0;

  /**
   * `reclaim` frees what nobody has any more; it is called before an allocation fails.
   * @throws RangeError for options that make no sense.
   */
  constructor(options: MemoryOptions, reclaim: () => void) {
    const size = checked('size', options.size ?? Math.min(totalmem(), MAX_SIZE), 0, MAX_SIZE);
    const cma = Math.floor(checked('cma', options.cma ?? 0, 0, MAX_CMA) / PAGE_SIZE);
    const fragmentation = checked('fragmentation', options.fragmentation ?? 0, 0, 1);
    const { seed = 0 } = options;
    if (!Number.isSafeInteger(seed)) {
      throw new RangeError(`memory.seed is ${seed}, and has to be an integer`);
    }
    this.#reclaim = reclaim;

    const cmaBlocks = Math.ceil(cma / MAX_ORDER_NR_PAGES);
    const dma32End = DMA32_END - cmaBlocks * MAX_ORDER_NR_PAGES;
    this.#cma = new Cma(dma32End, cma);
    this.#cmaStart = dma32End;

    const count = Math.floor(size / PAGE_SIZE);
    this.size = count * PAGE_SIZE;
    // Whole memory has all its frames free; broken memory is laid out when it is used, and may differ.
    const free = Math.floor((dma32End - DMA32_START) * (1 - averageInUse(fragmentation)));
    const low = Math.min(count, free);
    const breakage = { fragmentation, seed };
    this.#normal = new Zone(NORMAL_START, NORMAL_END, count - low, breakage);
    this.#dma32 = new Zone(DMA32_START, dma32End, low, breakage, this.#normal);
    // There is nothing to look for where no two free frames are buddies.
    this.#maxOrder = fragmentation === 1 ? 0 : MAX_PAGE_ORDER;
  }

  /** Bytes that are given out, the CMA area not counted. */
  get used(): number {
    return this.#used * PAGE_SIZE;
  }

  /**
   * alloc_pages(): the first of 2^`order` page frames, a multiple of 2^`order`. Memory above 4 GiB is
   * taken first, unless `gfp` is GFP_DMA32. Undefined when there is no such block.
   */
  allocPages(order: number, gfp = GFP_KERNEL): number | undefined {
    if (this.failNext?.('alloc_pages') || order > this.#maxOrder) return undefined;
    let pfn = this.#allocate(order, gfp);
    if (pfn === undefined) {
      this.#reclaim();
      pfn = this.#allocate(order, gfp);
    }
    if (pfn !== undefined) this.#used += 1 << order;
    return pfn;
  }

  #allocate(order: number, gfp: number): number | undefined {
    const pfn = gfp & GFP_DMA32 ? undefined : this.#normal.allocate(order);
    return pfn ?? this.#dma32.allocate(order);
  }

  /** __free_pages(): exactly what {@link allocPages} gave; all else is an Error. */
  freePages(pfn: number, order: number): void {
    const zone = pfn >= NORMAL_START ? this.#normal : this.#dma32;
    zone.free(pfn, order);
    this.#used -= 1 << order;
  }

  /**
   * cma_alloc(): the first of `count` page frames in a row, a multiple of 2^`align`, from the CMA area.
   * Undefined when there are none.
   */
  cmaAlloc(count: number, align: number): number | undefined {
    if (this.failNext?.('cma_alloc') || count < 1 || count > this.#cma.count) return undefined;
    const pfn = this.#cma.alloc(count, align);
    if (pfn !== undefined) return pfn;
    this.#reclaim();
    return this.#cma.alloc(count, align);
  }

  /** cma_release(): exactly what {@link cmaAlloc} gave; all else is an Error. */
  cmaRelease(pfn: number, count: number): void {
    this.#cma.release(pfn, count);
  }

  /** What a page frame is of: a zone, or the CMA area. */
  areaOf(pfn: number): 'DMA32' | 'Normal' | 'CMA' {
    if (pfn >= NORMAL_START) return 'Normal';
    return pfn < this.#cmaStart ? 'DMA32' : 'CMA';
  }

  /** As /proc/meminfo has them, but in bytes: the CMA area is a part of all memory. */
  meminfo(): { MemTotal: number; MemFree: number; CmaTotal: number; CmaFree: number } {
    const CmaTotal = this.#cma.count * PAGE_SIZE;
    const CmaFree = this.#cma.free * PAGE_SIZE;
    return {
      MemTotal: this.size + CmaTotal,
      MemFree: this.size - this.used + CmaFree,
      CmaTotal,
      CmaFree,
    };
  }
}
