/**
 * Calls that the machine makes, and that come here only if somebody wants to know what there is before
 * they are made. With strict coherency, those that change which pages a program has in its page table: what
 * has it read that is stale? For those who observe: what does a process have when it forks, and when it ends?
 */
import { type Call, CONTINUE, type Handler } from '../call.js';

const MADV_POPULATE_READ = 22;

const dropping: Handler = (call) => {
  call.task.kernel.cache?.leaving(call.task.pid, call.arg(0), call.arg(1));
  return CONTINUE;
};

const munmap: Handler = (call) => {
  const { observers } = call.task.kernel;
  if (observers.active) observers.tell('unmapped', call.task.pid, call.arg(0), call.arg(1));
  return dropping(call);
};

const madvise: Handler = (call) =>
  call.int(2) >= MADV_POPULATE_READ ? populating(call) : dropping(call);

const exitGroup: Handler = (call) => {
  const { observers } = call.task.kernel;
  if (observers.active) observers.tell('exiting', call.task.pid);
  call.task.kernel.cache?.leaving(call.task.pid, 0, Number.POSITIVE_INFINITY);
  return CONTINUE;
};

const fork: Handler = (call) => {
  const { observers } = call.task.kernel;
  if (observers.active) observers.tell('forking', call.task.pid);
  return CONTINUE;
};

const populating = (call: Call): typeof CONTINUE => {
  call.task.kernel.cache?.populating(call.task.pid);
  return CONTINUE;
};

export const pagesCalls: Record<string, Handler> = {
  munmap,
  madvise,
  exit_group: exitGroup,
  fork,
  vfork: fork,
  clone: fork,
  clone3: fork,
  mremap: populating,
  mlock: populating,
  mlock2: populating,
  mlockall: populating,
};
