/** The options of `dmabuf-shim run`. */
import type { MemoryOptions } from '../mm/page_alloc.js';
import { memoryOptions } from './options.js';
import { UsageError } from './usage.js';

export const RUN_USAGE = `Usage: dmabuf-shim run [options] [--] PROGRAM [arguments]

Runs PROGRAM, and all that it starts, with the device nodes that "dmabuf-shim ls" lists.

  --kernel VERSION    behave as this Linux release, 3.3 to 6.18 (6.12): what came later is not there,
                      but for the nodes that --devices names
  --devices LIST      only these nodes, by the names that ls shows: dma_heap/system,udmabuf;
                      +NAME: one more than there are, such as +dma_importer,+dma_heap/reserved
  --device FILE[,NAME=VALUE...]
                      one more device: a TypeScript or JavaScript file whose default export is made by
                      defineDevice(); with values for its options; ",help" lists those
  --watch             load the files of --device anew when they change: what opens the node then gets
                      the new device
  --memory LIST       what the heaps give, such as size=64M,cma=16M,fragmentation=0.5,seed=7
  --exact             also read, write and every ioctl exactly as Linux (costs the program time)
  --trace [FILE]      a line for each call that is answered, to stderr or FILE, as strace shows them;
                      to FILE within 0.2 s: SIGKILL of dmabuf-shim loses what is later
  --trace-events FILE calls, buffers, fences and devices' work over time, for https://ui.perfetto.dev
                      or chrome://tracing to show
  --strict-coherency[=SEED]
                      devices that are not coherent do not see the CPU's caches; report what goes wrong
  --report            what processes leave behind when they end, what is left in the kernel, and which rules
                      were broken, each with the call that made it; on stderr
  --report-json FILE  the same as JSON
  --strict            the same as --report, and the exit status is 3 if there is anything
  --fence-timeout S   report a fence that is not signalled after S seconds (10; 0: never) in the log
  --fault CALLS:WHAT[:WHAT...]
                      calls of the program fail, in strace's words: DMA_HEAP_IOCTL_ALLOC:error=ENOMEM:when=3+2;
                      CALLS: ioctls, of whatever device, and system calls, A,B; only calls on files of
                      these devices. WHAT: error=, retval=, delay=20ms (before), delay_exit= (after),
                      when=FIRST[..LAST][+[STEP]] (counted for each name, over the whole run)
  --chaos SEED[:rate=0.1]
                      any such call fails with any errno that a correct program has to be ready for
  --verbose           the kernel log on stderr; with --device warnings and errors are there anyway
  --help              this text

The exit status is PROGRAM's; 126 or 127 if it cannot be started, 125 if this machine cannot run it,
2 for a wrong option.
`;

export interface RunOptions {
  kernel?: string;
  devices?: string;
  /** FILE[,NAME=VALUE...] each. */
  device?: string[];
  watch?: boolean;
  memory?: MemoryOptions;
  exact?: boolean;
  fenceTimeout?: number;
  strictCoherency?: true | number;
  trace?: true | string;
  traceEvents?: string;
  report?: boolean;
  reportJson?: string;
  strict?: boolean;
  /** A rule each. */
  fault?: string[];
  chaos?: string;
  verbose?: boolean;
  help?: boolean;
}

/** What an option finds behind its name. */
interface Argument {
  readonly name: string;
  /** What follows, in the same word behind "=" or in the next one. */
  value(): string;
  /** What follows behind "=", if anything. */
  readonly attached: string | undefined;
  /** A value in the next word too, if that can be no program: it stands before "--". */
  optional(): true | string;
  /** Nothing may follow. */
  alone(): true;
}

type Setter = (options: RunOptions, argument: Argument) => void;

const setters: Readonly<Record<string, Setter>> = {
  '--kernel': (options, argument) => {
    options.kernel = argument.value();
  },
  '--devices': (options, argument) => {
    options.devices = argument.value();
  },
  '--device': (options, argument) => {
    options.device = [...(options.device ?? []), argument.value()];
  },
  '--watch': (options, argument) => {
    options.watch = argument.alone();
  },
  '--memory': (options, argument) => {
    options.memory = memoryOptions(argument.value());
  },
  '--trace': (options, argument) => {
    options.trace = argument.optional();
  },
  '--report': (options, argument) => {
    options.report = argument.alone();
  },
  '--report-json': (options, argument) => {
    options.reportJson = argument.value();
  },
  '--strict': (options, argument) => {
    options.strict = argument.alone();
  },
  '--trace-events': (options, argument) => {
    options.traceEvents = argument.value();
  },
  '--strict-coherency': (options, { name, attached }) => {
    options.strictCoherency = attached === undefined || integer(name, attached);
  },
  '--fence-timeout': (options, argument) => {
    options.fenceTimeout = seconds(argument.name, argument.value());
  },
  '--exact': (options, argument) => {
    options.exact = argument.alone();
  },
  '--fault': (options, argument) => {
    options.fault = [...(options.fault ?? []), argument.value()];
  },
  '--chaos': (options, argument) => {
    options.chaos = argument.value();
  },
  '--verbose': (options, argument) => {
    options.verbose = argument.alone();
  },
  '--help': (options, argument) => {
    options.help = argument.alone();
  },
};

/** Options up to `--` or the first argument that is none: what follows is the program's. */
export function parseRunOptions(args: string[]): { options: RunOptions; program: string[] } {
  const options: RunOptions = {};
  const end = args.indexOf('--');
  let i = 0;
  for (; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') return { options, program: args.slice(i + 1) };
    if (!arg.startsWith('-')) break;
    const [, name = arg, attached] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const next = () => args[++i];
    const set = setters[name === '-h' ? '--help' : name];
    if (!set) throw new UsageError(`no option ${name} (see dmabuf-shim run --help)`);
    set(options, {
      name,
      attached,
      value() {
        const given = attached ?? next();
        if (given === undefined || given === '--') throw new UsageError(`${name} takes a value`);
        return given;
      },
      optional() {
        if (attached !== undefined) return attached;
        return i + 1 < end && !args[i + 1]?.startsWith('-') ? this.value() : true;
      },
      alone() {
        if (attached !== undefined) throw new UsageError(`${name} takes no value`);
        return true;
      },
    });
  }
  return { options, program: args.slice(i) };
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value)) throw new UsageError(`${name} takes an integer`);
  return value;
}

function seconds(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0)) throw new UsageError(`${name} takes a number of seconds`);
  return value;
}
