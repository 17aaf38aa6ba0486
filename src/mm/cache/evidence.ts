/**
 * Whether programs have accessed pages that they had no business with. Nothing traps a load; but the
 * machine tells which pages a process has in its page table, and how many of a mapping were accessed
 * lately. Only what is certain counts: much is missed, nothing is made up.
 *
 * - A page that was not in the process's page table, and now is, was accessed, or one of its neighbours
 *   was: a fault maps what is around. If every page that came of such a neighbourhood is stale, a stale one
 *   was accessed.
 * - Of pages that were in it all along, smaps counts those with the accessed bit, in a mapping. If they
 *   are more than the pages which may have been accessed innocently, stale ones are among them.
 */
import {
  MAP_FIXED,
  MAP_POPULATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../../../ioctl/index.js';
import { addKernelMapping, deleteKernelMapping } from '../../backing/uses.js';
import { orThrow } from '../../errno.js';
import type { Inode } from '../../host/descriptors.js';
import { type Area, areasOf } from '../../host/maps.js';
import {
  type AreaPages,
  areaPagesOf,
  clearReferenced,
  hasLargeShmem,
  pagesMoved,
  presentPages,
} from '../../host/pages.js';
import { isLookedInto } from '../../host/status.js';
import { isShown, parentOf, processIds } from '../../host/threads.js';
import { native, STAT_FIELDS, Stat } from '../../native.js';
import { PAGE_SIZE } from '../page.js';

const MAP_LOCKED = 0x2000;
const KCMP_VM = 1;
/** Pages that a fault maps at most, unless the trial shows more (64 KiB, and aligned to that). */
const FAULT_AROUND = 16;
/** Pages of the memory that the trial is made with. */
const TRIAL = 256;
/** Looks at a process in doubt. */
const TRIES = 3;
/** Milliseconds after which a call that was let through has been made. */
const SETTLED = 1000;

const stat = new Float64Array(STAT_FIELDS);

/** A memory that is watched. */
export interface Watched extends Inode {
  /** A descriptor of it. */
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** By page: 1 if all of it was stale when {@link AccessEvidence.arm} was called, and is. */
  armed: Uint8Array | undefined;
  /** Whether some program was free to write to it since then. */
  writable: boolean;
  /** Whether the CPU has written to a page since then. */
  isWritten(page: number): boolean;
}

interface Range {
  start: number;
  end: number;
}

const EVERYWHERE: Range = { start: 0, end: Number.POSITIVE_INFINITY };

/** A process that has accessed what is stale. */
export interface Reader {
  pid: number;
  /** It may have written there, not read: its mapping allows it, though nobody announced it. */
  mayHaveWritten: boolean;
}

/** Arguments of mmap(2). Without MAP_FIXED the address does not count. */
export interface MapRequest {
  address: number;
  length: number;
  flags: number;
}

/** What a mapping was like when it was looked at first. */
interface Baseline extends Area {
  /** By page: 1 if the process had it in its page table. */
  present: Uint8Array;
}

interface Process {
  readonly areas: Map<Watched, Baseline[]>;
  /** Where calls may have changed the mappings since. */
  tainted: (Range & { time: number })[];
  /** Pages of its new mappings may be there without having been accessed. */
  populates: boolean;
  /** What it was found to have accessed. */
  readonly guilty: Set<Watched>;
}

export class AccessEvidence {
  readonly #processes = new Map<number, Process>();
  /** Processes whose calls we see. */
  readonly #known = new Set<number>();
  /** What this process has mapped through `kernel.sys`. */
  readonly #own = new Set<WeakRef<ArrayBuffer>>();
  readonly #controls = new Map<Watched, ArrayBuffer>();
  #watched: readonly Watched[] = [];
  #moved = '';
  #inDoubt = false;

  /** Forgets what was accessed so far: from here on every access of an armed page counts. */
  arm(watched: readonly Watched[]): void {
    const machine = tryMachine();
    if (typeof machine === 'string') return;
    this.#watched = watched;
    if (machine.accessed) for (const each of watched) this.#control(each);
    clearReferenced(process.pid);
    this.#moved = pagesMoved();
    const now = performance.now();
    for (const pid of this.#candidates()) {
      const before = this.#processes.get(pid);
      // Before the clearing: what comes between the two is then not taken for what was there.
      let areas = this.#baselines(pid, watched);
      if (areas?.size === 0 && !before) continue;
      if (areas && areas.size > 0 && pid !== process.pid && !clearReferenced(pid))
        areas = undefined;
      const tainted = (before?.tainted ?? []).filter(({ time }) => now - time < SETTLED);
      // If we cannot look, no mapping is known to be new.
      const populates = !areas || (before?.populates ?? false);
      this.#processes.set(pid, {
        areas: areas ?? new Map(),
        tainted,
        populates,
        guilty: new Set(),
      });
    }
  }

  /** What a process has mapped of each memory, of which it has any; undefined if we cannot look. */
  #baselines(pid: number, watched: readonly Watched[]): Map<Watched, Baseline[]> | undefined {
    const all = new Map<Watched, Baseline[]>();
    for (const each of watched) {
      const areas = areasOf(pid, each);
      if (!areas) return undefined;
      const baselines: Baseline[] = [];
      for (const area of this.#readThrough(pid, areas)) {
        const present = presentPages(pid, area);
        if (!present) return undefined;
        baselines.push({ ...area, present });
      }
      if (baselines.length > 0) all.set(each, baselines);
    }
    return all;
  }

  /** Processes that may have something mapped, and whose calls we see: all others may remap unseen. */
  *#candidates(): Iterable<number> {
    for (const pid of processIds()) {
      if (pid === process.pid || this.#known.has(pid)) {
        yield pid;
      } else if (this.#isChild(pid)) {
        this.#known.add(pid);
        yield pid;
      }
    }
    for (const pid of this.#processes.keys()) {
      if (isShown(pid)) continue;
      this.#processes.delete(pid);
      this.#known.delete(pid);
    }
  }

  /** Whether a process is the child of one that we know, and has memory of its own (vfork). */
  #isChild(pid: number): boolean {
    const parent = parentOf(pid);
    return this.#known.has(parent) && native.kcmp(pid, parent, KCMP_VM, 0, 0) !== 0;
  }

  /** The processes that have an inode mapped so that they can write it. */
  writersOf(inode: Inode): number[] {
    return processIds().filter((pid) =>
      this.#readThrough(pid, areasOf(pid, inode) ?? []).some(({ writable }) => writable),
    );
  }

  /** Those mappings that programs read through: here, what came of `kernel.sys`. */
  #readThrough<A extends Area>(pid: number, areas: A[]): A[] {
    const shared = areas.filter(({ readable, shared }) => readable && shared);
    if (pid !== process.pid) return shared;
    const own: Range[] = [];
    for (const reference of this.#own) {
      const mapping = reference.deref();
      if (!mapping || mapping.byteLength === 0) {
        this.#own.delete(reference);
        continue;
      }
      const start = native.addressOf(new Uint8Array(mapping));
      own.push({ start, end: start + mapping.byteLength });
    }
    return shared.filter((area) => own.some((each) => overlap(area, each)));
  }

  /** Takes note of a mapping that this process has made for itself. */
  noteOwn(mapping: ArrayBuffer): void {
    this.#own.add(new WeakRef(mapping));
  }

  /** A process is about to map a file. */
  mapping(pid: number, { address, length, flags }: MapRequest): void {
    // The children of a program are served as it is; this process has others.
    if (pid !== process.pid) this.#known.add(pid);
    const isNew = !this.#processes.has(pid);
    const state = this.#processOf(pid);
    // Mappings that are gone will not come back; a new one in the same place is another.
    const areas = this.#watched.flatMap((watched) => areasOf(pid, watched) ?? EVERYWHERE);
    const isThere = (range: Range) => areas.some((area) => overlap(area, range));
    state.tainted = state.tainted.filter(isThere);
    for (const [watched, baselines] of state.areas) {
      state.areas.set(watched, baselines.filter(isThere));
    }
    // What it has inherited is not new.
    if (isNew && areas.length > 0) state.populates = true;
    if (flags & (MAP_POPULATE | MAP_LOCKED)) state.populates = true;
    if (flags & MAP_FIXED) this.taint(pid, address, length);
  }

  /** A process is about to make a call that changes what pages of it are in its page table. */
  taint(pid: number, address: number, length: number): void {
    const end = address + length;
    this.#processOf(pid).tainted.push({ start: address, end, time: performance.now() });
  }

  /** A process is about to map pages, or to move mappings, that we cannot tell from others. */
  populates(pid: number): void {
    this.#processOf(pid).populates = true;
  }

  #processOf(pid: number): Process {
    let state = this.#processes.get(pid);
    if (!state) {
      state = { areas: new Map(), tainted: [], populates: false, guilty: new Set() };
      this.#processes.set(pid, state);
    }
    return state;
  }

  /** Whether it has to do with us. */
  knows(pid: number): boolean {
    return this.#processes.has(pid);
  }

  /**
   * The processes, of all or the one, that have for certain accessed an armed page; each is found once,
   * until {@link arm}.
   */
  readersOf(watched: Watched, only?: number): Reader[] {
    const machine = tryMachine();
    if (!watched.armed || typeof machine === 'string') return [];
    const found: Reader[] = [];
    for (const [pid, state] of this.#processes) {
      if ((only ?? pid) !== pid || state.guilty.has(watched)) continue;
      if (!this.#accessed(pid, state, watched, machine)) continue;
      // Twice: what else may set a bit for a moment does not do so to the moment.
      if (isLookedInto(pid) || this.#moved !== pagesMoved()) continue;
      const area = this.#accessed(pid, state, watched, machine);
      if (!area) continue;
      state.guilty.add(watched);
      found.push({ pid, mayHaveWritten: area.writable });
    }
    return found;
  }

  /**
   * The mapping through which a process has for certain accessed an armed page. In doubt it is looked again:
   * what somebody else marks meanwhile is then in both numbers that are compared.
   */
  #accessed(
    pid: number,
    state: Process,
    watched: Watched,
    machine: Machine,
  ): AreaPages | undefined {
    for (let tries = 0; tries < TRIES; tries++) {
      this.#inDoubt = false;
      const area = this.#tryAccessed(pid, state, watched, machine);
      if (area || !this.#inDoubt) return area;
    }
    return undefined;
  }

  #tryAccessed(
    pid: number,
    state: Process,
    watched: Watched,
    machine: Machine,
  ): AreaPages | undefined {
    const areas = this.#readThrough(pid, areaPagesOf(pid, watched));
    const baselines = state.areas.get(watched) ?? [];
    return areas.find((area) => {
      if (area.huge || area.special || (area.writable && watched.writable)) return false;
      if (state.tainted.some((range) => overlap(area, range))) return false;
      const same = ({ start, end, offset }: Area) =>
        start === area.start && end === area.end && offset === area.offset;
      let present = baselines.find(same)?.present;
      if (!present) {
        // New, unless it is what has become of another.
        if (state.populates || baselines.some((each) => overlap(area, each))) return false;
        present = new Uint8Array((area.end - area.start) / PAGE_SIZE);
      }
      const { innocent, faulted } = examine(pid, area, present, watched, machine.around);
      if (faulted) return true;
      if (!machine.accessed || area.referenced <= innocent) return false;
      const certain = area.referenced - this.#referencedByOthers(watched) > innocent;
      this.#inDoubt ||= !certain;
      return certain;
    });
  }

  /**
   * Pages that smaps counts for any process, whoever has accessed them (the machine's kernel marks what was
   * read, or accessed by a process that has ended since, or what DAMON looked at): those that it counts for
   * a mapping nobody accesses.
   */
  #referencedByOthers(watched: Watched): number {
    const control = this.#controls.get(watched);
    const address = control && native.addressOf(new Uint8Array(control));
    const area = areaPagesOf(process.pid, watched).find(({ start }) => start === address);
    const whole = area && area.resident * PAGE_SIZE === area.end - area.start;
    return whole ? area.referenced : Number.POSITIVE_INFINITY;
  }

  #control(watched: Watched): void {
    if (this.#controls.has(watched)) return;
    const flags = MAP_SHARED | MAP_POPULATE;
    const control = native.mmap(watched.size, PROT_READ, flags, watched.fd, 0);
    if (typeof control === 'number') return;
    addKernelMapping(native.addressOf(new Uint8Array(control)));
    this.#controls.set(watched, control);
  }

  /** A memory is not watched any more. */
  forget(watched: Watched): void {
    const control = this.#controls.get(watched);
    if (control) {
      deleteKernelMapping(native.addressOf(new Uint8Array(control)));
      native.munmap(control);
    }
    this.#controls.delete(watched);
    this.#watched = this.#watched.filter((each) => each !== watched);
    for (const { areas, guilty } of this.#processes.values()) {
      areas.delete(watched);
      guilty.delete(watched);
    }
  }

  close(): void {
    for (const watched of [...this.#controls.keys()]) this.forget(watched);
  }
}

/**
 * Of an area: how many of its pages may have the accessed bit innocently, and whether for certain a
 * stale page has been mapped by a fault.
 */
function examine(
  pid: number,
  area: AreaPages,
  before: Uint8Array,
  watched: Watched,
  around: number,
): { innocent: number; faulted: boolean } {
  const firstPage = area.start / PAGE_SIZE;
  const fileOffset = area.offset / PAGE_SIZE;
  const present = presentPages(pid, area);
  if (!present) return { innocent: Number.POSITIVE_INFINITY, faulted: false };
  // Of each neighbourhood into which pages came: whether all of them are stale.
  const allStale = new Map<number, boolean>();
  let innocent = 0;
  for (const [i, isPresent] of present.entries()) {
    if (!isPresent) continue;
    const page = fileOffset + i;
    const stale = watched.armed?.[page] === 1 && !watched.isWritten(page);
    if (!stale || !before[i]) innocent++;
    if (before[i]) continue;
    const neighbourhood = Math.floor((firstPage + i) / around);
    allStale.set(neighbourhood, stale && (allStale.get(neighbourhood) ?? true));
  }
  return { innocent, faulted: [...allStale.values()].some(Boolean) };
}

function overlap(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

/** What a machine shows of accesses. */
interface Machine {
  /** A fault maps no more than this many pages, and they are aligned to that. */
  around: number;
  /** Accessed bits are set by accesses, and by nothing else. */
  accessed: boolean;
}

let machine: Machine | string | undefined;

/** What this machine shows; why it shows nothing. Found out by trying, once. */
export function tryMachine(): Machine | string {
  machine ??= hasLargeShmem() ? 'shared memory comes in large pages' : trial();
  return machine;
}

function trial(): Machine | string {
  const size = TRIAL * PAGE_SIZE;
  const fd = orThrow(native.memfdCreate('trial', 0));
  const maps: ArrayBuffer[] = [];
  try {
    native.ftruncate(fd, size);
    native.fstat(fd, stat);
    const map = (prot: number, flags: number) => {
      const mapping = orThrow<ArrayBuffer>(native.mmap(size, prot, flags, fd, 0));
      maps.push(mapping);
      return new Uint8Array(mapping);
    };
    const pagesOf = (bytes: Uint8Array) => {
      const inode = { dev: stat[Stat.dev] as number, ino: stat[Stat.ino] as number };
      const start = native.addressOf(bytes);
      return areaPagesOf(process.pid, inode).find((area) => area.start === start);
    };
    map(PROT_READ | PROT_WRITE, MAP_SHARED).fill(1);
    const accessed = map(PROT_READ, MAP_SHARED | MAP_POPULATE);
    const untouched = map(PROT_READ, MAP_SHARED | MAP_POPULATE);
    if (!clearReferenced(process.pid)) return 'clear_refs cannot be written';
    const none = pagesOf(accessed)?.referenced;
    const one = accessed[5 * PAGE_SIZE] === 1 && pagesOf(accessed)?.referenced;
    const other = pagesOf(untouched)?.referenced;
    const faulted = map(PROT_READ, MAP_SHARED);
    const area = faulted[(TRIAL / 2 + 5) * PAGE_SIZE] === 1 && pagesOf(faulted);
    if (!area || area.huge) return 'a page that is accessed cannot be told from others';
    const around = Math.max(FAULT_AROUND, area.resident);
    if (around > TRIAL / 4) return 'a fault maps too much around';
    // Other processors set the bit for what they only guess will be accessed.
    const precise = process.arch === 'x64' && none === 0 && one === 1 && other === 0;
    return { around: 2 ** Math.ceil(Math.log2(around)), accessed: precise };
  } finally {
    for (const mapping of maps) native.munmap(mapping);
    native.close(fd);
  }
}
