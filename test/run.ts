/** Running programs under a kernel, and looking at what they leave behind. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import {
  dmaBufList,
  type FindingKind,
  Kernel,
  type KernelOptions,
  type SpawnProgramOptions,
} from '../src/index.js';

/** The releases that fixtures/recordings has. */
export const RECORDED_VERSIONS = ['6.1', '6.12'] as const;
export type RecordedVersion = (typeof RECORDED_VERSIONS)[number];

export interface Run {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  kernel: Kernel;
}

export interface RunOptions extends SpawnProgramOptions {
  /** What the program reads from its standard input. */
  input?: string;
  /** Of what it prints; UTF-8 by default. */
  encoding?: BufferEncoding;
}

/** `COHERENCY=strict npx vitest run`: caches are strict wherever a test does not say, and find nothing. */
const strict = process.env.COHERENCY === 'strict';

/**
 * `REPORT=strict npx vitest run`: each kernel has a report, without what tests do on purpose: to leave things,
 * brackets open and fences unsignalled, to go outside of what is mapped, and to have drivers that are wrong.
 */
const reported = process.env.REPORT === 'strict';
const UNINTENDED: readonly FindingKind[] = [
  'write-outside-bracket',
  'direction-differs',
  'dma-mapping-left',
];

/**
 * What makes these very mistakes: tests of reports; probes, which write without brackets to see what Linux does; a
 * buffer followed byte by byte between the brackets; an exporter whose importer unmaps nothing.
 */
const ON_PURPOSE = [
  '/test/observe/report/',
  '/test/conformance',
  'scatterlists.test.ts',
  'dma-buf/layout.test.ts',
];

/** A kernel that is closed at the end of the test. */
export function testKernel(options: KernelOptions = {}): Kernel {
  const kernel = new Kernel({ ...(strict && { coherency: 'strict' }), ...options });
  if (reported) kernel.report();
  const path = expect.getState().testPath ?? '';
  const meant = ON_PURPOSE.some((part) => path.includes(part));
  onTestFinished(() => {
    const findings = reported ? kernel.report().findings() : [];
    kernel.close();
    if (options.coherency === undefined) expect(kernel.staleAccesses).toEqual([]);
    if (meant) return;
    expect(findings.filter(({ kind }) => UNINTENDED.includes(kind))).toEqual([]);
  });
  return kernel;
}

/** Runs a program to its end, under a kernel that is there or one made for it. */
export async function run(
  kernelOrOptions: Kernel | KernelOptions,
  command: string,
  args: readonly string[] = [],
  { input, encoding = 'utf8', ...options }: RunOptions = {},
): Promise<Run> {
  const kernel = kernelOrOptions instanceof Kernel ? kernelOrOptions : testKernel(kernelOrOptions);
  const child = kernel.spawn(command, args, options);
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding(encoding).on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding(encoding).on('data', (text: string) => {
    stderr += text;
  });
  child.stdin?.on('error', () => {}).end(input);
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal, stdout, stderr, kernel };
}

/** How many buffers of a kernel live. */
export function liveBuffers(kernel: Kernel): number {
  kernel.releases.drain();
  return dmaBufList(kernel).size;
}

/** Long enough for a machine that does much else; whoever waits in vain fails all the same. */
const PATIENCE = 45_000;

/** Waits until `condition` answers something, and fails with `what` when it does not in time. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false,
  patience = PATIENCE,
): Promise<T> {
  const deadline = performance.now() + patience;
  for (;;) {
    const answer = condition();
    if (answer !== undefined && answer !== false) return answer as T;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${patience} ms`);
    await setImmediate();
  }
}

/** Milliseconds of processor time that `work` takes: unlike time on the wall, a busy machine does not stretch it. */
export function cpuTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Every buffer goes, and so does the memory that it took. */
export async function expectNothingLeft(kernel: Kernel): Promise<void> {
  await until('all buffers go', () => liveBuffers(kernel) === 0);
  expect(kernel.memory.used).toBe(0);
}
