/**
 * Calls that the machine makes, and that come here only if somebody wants to know what there is before
 * they are made. With `exact`, what a driver's mapping refuses is answered here. With strict coherency, those that change which pages a program has in its page table: what
 * has it read that is stale? For those who observe: what does a process have when it forks, and when it ends?
 */

import { MADV_POPULATE_READ, MADV_POPULATE_WRITE } from '../../abi/constants.js';
import { isRunning, threadsOf } from '../../host/threads.js';
import { cacheOf } from '../../mm/cache/cache.js';
import { type Call, CONTINUE, type Handler } from '../call.js';
import { mincoreOfFrames, refusedMadvise, refusedMsync } from '../mappings.js';

const dropping: Handler = (call) => {
  cacheOf(call.task.kernel)?.leaving(call.task.pid, call.arg(0), call.arg(1));
  return CONTINUE;
};

const munmap: Handler = (call) => {
  const { observers } = call.task.kernel;
  if (observers.active) observers.tell('unmapped', call.task.pid, call.arg(0), call.arg(1));
  return dropping(call);
};

const madvise: Handler = (call) => {
  const refused = refusedMadvise(call);
  if (refused !== undefined) return refused;
  const advice = call.int(2);
  return advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE
    ? populating(call)
    : dropping(call);
};

/** What has said just now that it ends: its number will not be used again that soon. */
class Ending {
  /** Milliseconds. */
  static readonly #moment = 1000;
  readonly #since = new Map<number, number>();

  has(id: number): boolean {
    return this.#since.has(id);
  }

  add(id: number): void {
    const now = performance.now();
    for (const [each, since] of this.#since) {
      if (now - since > Ending.#moment) this.#since.delete(each);
    }
    this.#since.set(id, now);
  }
}

const endingThreads = new Ending();
const endingProcesses = new Ending();

/** Whether a process ends with this thread. */
function isLast({ task, tid }: Call): boolean {
  endingThreads.add(tid);
  return threadsOf(task.pid).every((thread) => endingThreads.has(thread) || !isRunning(thread));
}

/** exit(2) ends a thread; a process that is written without a C library may end by it. */
const exit: Handler = (call) => (isLast(call) ? exitGroup(call) : CONTINUE);

const exitGroup: Handler = (call) => {
  const { pid, kernel } = call.task;
  // Another thread has made the same call already.
  if (endingProcesses.has(pid)) return CONTINUE;
  endingProcesses.add(pid);
  if (kernel.observers.active) kernel.observers.tell('exiting', pid);
  cacheOf(kernel)?.leaving(pid, 0, Number.POSITIVE_INFINITY);
  return CONTINUE;
};

export const fork: Handler = (call) => {
  const { observers } = call.task.kernel;
  if (observers.active) observers.tell('forking', call.task.pid);
  return CONTINUE;
};

export const populating = (call: Call): typeof CONTINUE => {
  cacheOf(call.task.kernel)?.populating(call.task.pid);
  return CONTINUE;
};

export const pagesCalls = {
  munmap,
  madvise,
  exit,
  exit_group: exitGroup,
  fork,
  vfork: fork,
  clone3: fork,
  msync: (call) => refusedMsync(call) ?? CONTINUE,
  mincore: (call) => mincoreOfFrames(call) ?? CONTINUE,
  mlock: populating,
  mlock2: populating,
  mlockall: populating,
} satisfies Record<string, Handler>;
