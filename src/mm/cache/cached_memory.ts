/** A memory behind a cache that devices do not see: what the CPU has of it, and what is in DRAM. */

import type { MappableMemory } from '../../backing/shmem.js';
import { PAGE_SIZE } from '../page.js';
import { type ByteRange, differences, equal, forEachDifferent, RangeMap } from './byte_ranges.js';

/** Bytes a cache line. */
export const LINE = 64;

/** Bytes that a device wrote, and that a line written back over them has taken. */
export interface LostWrite extends ByteRange {
  device: string;
  /** The CPU had written the line before the device did; else, after it. */
  before: boolean;
}

/**
 * What programs have mapped is the CPU's view, as all CPUs see it through their caches. Which lines they
 * have written shows where that view differs from what it was when it was last in step with DRAM; that
 * something was written which was there already does not show, and {@link refresh} is there for it.
 */
export class CachedMemory {
  readonly memory: MappableMemory;
  /** Bytes. */
  readonly size: number;
  /** What devices see. */
  readonly #dram: Buffer;
  /** The CPU's view, when it was last in step. */
  readonly #base: Buffer;
  /** What devices wrote, by whom, that the CPU's lines have not been invalidated for since. */
  readonly #written = new RangeMap<string>();
  /** What devices wrote to lines that the CPU had written and nobody had written back. */
  readonly #overtaken = new RangeMap<true>();
  /** What the CPU wrote and the cache, of its own accord, wrote back; no bracket has seen to it since. */
  readonly #evicted = new RangeMap<true>();
  /** By page, since {@link noteWrites}: lines that the CPU wrote have been written back. */
  readonly #cleaned: Uint8Array;
  /** By page: the CPU had written to it before. */
  readonly #dirtyBefore: Uint8Array;
  /** What devices wrote, and the CPU's lines then were written back over. Taken by whoever reports it. */
  readonly lost: LostWrite[] = [];

  constructor(memory: MappableMemory) {
    this.memory = memory;
    const bytes = memory.bytes();
    this.size = bytes.length;
    this.#dram = Buffer.from(bytes);
    this.#base = Buffer.from(bytes);
    this.#cleaned = new Uint8Array(Math.ceil(this.size / PAGE_SIZE));
    this.#dirtyBefore = new Uint8Array(this.#cleaned.length);
  }

