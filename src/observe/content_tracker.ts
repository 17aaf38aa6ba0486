/**
 * Writes of programs to buffers that nobody has announced: the bytes are compared with what they were when the
 * last writer's bracket ended. What devices and drivers write is known. With strict coherency nothing is
 * compared: the CPU's bytes then change when the caches do, and what is missing is found by them.
 */

import { DMA_BUF_SYNC_END } from '../../ioctl/index.js';
import type { MappableMemory } from '../backing/shmem.js';
import { type DmaBuf, dmaBufList } from '../drivers/dma-buf/dma-buf.js';
import type { DmaBufAttachment } from '../drivers/dma-buf/dma-buf-attach.js';
import type { DmaFence } from '../drivers/dma-buf/dma-fence.js';
import { DMA_RESV_USAGE_WRITE } from '../drivers/dma-buf/dma-resv.js';
import { areasOf } from '../host/maps.js';
import { cacheOf } from '../mm/cache/cache.js';
import type { Device } from '../mm/device.js';
import { PAGE_SIZE } from '../mm/page.js';
import type { BracketTracker } from './bracket_tracker.js';
import { type Piece, piecesOf, readContent } from './buffer_content.js';
import { bufferText, describeBuffer, type FindingPlace, processText } from './finding.js';
import type { MappingTracker } from './mapping_tracker.js';
import type { Observer } from './observer.js';
import type { Reporter } from './report.js';

/** Bytes of a buffer that is compared at most: a copy is kept of it. */
const LARGEST = 256 * 2 ** 20;
/** Bytes of all copies together. */
const ALL = 512 * 2 ** 20;
/** Bytes that are compared at a time. */
const CHUNK = 16 * 2 ** 20;
/** Ranges of pages that a text names. */
const SHOWN = 3;

interface Content {
  /** What was there when nobody wrote any more; undefined: somebody may write. */
  before: Buffer | undefined;
  /** Where to put it next time. */
  spare?: Buffer | undefined;
  /** The END that was the last. */
  end: FindingPlace;
  /** Uses by the kernel itself that go on. */
  kernelUses: number;
}

export class ContentTracker implements Observer {
  readonly #reporter: Reporter;
  readonly #brackets: BracketTracker;
  readonly #mappings: MappingTracker;
  readonly #contents = new Map<DmaBuf, Content>();
  /** Bytes of the buffers in there. */
  #kept = 0;

  constructor(reporter: Reporter, brackets: BracketTracker, mappings: MappingTracker) {
    this.#reporter = reporter;
    this.#brackets = brackets;
    this.#mappings = mappings;
  }

