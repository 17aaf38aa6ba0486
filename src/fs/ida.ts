/** Numbers that are given out and given back, the lowest first: struct ida. Linux: lib/idr.c. */
import { errno } from '../errno.js';

export class Ida {
  readonly #used = new Set<number>();

  /** ida_alloc_range(): the lowest number from `min` to `max` that is free. ENOSPC */
  alloc(min = 0, max = Number.MAX_SAFE_INTEGER): number {
    for (let id = min; id <= max; id++) {
      if (this.#used.has(id)) continue;
      this.#used.add(id);
      return id;
    }
    throw errno('ENOSPC');
  }

  /** The highest number from `max` down that is free, if there is one. */
  allocDown(max: number): number | undefined {
    for (let id = max; id >= 0; id--) {
      if (this.#used.has(id)) continue;
      this.#used.add(id);
      return id;
    }
    return undefined;
  }

  /** Takes this number, whether it is free or not. */
  take(id: number): void {
    this.#used.add(id);
  }

  /** ida_free() */
  free(id: number): void {
    this.#used.delete(id);
  }
}
