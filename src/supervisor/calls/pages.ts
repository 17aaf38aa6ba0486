/**
 * Calls that change which pages a program has in its page table: the machine makes them, after a look at
 * what the program has read that is stale. They come here with strict coherency only.
 */
import { type Call, CONTINUE, type Handler } from '../call.js';

const MADV_POPULATE_READ = 22;

const munmap: Handler = (call) => {
  call.task.kernel.cache?.leaving(call.task.pid, call.arg(0), call.arg(1));
  return CONTINUE;
};

const madvise: Handler = (call) =>
  call.int(2) >= MADV_POPULATE_READ ? populating(call) : munmap(call);

const exitGroup: Handler = (call) => {
  call.task.kernel.cache?.leaving(call.task.pid, 0, Number.POSITIVE_INFINITY);
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
  mremap: populating,
  mlock: populating,
  mlock2: populating,
  mlockall: populating,
};
