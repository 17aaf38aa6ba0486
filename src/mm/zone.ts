import { random } from './random.js';

/** The highest order of a block: 4 MiB. */
export const MAX_PAGE_ORDER = 10;
/** Page frames of a block of the highest order. */
export const MAX_ORDER_NR_PAGES = 1 << MAX_PAGE_ORDER;

/** How many untouched blocks are laid out, at most, in search of one that is whole enough. */
const LOOK_AHEAD = 64;

/** States of a page frame, to which the order of the block that it begins is added. All else is 0. */
const FREE = 1;
const GIVEN = 16;

/** What is known of a block of the highest order, by page frame. */
class Block {
  readonly state = new Uint8Array(MAX_ORDER_NR_PAGES);
  /** Where in the list of its order a free block is that begins here. */
  readonly position = new Uint32Array(MAX_ORDER_NR_PAGES);
}

/** How broken up memory is, and what it is that chance is made of. */
export interface Breakage {
  /** 0 … 1 */
  fragmentation: number;
  seed: number;
}

/** The part of memory in `fragmentation` that is in use by others, on average. */
export function averageInUse(fragmentation: number): number {
  // A broken block of order 1 has one frame in use, one of any other order 1 + fragmentation broken halves.
  const broken = (1 + fragmentation) ** (MAX_PAGE_ORDER - 1);
  return (fragmentation * broken) / MAX_ORDER_NR_PAGES;
}

/** Calls `add` for what is free in block `number` of broken memory: page frames from its first on. */
function layOut(
  number: number,
  { fragmentation, seed }: Breakage,
  add: (index: number, order: number) => void,
): void {
  const next = random(Math.imul(seed + 1, 0x9e3779b1) ^ number);
  const visit = (index: number, order: number, broken: boolean) => {
    if (!broken) {
      add(index, order);
      return;
    }
    const lower = next() < 0.5;
    if (order === 1) {
      add(lower ? index : index + 1, 0);
      return;
    }
    visit(index, order - 1, lower || next() < fragmentation);
    visit(index + (1 << (order - 1)), order - 1, !lower || next() < fragmentation);
  };
  visit(0, MAX_PAGE_ORDER, next() < fragmentation);
}

/**
 * A stretch of memory, with the free blocks of each order in lists, as Linux's struct zone has them.
 * What was never given out is not in the lists yet: it is carved, a block of the highest order at a
 * time, when there is nothing else to give.
 */
export class Zone {
  readonly #start: number;
  readonly #firstBlock: number;
  readonly #end: number;
  readonly #breakage: Breakage;
  readonly #above: Zone | undefined;
  readonly #blocks: Block[] = [];
  /** First page frames of free blocks, by order; the one to be given next is the last. */
  readonly #free: number[][] = Array.from({ length: MAX_PAGE_ORDER + 1 }, () => []);
  /** Page frames that were not carved yet, those that others use not counted. */
  #pristine: number;

  /**
   * Of `size` page frames to be given out, from frame `start` on. `end` is that of a block of the highest
   * order; what turns out not to be free below it is given by the zone `above`.
   */
  constructor(start: number, end: number, size: number, breakage: Breakage, above?: Zone) {
    this.#start = start;
    this.#firstBlock = Math.floor(start / MAX_ORDER_NR_PAGES);
    this.#end = end / MAX_ORDER_NR_PAGES;
    this.#pristine = size;
    this.#breakage = breakage;
    this.#above = above;
  }

  /** The first page frame of a block; undefined if there is none. */
  allocate(order: number): number | undefined {
    for (let ahead = 0; ; ahead++) {
      for (let from = order; from <= MAX_PAGE_ORDER; from++) {
        const pfn = this.#list(from).pop();
        if (pfn !== undefined) return this.#split(pfn, from, order);
      }
      if (ahead === LOOK_AHEAD || !this.#carve()) return undefined;
    }
  }

  /** Error, if no block of that order, and there, was given out. */
  free(pfn: number, order: number): void {
    const block = this.#blockOf(pfn);
    let index = pfn % MAX_ORDER_NR_PAGES;
    if (block?.state[index] !== GIVEN + order) {
      throw new Error(`__free_pages: no block of order ${order} was given out at ${pfn}`);
    }
    block.state[index] = 0;
    const base = pfn - index;
    let merged = order;
    for (; merged < MAX_PAGE_ORDER; merged++) {
      const buddy = index ^ (1 << merged);
      if (block.state[buddy] !== FREE + merged) break;
      this.#unlist(block, base + buddy, merged);
      index &= buddy;
    }
    this.#enlist(block, base + index, merged);
  }

  /** Gives the lower end of a block that was taken from its list, and keeps the rest. */
  #split(pfn: number, from: number, order: number): number {
    const block = this.#blockOf(pfn) as Block;
    for (let upper = from - 1; upper >= order; upper--) {
      this.#enlist(block, pfn + (1 << upper), upper);
    }
    block.state[pfn % MAX_ORDER_NR_PAGES] = GIVEN + order;
    return pfn;
  }

  /** Takes the next untouched block in. False if there is none. */
  #carve(): boolean {
    const number = this.#firstBlock + this.#blocks.length;
    if (this.#pristine === 0 || number === this.#end) return false;
    const block = new Block();
    this.#blocks.push(block);
    const pfns: number[] = [];
    const orders: number[] = [];
    const add = (pfn: number, order: number) => {
      const count = 1 << order;
      if (pfn + count <= this.#start || this.#pristine === 0) return;
      if (pfn < this.#start || count > this.#pristine) {
        // Part of it is not there.
        add(pfn, order - 1);
        add(pfn + count / 2, order - 1);
        return;
      }
      this.#pristine -= count;
      pfns.push(pfn);
      orders.push(order);
    };
    layOut(number, this.#breakage, (index, order) => {
      add(number * MAX_ORDER_NR_PAGES + index, order);
    });
    // The lowest are to be given first.
    for (let i = pfns.length - 1; i >= 0; i--) {
      this.#enlist(block, pfns[i] as number, orders[i] as number);
    }
    if (this.#above && number + 1 === this.#end) {
      this.#above.#pristine += this.#pristine;
      this.#pristine = 0;
    }
    return true;
  }

  #list(order: number): number[] {
    return this.#free[order] as number[];
  }

  #enlist(block: Block, pfn: number, order: number): void {
    const list = this.#list(order);
    const index = pfn % MAX_ORDER_NR_PAGES;
    block.state[index] = FREE + order;
    block.position[index] = list.length;
    list.push(pfn);
  }

  #unlist(block: Block, pfn: number, order: number): void {
    const list = this.#list(order);
    const index = pfn % MAX_ORDER_NR_PAGES;
    block.state[index] = 0;
    const last = list.pop() as number;
    if (last === pfn) return;
    const position = block.position[index] as number;
    list[position] = last;
    (this.#blockOf(last) as Block).position[last % MAX_ORDER_NR_PAGES] = position;
  }

  #blockOf(pfn: number): Block | undefined {
    return this.#blocks[Math.floor(pfn / MAX_ORDER_NR_PAGES) - this.#firstBlock];
  }
}
