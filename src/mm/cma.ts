/** Page frames in a row, from an area set aside for that: first fit. Linux: mm/cma.c. */
export class Cma {
  /** Page frames of the area. */
  readonly count: number;
  #free: number;
  /** What is free, ascending; no two of them touch. */
  readonly #gaps: { start: number; end: number }[] = [];
  /** How many frames were given out, by the first. */
  readonly #given = new Map<number, number>();

  /** The area: `count` page frames from `pfn` on. */
  constructor(pfn: number, count: number) {
    this.count = count;
    this.#free = count;
    if (count > 0) this.#gaps.push({ start: pfn, end: pfn + count });
  }

  /** Page frames that are free. */
  get free(): number {
    return this.#free;
  }

  /** cma_alloc(): the first of `count` frames in a row, a multiple of 2^`align`. */
  alloc(count: number, align: number): number | undefined {
    const unit = 2 ** align;
    for (const [i, { start, end }] of this.#gaps.entries()) {
      const pfn = Math.ceil(start / unit) * unit;
      if (pfn + count > end) continue;
      const left = [
        { start, end: pfn },
        { start: pfn + count, end },
      ];
      this.#gaps.splice(i, 1, ...left.filter((gap) => gap.start < gap.end));
      this.#given.set(pfn, count);
      this.#free -= count;
      return pfn;
    }
    return undefined;
  }

  /** cma_release(): of exactly what was given; all else is an Error. */
  release(pfn: number, count: number): void {
    if (this.#given.get(pfn) !== count) {
      throw new Error(`cma_release: ${count} page frames from ${pfn} on were not given out`);
    }
    this.#given.delete(pfn);
    this.#free += count;
    const gap = { start: pfn, end: pfn + count };
    const next = this.#gaps.findIndex(({ start }) => start > pfn);
    const at = next < 0 ? this.#gaps.length : next;
    const [before, after] = [this.#gaps[at - 1], this.#gaps[at]];
    const joinsBefore = before?.end === gap.start;
    const joinsAfter = after?.start === gap.end;
    if (before && joinsBefore) gap.start = before.start;
    if (after && joinsAfter) gap.end = after.end;
    this.#gaps.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), gap);
  }
}
