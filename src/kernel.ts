import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { totalmem } from 'node:os';
import { FenceWatchdog } from './drivers/dma-buf/fence_watchdog.js';
import { initcalls } from './drivers/index.js';
import { type CharDevice, CharDevices } from './fs/char_dev.js';
import { type File, FileTable } from './fs/file.js';
import { ReleaseWatch } from './fs/release.js';
import { Directory } from './fs/tree.js';
import type { Wakeable } from './fs/wait_queue.js';
import { PageAllocator } from './mm/page_alloc.js';
import { Pins } from './mm/pin.js';
import { formatRecord, KERN_ERR, KernelLog } from './printk.js';
import { spawn } from './supervisor/spawn.js';
import { Supervisor, type Tracer, type Waiter } from './supervisor/supervisor.js';
import { Sys } from './syscall/sys.js';

/** The Linux versions whose behaviour a kernel can have. */
export const KERNEL_VERSIONS = ['6.1', '6.12'] as const;
export type KernelVersion = (typeof KERNEL_VERSIONS)[number];

export interface KernelOptions {
  /** The Linux version to behave as; the newest by default. */
  version?: KernelVersion;
  /**
   * The device nodes to provide, by their paths below /dev (`dma_heap/system`, `udmabuf`); by default
   * all that there are.
   */
  devices?: readonly string[];
  /**
   * Milliseconds after which a fence that is not signalled is reported in the kernel log, with who made
   * it and who waits; 10,000 by default, 0 for never.
   */
  fenceTimeout?: number;
  memory?: {
    /** Bytes that heaps can give out in all; by default what the machine has. */
    size?: number;
  };
}

export interface SpawnProgramOptions extends SpawnOptions {
  /**
   * Answer read(2), write(2) and their kin on our files as Linux does, and look at every ioctl: each
   * such call of the program then takes some microseconds more. Without it, reading a buffer gives
   * its bytes instead of EINVAL.
   */
  exact?: boolean;
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
  readonly log = new KernelLog();
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
  #supervisor: Supervisor | undefined;
  #only: ReadonlySet<string> | undefined;

  /** @throws RangeError for a version or a device that there is not. */
  constructor(options: KernelOptions = {}) {
    this.version = options.version ?? '6.12';
    if (!KERNEL_VERSIONS.includes(this.version)) {
      throw new RangeError(
        `no kernel version ${this.version}; there are ${KERNEL_VERSIONS.join(', ')}`,
      );
    }
    this.memory = new PageAllocator(options.memory?.size ?? totalmem(), () => this.settle());
    this.fenceWatchdog = new FenceWatchdog(this, options.fenceTimeout ?? 10_000);
    this.sys = new Sys(this);
    this.#only = options.devices && new Set(options.devices);
    for (const init of initcalls) init(this);
    for (const name of this.#only ?? []) {
      if (this.charDevices.get(name)) continue;
      const names = [...this.charDevices].map((device) => device.name).join(', ');
      throw new RangeError(`no device ${name}; there are ${names}`);
    }
    // What is added from here on was asked for.
    this.#only = undefined;
  }

  /** cdev_add() and device_create(): a character device with its node below /dev. */
  addCharDevice(device: CharDevice): void {
    this.charDevices.add(device, this.#only && !this.#only.has(device.name));
  }

  /** Whether this kernel behaves as Linux `version` or a later one. */
  versionAtLeast(version: string): boolean {
    const [major = 0, minor = 0] = this.version.split('.').map(Number);
    const [wantedMajor = 0, wantedMinor = 0] = version.split('.').map(Number);
    return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
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

  /** Adds a line to the kernel log. */
  printk(level: number, text: string): void {
    this.log.printk(level, text);
  }

  /** @internal Logs what a driver threw that is no errno: a mistake, but no reason to end anything. */
  bug(where: string, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.printk(KERN_ERR, `BUG: ${where}: ${detail}`);
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
    const { exact = false, ...spawnOptions } = options;
    this.#supervisor ??= new Supervisor(this);
    return spawn(this.#supervisor, command, args, spawnOptions, { exact });
  }

  /** Resolves when all programs that {@link spawn} started, and all that they started, are gone. */
  async idle(): Promise<void> {
    await this.#supervisor?.idle();
  }

  /** @internal Set to see the calls that are answered. */
  set tracer(tracer: Tracer | undefined) {
    this.#supervisor ??= new Supervisor(this);
    this.#supervisor.tracer = tracer;
  }

  /**
   * Ends this kernel: programs that still run get ENOSYS for what it would have answered. What
   * programs hold of buffers stays theirs; descriptors of this process stay open.
   */
  close(): void {
    this.#supervisor?.close();
    this.#supervisor = undefined;
    for (const file of this.files) file.shutdown();
    this.fenceWatchdog.close();
    this.pins.close();
    this.releases.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
