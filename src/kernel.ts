import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { _IOC_TYPE } from '../ioctl/index.js';
import { Pins } from './backing/pin.js';
import { ReleaseWatch } from './backing/release.js';
import { FenceWatchdog } from './drivers/dma-buf/fence_watchdog.js';
import { SW_SYNC } from './drivers/dma-buf/sw_sync.js';
import { initcalls } from './drivers/index.js';
import { type ChaosOptions, type Faults, injectFault, startChaos } from './fault/faults.js';
import type { FaultRule } from './fault/rule.js';
import { type CharDevice, CharDevices } from './fs/char_dev.js';
import { type File, FileTable } from './fs/file.js';
import { Directory } from './fs/tree.js';
import type { Wakeable } from './fs/wait_queue.js';
import type { DeviceDefinition, DeviceOptions } from './kit/device.js';
import { addDevice, type RegisteredDevice } from './kit/register.js';
import { StrictCoherency } from './mm/cache/cache.js';
import type { StaleAccess } from './mm/cache/stale.js';
import { MemMap } from './mm/mem_map.js';
import { type MemoryOptions, PageAllocator } from './mm/page_alloc.js';
import { type KernelModule, Modules } from './module.js';
import { Observers } from './observe/observer.js';
import { Report } from './observe/report.js';
import { TraceEvents, type TraceEventsOptions } from './observe/trace_events.js';
import { formatRecord, KERN_ERR, KernelLog } from './printk.js';
import { EXACT_CALLS } from './supervisor/filter.js';
import { spawn } from './supervisor/spawn.js';
import { Supervisor, type Tracer, type Waiter } from './supervisor/supervisor.js';
import { Sys } from './syscall/sys.js';
import {
  DEFAULT_VERSION,
  type Feature,
  featuresOf,
  isKernelVersion,
  type KernelVersion,
  NODE_FEATURES,
  VERSION_RANGE,
} from './version.js';

export interface KernelOptions {
  /** The Linux release to behave as, from 3.3 to 6.18; 6.12 by default. */
  version?: KernelVersion;
  /**
   * The device nodes to provide, by their paths below /dev (`dma_heap/system`, `udmabuf`); by default
   * those that the version has. `+NAME`: those, and NAME, which is not one of them. `sw_sync` is
   * /sys/kernel/debug/sync/sw_sync, for a version without it.
   */
  devices?: readonly string[];
  /**
   * Milliseconds after which a fence that is not signalled is reported in the kernel log, with who made
   * it and who waits; 10,000 by default, 0 for never.
   */
  fenceTimeout?: number;
  /** How much memory there is for buffers, and in what state. */
  memory?: MemoryOptions;
  /**
   * Whether devices that are not coherent see the CPU's caches nevertheless, as on a PC ('coherent', the
   * default), or do not ('strict'): {@link Kernel.staleAccesses} then tells what accesses went wrong.
   */
  coherency?: Coherency;
  /** With 'strict', an integer: decides which lines caches write back of their own accord. */
  coherencySeed?: number;
}

export type Coherency = 'coherent' | 'strict';

/** Bytes that are set aside for /dev/dma_heap/reserved if it is asked for, and no size given. */
const DEFAULT_CMA = 64 * 2 ** 20;

export interface SpawnProgramOptions extends SpawnOptions {
  /**
   * Answer read(2), write(2) and their kin on our files as Linux does, and look at every ioctl: each
   * such call of the program then takes some microseconds more. Without it, reading a buffer gives
   * its bytes instead of EINVAL.
   */
  exact?: boolean;
  /**
   * Command, arguments and environment as bytes, each ended by NUL, where they are no text. As many
   * arguments as `args` has; `env` is not looked at.
   */
  strings?: Uint8Array;
}

