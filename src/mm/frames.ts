import type { MappableMemory } from '../backing/shmem.js';
import { errno } from '../errno.js';
import type { MemMap } from './mem_map.js';
import { PAGE_SIZE } from './page.js';
import type { PageAllocator } from './page_alloc.js';

interface Frame {
  pfn: number;
  users: number;
}

/** What frames are taken from, and where it is written what is in them: a kernel. */
export interface FrameSource {
  readonly memory: PageAllocator;
  readonly memMap: MemMap;
}

/**
 * The page frames that some pages of a memory lie in, given page by page when somebody wants to know
 * where a page is, and for as long as anybody does.
 */
export class Frames {
  readonly #memory: MappableMemory;
  /** By page of the memory. */
  readonly #frames = new Map<number, Frame>();

  constructor(memory: MappableMemory) {
    this.#memory = memory;
  }

  /** The frames of `count` pages from page `first` on, into `into` from `at` on. ENOMEM. */
  get(source: FrameSource, first: number, count: number, into: Uint32Array, at: number): void {
    for (let i = 0; i < count; i++) {
      let frame = this.#frames.get(first + i);
      if (!frame) {
        const pfn = source.memory.allocPages(0);
        if (pfn === undefined) {
          this.put(source, first, i);
          throw errno('ENOMEM');
        }
        source.memMap.set(pfn, 1, this.#memory, (first + i) * PAGE_SIZE);
        frame = { pfn, users: 0 };
        this.#frames.set(first + i, frame);
      }
      frame.users++;
      into[at + i] = frame.pfn;
    }
  }

  /** Nobody wants to know any more: what {@link get} gave. */
  put(source: FrameSource, first: number, count: number): void {
    for (let page = first; page < first + count; page++) {
      const frame = this.#frames.get(page);
      if (!frame || --frame.users > 0) continue;
      this.#frames.delete(page);
      source.memMap.clear(frame.pfn, 1);
      source.memory.freePages(frame.pfn, 0);
    }
  }
}
