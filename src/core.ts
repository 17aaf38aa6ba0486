/** The kernel core: what drivers see of a kernel. `Kernel`, which stands on top of it, adds the ways in. */

import { Pins } from './backing/pin.js';
import { ReleaseWatch } from './backing/release.js';
import type { BaseDevice } from './base/core.js';
import { type CharDevice, CharDevices } from './fs/char_dev.js';
import { MachineDirectories } from './fs/directories.js';
import { FileTable } from './fs/file.js';
import { Directory } from './fs/tree.js';
import type { Wakeable } from './fs/wait_queue.js';
import { MemMap } from './mm/mem_map.js';
import { type MemoryOptions, PageAllocator } from './mm/page_alloc.js';
import { Observers } from './observe/observer.js';
import { formatRecord, KERN_ERR, KernelLog } from './printk.js';
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

/** A call of a program that waits. */
export interface Waiter {
  tid: number;
  /** The system call's name. */
  call: string;
  /** For so many milliseconds. */
  since: number;
}

/** The log, files, devices, version, memory and observers of a kernel. */
export class KernelCore {
  readonly version: KernelVersion;
  /** @internal See {@link PerKernel}. */
  readonly state: unknown[] = [];
  /** @internal The tree of what this kernel provides, from `/` on. */
  readonly root = new Directory();
  /** @internal Which of the machine's directories they are. */
  readonly directories = new MachineDirectories(this.root);
  /** @internal */
  readonly files = new FileTable();
  /** @internal */
  readonly releases = new ReleaseWatch();
  /** @internal */
  readonly pins = new Pins();
  readonly charDevices = new CharDevices(this);
  /** What the heaps allocate from. */
  readonly memory: PageAllocator;
  /** @internal What is in each page frame. */
  readonly memMap = new MemMap();
  readonly coherency: Coherency;
  /** @internal */
  readonly coherencySeed: number;
  readonly log = new KernelLog();
  /** @internal Who is told of what happens. */
  readonly observers = new Observers();
  /** @internal After how many milliseconds a fence that is not signalled is reported; 0: never. */
  readonly fenceTimeout: number;
  /** @internal The thread whose call is being handled, or was last; 0 for none. */
  caller = 0;
  readonly #features: ReadonlySet<Feature>;
  readonly #atClose: (() => void)[] = [];
  #closed = false;
  /** The devices that are asked for by name, and whether these are to be all. */
  readonly #named: ReadonlySet<string>;
  readonly #onlyNamed: boolean;
  #initializing = true;

  /** @throws RangeError for a version that there is not. */
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
    this.fenceTimeout = options.fenceTimeout ?? 10_000;
    this.coherency = options.coherency ?? 'coherent';
    this.coherencySeed = options.coherencySeed ?? 0;
  }

  /**
   * @internal The drivers are there: what is added from here on was asked for.
   * @throws RangeError for a device that is asked for by a name that none of them has.
   */
  initialized(others: readonly string[]): void {
    const names = [...this.charDevices].map(({ name }) => name).concat(others);
    for (const name of this.#named) {
      if (names.includes(name)) continue;
      throw new RangeError(`no device ${name}; there are ${names.join(', ')}`);
    }
    this.#initializing = false;
  }

  /**
   * cdev_add() and device_create(): a character device with its node below /dev, its entries in /sys and its event; what
   * it is in the driver model, unless it is not to be there. EBUSY if another one has its number.
   */
  addCharDevice(cdev: CharDevice): BaseDevice | undefined {
    return this.charDevices.add(cdev, this.#initializing && !this.#isWanted(cdev));
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

  /** @internal Takes note of all that programs have let go of. Whoever tells what is alive asks first. */
  settle(): void {
    this.releases.drain();
  }

  /** @internal The calls of programs that wait for something. */
  waitersOn(_source: Wakeable): Waiter[] {
    return [];
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

  /** The kernel log, a line a record, as dmesg(1) prints it. */
  dmesg(): string[] {
    return this.log.records.map(formatRecord);
  }

  /** @internal What a device has in hand when the kernel is closed is not done any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @internal Nothing is served any more. */
  protected beginClose(): void {
    this.#closed = true;
    for (const action of this.#atClose.splice(0)) action();
  }

  /** @internal After the ways in are closed: what the kernel has of files is closed, what programs have stays theirs. */
  protected endClose(): void {
    for (const file of this.files) file.shutdown();
    this.pins.close();
    this.releases.close();
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