/** A kernel: its devices, files and buffers. Two of them in one process do not see each other. */
export class Kernel {
  readonly version: KernelVersion;
  /** @internal The tree of what this kernel provides, from `/` on. */
  readonly root = new Directory();
  /** @internal */
  readonly files = new FileTable();
  /** @internal */
  readonly releases = new ReleaseWatch();
  /** @internal */
  readonly pins = new Pins(this.releases);
  readonly charDevices = new CharDevices(this);
  /** What the heaps allocate from. */
  readonly memory: PageAllocator;
  /** @internal What is in each page frame. */
  readonly memMap = new MemMap();
  /** @internal The caches that lie between the CPU and some devices; undefined: all devices see them. */
  cache: StrictCoherency | undefined;
  readonly coherency: Coherency;
  readonly log = new KernelLog();
  /** @internal Who is told of what happens. */
  readonly observers = new Observers();
  /** @internal What is injected into calls; undefined: nothing. */
  faults: Faults | undefined;
  /** @internal How many open files can be waited for, where the machine's memfd is always ready. */
  pollable = 0;
  /** @internal The thread whose call is being handled, or was last; 0 for none. */
  caller = 0;
  /** @internal Open files that may not be ready, for {@link anyBusy} to look at. */
  readonly busyFiles = new Set<File>();
  /** @internal The next fence context: 1 and 2 are a display driver's, as on the recorded kernels. */
  nextFenceContext = 3;
  /** @internal */
  readonly fenceWatchdog: FenceWatchdog;
  /** The way in for this process: open, ioctl, mmap, poll … */
  readonly sys: Sys;
  readonly #features: ReadonlySet<Feature>;
  readonly #modules = new Modules(this);
  /** What devices of one's own need programs' filters to let us see. */
  readonly #ioctlTypes = new Set<string>();
  #readable = false;
  readonly #atClose: (() => void)[] = [];
  #closed = false;
  #supervisor: Supervisor | undefined;
  #report: Report | undefined;
  /** The devices that are asked for by name, and whether these are to be all. */
  readonly #named: ReadonlySet<string>;
  readonly #onlyNamed: boolean;
  #initializing = true;

  /** @throws RangeError for a version or a device that there is not. */
  constructor(options: KernelOptions = {}) {
    this.version = options.version ?? DEFAULT_VERSION;
    if (!isKernelVersion(this.version)) {
      throw new RangeError(`no kernel version ${this.version}; there are ${VERSION_RANGE}`);
    }
    this.#features = featuresOf(this.version);
    const devices = options.devices ?? [];
    this.#onlyNamed =
      options.devices !== undefined &&
      (devices.length === 0 || devices.some((name) => !name.startsWith('+')));
    this.#named = new Set(devices.map((name) => name.replace(/^\+/, '')));
    const cma = this.isNamed('dma_heap/reserved') ? DEFAULT_CMA : 0;
    this.memory = new PageAllocator({ cma, ...options.memory }, () => this.settle());
    this.fenceWatchdog = new FenceWatchdog(this, options.fenceTimeout ?? 10_000);
    this.sys = new Sys(this);
    this.coherency = options.coherency ?? 'coherent';
    // Drivers that are made from here on look at it.
    if (this.coherency === 'strict') {
      this.cache = new StrictCoherency(this, options.coherencySeed ?? 0);
    }
    for (const init of initcalls) init(this);
    const names = [...this.charDevices].map((device) => device.name).concat(SW_SYNC);
    for (const name of this.#named) {
      if (names.includes(name)) continue;
      throw new RangeError(`no device ${name}; there are ${names.join(', ')}`);
    }
    // What is added from here on was asked for.
    this.#initializing = false;
  }

