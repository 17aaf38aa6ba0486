/** What missing cache maintenance has led to, for people to read. */
import type { KernelCore } from '../../core.js';
import { KERN_WARNING } from '../../printk.js';
import { type ByteRange, RangeMap } from './byte_ranges.js';

/**
 * - `device-read`: a device read what the CPU had not written back;
 * - `cpu-read`: a program used what it has in its cache, which was older than what a device wrote;
 * - `lost-cpu-write`: the cache was invalidated before what the CPU wrote was written back;
 * - `lost-device-write`: a line that the CPU wrote, wholly or a part of, was written back over what a
 *   device wrote.
 */
export type StaleAccessKind = 'device-read' | 'cpu-read' | 'lost-cpu-write' | 'lost-device-write';

/** An access that goes wrong where caches and devices have to be kept in step. */
export interface StaleAccess {
  kind: StaleAccessKind;
  /** Who read: `dma NAME` of a device, `COMM[PID]` of a process. For what was lost: undefined. */
  reader: string | undefined;
  /**
   * Who wrote what was not seen, or got lost: a device; or the processes that have the buffer mapped
   * writable, one or several of which it was.
   */
  writers: readonly string[];
  /** The buffer. */
  buffer: string;
  /** The bytes of it, when it happened first. Of a `cpu-read`: at least one page of these. */
  ranges: readonly ByteRange[];
  /** What call was missing. */
  missing: string;
  /** It went well all the same: the cache had written the bytes back of its own accord. */
  byLuck: boolean;
  /** Seconds since the kernel was made, as in its log. */
  time: number;
  /** How often it has happened so far. */
  count: number;
}

/** Ranges that a line of the log names. */
const SHOWN = 3;

/** The stale accesses of a kernel; each case has a line in its log, the first time. */
export class StaleAccesses {
  readonly list: StaleAccess[] = [];
  readonly #kernel: Pick<KernelCore, 'printk' | 'log'>;
  readonly #cases = new Map<string, StaleAccess>();

  constructor(kernel: Pick<KernelCore, 'printk' | 'log'>) {
    this.#kernel = kernel;
  }

  report(found: Omit<StaleAccess, 'time' | 'count'>): void {
    const { kind, reader, writers, buffer, missing } = found;
    const parties = JSON.stringify([kind, buffer, reader, writers, missing]);
    const known = this.#cases.get(parties);
    if (known) {
      known.count++;
      known.byLuck &&= found.byLuck;
      return;
    }
    const ranges = joined(found.ranges);
    this.#kernel.printk(KERN_WARNING, `coherency: ${sentence({ ...found, ranges })}`);
    const time = this.#kernel.log.records.at(-1)?.time ?? 0;
    const access = { ...found, ranges, time, count: 1 };
    this.#cases.set(parties, access);
    this.list.push(access);
  }
}

function joined(ranges: readonly ByteRange[]): ByteRange[] {
  const map = new RangeMap<true>();
  for (const { start, end } of ranges) map.set(start, end, true);
  return map
    .within(0, Number.POSITIVE_INFINITY)
    .map(({ start, end }): ByteRange => ({ start, end }));
}

function sentence(access: Omit<StaleAccess, 'time' | 'count'>): string {
  const { kind, reader, writers, buffer, ranges, missing, byLuck } = access;
  const bytes = `bytes ${describeRanges(ranges)} of ${buffer}`;
  const by = `written by ${writers.join(' or ') || 'who has it mapped no more (or the kernel)'}`;
  const luck = byLuck ? ' (they were there by luck: the cache had written them back)' : '';
  const end = `; missing: ${missing}`;
  switch (kind) {
    case 'device-read':
      return `${reader} read ${bytes}, ${by}, from memory: ${byLuck ? `not written back${luck}` : 'stale'}${end}`;
    case 'cpu-read':
      return `${reader} used ${bytes}, ${by}, as it has them in its cache: stale${end}`;
    case 'lost-cpu-write':
      return `${bytes}, ${by}, were thrown away with the cache's lines${luck}${end}`;
    case 'lost-device-write':
      return `${bytes}, ${by}, were written over when the CPU's lines were written back${end}`;
  }
}

/** `0x0-0xfff, 0x2000-0x2003 and 5 more (4711 bytes)`. */
function describeRanges(ranges: readonly ByteRange[]): string {
  const hex = (n: number) => `0x${n.toString(16)}`;
  const shown = ranges.slice(0, SHOWN).map(({ start, end }) => `${hex(start)}-${hex(end - 1)}`);
  if (ranges.length <= SHOWN) return shown.join(', ');
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return `${shown.join(', ')} and ${ranges.length - SHOWN} more (${total} bytes in all)`;
}
