import { PAGE_SIZE } from '../page.js';

/** Bytes from `start` up to, but not including, `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Stretches of bytes, in order and apart from each other, each with something that holds for it. */
export class RangeMap<T> {
  #ranges: (ByteRange & { value: T })[] = [];

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** From now on `value` holds from `start` to `end`. */
  set(start: number, end: number, value: T): void {
    this.delete(start, end);
    if (start >= end) return;
    let at = this.#after(start);
    const before = this.#ranges[at - 1];
    const behind = this.#ranges[at];
    const range = { start, end, value };
    let replaced = 0;
    if (behind?.start === end && behind.value === value) {
      range.end = behind.end;
      replaced++;
    }
    if (before?.end === start && before.value === value) {
      range.start = before.start;
      replaced++;
      at--;
    }
    this.#ranges.splice(at, replaced, range);
  }

  /** From now on nothing holds from `start` to `end`. */
  delete(start: number, end: number): void {
    const first = this.#after(start);
    let last = first;
    const rest: (ByteRange & { value: T })[] = [];
    for (let range = this.#ranges[last]; range && range.start < end; range = this.#ranges[++last]) {
      if (range.start < start) rest.push({ ...range, end: start });
      if (range.end > end) rest.push({ ...range, start: end });
    }
    this.#ranges.splice(first, last - first, ...rest);
  }

  /** What holds for bytes from `start` to `end`. */
  within(start: number, end: number): (ByteRange & { value: T })[] {
    const found: (ByteRange & { value: T })[] = [];
    for (let at = this.#after(start); at < this.#ranges.length; at++) {
      const range = this.#ranges[at] as ByteRange & { value: T };
      if (range.start >= end) break;
      const clipped = { start: Math.max(range.start, start), end: Math.min(range.end, end) };
      found.push({ ...clipped, value: range.value });
    }
    return found;
  }

  /** The index of the first range that ends behind `position`. */
  #after(position: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as ByteRange).end > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Bytes that differ, but are nearer to each other than this, are one difference. */
const GAP = 8;

/** Where `a` and `b` differ from `start` to `end`. */
export function differences(a: Buffer, b: Buffer, start: number, end: number): ByteRange[] {
  const found: ByteRange[] = [];
  let last: ByteRange | undefined;
  forEachDifferent(a, b, start, end, PAGE_SIZE, (from, to) => {
    for (let at = from; at < to; at++) {
      if (a[at] === b[at]) continue;
      if (last && at - last.end < GAP) {
        last.end = at + 1;
      } else {
        last = { start: at, end: at + 1 };
        found.push(last);
      }
    }
  });
  return found;
}

/**
 * Calls `visit` for each part from `start` to `end` in which `a` and `b` differ. Parts are `size` bytes,
 * which a page is a multiple of, and aligned to that.
 */
export function forEachDifferent(
  a: Buffer,
  b: Buffer,
  start: number,
  end: number,
  size: number,
  visit: (start: number, end: number) => void,
): void {
  for (let page = start; page < end; ) {
    const nextPage = Math.min(end, page - (page % PAGE_SIZE) + PAGE_SIZE);
    if (!equal(a, b, page, nextPage)) {
      for (let from = page; from < nextPage; ) {
        const to = Math.min(nextPage, from - (from % size) + size);
        if (!equal(a, b, from, to)) visit(from, to);
        from = to;
      }
    }
    page = nextPage;
  }
}

/** Whether `a` and `b` have the same bytes from `start` to `end`. */
export function equal(a: Buffer, b: Buffer, start: number, end: number): boolean {
  return a.compare(b, start, end, start, end) === 0;
}
