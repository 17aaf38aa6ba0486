/** `dmabuf-shim demo`: three processes share the frames of a picture. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { message } from '../demo/connection.js';
import { DemoError, type Outcome, runPipeline, SAMPLE } from '../demo/pipeline.js';
import { Kernel } from '../kernel.js';
import { UnsupportedMachineError } from '../supervisor/spawn.js';
import { defineCommand, type Values } from './command.js';
import { UsageError } from './usage.js';

const DEFAULT_FRAMES = 400;
const DEFAULT_OUT = 'dmabuf-shim-demo.png';
const DEFAULT_TIMEOUT = 20;

const OPTIONS = {
  frames: { value: 'N', choices: [], help: `how many frames (${DEFAULT_FRAMES})` },
  out: { value: 'FILE', help: `where the PNG goes (${DEFAULT_OUT})` },
  filter: {
    value: 'PROGRAM',
    help: 'another filter, in any language: examples/README.md says what it has to do',
  },
  timeout: {
    value: 'SECONDS',
    choices: [],
    help: `give up when no frame comes for so long (${DEFAULT_TIMEOUT})`,
  },
} as const;

export const demo = defineCommand({
  name: 'demo',
  usage: ['[options] [picture.png]'],
  about: `A camera, a filter and a display, three processes, pass frames of a picture on without copying them:
they allocate from /dev/dma_heap/system and send each other descriptors. At the end there is a PNG
with what the camera saw and what the filter made of it.

The filter passes each buffer on before it has drawn in it, with a fence on it; the display waits for
the fence with poll(2). "fences" says how often that took time, and how much.`,
  options: OPTIONS,
  operands: 'files',
  async run(values, operands) {
    const { picture, frames, out, filter, timeout } = settled(values, operands);
    const progress = new Progress(frames);
    try {
      checkPicture(picture);
      checkOut(out);
      if (filter) checkFilter(filter);
      // Fences that nobody signals are known before all is given up.
      using kernel = new Kernel({ fenceTimeout: (timeout * 1000) / 2 });
      const by = filter ? basename(filter) : 'filter';
      process.stdout.write(`${basename(picture)}: camera -> ${by} -> display\n`);
      const onShown = (shown: number, seconds: number) => progress.show(shown, seconds);
      const outcome = await runPipeline(kernel, { picture, frames, out, filter, timeout, onShown });
      progress.end();
      process.stderr.write(outcome.remarks);
      process.stdout.write(summary(outcome, frames, out));
      return outcome.left === 0 ? 0 : 1;
    } catch (error) {
      progress.end();
      if (error instanceof UnsupportedMachineError) {
        const { explain } = await import('./doctor.js');
        process.stderr.write(`dmabuf-shim demo: ${error.message}\n${explain(error)}`);
        return 125;
      }
      if (!(error instanceof DemoError)) throw error;
      process.stderr.write(`dmabuf-shim demo: ${error.message}\n`);
      return 1;
    }
  },
});

function settled(values: Values<typeof OPTIONS>, operands: readonly string[]) {
  if (operands.length > 1) throw new UsageError('one picture at a time');
  const [picture] = operands;
  return {
    picture: picture ? resolve(picture) : SAMPLE,
    frames: count('--frames', values.frames, DEFAULT_FRAMES),
    out: resolve(values.out ?? DEFAULT_OUT),
    filter: values.filter && resolve(values.filter),
    timeout: count('--timeout', values.timeout, DEFAULT_TIMEOUT),
  };
}

const MOST = 1_000_000;

function count(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > MOST) {
    throw new UsageError(`${option} takes a number from 1 to ${MOST}, not "${text}"`);
  }
  return value;
}

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

function checkPicture(path: string): void {
  const start = Buffer.alloc(PNG_SIGNATURE.length);
  attempt('read', path, () => {
    const fd = openSync(path, 'r');
    try {
      readSync(fd, start);
    } finally {
      closeSync(fd);
    }
  });
  if (!start.equals(PNG_SIGNATURE)) throw new DemoError(`${path}: not a PNG`);
}

/** Before the film, not after it: the display would only find out at its end. */
function checkOut(path: string): void {
  attempt('write', path, () => {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw new DemoError(`cannot write ${path}: it is a directory`);
    accessSync(there ? path : dirname(path), constants.W_OK);
  });
}

function checkFilter(path: string): void {
  attempt('run', path, () => accessSync(path, constants.X_OK));
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
};

function attempt(what: string, path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof DemoError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new DemoError(`cannot ${what} ${path}: ${REASONS[code] ?? message}`);
  }
}

/** The line that says how far the film is: rewritten on a terminal, now and then a new one elsewhere. */
class Progress {
  readonly #frames: number;
  readonly #interval = process.stdout.isTTY ? 50 : 1000;
  #next = 0;
  #open = false;

  constructor(frames: number) {
    this.#frames = frames;
  }

  show(shown: number, seconds: number): void {
    const now = performance.now();
    if (shown === 1) this.#next = now + this.#interval;
    if (now < this.#next && shown < this.#frames) return;
    this.#next = now + this.#interval;
    const rate = shown > 1 ? `, ${fps(shown, seconds)}` : '';
    const line = `frame ${shown} of ${this.#frames}${rate}`;
    process.stdout.write(process.stdout.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
    this.#open = process.stdout.isTTY;
  }

  end(): void {
    if (this.#open) process.stdout.write('\n');
    this.#open = false;
  }
}

/** What passed between the first frame and the last is one frame less than there were. */
function fps(frames: number, seconds: number): string {
  return `${((frames - 1) / seconds).toFixed(0)} fps`;
}

function summary(outcome: Outcome, frames: number, out: string): string {
  const { seconds, shared, checksum, traffic, buffers, left, waits } = outcome;
  const rate = frames > 1 ? ` in ${seconds.toFixed(2)} s: ${fps(frames, seconds)}` : '';
  const total = buffers.reduce((bytes, { size }) => bytes + size, 0);
  // A message has room for a frame's number, not for a frame: what it had beyond that was copied.
  const control = traffic.messages * message.size;
  const copied = traffic.bytes - control;
  const average =
    waits.count > 0 ? `, ${milliseconds(waits.seconds / waits.count)} on average` : '';
  return [
    `frames    ${frames}${rate}`,
    `buffers   ${buffers.length} (${megabytes(total)}): ${buffers.map(({ name }) => name).join(' ')}`,
    `shared    ${megabytes(shared)}, read where another process wrote it`,
    `copied    ${copied} bytes; the sockets carried ${traffic.messages} messages of ${message.size} bytes ` +
      `and ${traffic.descriptors} descriptors`,
    `fences    waited for ${waits.count} of ${frames} frames${average}`,
    `checksum  ${checksum}`,
    `left      ${left} buffers`,
    `picture   ${out}`,
    '',
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`;
}
