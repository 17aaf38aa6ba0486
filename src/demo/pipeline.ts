/** Starts camera, filter and display under a kernel, connects them, and sees them to their end. */
import type { ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { dmaBufList } from '../drivers/dma-buf/dma-buf.js';
import type { Kernel } from '../kernel.js';
import { close, socketpair } from '../posix.js';
import { DOWNSTREAM, STATUS_PEER_GONE, UPSTREAM } from './application.js';
import type { Traffic } from './connection.js';

/** The package's dist/src/index.js, wherever the bundler has put what is in this file. */
const entry = pathToFileURL(createRequire(import.meta.url).resolve('dmabuf-shim'));

/** What is filmed unless another picture is given. */
export const SAMPLE = fileURLToPath(new URL('../../fixtures/photos/astronaut.png', entry));

export interface PipelineOptions {
  /** Path of a PNG. */
  picture: string;
  frames: number;
  /** Where the contact sheet goes. */
  out: string;
  /** Another program in the filter's place. */
  filter?: string | undefined;
  /** Seconds without a frame after which it is given up. */
  timeout: number;
  /** Called after each frame: how many the display has shown, and in which time. */
  onShown: (frames: number, seconds: number) => void;
}

/** For frames that were still being drawn when they came to the display. */
export interface Waits {
  count: number;
  /** In all. */
  seconds: number;
}

/** What the display reports at its end. */
export interface DisplayResult {
  /** From the first frame to the last. */
  seconds: number;
  /** Bytes of frames that were read where another process had written them. */
  shared: number;
  /** Of the pixels of all filtered frames. */
  checksum: string;
  waits: Waits;
  traffic: Traffic;
}

/** What the camera and the display report, a line each. */
type Fact = { shown?: number; seconds?: number; result?: DisplayResult; traffic?: Traffic };

export interface Outcome extends DisplayResult {
  /** The kernel's buffers while the film ran. */
  buffers: { name: string; size: number }[];
  /** How many of them are there still. */
  left: number;
  /** What the filter had to say. */
  remarks: string;
}

/** Why there is no film, for who started the demo. */
export class DemoError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DemoError';
  }
}

interface Exit {
  name: string;
  status: number | null;
  signal: NodeJS.Signals | null;
  error?: NodeJS.ErrnoException;
  stderr: string;
}

/** @throws DemoError, UnsupportedMachineError */
export async function runPipeline(kernel: Kernel, options: PipelineOptions): Promise<Outcome> {
  const { picture, frames, out, filter, timeout, onShown } = options;
  const traffics: Traffic[] = [];
  let buffers: Outcome['buffers'] = [];
  let result: DisplayResult | undefined;
  let shown = 0;

  const stages: Stage[] = [];
  let stalled = false;
  const giveUp = () => {
    for (const stage of stages) stage.kill();
  };
  const stall = setTimeout(() => {
    stalled = true;
    giveUp();
  }, timeout * 1000);
  const learn = (fact: Fact) => {
    stall.refresh();
    if (fact.traffic) traffics.push(fact.traffic);
    if (fact.result) result = fact.result;
    if (fact.shown === undefined) return;
    if (shown === 0) buffers = listBuffers(kernel);
    shown = fact.shown;
    onShown(shown, fact.seconds ?? 0);
  };

  const sockets: number[] = [];
  const exits: Exit[] = [];
  try {
    const [fromCamera, toFilter] = socketpair();
    sockets.push(fromCamera, toFilter);
    const [fromFilter, toDisplay] = socketpair();
    sockets.push(fromFilter, toDisplay);
    const ours = (script: string, ...args: string[]) => [
      process.execPath,
      fileURLToPath(new URL(`demo/${script}`, entry)),
      ...args,
    ];
    const camera = ours('camera.js', picture, String(frames));
    const display = ours('display.js', out, String(frames));
    stages.push(new Stage(kernel, 'camera', camera, { downstream: fromCamera }, learn));
    stages.push(
      new Stage(kernel, 'filter', filter ? [filter] : ours('filter.js'), {
        upstream: toFilter,
        downstream: fromFilter,
      }),
    );
    stages.push(new Stage(kernel, 'display', display, { upstream: toDisplay }, learn));
    // Only the programs hold the sockets now: when one ends, its neighbours learn of it.
    for (const socket of sockets.splice(0)) close(socket);
    await Promise.all(
      stages.map(async (stage) => {
        const exit = await stage.exit;
        exits.push(exit);
        if (exit.status !== 0) setTimeout(giveUp, PATIENCE).unref();
      }),
    );
  } finally {
    clearTimeout(stall);
    giveUp();
    for (const socket of sockets) close(socket);
  }
  if (stalled) {
    const what = `no frame for ${timeout} s; ${shown} of ${frames} had come through`;
    throw new DemoError([what, ...fenceReports(kernel)].join('\n'));
  }
  const culprit = findCulprit(exits);
  if (culprit) throw new DemoError(describe(culprit));
  if (!result || shown < frames) {
    throw new DemoError(`only ${shown} of ${frames} frames have come through the filter`);
  }
  return {
    ...result,
    traffic: [result.traffic, ...traffics].reduce(sum),
    buffers,
    left: await countLeft(kernel),
    remarks: exits.find(({ name }) => name === 'filter')?.stderr ?? '',
  };
}

