/**
 * Calls that wait, and the signals that end them early. A signal for a thread whose call we have taken up tells us
 * nothing (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV): it has to be looked for. So that this costs the same however many
 * calls wait, a tick has only so many looks, which processes and threads have by turns. A look at a process is through
 * one of its threads: it shows what is pending for that, what for all, and how many signals are queued for its user.
 * Only if that number has changed, or is not 0, there is reason to look at others.
 *
 * The filter cannot show us the calls that send signals: they could fail with EINTR then, which no program expects of
 * kill(2).
 */
import type { Waiter } from '../core.js';
import { Errno } from '../errno.js';
import { onWake, type Wait, type Wakeable } from '../fs/wait_queue.js';
import {
  type PendingSignal,
  PendingSignals,
  pendingSignal,
  type Status,
  signalQueueOf,
  statusOf,
} from '../host/status.js';
import type { Call } from './call.js';
import { reportRefusal } from './inject.js';

/** Milliseconds between ticks: after somebody has begun to wait or had a signal, and at most. They grow in between. */
const [SHORTEST, LONGEST, GROWTH] = [10, 80, 1.2];
/** Looks at processes in one tick: a read of a file that is open. */
const PROCESSES = 20;
/** The same for each user for whom signals are queued that are no news. */
const QUEUED = 2;
/** Looks at threads in one tick: a file is opened for each. */
const THREADS = 8;
/** Calls of which it is asked in one tick whether their callers live: an ioctl(2) for each. */
const CALLS = 2;
/** Milliseconds after which signals are looked for that others are sending. */
const SOON = [1, 5];

/** Who serves calls. */
export interface Server {
  /** Has a call that has waited handled once more. */
  again(call: Call, wait: Wait): void;
  /** Does what is to be done in passing, whatever comes of it. */
  attempt(call: Call, action: (() => void) | undefined): void;
  /** A call has ended otherwise than by an answer of its handler. */
  ended(call: Call, result: number): void;
  nameOf(call: Call): string;
}

interface Parking {
  readonly call: Call;
  readonly wait: Wait;
  readonly tid: number;
  /** By performance.now(). */
  readonly since: number;
  /** Once it is known. */
  process: WaitingProcess | undefined;
  cancel: () => void;
}

/** A user for whom signals are queued. */
class WaitingUser {
  /** By id; those that were looked at longest ago come first. */
  readonly processes = new Map<number, WaitingProcess>();
  /** How many signals. */
  queued = '0';
  /** How many of the processes are to be looked at since that was news. */
  due = 0;
}

/** A process of which calls wait. */
class WaitingProcess {
  readonly pid: number;
  readonly user: WaitingUser;
  readonly parked = new Set<Parking>();
  /** What was pending when all its threads were looked at, and none could take it. */
  seen: string | undefined;
  /** How many of its threads are to be looked at since there was news. */
  due = 0;
  /** Until when, by performance.now(), one of its threads has time to take a signal that was sent to all. */
  busy = 0;
  /** The thread by which we look. */
  tid = 0;
  signals!: PendingSignals;

  constructor(pid: number, tid: number, user: WaitingUser) {
    this.pid = pid;
    this.user = user;
    this.lookBy(tid);
  }

  lookBy(tid: number): void {
    this.signals?.close();
    this.tid = tid;
    this.signals = new PendingSignals(tid);
    this.seen = undefined;
  }
}

