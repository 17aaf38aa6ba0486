/**
 * Caches that devices do not see, as on many machines that are not PCs: {@link cacheOf} a kernel while
 * `kernel.coherency` is 'strict'. A device that is not coherent (`dma_coherent` false) sees DRAM, programs
 * see what they have mapped, and the two are brought in step by DMA_BUF_IOCTL_SYNC and by the mapping and
 * unmapping of buffers for devices: what arm64 does in arch_sync_dma_for_device() and
 * arch_sync_dma_for_cpu(). What is out of step is really served, and each case reported.
 *
 * Besides, the cache writes lines back when it likes, as caches do. That may make a program work which
 * should not; it is reported all the same.
 */

import { inodeOf, type MappableMemory } from '../../backing/shmem.js';
import type { KernelCore } from '../../core.js';
import { holdersOf } from '../../host/descriptors.js';
import { isShown, readComm } from '../../host/threads.js';
import { native } from '../../native.js';
import { PerKernel } from '../../per_kernel.js';
import { KERN_NOTICE } from '../../printk.js';
import { DMA_FROM_DEVICE, DMA_TO_DEVICE, type DmaDataDirection } from '../dma-direction.js';
import { PAGE_SIZE } from '../page.js';
import { random } from '../random.js';
import type { ByteRange } from './byte_ranges.js';
import { CachedMemory } from './cached_memory.js';
import type { DmaCoherency } from './dma-coherency.js';
import { AccessEvidence, type MapRequest, tryMachine, type Watched } from './evidence.js';
import { type StaleAccess, StaleAccesses } from './stale.js';

/** One in so many lines that the CPU has written is written back at each look. */
const EVICTED = 16;
/** Bytes that are looked at for that, besides those in question. */
const EVICTION_WINDOW = 64 * 1024;
/** Milliseconds between looks at what programs have read, and how much of its time that may take. */
const LOOK = 20;
const SHARE = 1 / 10;
/** Milliseconds for which it is taken that the same processes have a buffer mapped. */
const WRITERS_KNOWN = 20;
/** Who writes when the kernel does. */
const KERNEL = 0;

const START_READ = 'DMA_BUF_IOCTL_SYNC START|READ';
const END_WRITE = 'DMA_BUF_IOCTL_SYNC END|WRITE';

class State extends CachedMemory implements Watched {
  readonly dev: number;
  readonly ino: number;
  /** Mappings of devices that are not coherent; one that is scattered counts several times. */
  mappings = 0;
  armed: Uint8Array | undefined;
  writable = false;
  /** Whether programs were looked at since they last went on. */
  looked = false;
  writers: { names: string[]; until: number } = { names: [], until: 0 };

  constructor(memory: MappableMemory) {
    super(memory);
    ({ dev: this.dev, ino: this.ino } = inodeOf(memory));
  }

  get fd(): number {
    return this.memory.fd;
  }

  /** What is in step again is no evidence. */
  disarm(offset: number, length: number): void {
    const first = Math.floor(offset / PAGE_SIZE);
    this.armed?.fill(0, first, Math.ceil((offset + length) / PAGE_SIZE));
    if (!this.armed?.includes(1)) this.armed = undefined;
  }
}

/** Who makes a call: a program's task, or the kernel itself. */
type Who = { readonly pid: number } | undefined;
/** What devices are known by here. */
type Dev = { readonly name: string };

export class StrictCoherency implements DmaCoherency {
  readonly #kernel: KernelCore;
  readonly #random: () => number;
  /** Of what devices have mapped. */
  readonly #states = new Map<MappableMemory, State>();
  /** Of what they had, and what no sync has seen to when it was unmapped. */
  readonly #left = new WeakMap<MappableMemory, State>();
  /** Who is between START and END of an access that writes. */
  readonly #writing = new WeakMap<MappableMemory, Set<number>>();
  readonly #evidence = new AccessEvidence();
  readonly #reports: StaleAccesses;
  #toArm = false;
  #looking: NodeJS.Timeout | undefined;
  #told = false;

