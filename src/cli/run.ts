/** `dmabuf-shim run`: a program under a kernel of its own. */
import type { ChildProcess } from 'node:child_process';
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { KernelOptions } from '../core.js';
import { Kernel } from '../kernel.js';
import { native } from '../native.js';
import { formatRecord, isOfShim, KERN_WARNING, type LogRecord, SHIM } from '../printk.js';
import { UnsupportedMachineError } from '../supervisor/spawn.js';
import { defineCommand } from './command.js';
import { inheritedDescriptors, letGo, passOn, stdioBeside } from './inherited.js';
import { kernelVersion, memoryOptions } from './options.js';
import { FOUND, type RunReport, startReport } from './report.js';
import { integer, RUN_OPTIONS, type RunOptions, seconds } from './run_options.js';
import { programStrings } from './strings.js';
import { startTraces } from './traces.js';
import { UsageError } from './usage.js';

export const run = defineCommand({
  name: 'run',
  usage: ['[options] [--] PROGRAM [arguments]'],
  about: 'Runs PROGRAM, and all that it starts, with the device nodes that "dmabuf-shim ls" lists.',
  options: RUN_OPTIONS,
  operands: 'program',
  after: `The exit status is PROGRAM's; 126 or 127 if it cannot be started, 125 if this machine cannot run it,
2 for a wrong option.`,
  async run(options, program) {
    const inherited = inheritedDescriptors();
    for (const spec of options.device ?? []) {
      const { deviceHelp } = await import('./devices.js');
      const help = await deviceHelp(spec);
      if (help === undefined) continue;
      process.stdout.write(help);
      return 0;
    }
    const kernelOptions = kernelOptionsOf(options);
    if (program.length === 0) throw new UsageError('no program given (dmabuf-shim run -- PROGRAM)');
    using kernel = makeKernel(kernelOptions, options);
    const stopCatching = options.device ? catchStray(kernel) : undefined;
    try {
      return await runUnder(kernel, options, program, inherited);
    } catch (error) {
      // A mistake of ours, not of a driver.
      stopCatching?.();
      throw error;
    }
  },
});

async function runUnder(
  kernel: Kernel,
  options: RunOptions,
  program: readonly string[],
  inherited: readonly number[],
): Promise<number> {
  const devices = await addOwnDevices(kernel, options);
  const faultsLeft = await addFaults(kernel, options);
  const report = startReport(kernel, options, (text) => writeLine(2, text));
  const stopTracing = await startTraces(kernel, options);
  let child: ChildProcess;
  try {
    child = start(kernel, options, program, inherited);
  } catch (error) {
    if (!(error instanceof UnsupportedMachineError)) throw error;
    const { explain } = await import('./doctor.js');
    process.stderr.write(`dmabuf-shim run: ${error.message}\n${explain(error)}`);
    return 125;
  }
  try {
    return await finish(child, kernel, stopTracing, report);
  } finally {
    devices?.close();
    stopTracing();
    for (const line of faultsLeft()) writeLine(2, `dmabuf-shim run: ${line}`);
  }
}

/** The program gets what we were given, as it was. */
function start(
  kernel: Kernel,
  options: RunOptions,
  program: readonly string[],
  inherited: readonly number[],
): ChildProcess {
  const [command = '', ...args] = program;
  const strings = programStrings(program);
  const exact = options.exact === true;
  passOn(inherited);
  const child = kernel.spawn(command, args, { stdio: stdioBeside(inherited), strings, exact });
  letGo(inherited);
  return child;
}

async function addOwnDevices(kernel: Kernel, { device, watch }: RunOptions) {
  if (!device) {
    if (watch) throw new UsageError('--watch is for the files of --device');
    return undefined;
  }
  const { addDevices } = await import('./devices.js');
  const devices = await addDevices(kernel, device);
  if (watch) await devices.watch((line) => writeLine(2, `dmabuf-shim run: ${line}`));
  return devices;
}

/**
 * What a driver throws in a timer, and promises that it forgets, fail no call: they are told, and do not end those
 * programs that are served. Timers may outlast the last program: who calls what this gives ends it, or the process.
 */
function catchStray(kernel: Kernel): () => void {
  const tell = (error: unknown) => kernel.bug('outside of any call', error);
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
  return () => {
    process.off('uncaughtException', tell);
    process.off('unhandledRejection', tell);
  };
}

/** Gives what says which were never injected. */
async function addFaults(kernel: Kernel, { fault = [], chaos }: RunOptions) {
  if (fault.length === 0 && chaos === undefined) return () => [];
  const faults = await import('./faults.js');
  return faults.addFaults(kernel, fault, chaos);
}

/** How often it went wrong what has been reported, once a case. */
function summarize({ staleAccesses }: Kernel): void {
  if (staleAccesses.length === 0) return;
  const count = staleAccesses.reduce((sum, access) => sum + access.count, 0);
  const times = count === 1 ? 'once' : `${count} times`;
  const cases = staleAccesses.length === 1 ? '1 case' : `${staleAccesses.length} cases`;
  writeLine(2, `dmabuf-shim run: missing cache maintenance: ${cases}, ${times} in all (see above)`);
}

