/** `dmabuf-shim run`: a program under a kernel of its own. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { Kernel } from '../kernel.js';
import type { MemoryOptions } from '../mm/page_alloc.js';
import { native } from '../native.js';
import { formatRecord } from '../printk.js';
import { UnsupportedMachineError } from '../supervisor/spawn.js';
import { kernelVersion, memoryOptions } from './options.js';
import { UsageError } from './usage.js';

const USAGE = `Usage: dmabuf-shim run [options] [--] PROGRAM [arguments]

Runs PROGRAM, and all that it starts, with the device nodes that "dmabuf-shim ls" lists.

  --kernel VERSION    behave as this Linux release, 3.3 to 6.18 (6.12): what came later is not there,
                      but for the nodes that --devices names
  --devices LIST      only these nodes, by the names that ls shows: dma_heap/system,udmabuf;
                      +NAME: one more than there are, such as +dma_importer,+dma_heap/reserved
  --memory LIST       what the heaps give, such as size=64M,cma=16M,fragmentation=0.5,seed=7
  --exact             also read, write and every ioctl exactly as Linux (costs the program time)
  --trace [FILE]      a line for each call that is answered, to stderr or FILE, as strace shows them
  --strict-coherency[=SEED]
                      devices that are not coherent do not see the CPU's caches; report what goes wrong
  --fence-timeout S   report a fence that is not signalled after S seconds (10; 0: never) in the log
  --verbose           the kernel log on stderr
  --help              this text

The exit status is PROGRAM's; 126 or 127 if it cannot be started, 125 if this machine cannot run it,
2 for a wrong option.
`;

interface Options {
  kernel?: string;
  devices?: string;
  memory?: MemoryOptions;
  exact?: boolean;
  fenceTimeout?: number;
  strictCoherency?: true | number;
  trace?: true | string;
  verbose?: boolean;
  help?: boolean;
}

export async function run(args: string[]): Promise<number> {
  const { options, program } = parse(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [command, ...rest] = program;
  if (command === undefined) throw new UsageError('no program given (dmabuf-shim run -- PROGRAM)');
  using kernel = makeKernel(options);
  const stopTracing = await startTracing(kernel, options.trace);
  let child: ChildProcess;
  try {
    const stdio = 'inherit';
    child = kernel.spawn(command, rest, { stdio, exact: options.exact ?? false });
  } catch (error) {
    if (!(error instanceof UnsupportedMachineError)) throw error;
    const { explain } = await import('./doctor.js');
    process.stderr.write(`dmabuf-shim run: ${error.message}\n${explain()}`);
    return 125;
  }
  try {
    return await finish(child, kernel);
  } finally {
    stopTracing();
  }
}

/** How often it went wrong what has been reported, once a case. */
function summarize({ staleAccesses }: Kernel): void {
  if (staleAccesses.length === 0) return;
  const count = staleAccesses.reduce((sum, access) => sum + access.count, 0);
  const times = count === 1 ? 'once' : `${count} times`;
  const cases = staleAccesses.length === 1 ? '1 case' : `${staleAccesses.length} cases`;
  writeLine(2, `dmabuf-shim run: missing cache maintenance: ${cases}, ${times} in all (see above)`);
}

