/** Where a kernel is put together: the core, the drivers, and the ways in. Nothing but the package's entries imports it. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { KernelCore, type KernelOptions, type Waiter } from './core.js';
import { SW_SYNC } from './drivers/dma-buf/sw_sync.js';
import { claims, initcalls } from './drivers/index.js';
import { type ChaosOptions, faultsOf, injectFault, startChaos } from './fault/faults.js';
import type { FaultRule } from './fault/rule.js';
import type { Wakeable } from './fs/wait_queue.js';
import type { DeviceDefinition, DeviceOptions } from './kit/define_device.js';
import { addDevice, type RegisteredDevice } from './kit/register.js';
import { cacheOf } from './mm/cache/cache.js';
import type { StaleAccess } from './mm/cache/stale.js';
import { type KernelModule, Modules } from './module.js';
import { Report } from './observe/report.js';
import { TraceEvents, type TraceEventsOptions } from './observe/trace_events.js';
import { EXACT_CALLS } from './supervisor/filter.js';
import { needsOf } from './supervisor/needs.js';
import { spawn } from './supervisor/spawn.js';
import { Supervisor, type Tracer } from './supervisor/supervisor.js';
import { Sys } from './syscall/sys.js';

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
export class Kernel extends KernelCore {
  /** The way in for this process: open, ioctl, mmap, poll … */
  readonly sys: Sys;
  readonly #modules = new Modules(this);
  #supervisor: Supervisor | undefined;
  #report: Report | undefined;

  /** @throws RangeError for a version or a device that there is not. */
  constructor(options: KernelOptions = {}) {
    super(options);
    this.sys = new Sys(this);
    for (const path of claims) this.root.claim(path);
    for (const init of initcalls) init(this);
    this.initialized([SW_SYNC]);
  }

  /**
   * Adds a device of one's own ({@link defineDevice}), with values for its options. Programs that are started
   * from then on can read and write it; what else it does, those that run already can have, too.
   * @throws RangeError for an option that it does not have; what its `probe` throws.
   */
  addDevice(definition: DeviceDefinition, options?: DeviceOptions): RegisteredDevice {
    return addDevice(this, definition, options);
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

  override settle(): void {
    this.#supervisor?.rest();
    super.settle();
  }

  override waitersOn(source: Wakeable): Waiter[] {
    return this.#supervisor?.waitersOn(source) ?? [];
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

  /**
   * Accesses that went wrong because the CPU's caches and a device were not brought in step; one for each
   * case, however often. None unless `coherency` is 'strict'.
   */
  get staleAccesses(): readonly StaleAccess[] {
    return cacheOf(this)?.staleAccesses ?? [];
  }

  /**
   * What programs and drivers leave behind, and which rules they break, from the first time that this is
   * called: before programs are started, and before `sys` is used. The same report each time.
   */
  report(): Report {
    this.#report ??= new Report(this);
    return this.#report;
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
    const needs = {
      exact: exact || (faultsOf(this)?.hitsAny(EXACT_CALLS) ?? false),
      strictCoherency,
      ...needsOf(this.root),
      watchProcesses: this.observers.watchProcesses,
    };
    return spawn(this.#supervisor, command, args, spawnOptions, needs, strings);
  }

  /** @internal Signals that were sent to this process may have been sent to programs too. */
  expectSignals(): void {
    this.#supervisor?.expectSignals();
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

  /**
   * Ends this kernel: programs that still run get ENOSYS for what it would have answered. What
   * programs hold of buffers stays theirs; descriptors of this process stay open.
   */
  close(): void {
    this.beginClose();
    this.#supervisor?.close();
    this.#supervisor = undefined;
    cacheOf(this)?.close();
    this.endClose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