/** Milliseconds that the others have to end by themselves when one has failed. */
const PATIENCE = 2000;
const LONGEST_STDERR = 64 * 1024;

/** One of the three processes. */
class Stage {
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(
    kernel: Kernel,
    name: string,
    [command = '', ...args]: string[],
    sockets: { upstream?: number; downstream?: number },
    learn?: (fact: Fact) => void,
  ) {
    // What a filter of somebody else prints must not look like a result of ours.
    const stdio: (number | 'ignore' | 'pipe')[] = ['ignore', learn ? 'pipe' : 2, 'pipe'];
    stdio[UPSTREAM] = sockets.upstream ?? 'ignore';
    stdio[DOWNSTREAM] = sockets.downstream ?? 'ignore';
    const child = kernel.spawn(command, args, { stdio });
    this.#child = child;
    const exit: Exit = { name, status: null, signal: null, stderr: '' };
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      exit.stderr = (exit.stderr + text).slice(-LONGEST_STDERR);
    });
    if (learn && child.stdout) {
      createInterface(child.stdout).on('line', (line) => learn(JSON.parse(line)));
    }
    child.on('error', (error) => {
      exit.error = error;
    });
    this.exit = new Promise((resolve) => {
      child.on('close', (status, signal) => resolve({ ...exit, status, signal }));
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
    // What the program has started itself may hold the other ends open.
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }
}

/** Which process failed first: the others have only lost their neighbour. */
function findCulprit(exits: Exit[]): Exit | undefined {
  const failed = exits.filter(({ status }) => status !== 0);
  if (failed.length === 0) return undefined;
  return (
    failed.find(({ status }) => status !== STATUS_PEER_GONE) ??
    exits.find(({ status }) => status === 0) ??
    failed[0]
  );
}

function describe({ name, status, signal, error, stderr }: Exit): string {
  if (error) return `the ${name} cannot be started: ${error.message}`;
  const end = signal === null ? `ended with status ${status}` : `was killed by ${signal}`;
  const early = status === 0 ? ' before the last frame' : '';
  const said = stderr.trim();
  const separator = said.includes('\n') ? ':\n' : ': ';
  return `the ${name} ${end}${early}${said && separator + said}`;
}

function sum(a: Traffic, b: Traffic): Traffic {
  return {
    messages: a.messages + b.messages,
    bytes: a.bytes + b.bytes,
    descriptors: a.descriptors + b.descriptors,
  };
}

/** What the kernel has to say of fences that nobody signals. */
function fenceReports(kernel: Kernel): string[] {
  return kernel.log.records.map(({ text }) => text).filter((text) => text.startsWith('dma_fence:'));
}

function listBuffers(kernel: Kernel): Outcome['buffers'] {
  return [...dmaBufList(kernel)].map(({ name = '', size }) => ({ name, size }));
}

/** The buffers that are there after the programs' end; the kernel takes a moment to notice that. */
async function countLeft(kernel: Kernel): Promise<number> {
  await kernel.idle();
  for (let i = 0; i < 100 && dmaBufList(kernel).size > 0; i++) {
    await sleep(10);
    kernel.settle();
  }
  return dmaBufList(kernel).size;
}