  /** After the brackets have taken note of it. */
  synced(dmabuf: DmaBuf, flags: number, pid: number): void {
    if (dmabuf.size > LARGEST || cacheOf(this.#reporter.kernel)) return;
    const content = this.#contents.get(dmabuf);
    if (content) this.#check(dmabuf, content, [pid]);
    if (this.#brackets.isWritten(dmabuf)) {
      if (content?.before) content.spare = content.before;
      if (content) content.before = undefined;
    } else if (flags & DMA_BUF_SYNC_END) {
      this.#remember(dmabuf, pid);
    }
  }

  #remember(dmabuf: DmaBuf, pid: number): void {
    const end = this.#reporter.origins.here();
    let content = this.#contents.get(dmabuf);
    if (content) {
      content.end = end;
    } else {
      if (this.#kept + dmabuf.size > ALL) return;
      this.#kept += dmabuf.size;
      content = { before: undefined, end, kernelUses: 0 };
      this.#contents.set(dmabuf, content);
    }
    // What was compared just now is still the same.
    content.before ??= this.#read(dmabuf, [pid], content.spare ?? Buffer.alloc(dmabuf.size));
  }

  #read(dmabuf: DmaBuf, pids: Iterable<number>, into: Buffer, from = 0): Buffer {
    readContent(dmabuf, [...pids, process.pid, ...this.#reporter.pids], into, from);
    return into;
  }

  /** Has what changed reported, and takes note of it. */
  #check(dmabuf: DmaBuf, content: Content, pids: Iterable<number>): void {
    const { before } = content;
    if (!before || content.kernelUses > 0) return;
    const ranges: Range[] = [];
    const scratch = Buffer.allocUnsafe(Math.min(before.length, CHUNK));
    for (let at = 0; at < before.length; at += CHUNK) {
      const old = before.subarray(at, at + CHUNK);
      const now = scratch.subarray(0, old.copy(scratch));
      if (this.#read(dmabuf, pids, now, at).equals(old)) continue;
      addChangedPages(ranges, old, now, at);
      now.copy(old);
    }
    if (ranges.length > 0) this.#report(dmabuf, content, ranges);
  }

  #report(dmabuf: DmaBuf, { end }: Content, ranges: Range[]): void {
    const writers = this.#writersOf(dmabuf);
    // A driver of one's own that goes to the memory directly.
    if (writers.length === 0) return;
    const buffer = describeBuffer(dmabuf);
    const caller = this.#reporter.origins.caller();
    const processes = writers.map((pid) => this.#reporter.processOf(pid));
    const process = processes.find(({ pid }) => pid === caller?.pid) ?? processes[0];
    const others = processes.length > 1 ? `, by ${processes.map(processText).join(' or ')}` : '';
    this.#reporter.add({
      kind: 'write-outside-bracket',
      ...(process && { process }),
      made: end,
      seen: this.#reporter.origins.here(),
      buffer,
      text: `${bufferText(buffer)} written after END, in bytes ${rangesText(ranges)}${others}`,
      advice: 'write between DMA_BUF_IOCTL_SYNC START|WRITE and END|WRITE',
    });
  }

  /** The processes that can write a buffer. */
  #writersOf(dmabuf: DmaBuf): number[] {
    const pids = new Set([...this.#reporter.pids, process.pid]);
    return [...pids].filter((pid) => {
      if (pid === process.pid) return this.#mappings.canWrite(pid, dmabuf);
      return piecesOf(dmabuf)?.some(({ inode }) =>
        areasOf(pid, inode)?.some(({ writable, shared }) => writable && shared),
      );
    });
  }

  unmapped(pid: number, address: number, length: number): void {
    // Also a udmabuf's memfd, which a program maps by itself.
    for (const [dmabuf, content] of this.#contents) {
      const has = piecesOf(dmabuf)?.some(({ inode }) =>
        areasOf(pid, inode)?.some(({ start, end }) => start < address + length && address < end),
      );
      if (has) this.#check(dmabuf, content, [pid]);
    }
  }

  exiting(pid: number): void {
    this.unmapped(pid, 0, Number.POSITIVE_INFINITY);
  }

  dmaMapped({ dmabuf }: DmaBufAttachment): void {
    const content = this.#contents.get(dmabuf);
    if (content) this.#check(dmabuf, content, []);
  }

  deviceWriting(_device: Device, memory: MappableMemory, offset: number, length: number): void {
    for (const [dmabuf, content, piece] of this.#within(memory, offset, length)) {
      if (!content.before || content.kernelUses > 0) continue;
      const [from, to] = overlap(piece, offset, length);
      const now = memory
        .bytes()
        .subarray(piece.offset - piece.at + from, piece.offset - piece.at + to);
      if (content.before.subarray(from, to).equals(now)) continue;
      const start = Math.floor(from / PAGE_SIZE) * PAGE_SIZE;
      this.#report(dmabuf, content, [{ start, end: to }]);
    }
  }

  deviceWritten(_device: Device, memory: MappableMemory, offset: number, length: number): void {
    for (const [, content, piece] of this.#within(memory, offset, length)) {
      const [from, to] = overlap(piece, offset, length);
      const shift = piece.offset - piece.at;
      content.before?.set(memory.bytes().subarray(shift + from, shift + to), from);
    }
  }

  *#within(
    memory: MappableMemory,
    offset: number,
    length: number,
  ): Iterable<[DmaBuf, Content, Piece]> {
    const { ino } = memory as { ino?: number };
    for (const [dmabuf, content] of this.#contents) {
      for (const piece of piecesOf(dmabuf) ?? []) {
        const apart = offset >= piece.offset + piece.length || offset + length <= piece.offset;
        if (piece.inode.ino === ino && !apart) yield [dmabuf, content, piece];
      }
    }
  }

  vmapped(dmabuf: DmaBuf): void {
    const content = this.#contents.get(dmabuf);
    if (!content) return;
    this.#check(dmabuf, content, []);
    content.kernelUses++;
  }

  vunmapped(dmabuf: DmaBuf): void {
    const content = this.#contents.get(dmabuf);
    // It may have been in use before the first bracket.
    if (!content || content.kernelUses === 0 || --content.kernelUses > 0) return;
    if (content.before) this.#read(dmabuf, [], content.before);
  }

  /** A driver has done its work, and may have written the memory in a way of its own. */
  fenceSignaled(fence: DmaFence): void {
    for (const [dmabuf, content] of this.#contents) {
      if (!content.before) continue;
      for (const each of dmabuf.resv.all()) {
        if (each.usage > DMA_RESV_USAGE_WRITE || each.fence !== fence) continue;
        this.#read(dmabuf, [], content.before);
        break;
      }
    }
  }

  bufferReleased(dmabuf: DmaBuf): void {
    if (this.#contents.delete(dmabuf)) this.#kept -= dmabuf.size;
  }

  /** Looks at all of them once more. */
  finish(): void {
    for (const dmabuf of dmaBufList(this.#reporter.kernel)) {
      const content = this.#contents.get(dmabuf);
      if (content) this.#check(dmabuf, content, []);
    }
  }
}

interface Range {
  start: number;
  end: number;
}

/** The part of a buffer that a range of a memory is, as far as it is of that piece. */
function overlap(piece: Piece, offset: number, length: number): [from: number, to: number] {
  const shift = piece.at - piece.offset;
  const from = Math.max(offset, piece.offset) + shift;
  const to = Math.min(offset + length, piece.offset + piece.length) + shift;
  return [from, to];
}

/** `at`: where in the buffer the bytes are. */
function addChangedPages(ranges: Range[], before: Buffer, now: Buffer, at: number): void {
  for (let from = 0; from < now.length; from += PAGE_SIZE) {
    const to = Math.min(from + PAGE_SIZE, now.length);
    if (now.subarray(from, to).equals(before.subarray(from, to))) continue;
    const last = ranges.at(-1);
    if (last?.end === at + from) last.end = at + to;
    else ranges.push({ start: at + from, end: at + to });
  }
}

/** `0x0-0xfff, 0x2000-0x2fff and 5 more` */
function rangesText(ranges: readonly Range[]): string {
  const hex = (n: number) => `0x${n.toString(16)}`;
  const shown = ranges.slice(0, SHOWN).map(({ start, end }) => `${hex(start)}-${hex(end - 1)}`);
  const more = ranges.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
