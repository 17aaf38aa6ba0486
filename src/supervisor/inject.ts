import { Errno } from '../errno.js';
import { type InjectedCall, native } from '../native.js';
import { KERN_ERR } from '../printk.js';
import { ANSWERED, type Answer, type Call } from './call.js';
import { readStatus } from './process.js';

/**
 * Lets the caller make other system calls in place of its own, whose result the first of them becomes;
 * it has the descriptors `fds` of ours meanwhile. That takes ptrace(2): a process that something else
 * traces already gets EPERM, and the log says why.
 */
export function injectOrRefuse(
  call: Call,
  what: string,
  calls: InjectedCall[],
  fds: number[],
): Answer {
  const { listener, notif, tid, task } = call;
  const results = new Float64Array(calls.length);
  const answer = native.injectCalls(listener, notif, tid, calls, results, fds);
  if (answer === -Errno.EPERM) {
    reportRefusal(call, `process ${task.pid} cannot ${what}`);
    return -Errno.EPERM;
  }
  call.answered = [...results].find(isFailure) ?? results[0] ?? 0;
  return ANSWERED;
}

/** Into the log: what could not be done, since ptrace(2) was refused. */
export function reportRefusal({ tid, task }: Call, what: string): void {
  const tracer = readStatus(tid, 'TracerPid');
  const why = tracer === 0 ? 'this machine forbids ptrace' : `process ${tracer} traces it`;
  task.kernel.printk(KERN_ERR, `dmabuf-shim: ${what}: ${why} (EPERM)`);
}

/** A call that was left out, since another had failed, is none. */
function isFailure(result: number): boolean {
  return result < 0 && result !== -Errno.ECANCELED;
}
