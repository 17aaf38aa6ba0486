/** The options of `dmabuf-shim run`. */
import { KERNEL_VERSIONS } from '../version.js';
import type { Values } from './command.js';
import { UsageError } from './usage.js';

export const RUN_OPTIONS = {
  kernel: {
    value: 'VERSION',
    choices: KERNEL_VERSIONS,
    help: `behave as this Linux release, 3.3 to 6.18 (6.12): what came later is not there, but for the nodes that
      --devices names`,
  },
  devices: {
    value: 'LIST',
    list: true,
    choices: [
      'dma_heap/system',
      'udmabuf',
      '+dma_importer',
      '+dma_heap/reserved',
      '+dma_heap/movable',
    ],
    help: `only these nodes, by the names that ls shows: dma_heap/system,udmabuf; +NAME: one more than there are,
      such as +dma_importer,+dma_heap/reserved`,
  },
  device: {
    value: 'FILE[,NAME=VALUE...]',
    multiple: true,
    help: `one more device: a TypeScript or JavaScript file whose default export is made by defineDevice(); with
      values for its options; ",help" lists those`,
  },
  watch: {
    help: 'load the files of --device anew when they change: what opens the node then gets the new device',
  },
  memory: {
    value: 'LIST',
    list: true,
    choices: ['size=64M', 'cma=16M', 'fragmentation=0.5', 'seed=7'],
    help: 'what the heaps give, such as size=64M,cma=16M,fragmentation=0.5,seed=7',
  },
  exact: { help: 'also read, write and every ioctl exactly as Linux (costs the program time)' },
  trace: {
    value: 'FILE',
    optional: 'next',
    help: `a line for each call that is answered, to stderr or FILE, as strace shows them; to FILE within 0.2 s:
      SIGKILL of dmabuf-shim loses what is later. A file that is there has to be an earlier trace`,
  },
  'trace-events': {
    value: 'FILE',
    help: `calls, buffers, fences and devices' work over time, for https://ui.perfetto.dev or chrome://tracing to
      show`,
  },
  'strict-coherency': {
    value: 'SEED',
    optional: 'attached',
    choices: [],
    help: "devices that are not coherent do not see the CPU's caches; report what goes wrong",
  },
  report: {
    help: `what processes leave behind when they end, what is left in the kernel, and which rules were broken, each
      with the call that made it; on stderr`,
  },
  'report-json': { value: 'FILE', help: 'the same as JSON' },
  strict: { help: 'the same as --report, and the exit status is 3 if there is anything' },
  'fence-timeout': {
    value: 'S',
    choices: ['0', '1', '10'],
    help: 'report a fence that is not signalled after S seconds (10; 0: never) in the log',
  },
  fault: {
    value: 'CALLS:WHAT[:WHAT...]',
    multiple: true,
    choices: [],
    help: `calls of the program fail, in strace's words: DMA_HEAP_IOCTL_ALLOC:error=ENOMEM:when=3+2; CALLS: ioctls,
      of whatever device, and system calls, A,B; only calls on files of these devices. WHAT: error=, retval=,
      delay=20ms (before), delay_exit= (after), when=FIRST[..LAST][+[STEP]] (counted for each name, over the whole
      run)`,
  },
  chaos: {
    value: 'SEED[:rate=0.1]',
    choices: [],
    help: 'any such call fails with any errno that a correct program has to be ready for',
  },
  verbose: {
    help: 'the kernel log on stderr; with --device warnings and errors are there anyway',
  },
} as const;

export type RunOptions = Values<typeof RUN_OPTIONS>;

/** A number behind an option, or nothing. @throws UsageError */
export function integer(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value)) {
    throw new UsageError(`${name} takes an integer, not "${text}"`);
  }
  return value;
}

export function seconds(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0)) {
    throw new UsageError(`${name} takes a number of seconds, not "${text}"`);
  }
  return value;
}
