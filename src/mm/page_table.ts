import { type DmaDataDirection, deviceReads, deviceWrites } from './dma-direction.js';

/** Entries of a leaf, which so covers 2 MiB. */
const ENTRIES = 512;
/** Empty leaves that are kept: what a buffer of 128 MiB takes. */
const SPARE = 64;

/** What a page is to be mapped for. */
export const ANY_ACCESS = 0;
export const READ_ACCESS = 1;
export const WRITE_ACCESS = 2;
export type PageAccess = typeof ANY_ACCESS | typeof READ_ACCESS | typeof WRITE_ACCESS;

/** Entries in columns. A page is mapped if anything has it mapped, for reading or for writing. */
class Leaf {
  readonly pfn = new Uint32Array(ENTRIES);
  /** How many mappings let the device read the page, and write it. */
  readonly readers = new Uint32Array(ENTRIES);
  readonly writers = new Uint32Array(ENTRIES);
  /** Pages that are mapped. */
  mapped = 0;
}

/**
 * What a device sees: a page frame for each page of its addresses that is mapped. One page may be mapped
 * several times, to the same frame: without an IOMMU its address is where it is. Protection is by page,
 * as with an IOMMU. All numbers are of pages; those of addresses are below 2^41.
 */
export class PageTable {
  readonly #leaves = new Map<number, Leaf>();
  readonly #spare: Leaf[] = [];
  /** The leaf that was looked at last, since pages come in order. */
  #last: Leaf | undefined;
  #lastKey = -1;

  /** Maps `count` pages from `page` on to as many frames in a row. */
  map(page: number, pfn: number, count: number, direction: DmaDataDirection): void {
    const reader = deviceReads(direction) ? 1 : 0;
    const writer = deviceWrites(direction) ? 1 : 0;
    for (let done = 0; done < count; ) {
      const key = Math.floor((page + done) / ENTRIES);
      const leaf = this.#leaf(key) ?? this.#add(key);
      let i = page + done - key * ENTRIES;
      const end = Math.min(ENTRIES, i + count - done);
      for (; i < end; i++, done++) {
        if ((leaf.readers[i] as number) + (leaf.writers[i] as number) === 0) {
          leaf.pfn[i] = pfn + done;
          leaf.mapped++;
        }
        leaf.readers[i] = (leaf.readers[i] as number) + reader;
        leaf.writers[i] = (leaf.writers[i] as number) + writer;
      }
    }
  }

  /** Undoes {@link map}; pages in between that are not mapped stay so. */
  unmap(page: number, count: number, direction: DmaDataDirection): void {
    const reader = deviceReads(direction) ? 1 : 0;
    const writer = deviceWrites(direction) ? 1 : 0;
    for (let done = 0; done < count; ) {
      const key = Math.floor((page + done) / ENTRIES);
      const leaf = this.#leaf(key);
      let i = page + done - key * ENTRIES;
      const end = Math.min(ENTRIES, i + count - done);
      done += end - i;
      if (!leaf) continue;
      for (; i < end; i++) {
        const readers = leaf.readers[i] as number;
        const writers = leaf.writers[i] as number;
        if (readers + writers === 0) continue;
        leaf.readers[i] = readers - reader;
        leaf.writers[i] = writers - writer;
        if (readers + writers === reader + writer) leaf.mapped--;
      }
      if (leaf.mapped === 0) this.#remove(key, leaf);
    }
  }

  /** The frame that a page is mapped to; −1 if it is not, or not for that access. */
  frame(page: number, access: PageAccess): number {
    const key = Math.floor(page / ENTRIES);
    const leaf = this.#leaf(key);
    if (!leaf) return -1;
    const i = page - key * ENTRIES;
    let users = 0;
    if (access !== WRITE_ACCESS) users += leaf.readers[i] as number;
    if (access !== READ_ACCESS) users += leaf.writers[i] as number;
    return users > 0 ? (leaf.pfn[i] as number) : -1;
  }

  #leaf(key: number): Leaf | undefined {
    if (key !== this.#lastKey) {
      this.#last = this.#leaves.get(key);
      this.#lastKey = key;
    }
    return this.#last;
  }

  #add(key: number): Leaf {
    const leaf = this.#spare.pop() ?? new Leaf();
    this.#leaves.set(key, leaf);
    this.#last = leaf;
    this.#lastKey = key;
    return leaf;
  }

  #remove(key: number, leaf: Leaf): void {
    this.#leaves.delete(key);
    this.#last = undefined;
    this.#lastKey = key;
    if (this.#spare.length < SPARE) this.#spare.push(leaf);
  }
}