  /** cdev_add() and device_create(): a character device with its node below /dev. */
  addCharDevice(device: CharDevice): void {
    this.charDevices.add(device, this.#initializing && !this.#isWanted(device));
  }

  /**
   * Adds a device of one's own ({@link defineDevice}), with values for its options. Programs that are started
   * from then on can read and write it; what else it does, those that run already can have, too.
   * @throws RangeError for an option that it does not have; what its `probe` throws.
   */
  addDevice(definition: DeviceDefinition, options?: DeviceOptions): RegisteredDevice {
    const { attributes = {}, events, read, write } = definition;
    const stored = Object.values(attributes).some((file) => 'store' in file);
    this.#readable ||= Boolean(read || write || events || stored);
    for (const { request } of Object.values(definition.ioctls ?? {})) {
      this.#ioctlTypes.add(_IOC_TYPE(request));
    }
    return addDevice(this, definition, options);
  }

  /** @internal Has something done when this kernel ends. */
  onClose(action: () => void): void {
    this.#atClose.push(action);
  }

  /** @internal Whether a device is asked for by its name. */
  isNamed(name: string): boolean {
    return this.#named.has(name);
  }

  #isWanted({ name, optional }: CharDevice): boolean {
    if (this.isNamed(name)) return true;
    const feature = NODE_FEATURES[name];
    return !optional && !this.#onlyNamed && (!feature || this.has(feature));
  }

  /** Whether the Linux release that this kernel behaves as has it. */
  has(feature: Feature): boolean {
    return this.#features.has(feature);
  }

  /**
   * insmod(8): resolves what a module imports, and calls its `init`, whose exceptions are passed on: then
   * it is not loaded. The kernel log says what is wrong with it. ENOENT for a symbol that there is not, or
   * not for its licence; EINVAL for one of a namespace that it does not import; EEXIST for a module
   * that is loaded.
   */
  insmod(module: KernelModule): void {
    this.#modules.insmod(module);
  }

  /** rmmod(8): calls its `exit`. ENOENT if it is not loaded, EBUSY if it has no `exit`. */
  rmmod(name: string): void {
    this.#modules.rmmod(name);
  }

  /** @internal Takes note of all that programs have let go of. Whoever tells what is alive asks first. */
  settle(): void {
    this.#supervisor?.rest();
    this.releases.drain();
  }

  /** @internal The calls of programs that wait for something. */
  waitersOn(source: Wakeable): Waiter[] {
    return this.#supervisor?.waitersOn(source) ?? [];
  }

  /** @internal Whether any file is not ready, to be read or to be written. */
  anyBusy(): boolean {
    for (const file of this.busyFiles) {
      if (file.f_op.pollSources?.(file).length === 0) this.busyFiles.delete(file);
    }
    return this.busyFiles.size > 0;
  }

  /**
   * Has calls on files of this kernel fail, give what they like, or take their time: calls of programs and of
   * {@link sys}. `DMA_HEAP_IOCTL_ALLOC:error=ENOMEM:when=3+2` in strace's words, or the same as an object. The
   * answer of this function ends it. Names of devices' own ioctls are known once the device is added.
   *
   * A call that is given an error or a value is not made. A signal interrupts a delay, and the same call made
   * again has what is left of it. In `sys`, calls that are not awaited block this thread while they are delayed.
   * @throws RangeError for a rule that makes no sense, or that names a call that there is not.
   */
  inject(rule: FaultRule | string): () => void {
    return injectFault(this, rule);
  }

  /**
   * Has any call on files of this kernel fail now and then with any errno that its contract allows, always the same
   * way for a seed: for ioctls those of the `errors` of their definition, but for EINVAL, EFAULT, EBADF, EBADFD,
   * ENOTTY and E2BIG, which only a wrong program sees. The answer of this function ends it.
   * @throws RangeError
   */
  chaos(options: ChaosOptions): () => void {
    return startChaos(this, options);
  }

  /** Adds a line to the kernel log. */
  printk(level: number, text: string): void {
    const record = this.log.printk(level, text);
    if (this.observers.active) this.observers.tell('logged', record);
  }

