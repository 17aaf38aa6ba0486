/** Faults in the calls of this process: `kernel.sys`. */
import { ErrnoError } from '../errno.js';
import type { File } from '../fs/file.js';
import { Wait } from '../fs/wait_queue.js';
import { SystemError } from '../native.js';
import type { Task } from '../task.js';
import { ioctlOf } from './contract.js';
import { faultsOf, type Verdict } from './faults.js';

export interface LocalTarget {
  file?: File | undefined;
  /** Of an ioctl. */
  request?: number;
}

function judge(task: Task, call: string, { file, request }: LocalTarget): Verdict | undefined {
  const faults = faultsOf(task.kernel);
  if (!faults?.concerns(call)) return undefined;
  const ioctl = request === undefined ? undefined : ioctlOf(file, request >>> 0);
  return faults.judge(task, { call, file, ioctl });
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const nobody = new Int32Array(new SharedArrayBuffer(4));

/** A call that blocks: so does its delay, and with it all that this thread does. */
export function callWithFaults<T>(task: Task, call: string, target: LocalTarget, make: () => T): T {
  const verdict = judge(task, call, target);
  if (!verdict) return make();
  const block = (ms: number) => ms > 0 && Atomics.wait(nobody, 0, 0, ms);
  block(verdict.enter);
  try {
    return verdict.result === undefined ? make() : injected<T>(verdict.result, call);
  } finally {
    block(verdict.exit);
  }
}

/** The same for a promise: its delay holds up nobody else. */
export async function awaitWithFaults<T>(
  task: Task,
  call: string,
  target: LocalTarget,
  make: () => Promise<T>,
): Promise<T> {
  const verdict = judge(task, call, target);
  if (!verdict) return make();
  if (verdict.enter > 0) await sleep(verdict.enter);
  try {
    return await (verdict.result === undefined ? make() : injected<T>(verdict.result, call));
  } finally {
    if (verdict.exit > 0) await sleep(verdict.exit);
  }
}

/** The same for a call that may wait, as a handler does. */
export function waitWithFaults(
  task: Task,
  call: string,
  target: LocalTarget,
  make: () => number | Wait,
): number | Wait {
  const verdict = judge(task, call, target);
  if (!verdict) return make();
  const { result, enter, exit } = verdict;
  const rest = () => held(exit, result === undefined ? make : () => result);
  return enter > 0 ? new Wait([], enter, { resume: rest }) : rest();
}

/** What `make` gives, in the end, `exit` milliseconds later. */
function held(exit: number, make: () => number | Wait): number | Wait {
  const answer = answerOf(make);
  if (!(answer instanceof Wait)) {
    return exit > 0 ? new Wait([], exit, { resume: () => answer }) : answer;
  }
  const { sources, timeout, options } = answer;
  const resume = () => held(exit, options.resume ?? make);
  return new Wait(sources, timeout, { ...options, resume });
}

function answerOf(make: () => number | Wait): number | Wait {
  try {
    return make();
  } catch (error) {
    if (error instanceof ErrnoError) return -error.errno;
    throw error;
  }
}

function injected<T>(result: number, call: string): T {
  if (result < 0) throw new SystemError(-result, call === 'openat' ? 'open' : call);
  if (call === 'mmap' || call === 'fstat') {
    throw new RangeError(`retval=${result} can stand for no result of kernel.sys.${call}`);
  }
  return result as T;
}
