/**
 * Memory of a process that a driver keeps beyond the call that named it: a frame that a camera is to fill, memory that
 * a card works on. Linux: mm/gup.c, Documentation/core-api/pin_user_pages.rst.
 */
import { readSync, writeSync } from 'node:fs';
import type { MappableMemory, RemoteBytes } from '../backing/shmem.js';
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { type Mapping, mappingsWithin } from '../host/maps.js';
import { openMapped, openMemory } from '../host/memory.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { Task } from '../task.js';
import { Frames } from './frames.js';
import { PAGE_SIZE, pageAlign } from './page.js';
import { type SgTable, sgAllocTableFromPages } from './scatterlist.js';

/** What pages are pinned for. */
export interface PinFlags {
  /** FOLL_WRITE: they will be written. */
  write?: boolean;
  /** FOLL_FORCE: also if they are mapped only for reading, and private. */
  force?: boolean;
}

/** A part of the pages that is in one mapping. Bytes. */
interface Part {
  /** In the pages. */
  start: number;
  length: number;
  mapping: Mapping;
  /** The file that is mapped, or the memory of the process. */
  fd: number;
  /** The position in that. */
  position: number;
  /** Of a file, that is: the pages are there as long as it is. */
  ofFile: boolean;
}

const stat = new Float64Array(STAT_FIELDS);

/**
 * pin_user_pages(): the pages that `length` bytes of a caller's memory from `address` on are in, until they are
 * {@link UserPages.unpin}ned. EFAULT if there is not all of it, if it may not be read or, with `write`, written, and for
 * the memory of a dma-buf; EINVAL for no bytes.
 *
 * Pages of a file that is mapped shared (a memfd, say) live on, as in Linux, whatever becomes of the mapping and of
 * the process. Pages of a process's own, which Linux keeps alive too, are here reached by where they are mapped.
 * Once they are unmapped, or the process has ended or executed another program, reading them is EFAULT, and what is
 * written to them is seen by nobody. What differs from Linux:
 * - an importer or device that reads such pages then gets EFAULT, and not what was there;
 * - what is mapped anew in the same place, and in the same way, cannot be told from them: it is read and written
 *   in their stead;
 * - after a fork it is the process that pinned them which has them, whoever writes first: so it is in Linux, too, since
 *   5.10;
 * - the same page, pinned twice, is in two page frames.
 */
export function pinUserPages(
  task: Task,
  address: number,
  length: number,
  flags: PinFlags = {},
): UserPages {
  return new UserPages(task, address, length, flags);
}

/** Pages that {@link pinUserPages} has pinned. Offsets are in bytes, from the address that was pinned on. */
export class UserPages {
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  readonly #kernel: KernelCore;
  readonly #memory: PinnedPages;
  #frames: Uint32Array | undefined;
  #table: SgTable | undefined;

  /** @internal Made by {@link pinUserPages}. */
  constructor(task: Task, address: number, length: number, flags: PinFlags) {
    if (!(length > 0)) throw errno('EINVAL');
    this.address = address;
    this.length = length;
    this.#kernel = task.kernel;
    this.#memory = new PinnedPages(task, address, length, flags);
  }

  /** Where in the first page they begin. */
  get offset(): number {
    return this.address % PAGE_SIZE;
  }

  /** Fills `into` with what is there now. EFAULT for pages that are gone, or bytes past the end. */
  read(offset: number, into: Uint8Array): void {
    this.#check(offset, into.length);
    this.#memory.remote.read(this.offset + offset, into);
  }

  /** Writes bytes. EFAULT past the end, or if they were not pinned to be written. */
  write(offset: number, from: Uint8Array): void {
    this.#check(offset, from.length);
    this.#memory.remote.write(this.offset + offset, from);
  }

  #check(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.length) throw errno('EFAULT');
  }

  /** Where they are for devices: a table to be mapped, the same each time. ENOMEM. */
  get table(): SgTable {
    if (!this.#table) {
      const count = this.#memory.size / PAGE_SIZE;
      const frames = new Uint32Array(count);
      this.#memory.frames.get(this.#kernel, 0, count, frames, 0);
      this.#frames = frames;
      this.#table = sgAllocTableFromPages(frames, this.offset, this.length);
    }
    return this.#table;
  }

  /** unpin_user_pages(): they are the process's alone again. What devices have mapped of them is unmapped before. */
  unpin(): void {
    if (this.#frames) this.#memory.frames.put(this.#kernel, 0, this.#frames.length);
    this.#frames = undefined;
    this.#table = undefined;
    this.#memory.close();
  }

  [Symbol.dispose](): void {
    this.unpin();
  }
}

/** The pages themselves, all of each: what is in page frames. */
class PinnedPages implements MappableMemory {
  /** No descriptor: there is none of all of them. */
  readonly fd = -1;
  /** Bytes, whole pages. */
  readonly size: number;
  readonly frames = new Frames(this);
  readonly #pid: number;
  readonly #comm: string;
  readonly #writable: boolean;
  readonly #parts: Part[];
  #memory = -1;