  /** @internal Logs what a driver threw that is no errno: a mistake, but no reason to end anything. */
  bug(where: string, error: unknown): void {
    const detail = error instanceof Error ? stackOf(error) : String(error);
    this.printk(KERN_ERR, `BUG: ${where}: ${detail}`);
  }

  /**
   * Accesses that went wrong because the CPU's caches and a device were not brought in step; one for each
   * case, however often. None unless `coherency` is 'strict'.
   */
  get staleAccesses(): readonly StaleAccess[] {
    return this.cache?.staleAccesses ?? [];
  }

  /**
   * What programs and drivers leave behind, and which rules they break, from the first time that this is
   * called: before programs are started, and before `sys` is used. The same report each time.
   */
  report(): Report {
    this.#report ??= new Report(this);
    return this.#report;
  }

  /** The kernel log, a line a record, as dmesg(1) prints it. */
  dmesg(): string[] {
    return this.log.records.map(formatRecord);
  }

  /**
   * Starts a program that sees this kernel's devices, whatever it is written in. As
   * child_process.spawn(), with the same options and result. The event loop has to run for the program
   * to be served: a call of this process that blocks it, such as spawnSync(), blocks the program too.
   * @throws UnsupportedMachineError where this machine forbids it.
   */
  spawn(
    command: string,
    args: readonly string[] = [],
    options: SpawnProgramOptions = {},
  ): ChildProcess {
    const { exact = false, strings, ...spawnOptions } = options;
    this.#supervisor ??= new Supervisor(this);
    const strictCoherency = this.coherency === 'strict';
    const filter = {
      exact: exact || (this.faults?.hitsAny(EXACT_CALLS) ?? false),
      strictCoherency,
      transfers: this.#readable,
      ioctlTypes: this.#ioctlTypes,
      watchProcesses: this.observers.watchProcesses,
    };
    return spawn(this.#supervisor, command, args, spawnOptions, filter, strings);
  }

  /** Resolves when all programs that {@link spawn} started, and all that they started, are gone. */
  async idle(): Promise<void> {
    await this.#supervisor?.idle();
  }

  /**
   * Writes what happens from here on, as JSON in the Trace Event format: https://ui.perfetto.dev and
   * chrome://tracing show it. `write` takes the text piece by piece, some 64 KiB each. The answer of this function
   * ends it, as does {@link close}: the file is whole then.
   */
  traceEvents(options: TraceEventsOptions): () => void {
    const events = new TraceEvents(this, options);
    const unobserve = this.observers.add(events);
    const stop = () => {
      unobserve();
      events.close();
    };
    this.onClose(stop);
    return stop;
  }

  /** @internal Set to see the calls that are answered. */
  set tracer(tracer: Tracer | undefined) {
    this.#supervisor ??= new Supervisor(this);
    this.#supervisor.tracer = tracer;
  }

  /** @internal What a device has in hand when the kernel is closed is not done any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Ends this kernel: programs that still run get ENOSYS for what it would have answered. What
   * programs hold of buffers stays theirs; descriptors of this process stay open.
   */
  close(): void {
    this.#closed = true;
    for (const action of this.#atClose.splice(0)) action();
    this.#supervisor?.close();
    this.#supervisor = undefined;
    this.cache?.close();
    for (const file of this.files) file.shutdown();
    this.fenceWatchdog.close();
    this.pins.close();
    this.releases.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Where this code lies, as stacks say it. */
const HERE = new URL('.', import.meta.url);

/** The stack of a mistake, down to where it left this code for somebody's driver; all of it if it is our own. */
function stackOf(error: Error): string {
  const lines = (error.stack ?? error.message).split('\n');
  const isTheirs = (line: string) =>
    /^ {4}at .*:\d+:\d+\)?$/.test(line) && !line.includes(HERE.pathname) && !/[( ]node:/.test(line);
  const last = lines.findLastIndex(isTheirs);
  return (last < 0 ? lines : lines.slice(0, last + 1)).join('\n');
}