function makeKernel(options: Options): Kernel {
  const devices = options.devices?.split(',').map((name) => name.replace(/^(\+?)\/dev\//, '$1'));
  try {
    const kernel = new Kernel({
      ...kernelVersion(options.kernel),
      ...(devices && { devices }),
      ...(options.memory && { memory: options.memory }),
      ...(options.fenceTimeout !== undefined && { fenceTimeout: options.fenceTimeout * 1000 }),
      ...(options.strictCoherency !== undefined && { coherency: 'strict' }),
      ...(typeof options.strictCoherency === 'number' && {
        coherencySeed: options.strictCoherency,
      }),
    });
    if (options.verbose || options.strictCoherency !== undefined) {
      kernel.log.console = (record) => {
        if (options.verbose || record.text.startsWith('coherency: ')) {
          writeLine(2, formatRecord(record));
        }
      };
    }
    return kernel;
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** Gives the function that ends it. */
async function startTracing(kernel: Kernel, trace: true | string | undefined): Promise<() => void> {
  if (trace === undefined) return () => {};
  const { CallTracer } = await import('../supervisor/trace.js');
  let fd = 2;
  try {
    if (trace !== true) fd = openSync(trace, 'w');
  } catch (error) {
    throw new UsageError(`cannot write the trace: ${(error as Error).message}`);
  }
  let failed = false;
  const write = (line: string) => {
    if (failed || writeLine(fd, line)) return;
    failed = true;
    writeLine(2, `dmabuf-shim run: the trace cannot be written any more: ${trace}`);
  };
  kernel.tracer = new CallTracer({ write });
  return () => {
    kernel.tracer = undefined;
    if (fd !== 2) closeSync(fd);
  };
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
/** A signal may reach us this much later than the program, in ms: threads here take it in their turn. */
const LATE = 100;

/** Waits for the program; the exit status, or the same death if a signal ended it. */
async function finish(child: ChildProcess, kernel: Kernel): Promise<number> {
  const numbers = FORWARDED.map((name) => constants.signals[name]);
  const signals = native.watchSignals(numbers, (signal, code) => {
    // It ends us only if there is something left to wait for: the program may have ended of it already.
    if (gone) late ??= setTimeout(() => setImmediate(dieUnlessIdle, signal), LATE);
    else if (code <= SI_USER) child.kill(signal);
  });
  signals.unref();
  let gone = false;
  let idle = false;
  let late: NodeJS.Timeout | undefined;
  const [status, signal] = await new Promise<[number, NodeJS.Signals | null]>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`dmabuf-shim run: ${describe(error)}\n`);
      resolve([error.code === 'ENOENT' ? 127 : 126, null]);
    });
    child.on('exit', (code, by) => resolve([code ?? 1, by]));
  });
  gone = true;
  // What it left running needs us still: without an answer their every open(2) would fail.
  await kernel.idle();
  idle = true;
  summarize(kernel);
  clearTimeout(late);
  if (signal !== null) dieOf(constants.signals[signal]);
  signals.close();
  return status;

  /** After a look at what has happened meanwhile: we may have had no processor for as long as LATE. */
  function dieUnlessIdle(number: number): void {
    if (!idle) dieOf(number);
  }

  function dieOf(number: number): void {
    signals.close();
    native.raiseDefault(number);
  }
}

function describe(error: NodeJS.ErrnoException): string {
  const { path, code } = error;
  if (code === 'ENOENT') return `${path}: no such program`;
  if (code === 'EACCES') return `${path}: may not be executed`;
  return `${path}: ${error.message}`;
}

function seed(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value)) throw new UsageError(`${name} takes an integer`);
  return value;
}

function seconds(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0)) throw new UsageError(`${name} takes a number of seconds`);
  return value;
}

/** Options up to `--` or the first argument that is none: what follows is the program's. */
function parse(args: string[]): { options: Options; program: string[] } {
  const options: Options = {};
  const end = args.indexOf('--');
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') return { options, program: args.slice(i + 1) };
    if (!arg.startsWith('-')) return { options, program: args.slice(i) };
    const equals = arg.indexOf('=');
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const attached = equals < 0 ? undefined : arg.slice(equals + 1);
    const value = () => {
      const given = attached ?? args[++i];
      if (given === undefined || given === '--') throw new UsageError(`${name} takes a value`);
      return given;
    };
    const alone = () => {
      if (attached !== undefined) throw new UsageError(`${name} takes no value`);
      return true;
    };
    switch (name) {
      case '--kernel':
        options.kernel = value();
        break;
      case '--devices':
        options.devices = value();
        break;
      case '--memory':
        options.memory = memoryOptions(value());
        break;
      case '--trace':
        // A file only where it cannot be the program: before "--".
        options.trace = attached ?? (i + 1 < end && !args[i + 1]?.startsWith('-') ? value() : true);
        break;
      case '--strict-coherency':
        options.strictCoherency = attached === undefined || seed(name, attached);
        break;
      case '--fence-timeout':
        options.fenceTimeout = seconds(name, value());
        break;
      case '--exact':
        options.exact = alone();
        break;
      case '--verbose':
        options.verbose = alone();
        break;
      case '--help':
      case '-h':
        options.help = alone();
        break;
      default:
        throw new UsageError(`no option ${name} (see dmabuf-shim run --help)`);
    }
  }
  return { options, program: [] };
}
