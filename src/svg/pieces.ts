/** A buffer's bytes, cut where its memory and its devices' addresses are. */
import type { BufferLayout, MappingLayout, PageRun } from '../drivers/dma-buf/layout.js';
import { PAGE_SIZE } from '../mm/page.js';
import type { Extent } from './axis.js';
import { colour } from './markup.js';

/** Colours that can be told apart; with more runs, neighbours in the buffer share one. */
export const MOST_COLOURS = 48;

/** Page frames in a row that hold bytes of the buffer in a row. */
export interface Run extends Extent {
  /** From 1 on, in the order of the buffer. */
  number: number;
  /** Where its bytes are in the buffer. */
  offset: number;
  pfn: number;
  count: number;
  area: PageRun[2];
  /** Which colour it has, from 0 on, and what colour that is. */
  group: number;
  fill: string;
}

/** Bytes that are in a row for the device, and in memory. */
export interface Piece {
  segment: Extent;
  run: Run;
  /** For the device, and in memory. */
  device: Extent;
  memory: Extent;
}

/** Colours go from blue on round the circle, in the order of the buffer; neighbours differ in lightness, too. */
export function runsOf({ pages }: BufferLayout): Run[] {
  const total = pages?.length ?? 0;
  const perGroup = Math.ceil(total / MOST_COLOURS);
  const groups = Math.ceil(total / perGroup);
  const fills = Array.from({ length: total > 0 ? groups : 0 }, (_, group) =>
    colour(250 + (320 * group) / groups, group % 2 === 0 ? 0.74 : 0.82),
  );
  let offset = 0;
  return (pages ?? []).map(([pfn, count, area], i) => {
    const length = count * PAGE_SIZE;
    const group = Math.floor(i / perGroup);
    const run = { number: i + 1, offset, pfn, count, area, address: pfn * PAGE_SIZE, length };
    offset += length;
    return { ...run, group, fill: fills[group] as string };
  });
}

/** Both lists are in the order of the buffer. */
export function piecesOf(runs: readonly Run[], { segments }: MappingLayout): Piece[] {
  const pieces: Piece[] = [];
  let i = 0;
  let offset = 0;
  for (const [address, bytes] of segments) {
    const segment = { address, length: bytes };
    const end = offset + bytes;
    for (let at = address; offset < end; ) {
      const run = runs[i];
      if (!run) return pieces;
      const inRun = offset - run.offset;
      const length = Math.min(end - offset, run.length - inRun);
      pieces.push({
        segment,
        run,
        device: { address: at, length },
        memory: { address: run.address + inRun, length },
      });
      at += length;
      offset += length;
      if (inRun + length === run.length) i++;
    }
  }
  return pieces;
}