  readonly remote: RemoteBytes = {
    read: (offset, into) =>
      this.#forEachPart(offset, into, (part, position, bytes) => {
        if (part.ofFile) readPages(part.fd, bytes, position);
        else if (!this.#isThere(part) || readAt(part.fd, bytes, position) < bytes.length) {
          throw errno('EFAULT');
        }
      }),
    write: (offset, from) => {
      if (!this.#writable) throw errno('EFAULT');
      this.#forEachPart(offset, from, (part, position, bytes) => {
        if (part.ofFile) writePages(part.fd, bytes, position);
        else if (this.#isThere(part)) writeAt(part.fd, bytes, position);
      });
    },
  };

  constructor(task: Task, address: number, length: number, { write = false, force }: PinFlags) {
    this.#pid = task.pid;
    this.#comm = task.comm;
    this.#writable = write;
    const start = address - (address % PAGE_SIZE);
    this.size = pageAlign(address + length - start);
    const mappings = mappingsWithin(this.#pid, start, start + this.size) ?? [];
    let at = start;
    for (const each of mappings) {
      if (each.start > at) throw errno('EFAULT');
      const denied = !each.readable || (write && !each.writable);
      if (denied && !(force && !each.shared)) throw errno('EFAULT');
      // Linux has page frames behind it, and no pages.
      if (task.kernel.files.hasInode(each)) throw errno('EFAULT');
      at = Math.min(each.end, start + this.size);
    }
    if (at !== start + this.size) throw errno('EFAULT');
    this.#parts = mappings.map((mapping) => this.#part(start, mapping));
    // It may not be there for all that, as when nobody may look into the process.
    try {
      for (const edge of [0, this.size - 1]) this.remote.read(edge, new Uint8Array(1));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #part(start: number, mapping: Mapping): Part {
    const from = Math.max(start, mapping.start);
    const to = Math.min(start + this.size, mapping.end);
    const file = mapping.shared && mapping.ino > 0 ? openMapped(this.#pid, mapping) : undefined;
    if (file === undefined && this.#memory < 0) this.#memory = openMemory(this.#pid);
    return {
      start: from - start,
      length: to - from,
      mapping,
      fd: file ?? this.#memory,
      position: file === undefined ? from : mapping.offset + from - mapping.start,
      ofFile: file !== undefined,
    };
  }

  /** Whether what is mapped there is what was, as far as can be told. */
  #isThere({ mapping, position, length }: Part): boolean {
    const now = mappingsWithin(this.#pid, position, position + length) ?? [];
    let at = position;
    for (const each of now) {
      const { shared, dev, ino } = mapping;
      if (each.start > at || each.shared !== shared || each.dev !== dev || each.ino !== ino) {
        return false;
      }
      at = each.end;
    }
    return at >= position + length;
  }

  #forEachPart(
    offset: number,
    bytes: Uint8Array,
    visit: (part: Part, position: number, bytes: Uint8Array) => void,
  ): void {
    const end = offset + bytes.length;
    for (const part of this.#parts) {
      const from = Math.max(offset, part.start);
      const to = Math.min(end, part.start + part.length);
      if (from >= to) continue;
      visit(part, part.position + from - part.start, bytes.subarray(from - offset, to - offset));
    }
  }

  describe(): string {
    return `memory of ${this.#comm || 'a program'}[${this.#pid}]`;
  }

  open(): number {
    throw errno('ENODEV');
  }

  bytes(): Uint8Array {
    throw errno('ENODEV');
  }

  close(): void {
    for (const fd of new Set(this.#parts.map((part) => part.fd))) if (fd >= 0) native.close(fd);
    this.#parts.length = 0;
  }
}

/** How many bytes of a file, or of a process's memory, are there and read. */
function readAt(fd: number, into: Uint8Array, position: number): number {
  try {
    return readSync(fd, into, 0, into.length, position);
  } catch {
    return 0;
  }
}

function writeAt(fd: number, from: Uint8Array, position: number): void {
  try {
    writeSync(fd, from, 0, from.length, position);
  } catch {
    // They are gone, and nobody sees what is written.
  }
}

/** Of a mapped file: past its end, its last page is zero. EFAULT for what is past that. */
function readPages(fd: number, into: Uint8Array, position: number): void {
  const read = readAt(fd, into, position);
  if (read < into.length && position + into.length > pageAlign(sizeOf(fd))) throw errno('EFAULT');
  into.fill(0, read);
}

/** Of a mapped file, which does not grow by that. */
function writePages(fd: number, from: Uint8Array, position: number): void {
  const room = sizeOf(fd) - position;
  if (room > 0) writeAt(fd, from.subarray(0, room), position);
}

function sizeOf(fd: number): number {
  return native.fstat(fd, stat) === 0 ? (stat[Stat.size] as number) : 0;
}
