import { Errno } from '../errno.js';
import { type InjectedCall, native } from '../native.js';
import { KERN_ERR } from '../printk.js';
import { ANSWERED, type Answer, type Call } from './call.js';
import { readStatus } from './process.js';

/**
 * Lets the caller make other system calls in place of its own, whose result the first of them becomes.
 * That takes ptrace(2); a process that something else traces already gets EPERM, and the log says why.
 */
export function injectOrRefuse(call: Call, what: string, calls: InjectedCall[]): Answer {
  const results = new Float64Array(calls.length);
  const answer = native.injectCalls(call.listener, call.notif, call.tid, calls, results);
  if (answer === -Errno.EPERM) return refuseTraced(call, what);
  call.answered = [...results].find((result) => result < 0) ?? results[0] ?? 0;
  return ANSWERED;
}

/** EPERM if something traces the caller, before anything has been put into it. */
export function refuseIfTraced(call: Call, what: string): number | undefined {
  return readStatus(call.tid, 'TracerPid') === 0 ? undefined : refuseTraced(call, what);
}

function refuseTraced(call: Call, what: string): number {
  const tracer = readStatus(call.tid, 'TracerPid');
  const why = tracer === 0 ? 'this machine forbids ptrace' : `process ${tracer} traces it`;
  call.task.kernel.printk(
    KERN_ERR,
    `dmabuf-shim: process ${call.task.pid} cannot ${what}: ${why} (EPERM)`,
  );
  return -Errno.EPERM;
}
