import type { MappableMemory } from '../backing/shmem.js';
import { PAGE_SIZE } from './page.js';

/** Page frames that a leaf is of: 4 MiB. */
const ENTRIES = 1024;

class Leaf {
  /** By page frame: the index of the memory that is in it, 0 for none. */
  readonly owner = new Uint32Array(ENTRIES);
  /** Which page of that memory. */
  readonly page = new Uint32Array(ENTRIES);
}

/**
 * What is in each page frame, which Linux's mem_map answers with a struct page: a page of some memory.
 * A leaf once made is kept: frames that were freed are used again before others.
 */
export class MemMap {
  readonly #leaves = new Map<number, Leaf>();
  /** Memories by their index; what is undefined is unused, and in the list of those. */
  readonly #memories: (MappableMemory | undefined)[] = [undefined];
  readonly #unused: number[] = [];
  /** By index: how many frames a memory is in. */
  readonly #frames: number[] = [0];
  readonly #indices = new Map<MappableMemory, number>();
  /** The leaf that was looked at last, since frames mostly come in order. */
  #last: Leaf | undefined;
  #lastKey = -1;

  /**
   * `count` frames from `pfn` on hold the bytes of `memory` from `offset` on, which is a multiple of the
   * page size. Error for a frame that holds something already: frames that are shared are set once.
   */
  set(pfn: number, count: number, memory: MappableMemory, offset: number): void {
    const index = this.#indices.get(memory) ?? this.#add(memory);
    const page = offset / PAGE_SIZE;
    for (let done = 0; done < count; ) {
      const key = Math.floor((pfn + done) / ENTRIES);
      const leaf = this.#leaf(key) ?? this.#addLeaf(key);
      let i = pfn + done - key * ENTRIES;
      const end = Math.min(ENTRIES, i + count - done);
      for (; i < end; i++, done++) {
        if (leaf.owner[i] !== 0) throw new Error(`page frame ${pfn + done} is in use`);
        leaf.owner[i] = index;
        leaf.page[i] = page + done;
      }
    }
    this.#frames[index] = (this.#frames[index] as number) + count;
  }

  /** Nothing is in `count` frames from `pfn` on any more. Error for one that nothing was in. */
  clear(pfn: number, count: number): void {
    for (let done = 0; done < count; ) {
      const key = Math.floor((pfn + done) / ENTRIES);
      const leaf = this.#leaf(key);
      let i = pfn + done - key * ENTRIES;
      const end = Math.min(ENTRIES, i + count - done);
      for (; i < end; i++, done++) {
        const index = leaf?.owner[i] ?? 0;
        if (!leaf || index === 0) throw new Error(`page frame ${pfn + done} is not in use`);
        leaf.owner[i] = 0;
        const left = (this.#frames[index] as number) - 1;
        this.#frames[index] = left;
        if (left === 0) this.#remove(index);
      }
    }
  }

  /**
   * Calls `visit(memory, offset, length)` for each run of bytes that are adjacent in one memory, in order:
   * `length` bytes, from byte `offset` of frame `pfn` on, through one frame after the other. False as
   * soon as a frame has nothing in it; then not all was visited.
   */
  runs(
    pfn: number,
    offset: number,
    length: number,
    visit: (memory: MappableMemory, offset: number, length: number) => void,
  ): boolean {
    let frame = pfn + Math.floor(offset / PAGE_SIZE);
    let from = offset % PAGE_SIZE;
    let left = length;
    while (left > 0) {
      const leaf = this.#leaf(Math.floor(frame / ENTRIES));
      const i = frame % ENTRIES;
      const index = leaf?.owner[i] ?? 0;
      if (!leaf || index === 0) return false;
      const page = leaf.page[i] as number;
      const count = this.#adjacent(frame, index, page, (from + left + PAGE_SIZE - 1) / PAGE_SIZE);
      const bytes = Math.min(left, count * PAGE_SIZE - from);
      visit(this.#memories[index] as MappableMemory, page * PAGE_SIZE + from, bytes);
      left -= bytes;
      frame += count;
      from = 0;
    }
    return true;
  }

  /** How many frames, of `most` from `frame` on, hold memory `index` from page `page` on. */
  #adjacent(frame: number, index: number, page: number, most: number): number {
    let count = 1;
    for (; count + 1 <= most; count++) {
      const next = frame + count;
      const leaf = this.#leaf(Math.floor(next / ENTRIES));
      const i = next % ENTRIES;
      if (leaf?.owner[i] !== index || leaf.page[i] !== page + count) break;
    }
    return count;
  }

  #leaf(key: number): Leaf | undefined {
    if (key !== this.#lastKey) {
      this.#last = this.#leaves.get(key);
      this.#lastKey = key;
    }
    return this.#last;
  }

  #addLeaf(key: number): Leaf {
    const leaf = new Leaf();
    this.#leaves.set(key, leaf);
    this.#last = leaf;
    return leaf;
  }

  #add(memory: MappableMemory): number {
    const index = this.#unused.pop() ?? this.#memories.length;
    this.#memories[index] = memory;
    this.#frames[index] = 0;
    this.#indices.set(memory, index);
    return index;
  }

  #remove(index: number): void {
    this.#indices.delete(this.#memories[index] as MappableMemory);
    this.#memories[index] = undefined;
    this.#unused.push(index);
  }
}