  /** `seed`: of what the cache writes back of its own accord. */
  constructor(kernel: KernelCore, seed: number) {
    this.#kernel = kernel;
    this.#random = random(seed);
    this.#reports = new StaleAccesses(kernel);
  }

  get staleAccesses(): readonly StaleAccess[] {
    return this.#reports.list;
  }

  // --- what the DMA mapping calls -----------------------------------------------------------------

  map(_dev: Dev, memory: MappableMemory): void {
    let state = this.#states.get(memory);
    if (!state) {
      state = this.#left.get(memory) ?? new State(memory);
      this.#left.delete(memory);
      this.#states.set(memory, state);
      // While no device had it, no bracket did anything: what was written meanwhile is no mistake.
      state.clean(0, state.size);
      this.#reportLost(state);
    }
    state.mappings++;
  }

  unmap(_dev: Dev, memory: MappableMemory): void {
    const state = this.#states.get(memory);
    if (!state || --state.mappings > 0) return;
    this.#look(state);
    this.#evidence.forget(state);
    state.armed = undefined;
    this.#states.delete(memory);
    if (!state.inStep) this.#left.set(memory, state);
  }

  syncForDevice(_dev: Dev, memory: MappableMemory, offset: number, length: number): void {
    const state = this.#states.get(memory);
    if (!state) return;
    this.#evict(state, offset, length);
    state.clean(offset, offset + length);
    this.#reportLost(state);
  }

  syncForCpu(
    _dev: Dev,
    memory: MappableMemory,
    offset: number,
    length: number,
    dir: DmaDataDirection,
  ): void {
    const state = this.#states.get(memory);
    if (!state) return;
    this.#lookOnce(state);
    this.#evict(state, offset, length);
    if (dir === DMA_TO_DEVICE) state.refresh(offset, offset + length);
    else this.#invalidate(state, offset, length);
    state.disarm(offset, length);
    this.#reportLost(state);
  }