function kernelOptionsOf(options: RunOptions): KernelOptions {
  const { kernel, memory, 'fence-timeout': timeout, 'strict-coherency': seed } = options;
  const devices = options.devices?.split(',').map((name) => name.replace(/^(\+?)\/dev\//, '$1'));
  return {
    ...kernelVersion(kernel),
    ...(devices && { devices }),
    ...(memory !== undefined && { memory: memoryOptions(memory) }),
    ...(timeout !== undefined && { fenceTimeout: seconds('--fence-timeout', timeout) * 1000 }),
    ...(seed !== undefined && { coherency: 'strict' as const }),
    ...(typeof seed === 'string' && { coherencySeed: integer('--strict-coherency', seed) }),
  };
}

function makeKernel(kernelOptions: KernelOptions, options: RunOptions): Kernel {
  try {
    const kernel = new Kernel(kernelOptions);
    let notServed = 0;
    kernel.log.console = (record) => {
      if (isShown(record, options)) writeLine(2, formatRecord(record));
      else if (isOfShim(record) && notServed++ < MOST_NOT_SERVED) {
        writeLine(2, `dmabuf-shim run: ${record.text.slice(SHIM.length)}`);
        if (notServed === MOST_NOT_SERVED)
          writeLine(2, 'dmabuf-shim run: --verbose shows the rest');
      }
    };
    return kernel;
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** A program that goes on and on is not to fill the terminal. */
const MOST_NOT_SERVED = 10;

/** Whoever writes a driver wants to see at once what is wrong with it. */
function isShown({ level, text }: LogRecord, options: RunOptions): boolean {
  if (options.verbose) return true;
  if (options.device && level <= KERN_WARNING) return true;
  return options['strict-coherency'] !== undefined && text.startsWith('coherency: ');
}

/**
 * Written at once and in order with what the program writes itself; whether it could be. That nobody
 * reads it any more, or that the disk is full, is no reason to end somebody's program.
 */
function writeLine(fd: number, line: string): boolean {
  try {
    writeSync(fd, `${line}\n`);
    return true;
  } catch {
    return false;
  }
}

/** Signals that are passed on; what the terminal sends reaches the program without our help. */
const FORWARDED: NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
];
/** si_code of a signal that a process sent; the kernel itself, for a terminal, has a positive one. */
const SI_USER = 0;
/** Ignored by default: no reason to end. */
const { SIGWINCH } = constants.signals;
/** Whoever signals the program's processes one by one may come to us this much later, in ms. */
const LATE = 100;

/**
 * Waits for the program; the exit status, or the same death if a signal ended it: `ending` is called before that.
 */
async function finish(
  child: ChildProcess,
  kernel: Kernel,
  ending: () => void,
  report: RunReport | undefined,
): Promise<number> {
  const numbers = FORWARDED.map((name) => constants.signals[name]);
  const signals = native.watchSignals(numbers, (signal, code, _, gone) => {
    kernel.expectSignals();
    if (!gone) {
      if (code <= SI_USER) child.kill(signal);
    } else if (signal !== SIGWINCH) {
      // It ends us only if there is something left to wait for.
      late ??= setTimeout(() => setImmediate(stop, signal), LATE);
    }
  });
  signals.unref();
  let late: NodeJS.Timeout | undefined;
  // Called after a look at what has happened meanwhile: we may have had no processor for as long as LATE.
  let stop: (signal: number) => void = () => {};
  const stopped = new Promise<number>((resolve) => {
    stop = resolve;
  });
  const [status, signal] = await new Promise<[number, NodeJS.Signals | null]>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`dmabuf-shim run: ${describe(error)}\n`);
      resolve([error.code === 'ENOENT' ? 127 : 126, null]);
    });
    child.on('exit', (code, by) => resolve([code ?? 1, by]));
  });
  // The terminal signals a whole group at once, before any of it can end: what ended the program, or
  // made it end, has reached us too, and is not for what comes now.
  native.renewSignals();
  // What it left running needs us still: without an answer their every open(2) would fail.
  const stoppedBy = await Promise.race([kernel.idle(), stopped]);
  clearTimeout(late);
  summarize(kernel);
  const found = report?.finish();
  const death = stoppedBy ?? (signal !== null ? constants.signals[signal] : undefined);
  if (death !== undefined && !found) {
    ending();
    signals.close();
    native.raiseDefault(death);
  }
  signals.close();
  leaveStdioAlone();
  return found ? FOUND : status;
}

/**
 * When Node ends, it puts a terminal's modes and O_NONBLOCK back to what they were at its start: the program
 * may have set others, and on purpose. It does so with what is still open.
 */
function leaveStdioAlone(): void {
  process.once('exit', () => {
    for (const fd of [0, 1, 2]) native.close(fd);
  });
}

function describe(error: NodeJS.ErrnoException): string {
  const { path, code } = error;
  if (code === 'ENOENT') return `${path}: no such program`;
  if (code === 'EACCES') return `${path}: may not be executed`;
  return `${path}: ${error.message}`;
}
