/** Faults in the calls of programs. */
import { EPOLL_CTL_ADD } from '../abi/constants.js';
import { systemCall } from '../abi/system_calls.js';
import { ErrnoError } from '../errno.js';
import { Wait } from '../fs/wait_queue.js';
import { ANSWERED, type Answer, type Call, CONTINUE, type Handler } from '../supervisor/call.js';
import type { Context } from '../supervisor/context.js';
import { type Aim, ioctlOf } from './contract.js';
import type { Faults, Verdict } from './faults.js';
import { targetOf } from './target.js';

/** setTimeout() takes no more milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;
const NO_SIGNAL = { signals: 2n ** 64n - 1n, address: 0 };
/** Milliseconds within which a call that a signal interrupted is expected to come again. */
const RESTART = 1000;

/** What is done to one call of a program, from its beginning to its end. */
export class CallFault {
  readonly result: number | undefined;
  /** When the call may begin, by performance.now(). */
  from: number;
  /** Milliseconds between the call and its answer; 0 once they have begun. */
  exit: number;
  /** As strace(1) marks it. */
  readonly mark: string;

  constructor({ result, enter, exit }: Verdict) {
    this.result = result;
    this.from = performance.now() + enter;
    this.exit = exit;
    this.mark = result === undefined ? ' (DELAYED)' : ' (INJECTED)';
  }
}

interface Interrupted {
  key: string;
  fault: CallFault;
  /** Until then the same call is taken for the restarted one. */
  until: number;
}

export class ProgramFaults {
  readonly #context: Context;
  /** Calls that signals have interrupted while they were delayed, by thread. */
  readonly #interrupted = new Map<number, Interrupted>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Handles a call, or the rest of one, with the faults that it meets. */
  handle(faults: Faults, call: Call, name: string, handler: Handler): Answer {
    if (call.fault === undefined) call.fault = this.#judge(faults, call, name) ?? null;
    const { fault } = call;
    if (!fault) return handler(call);
    const left = fault.from - performance.now();
    if (left > 0) return this.#delay(call, name, fault, left);
    if (fault.result !== undefined) return hold(fault, fault.result);
    try {
      return hold(fault, handler(call));
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      return hold(fault, -error.errno);
    }
  }

  #judge(faults: Faults, call: Call, name: string): CallFault | undefined {
    if (!faults.concerns(name)) return undefined;
    const again = this.#interrupted.get(call.tid);
    if (again?.key === keyOf(call)) {
      this.#interrupted.delete(call.tid);
      if (performance.now() < again.until) return again.fault;
    }
    const aim = this.#aim(call, name);
    const verdict = aim && faults.judge(call.task, aim);
    return verdict && new CallFault(verdict);
  }

  #aim(call: Call, name: string): Aim | undefined {
    try {
      const target = targetOf(call, name, this.#context);
      if (!target) return undefined;
      const { file } = target;
      return {
        call: name,
        file,
        ioctl: name === 'ioctl' ? ioctlOf(file, call.uint(1)) : undefined,
        infallible: name === 'epoll_ctl' && call.int(1) !== EPOLL_CTL_ADD,
      };
    } catch (error) {
      // An address that leads nowhere: the call itself says so.
      if (error instanceof ErrnoError) return undefined;
      throw error;
    }
  }

  #delay(call: Call, name: string, fault: CallFault, left: number): Wait {
    const interrupted = systemCall(name)?.interrupted;
    if (interrupted === undefined) return sleep(left);
    const { tid } = call;
    const key = keyOf(call);
    return new Wait([], timeout(left), {
      interrupted,
      // A program with a timer would be delayed for ever if the same call, made once more, began anew.
      onInterrupt: () => {
        const until = Math.max(fault.from, performance.now()) + RESTART;
        this.#interrupted.set(tid, { key, fault, until });
        for (const [thread, { until }] of this.#interrupted) {
          if (until < performance.now()) this.#interrupted.delete(thread);
        }
      },
    });
  }
}

/** Holds an answer back for as long as is wanted; where the machine makes the call, the call itself. */
function hold(fault: CallFault, answer: Answer): Answer {
  if (fault.exit === 0 || answer === ANSWERED || answer instanceof Wait) return answer;
  const until = performance.now() + fault.exit;
  fault.exit = 0;
  if (answer === CONTINUE) {
    fault.from = until;
    return sleep(until - performance.now());
  }
  const tell = (): number | Wait => {
    const left = until - performance.now();
    return left > 0 ? sleep(left, tell) : answer;
  };
  return tell();
}

/** Nothing but death ends it early: what is done is done. */
function sleep(left: number, resume?: () => number | Wait): Wait {
  return new Wait([], timeout(left), { sigmask: NO_SIGNAL, resume });
}

function timeout(left: number): number {
  return Math.min(Math.ceil(left), MAX_TIMEOUT);
}

/** What a call that is made once more has in common with the first. */
function keyOf(call: Call): string {
  return Buffer.from(call.notif.subarray(16)).toString('latin1');
}
