import { REDIRECTED } from '../abi/system_calls.js';
import { Errno } from '../errno.js';
import { statusOf } from '../host/status.js';
import { type InjectedCall, native } from '../native.js';
import { KERN_ERR, SHIM } from '../printk.js';
import { ANSWERED, type Answer, type Call, CONTINUE } from './call.js';

/** For the filter to let a call through, as the sixth argument. */
export const MARK = REDIRECTED.high * 2 ** 32 + REDIRECTED.low;

/** Descriptors of ours that injected calls need. */
interface Loan {
  fds: number[];
  /** What they are of is not to be had by the program otherwise: no thread of it may get at them. */
  apart: boolean;
}

/**
 * Lets the caller make other system calls in place of its own, whose result the first of them becomes;
 * it has the descriptors of a loan meanwhile. That takes ptrace(2): a process that something else
 * traces already gets EPERM, and the log says why.
 */
export function injectOrRefuse(
  call: Call,
  what: string,
  calls: InjectedCall[],
  { fds, apart }: Loan,
): Answer {
  const { listener, notif, tid, task } = call;
  const results = new Float64Array(calls.length);
  const answer = native.injectCalls(listener, notif, tid, calls, results, fds, apart, MARK);
  if (answer === -Errno.EPERM) {
    reportRefusal(call, `process ${task.pid} cannot ${what}`);
    return -Errno.EPERM;
  }
  if (answer === -Errno.ENOTRECOVERABLE) {
    const text = `process ${task.pid} was killed: its seccomp filter forbids close(2), and it was to ${what}`;
    task.kernel.printk(KERN_ERR, `${SHIM}${text}`);
  }
  call.answered = [...results].find(isFailure) ?? results[0] ?? 0;
  return ANSWERED;
}

const result = new Float64Array(1);

/**
 * Lets the caller make its own call with another path, in the place of the argument `argument`: that of
 * something which the machine has, where the machine does not know the way. It is for the caller to get there:
 * with its credentials, its root, its umask, and however long it takes.
 */
export function redirect(call: Call, argument: number, path: string): Answer {
  return redirectAll(call, new Map([[argument, path]]));
}

/** The same with as many paths as there are, two at most, by the places of the arguments. */
export function redirectAll(call: Call, byPlace: ReadonlyMap<number, string>): Answer {
  const { listener, notif, tid, task } = call;
  const [places, paths] = [[...byPlace.keys()], [...byPlace.values()]];
  result[0] = 0;
  const answer = native.redirectCall(listener, notif, tid, places, paths, MARK, result);
  // It is on its way: what comes of it is between the caller and the machine's kernel.
  if (answer === -Errno.EINPROGRESS) return CONTINUE;
  if (answer === -Errno.EPERM)
    reportRefusal(call, `process ${task.pid} cannot be led to ${paths.join(', ')}`);
  if (answer < 0 && answer !== -Errno.ESRCH) return answer;
  call.answered = result[0];
  return ANSWERED;
}

/** Into the log: what could not be done, since ptrace(2) was refused. */
export function reportRefusal({ tid, task }: Call, what: string): void {
  const tracer = statusOf(tid).number('TracerPid');
  const why = tracer === 0 ? 'this machine forbids ptrace' : `process ${tracer} traces it`;
  task.kernel.printk(KERN_ERR, `dmabuf-shim: ${what}: ${why} (EPERM)`);
}

/** A call that was left out, since another had failed, is none. */
function isFailure(result: number): boolean {
  return result < 0 && result !== -Errno.ECANCELED;
}
