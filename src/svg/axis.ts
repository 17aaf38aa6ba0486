/** Bytes from an address on. */
export interface Extent {
  address: number;
  length: number;
}

/** Part of a line, in user units. */
export interface Span {
  x: number;
  width: number;
}

/** A stretch of addresses that is left out: where that is drawn, and how many bytes it is. */
export interface Gap extends Span {
  bytes: number;
}

/** Gaps that are drawn on one axis; with more of them, the widest. */
const MOST_GAPS = 47;
const NARROWEST_GAP = 3;
const WIDEST_GAP = 64;
/** Part of the axis that gaps may take. */
const FOR_GAPS = 0.3;
/** How wide what lies between two gaps is at least. */
const LEAST = 6;

/** Addresses without a gap, and where they are drawn. */
interface Island extends Span {
  start: number;
  end: number;
}

/** An axis of addresses, on which what is in use is to scale, and what lies in between is next to nothing. */
export class Axis {
  readonly gaps: readonly Gap[];
  /** Gaps that there are, drawn or not. */
  readonly gapCount: number;
  readonly #islands: readonly Island[];

  constructor(extents: readonly Extent[], { x, width }: Span) {
    const islands = joined(extents);
    const distances = islands.slice(1).map(({ start }, i) => start - (islands[i] as Island).end);
    const widest = [...distances].sort((a, b) => b - a);
    const least = widest[MOST_GAPS] ?? 0;
    const count = distances.filter((bytes) => bytes > least).length;
    const gapWidth = Math.min(
      WIDEST_GAP,
      Math.max(NARROWEST_GAP, (width * FOR_GAPS) / Math.max(1, count)),
    );
    const room = width - count * gapWidth;
    const minimum = Math.min(LEAST, room / 2 / islands.length);
    const total = islands.reduce((sum, { start, end }) => sum + end - start, 0);
    const scale = (room - minimum * islands.length) / total;
    const gaps: Gap[] = [];
    let at = x;
    for (const [i, island] of islands.entries()) {
      island.x = at;
      island.width = minimum + (island.end - island.start) * scale;
      at += island.width;
      const bytes = distances[i] ?? 0;
      if (bytes <= least) continue;
      gaps.push({ x: at, width: gapWidth, bytes });
      at += gapWidth;
    }
    this.#islands = islands;
    this.gaps = gaps;
    this.gapCount = distances.length;
  }

  /** Where bytes are drawn, which have to be of the extents. */
  spanOf({ address, length }: Extent): Span {
    let low = 0;
    let high = this.#islands.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#islands[middle] as Island).start <= address) low = middle;
      else high = middle - 1;
    }
    const { start, end, x, width } = this.#islands[low] as Island;
    const scale = width / (end - start);
    return { x: x + (address - start) * scale, width: length * scale };
  }
}

/** The addresses of all extents, ascending; what touches or overlaps is one. */
function joined(extents: readonly Extent[]): Island[] {
  const islands: Island[] = [];
  for (const { address, length } of [...extents].sort((a, b) => a.address - b.address)) {
    const last = islands.at(-1);
    const end = address + length;
    if (last && address <= last.end) last.end = Math.max(last.end, end);
    else islands.push({ start: address, end, x: 0, width: 0 });
  }
  return islands;
}
