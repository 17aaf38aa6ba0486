/**
 * dup(2) and its kin, of descriptors that have the numbers by which filters know that they are read and written here.
 * A duplicate gets such a number too, if the program leaves the choice.
 */
import { O_ACCMODE, O_CLOEXEC, O_WRONLY } from '../../../ioctl/index.js';
import { HIGH_FDS, LOW_FDS } from '../../abi/system_calls.js';
import { isServed } from '../../fs/file.js';
import { readinessOf } from '../../fs/readiness.js';
import { native } from '../../native.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { openRedirection } from '../redirection.js';

/** A new descriptor of the same open file, from `least` on. */
export function duplicate(call: Call, least: number, cloexec: boolean): Answer {
  const file = call.task.fget(call.int(0));
  const number = file && call.task.numberOf(file, least);
  if (number === undefined) return CONTINUE;
  const fd = call.task.dupDescriptor(call.int(0));
  try {
    return call.answerFd(fd, cloexec, number);
  } finally {
    native.close(fd);
  }
}

/** The program has chosen the number: what filters tell there is served, as if it were ours. */
function duplicateTo(call: Call, cloexec: boolean): Answer {
  const [fd, number] = [call.int(0), call.int(1)];
  if (number === fd || number < 0 || number >= HIGH_FDS) return CONTINUE;
  const file = call.task.fget(call.int(0));
  if (!file) return CONTINUE;
  readinessOf(call.task.kernel).isAnywhere(file);
  const { read, write } = isServed(file.f_op);
  if (!read && !write) return CONTINUE;
  const { exact, reads, writes } = call.needs;
  const low = (!read || reads === 'everywhere') && (!write || writes === 'everywhere');
  if (exact || (number < LOW_FDS && low)) return CONTINUE;
  if (file.f_op.seldom && (file.openFlags & O_ACCMODE) === O_WRONLY) {
    const pipe = openRedirection(file);
    try {
      return call.answerFd(pipe, cloexec, number);
    } finally {
      native.close(pipe);
    }
  }
  call.task.say(`is not served when it reads or writes ${file.link()} as descriptor ${number}`);
  return CONTINUE;
}

export const dupCalls = {
  // While it is here no thread is lent anything: one call is handled at a time.
  pidfd_getfd: () => CONTINUE,
  dup: (call) => duplicate(call, 0, false),
  dup2: (call) => duplicateTo(call, false),
  dup3(call) {
    const flags = call.int(2);
    // Others are for the machine to refuse.
    return flags & ~O_CLOEXEC ? CONTINUE : duplicateTo(call, flags !== 0);
  },
} satisfies Record<string, Handler>;
