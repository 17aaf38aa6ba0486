/** Who handles each system call: a handler for each row of abi/system_calls.ts. */
import type { SystemCallName } from '../abi/system_calls.js';
import type { Handler } from './call.js';
import { dupCalls } from './calls/dup.js';
import { fdCalls } from './calls/fd.js';
import { mmapCalls } from './calls/mmap.js';
import { netlinkCalls } from './calls/netlink.js';
import { pagesCalls } from './calls/pages.js';
import { transferCalls } from './calls/transfer.js';
import type { Context } from './context.js';
import { directoryCalls } from './paths/directory.js';
import { nameCalls } from './paths/names.js';
import { openCalls } from './paths/open.js';
import { rootCalls } from './paths/roots.js';
import { setattrCalls } from './paths/setattr.js';
import { statCalls } from './paths/stat.js';
import { watchCalls } from './paths/watch.js';
import { epollCalls } from './poll/epoll.js';
import { pollCalls } from './poll/poll.js';

/** The filter answers the others. */
type Served = Exclude<SystemCallName, 'io_uring_setup'>;

export function handlersOf(context: Context): Readonly<Record<Served, Handler>> {
  const handlers = {
    ...fdCalls,
    ...dupCalls,
    ...transferCalls,
    ...mmapCalls,
    ...pagesCalls,
    ...openCalls(context),
    ...statCalls(context),
    ...directoryCalls(context),
    ...rootCalls(context),
    ...nameCalls(context),
    ...setattrCalls(context),
    ...watchCalls(context),
    ...epollCalls,
    ...netlinkCalls(context),
    ...pollCalls,
  };
  // Nor is there a handler without a row.
  return handlers satisfies {
    [name in keyof typeof handlers]: name extends Served ? Handler : never;
  };
}
