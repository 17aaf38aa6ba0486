export const PAGE_SHIFT = 12;
/** Bytes a page: 4 KiB on every machine that this runs on. */
export const PAGE_SIZE = 1 << PAGE_SHIFT;

/** Page frames in a row. */
export interface Chunk {
  /** The number of the first one. */
  pfn: number;
  count: number;
}

/** Rounds a length in bytes up to whole pages. */
export function pageAlign(length: number): number {
  return Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
}

export function isPageAligned(value: number): boolean {
  return value % PAGE_SIZE === 0;
}