  #invalidate(state: State, offset: number, length: number): void {
    const keep = this.#isWritten(state.memory);
    const { lost, evicted } = state.invalidate(offset, offset + length, keep);
    if (keep || lost.length + evicted.length === 0) return;
    state.writers.until = 0;
    const writers = this.#writersOf(state);
    // Nobody has it any more who could miss it: it goes with its program.
    if (writers.length === 0 && holdersOf(state).length === 0) return;
    this.#reports.report({
      kind: 'lost-cpu-write',
      reader: undefined,
      writers,
      buffer: label(state.memory),
      ranges: [...lost, ...evicted],
      missing: `${END_WRITE} before START`,
      byLuck: lost.length === 0,
    });
  }

  read(dev: Dev, memory: MappableMemory, offset: number, into: Uint8Array): void {
    const state = this.#states.get(memory);
    if (!state) {
      into.set(memory.bytes().subarray(offset, offset + into.length));
      return;
    }
    this.#evict(state, offset, into.length);
    const { stale, evicted } = state.read(offset, into);
    this.#reportLost(state);
    if (stale.length + evicted.length === 0) return;
    this.#reports.report({
      kind: 'device-read',
      reader: `dma ${dev.name}`,
      writers: this.#writersOf(state),
      buffer: label(memory),
      ranges: [...stale, ...evicted],
      missing: END_WRITE,
      byLuck: stale.length === 0,
    });
  }

  write(dev: Dev, memory: MappableMemory, offset: number, from: Uint8Array): void {
    const state = this.#states.get(memory);
    if (!state) {
      memory.bytes().set(from, offset);
      return;
    }
    this.#lookOnce(state);
    this.#evict(state, offset, from.length);
    state.write(offset, from, `dma ${dev.name}`);
    this.#reportLost(state);
    if (!this.#toArm) setImmediate(() => this.programsGoOn());
    this.#toArm = true;
  }

  /** A device that sees the caches, or the kernel, has written: the CPU's view has it, and so has DRAM. */
  snoop(memory: MappableMemory, offset: number, length: number): void {
    this.#states.get(memory)?.snoop(offset, length);
  }

  // --- brackets -----------------------------------------------------------------------------------

  /** `who`, or the kernel, has begun an access; after the exporter has been told. */
  begin(memory: MappableMemory, direction: DmaDataDirection, who: Who): void {
    const state = this.#states.get(memory);
    if (direction !== DMA_FROM_DEVICE) {
      const writing = this.#writing.get(memory) ?? new Set();
      this.#writing.set(memory, writing.add(who?.pid ?? KERNEL));
      if (state) state.writable = true;
    }
    // The exporter keeps step with devices that have it mapped; this is what none sees to any more.
    const left = this.#left.get(memory);
    if (!left || direction === DMA_TO_DEVICE || memory.fd < 0) return;
    this.#invalidate(left, 0, left.size);
    this.#left.delete(memory);
  }

  /**
   * An access that was begun had to wait for fences. What devices wrote meanwhile is in no cache line yet:
   * the lines were thrown away before, and who waits has read none.
   */
  waited(memory: MappableMemory): void {
    const state = this.#states.get(memory);
    if (!state) return;
    this.#look(state);
    state.refresh(0, state.size);
    state.disarm(0, state.size);
  }

  /** `who` ends an access; before the exporter is told. */
  end(memory: MappableMemory, direction: DmaDataDirection, who: Who): void {
    if (direction !== DMA_FROM_DEVICE) this.#writing.get(memory)?.delete(who?.pid ?? KERNEL);
  }

  /** Whether anybody is between START and END of an access that writes. */
  #isWritten(memory: MappableMemory): boolean {
    const writing = this.#writing.get(memory);
    for (const pid of writing ?? []) {
      if (pid !== KERNEL && !isShown(pid)) writing?.delete(pid);
    }
    return (writing?.size ?? 0) > 0;
  }

  // --- what programs do ---------------------------------------------------------------------------

  /** From here on what programs read counts: a call is answered, or a fence signalled. */
  programsGoOn(): void {
    for (const state of this.#states.values()) state.looked = false;
    if (!this.#toArm) return;
    this.#toArm = false;
    const watched: State[] = [];
    for (const state of this.#states.values()) {
      this.#look(state);
      state.noteWrites();
      state.armed = state.stalePages();
      state.writable = this.#isWritten(state.memory);
      if (state.armed) watched.push(state);
    }
    if (watched.length === 0) return;
    this.#tellMachine();
    this.#evidence.arm(watched);
    this.#lookLater(LOOK);
  }

  /** Says once that there is nothing to be found out here, if so. */
  #tellMachine(): void {
    const machine = tryMachine();
    if (this.#told || typeof machine !== 'string') return;
    this.#told = true;
    const why = `coherency: stale reads of programs cannot be found on this machine: ${machine}`;
    this.#kernel.printk(KERN_NOTICE, why);
  }

  #lookLater(delay: number): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined;
      const start = performance.now();
      let some = false;
      for (const state of this.#states.values()) {
        this.#look(state);
        some ||= state.armed !== undefined;
      }
      if (some) this.#lookLater(Math.max(LOOK, (performance.now() - start) / SHARE));
    }, delay).unref();
  }

  /** Once is enough for all the parts of a buffer, as long as no program goes on in between. */
  #lookOnce(state: State): void {
    if (state.looked) return;
    state.looked = true;
    this.#look(state);
  }

  /** Reports what programs, or one of them, have read of what is stale. */
  #look(state: State, pid?: number): void {
    const { armed } = state;
    if (!armed) return;
    const readers = this.#evidence.readersOf(state, pid);
    if (readers.length === 0) return;
    const ranges: ByteRange[] = [];
    const writers = new Set<string>();
    for (let page = armed.indexOf(1); page >= 0; page = armed.indexOf(1, page + 1)) {
      const end = Math.min(state.size, (page + 1) * PAGE_SIZE);
      for (const { value: device, ...range } of state.writtenByDevices(page * PAGE_SIZE, end)) {
        ranges.push(range);
        writers.add(device);
      }
    }
    for (const { pid, mayHaveWritten } of readers) {
      this.#reports.report({
        kind: 'cpu-read',
        reader: nameOf(pid),
        writers: [...writers],
        buffer: label(state.memory),
        ranges,
        missing: mayHaveWritten ? `${START_READ} (or START|WRITE, if it only wrote)` : START_READ,
        byLuck: false,
      });
    }
  }

  /**
   * A process is about to map a file, of ours or (undefined) another: that may be a memfd which a udmabuf
   * is made of.
   */
  mapping(pid: number, request: MapRequest, file: unknown): void {
    if (file || this.#evidence.knows(pid)) this.#evidence.mapping(pid, request);
  }

  /** This process has mapped memory of ours for itself. */
  noteOwnMapping(mapping: ArrayBuffer): void {
    this.#evidence.noteOwn(mapping);
  }

  /** It is about to unmap it. */
  leavingOwn(mapping: ArrayBuffer): void {
    if (mapping.byteLength === 0) return;
    this.leaving(process.pid, native.addressOf(new Uint8Array(mapping)), mapping.byteLength);
  }

  /**
   * A process is about to unmap memory, to drop pages of it, or to end: from where on, and how many bytes.
   */
  leaving(pid: number, address: number, length: number): void {
    if (!this.#evidence.knows(pid)) return;
    this.#lookAt(pid);
    this.#evidence.taint(pid, address, length);
  }

  /** A process is about to move mappings, or to have pages of them mapped that it does not access. */
  populating(pid: number): void {
    if (!this.#evidence.knows(pid)) return;
    this.#lookAt(pid);
    this.#evidence.taint(pid, 0, Number.POSITIVE_INFINITY);
    this.#evidence.populates(pid);
  }

  #lookAt(pid: number): void {
    for (const state of this.#states.values()) this.#look(state, pid);
  }

  // --- the rest -----------------------------------------------------------------------------------

  /** The cache writes back what it likes: of the bytes in question, and of some others. */
  #evict(state: State, offset: number, length: number): void {
    const choose = () => this.#random() * EVICTED < 1;
    if (state.size <= EVICTION_WINDOW) {
      state.evict(0, state.size, choose);
      return;
    }
    state.evict(offset, offset + Math.min(length, EVICTION_WINDOW), choose);
    const from = Math.floor(this.#random() * (state.size - EVICTION_WINDOW));
    state.evict(from, from + EVICTION_WINDOW, choose);
  }

  #reportLost(state: State): void {
    const lost = state.lost.splice(0);
    for (const before of [true, false]) {
      const ranges = lost.filter((each) => each.before === before);
      if (ranges.length === 0) continue;
      this.#reports.report({
        kind: 'lost-device-write',
        reader: undefined,
        writers: [...new Set(ranges.map(({ device }) => device))],
        buffer: label(state.memory),
        ranges,
        missing: before
          ? `${END_WRITE} before the device writes`
          : 'DMA_BUF_IOCTL_SYNC START|RW before the CPU writes a part of the same 64 bytes',
        byLuck: false,
      });
    }
  }

  /** The processes that can have written a memory. */
  #writersOf(state: State): string[] {
    const now = performance.now();
    if (now > state.writers.until) {
      const names = this.#evidence.writersOf(state).map(nameOf);
      state.writers = { names, until: now + WRITERS_KNOWN };
    }
    return state.writers.names;
  }

  close(): void {
    clearTimeout(this.#looking);
    this.#toArm = false;
    this.#evidence.close();
    this.#states.clear();
  }
}

/** A buffer, for the log. */
function label(memory: MappableMemory): string {
  return memory.describe?.() ?? 'a buffer';
}

function nameOf(pid: number): string {
  return `${readComm(pid) || 'a program'}[${pid}]`;
}

/** @internal */
export const caches = new PerKernel<KernelCore, { cache: StrictCoherency | undefined }>(
  (kernel) => ({
    cache:
      kernel.coherency === 'strict' ? new StrictCoherency(kernel, kernel.coherencySeed) : undefined,
  }),
);

/** The caches that lie between the CPU and some devices of a kernel; undefined: all devices see them. */
export function cacheOf(kernel: KernelCore): StrictCoherency | undefined {
  return caches.of(kernel).cache;
}
