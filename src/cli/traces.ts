/** What `run` writes down of a program's doings: `--trace` and `--trace-events`. */
import { closeSync, writeSync } from 'node:fs';
import type { Kernel } from '../kernel.js';
import { TextBuffer } from '../observe/text_buffer.js';
import { openOutput } from './output.js';
import type { RunOptions } from './run_options.js';

/** Gives the function that ends them: what is still in memory is written, and the files are whole. */
export async function startTraces(
  kernel: Kernel,
  { trace, 'trace-events': traceEvents }: RunOptions,
): Promise<() => void> {
  const ends: (() => void)[] = [];
  if (trace !== undefined) ends.push(await startTrace(kernel, trace));
  if (traceEvents !== undefined) ends.push(startTraceEvents(kernel, traceEvents));
  const end = () => {
    for (const each of ends.splice(0)) each();
  };
  // Whatever we end of, but for a signal.
  if (ends.length > 0) process.once('exit', end);
  return () => {
    process.off('exit', end);
    end();
  };
}

async function startTrace(kernel: Kernel, target: true | string): Promise<() => void> {
  const { CallTracer } = await import('../supervisor/trace.js');
  // By which a report names calls.
  const numbers = kernel.observers.watchProcesses;
  if (target === true) {
    // At once, and in order with what the program writes itself.
    const failed = () => {
      kernel.tracer = undefined;
    };
    const write = (line: string) => writeAll(2, Buffer.from(`${line}\n`)) || failed();
    kernel.tracer = new CallTracer({ write, numbers });
    return failed;
  }
  const file = openTrace('trace', target, () => {
    kernel.tracer = undefined;
  });
  const text = new TextBuffer(file.write);
  kernel.tracer = new CallTracer({ write: (line) => text.add(`${line}\n`), numbers });
  return () => {
    kernel.tracer = undefined;
    text.flush();
    file.close();
  };
}

function startTraceEvents(kernel: Kernel, path: string): () => void {
  const file = openTrace('trace of events', path, () => stop());
  const stop = kernel.traceEvents({ write: (text) => file.write(Buffer.from(text)) });
  return () => {
    stop();
    file.close();
  };
}

/** `failed` is called when it cannot be written any more, once. */
function openTrace(what: 'trace' | 'trace of events', path: string, failed: () => void) {
  const fd = openOutput(what, path);
  let broken = false;
  return {
    write(bytes: Buffer): void {
      if (broken || writeAll(fd, bytes)) return;
      broken = true;
      const line = `dmabuf-shim run: the ${what} cannot be written any more: ${path}\n`;
      writeAll(2, Buffer.from(line));
      failed();
    },
    close: () => closeSync(fd),
  };
}

/**
 * Whether all of it could be written. That nobody reads it any more, or that the disk is full, is no reason to end
 * somebody's program.
 */
function writeAll(fd: number, bytes: Buffer): boolean {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    return true;
  } catch {
    return false;
  }
}