export class Parked {
  readonly #server: Server;
  /** By thread; those that were looked at longest ago come first. */
  readonly #parked = new Map<number, Parking>();
  /** Those of which the process is not known yet. */
  readonly #new = new Set<Parking>();
  readonly #processes = new Map<number, WaitingProcess>();
  readonly #users = new Map<string, WaitingUser>();
  /** Looks at threads that the tick has left. */
  #looks = 0;
  #pause = SHORTEST;
  #timer: NodeJS.Timeout | undefined;
  /** The process that last could not be given a signal: one line in the log is enough. */
  #deaf = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  get size(): number {
    return this.#parked.size;
  }

  /** Has a call wait; when that is over, its handler looks again. */
  park(call: Call, wait: Wait): void {
    const { tid } = call;
    const earlier = this.#parked.get(tid);
    if (earlier) this.#gone(earlier);
    const since = performance.now();
    const parking: Parking = { tid, call, wait, since, process: undefined, cancel: () => {} };
    this.#parked.set(tid, parking);
    this.#new.add(parking);
    this.#pause = SHORTEST;
    this.#timer ??= setTimeout(this.#tick, SHORTEST);
    parking.cancel = onWake(wait, () => {
      if (call.valid) {
        this.#remove(parking);
        this.#server.again(call, wait);
      } else {
        this.#gone(parking);
      }
    });
    // A signal that only this call lets through may have been there before.
    if (wait.options.sigmask && this.#parked.get(tid) === parking) this.#look(parking);
  }

  /** The calls that wait for something, with the milliseconds since they do. */
  waitersOn(source: Wakeable): Waiter[] {
    const now = performance.now();
    return [...this.#parked.values()]
      .filter(({ wait }) => wait.sources.includes(source))
      .map(({ tid, call, since }) => ({
        tid,
        call: this.#server.nameOf(call),
        since: now - since,
      }));
  }

  /** Others are sending signals: everybody is looked at soon. */
  expectSignals(): void {
    if (this.#parked.size === 0) return;
    for (const delay of SOON) {
      setTimeout(() => {
        this.#looks = THREADS;
        for (const process of [...this.#processes.values()]) this.#lookAt(process);
      }, delay);
    }
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.#pause = Math.min(this.#pause * GROWTH, LONGEST);
    this.#looks = THREADS;
    this.#learn();
    for (const user of [...this.#users.values()]) {
      const looks = Math.max(user.due, user.queued === '0' ? 1 : QUEUED);
      for (const process of takeTurns(user.processes, Math.min(looks, PROCESSES))) {
        user.due = Math.max(0, user.due - 1);
        this.#lookAt(process);
      }
    }
    for (const parking of takeTurns(this.#parked, CALLS)) {
      if (!parking.call.valid) this.#gone(parking);
    }
    if (this.#parked.size > 0) this.#timer ??= setTimeout(this.#tick, this.#pause);
  };

  /** Finds out whose threads those are that have come to wait. */
  #learn(): void {
    for (const parking of firstOf(this.#new, PROCESSES)) this.#look(parking);
  }

  #lookAt(process: WaitingProcess): void {
    const { signals, parked, user } = process;
    if (parked.size === 0 || performance.now() < process.busy) return;
    if (!signals.read()) {
      this.#lookByAnother(process);
      return;
    }
    if (signals.queued !== user.queued) this.#news(user, signals.queued);
    if (signals.pending !== process.seen) {
      process.seen = signals.pending;
      if (signals.pending !== undefined) this.#offer(process);
    } else if (signals.queued !== '0') {
      this.#lookAround(process);
    }
  }

  #news(user: WaitingUser, queued: string): void {
    user.queued = queued;
    user.due = user.processes.size;
    for (const process of user.processes.values()) process.due = process.parked.size;
  }

  #lookByAnother(process: WaitingProcess): void {
    for (const parking of [...process.parked]) {
      if (parking.call.valid) {
        process.lookBy(parking.tid);
        return;
      }
      this.#gone(parking);
    }
  }

  /** There is a signal for one of these: each is looked at, until one takes it. */
  #offer(process: WaitingProcess): void {
    for (const parking of [...process.parked]) {
      if (!this.#look(parking)) continue;
      // There may be more than that.
      process.seen = undefined;
      return;
    }
  }

  /** There may be signals for single threads. */
  #lookAround(process: WaitingProcess): void {
    const looks = Math.min(Math.max(process.due, 1), this.#looks);
    for (const parking of firstOf(process.parked, looks)) {
      if (!process.parked.delete(parking)) continue;
      process.parked.add(parking);
      if (parking.tid === process.tid && process.signals.pending === undefined) continue;
      this.#looks--;
      this.#look(parking);
    }
    process.due = Math.max(0, process.due - looks);
  }

  /** Ends a call if there is a signal for its caller, or the caller is gone; whether there was a signal. */
  #look(parking: Parking): boolean {
    const { call, wait, tid } = parking;
    // What one call's end brings about may have ended another.
    if (this.#parked.get(tid) !== parking) return false;
    if (!call.valid) {
      this.#gone(parking);
      return false;
    }
    const status = statusOf(tid);
    if (!status.exists) return false;
    const process = this.#join(parking, status);
    if (wait.options.uninterruptible) return false;
    const signal = pendingSignal(status, wait.options.sigmask?.signals);
    // Of the threads that wait one handles a signal that was sent to all; the others go on.
    if (!signal || (signal.anyones && performance.now() < process.busy)) return false;
    if (signal.anyones) process.busy = performance.now() + SHORTEST;
    if (!this.#interrupt(call, wait, signal)) return false;
    this.#pause = SHORTEST;
    parking.cancel();
    this.#remove(parking);
    this.#server.ended(call, -wait.interrupted);
    return true;
  }

  #join(parking: Parking, status: Status): WaitingProcess {
    if (parking.process) return parking.process;
    const pid = status.number('Tgid');
    let process = this.#processes.get(pid);
    if (!process) {
      const user = this.#userOf(parking.tid, status);
      process = new WaitingProcess(pid, parking.tid, user);
      this.#processes.set(pid, process);
      user.processes.set(pid, process);
    }
    process.parked.add(parking);
    // What others could not take may be for this one.
    process.seen = undefined;
    parking.process = process;
    this.#new.delete(parking);
    return process;
  }

  #userOf(tid: number, status: Status): WaitingUser {
    const key = signalQueueOf(tid, status);
    const user = this.#users.get(key) ?? new WaitingUser();
    this.#users.set(key, user);
    return user;
  }

  /** Has the caller handle a signal, in place of its call; whether it could be had. */
  #interrupt(call: Call, wait: Wait, signal: PendingSignal): boolean {
    const { sigmask, onInterrupt } = wait.options;
    this.#server.attempt(call, onInterrupt);
    // poll(2) goes on for what is left of its time, whatever its argument says.
    const goesOn = !signal.caught && wait.interrupted === Errno.ERESTARTNOHAND;
    if (goesOn) call.task.restarting = { nr: call.nr, deadline: call.deadline };
    if (signal.anyones || signal.masked) {
      const mask = signal.masked ? (sigmask?.address ?? 0) : 0;
      if (call.interrupt(wait.interrupted, mask)) return true;
      if (signal.masked) {
        if (this.#deaf !== signal.pid) {
          const what = `handle a signal that ${this.#server.nameOf(call)} lets through`;
          reportRefusal(call, `process ${signal.pid} cannot ${what}`);
        }
        this.#deaf = signal.pid;
        return false;
      }
    }
    call.send(-wait.interrupted);
    return true;
  }

  /** The caller is gone. */
  #gone(parking: Parking): void {
    const { call, wait } = parking;
    parking.cancel();
    this.#remove(parking);
    this.#server.attempt(call, wait.options.onInterrupt);
    this.#server.ended(call, -wait.interrupted);
  }

  #remove(parking: Parking): void {
    const { tid, process } = parking;
    this.#parked.delete(tid);
    this.#new.delete(parking);
    process?.parked.delete(parking);
    if (process?.parked.size === 0) {
      process.signals.close();
      this.#processes.delete(process.pid);
      process.user.processes.delete(process.pid);
    }
    if (this.#parked.size > 0) return;
    this.#users.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The programs of a listener, or all, are gone: whoever works for their calls is told. */
  end(listener?: number): void {
    for (const parking of [...this.#parked.values()]) {
      if (listener === undefined || parking.call.listener === listener) this.#gone(parking);
    }
  }
}

function firstOf<T>(all: Iterable<T>, count: number): T[] {
  const first: T[] = [];
  for (const each of all) {
    if (first.length >= count) break;
    first.push(each);
  }
  return first;
}

/** The first few, which become the last. */
function takeTurns<T>(all: Map<number, T>, count: number): T[] {
  const first = firstOf(all, count);
  for (const [key, value] of first) {
    all.delete(key);
    all.set(key, value);
  }
  return first.map(([, value]) => value);
}