  /** The CPU's view: the memory itself. */
  #cpu(): Buffer {
    const { buffer, byteOffset, length } = this.memory.bytes();
    return Buffer.from(buffer, byteOffset, length);
  }

  /** Whether there is nothing that only devices see. */
  get inStep(): boolean {
    return this.#written.isEmpty;
  }

  /** Writes the CPU's lines back to DRAM: arch_sync_dma_for_device(). */
  clean(start: number, end: number): void {
    const cpu = this.#cpu();
    const [from, to] = this.#lines(start, end);
    forEachDifferent(cpu, this.#base, from, to, LINE, (line) => this.#writeBack(cpu, line));
    this.#evicted.delete(from, to);
  }

  /** Writes back the CPU's lines for which `choose` says so, as a cache does when it likes. */
  evict(start: number, end: number, choose: () => boolean): void {
    const cpu = this.#cpu();
    const [from, to] = this.#lines(start, end);
    forEachDifferent(cpu, this.#base, from, to, LINE, (line, lineEnd) => {
      if (!choose()) return;
      const written = differences(cpu, this.#base, line, lineEnd);
      this.#writeBack(cpu, line);
      for (const range of written) this.#evicted.set(range.start, range.end, true);
    });
  }

  /** The lines that bytes are in, from where to where. */
  #lines(start: number, end: number): [start: number, end: number] {
    return [start - (start % LINE), Math.min(this.size, Math.ceil(end / LINE) * LINE)];
  }

  #writeBack(cpu: Buffer, line: number): void {
    const end = Math.min(this.size, line + LINE);
    for (const { start, end: to, value } of this.#written.within(line, end)) {
      const lost = new RangeMap<boolean>();
      for (let at = start; at < to; at++) {
        // What the CPU wrote there afterwards is not lost, but replaced.
        const untouched = cpu[at] === this.#base[at] && this.#dram[at] !== this.#base[at];
        if (untouched) lost.set(at, at + 1, false);
      }
      for (const range of this.#overtaken.within(start, to)) {
        const different = differences(cpu, this.#dram, range.start, range.end);
        for (const { start, end } of different) lost.set(start, end, true);
      }
      for (const { value: before, ...range } of lost.within(start, to)) {
        this.lost.push({ ...range, device: value, before });
      }
    }
    // By way of `base`: a program may be writing it this very moment.
    cpu.copy(this.#base, line, line, end);
    this.#base.copy(this.#dram, line, line, end);
    this.#written.delete(line, end);
    this.#overtaken.delete(line, end);
    this.#cleaned[Math.floor(line / PAGE_SIZE)] = 1;
  }

  /**
   * Throws the CPU's lines away: it sees what is in DRAM. arch_sync_dma_for_cpu(), for what a device may
   * have written. Lines that the CPU wrote are written back first if `keep` says so; else they are lost.
   */
  invalidate(
    first: number,
    last: number,
    keep: boolean,
  ): { lost: ByteRange[]; evicted: ByteRange[] } {
    if (keep) this.clean(first, last);
    const cpu = this.#cpu();
    const [start, end] = this.#lines(first, last);
    const lost = this.#dirty(cpu, start, end);
    const evicted = this.#evicted.within(start, end);
    forEachDifferent(cpu, this.#dram, start, end, LINE, (from, to) => {
      this.#dram.copy(cpu, from, from, to);
    });
    this.#dram.copy(this.#base, start, start, end);
    this.#written.delete(start, end);
    this.#overtaken.delete(start, end);
    this.#evicted.delete(start, end);
    return { lost, evicted };
  }

  /**
   * Fetches the CPU's clean lines anew, as a cache may at any time. Before the CPU writes: a line that
   * is older than what a device wrote would else not show that the CPU wrote just what it had.
   */
  refresh(first: number, last: number): void {
    const cpu = this.#cpu();
    const [start, end] = this.#lines(first, last);
    const kept: (ByteRange & { value: string })[] = [];
    forEachDifferent(this.#dram, this.#base, start, end, LINE, (from, to) => {
      if (equal(cpu, this.#base, from, to)) {
        this.#dram.copy(cpu, from, from, to);
        this.#dram.copy(this.#base, from, from, to);
      } else {
        kept.push(...this.#written.within(from, to));
      }
    });
    this.#written.delete(start, end);
    for (const range of kept) this.#written.set(range.start, range.end, range.value);
  }

  /** What a device reads, and what of it is older than what the CPU wrote. */
  read(offset: number, into: Uint8Array): { stale: ByteRange[]; evicted: ByteRange[] } {
    const end = offset + into.length;
    into.set(this.#dram.subarray(offset, end));
    return {
      stale: this.#dirty(this.#cpu(), offset, end),
      evicted: this.#evicted.within(offset, end),
    };
  }

  /** What the CPU wrote that is not in DRAM. */
  #dirty(cpu: Buffer, start: number, end: number): ByteRange[] {
    return differences(cpu, this.#base, start, end).filter(
      (range) => !equal(cpu, this.#dram, range.start, range.end),
    );
  }

  /** A device writes, past the cache. */
  write(offset: number, from: Uint8Array, device: string): void {
    const end = offset + from.length;
    forEachDifferent(this.#cpu(), this.#base, ...this.#lines(offset, end), LINE, (line, lineEnd) =>
      this.#overtaken.set(Math.max(line, offset), Math.min(lineEnd, end), true),
    );
    this.#dram.set(from, offset);
    this.#written.set(offset, end, device);
  }

  /** Something that the caches see has written what the CPU's view now has: it is in DRAM, too. */
  snoop(offset: number, length: number): void {
    const cpu = this.#cpu();
    const end = offset + length;
    cpu.copy(this.#base, offset, offset, end);
    this.#base.copy(this.#dram, offset, offset, end);
    this.#written.delete(offset, end);
    this.#overtaken.delete(offset, end);
    this.#evicted.delete(offset, end);
  }

  /** What devices wrote, by their names, and the CPU does not see, from `start` to `end`. */
  writtenByDevices(start: number, end: number): (ByteRange & { value: string })[] {
    return this.#written.within(start, end);
  }

  /** By page: 1 where devices wrote every byte, and the CPU sees none of it. Undefined: there is none. */
  stalePages(): Uint8Array | undefined {
    const covered = new Uint16Array(this.#cleaned.length);
    for (const { start, end } of this.#written.within(0, this.size)) {
      for (let from = start; from < end; ) {
        const page = Math.floor(from / PAGE_SIZE);
        const to = Math.min(end, (page + 1) * PAGE_SIZE);
        covered[page] = (covered[page] as number) + to - from;
        from = to;
      }
    }
    let some = false;
    const stale = new Uint8Array(covered.length);
    for (const [page, bytes] of covered.entries()) {
      const start = page * PAGE_SIZE;
      const end = Math.min(this.size, start + PAGE_SIZE);
      if (bytes < end - start || equal(this.#dram, this.#base, start, end)) continue;
      stale[page] = 1;
      some = true;
    }
    return some ? stale : undefined;
  }

  /** From here on {@link isWritten} says what the CPU writes. */
  noteWrites(): void {
    const cpu = this.#cpu();
    this.#cleaned.fill(0);
    this.#dirtyBefore.fill(0);
    forEachDifferent(cpu, this.#base, 0, this.size, PAGE_SIZE, (start) => {
      this.#dirtyBefore[start / PAGE_SIZE] = 1;
    });
  }

  /** Whether the CPU has written to a page since {@link noteWrites}, as far as that shows. */
  isWritten(page: number): boolean {
    if (this.#cleaned[page]) return true;
    if (this.#dirtyBefore[page]) return false;
    const start = page * PAGE_SIZE;
    return !equal(this.#cpu(), this.#base, start, Math.min(this.size, start + PAGE_SIZE));
  }
}
