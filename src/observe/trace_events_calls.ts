/** System calls in the Trace Event format: slices on the lines of the threads that make them. */
import { callResult } from './call_text.js';
import type { ObservedCall } from './observer.js';
import type { EventWriter, Slice, Track } from './trace_events_writer.js';

/** Threads that are remembered. */
const MAX_THREADS = 1024;
/** Milliseconds for which a thread is believed to be of the same program: exec(2) is not seen. */
const FRESH = 100;

interface Lane {
  readonly track: Track & { pid: number };
  busy: OpenCall | undefined;
}

interface Thread {
  comm: string;
  /** When its process and name were looked up, by performance.now(). */
  asked: number;
  /** One, but for this process, whose calls through `kernel.sys.promises` wait side by side. */
  readonly lanes: [Lane, ...Lane[]];
}

interface OpenCall {
  readonly call: ObservedCall;
  readonly slice: Slice;
  readonly thread: Thread;
  readonly lane: Lane;
  parked: boolean;
}

export class CallTracks {
  readonly #writer: EventWriter;
  readonly #threads = new Map<number, Thread>();
  /** Names of processes, as they are in the file. */
  readonly #processes = new Map<number, string>();
  readonly #open = new Map<ObservedCall, OpenCall>();

  constructor(writer: EventWriter) {
    this.#writer = writer;
  }

  entered(call: ObservedCall): void {
    const thread = this.#threadOf(call.tid);
    const lane = this.#laneOf(call, thread);
    const slice = this.#writer.begin(lane.track, this.#writer.time(call.start));
    const open: OpenCall = { call, slice, thread, lane, parked: false };
    lane.busy = open;
    this.#open.set(call, open);
    // By the time that it is over its argument is another.
    if (call.name === 'ioctl') call.keep();
  }

  parked(call: ObservedCall): void {
    const open = this.#open.get(call);
    if (!open) return;
    open.parked = true;
    this.#identify(open);
    call.keep();
  }

  ended(call: ObservedCall, result: number | undefined): void {
    const open = this.#open.get(call);
    if (!open) return;
    // What the machine's kernel does is shown if something has come of it here.
    if (result !== undefined || open.parked || open.slice.marked) {
      this.#identify(open);
      this.#finish(open, call.line(result), callResult(call.name, result));
    } else {
      this.#forget(open);
      this.#writer.drop(open.slice, this.#writer.time());
    }
  }

  /** The slice of a call that goes on: it will be seen. */
  sliceOf(call: ObservedCall | undefined): Slice | undefined {
    const open = call && this.#open.get(call);
    if (!open) return undefined;
    open.slice.marked = true;
    this.#identify(open);
    return open.slice;
  }

  /** The slice of the call that a program's thread is in. */
  sliceOfThread(tid: number): Slice | undefined {
    return this.sliceOf(this.#threads.get(tid)?.lanes[0].busy?.call);
  }

  /** Who makes a call that goes on: `camera[1234]`; empty for none. */
  callerOf(call: ObservedCall | undefined): string {
    const open = call && this.#open.get(call);
    if (!open) return '';
    this.#identify(open);
    return `${open.thread.comm}[${open.lane.track.pid}]`;
  }

  /** The names of processes, where they are known: `camera[1234]`. */
  nameOf(pid: number): string {
    return `${this.#processes.get(pid) ?? ''}[${pid}]`;
  }

  /** Calls that go on are shown up to now. */
  close(): void {
    for (const open of [...this.#open.values()]) this.#abandon(open);
  }

  #threadOf(tid: number): Thread {
    const known = this.#threads.get(tid);
    if (known) return known;
    if (this.#threads.size >= MAX_THREADS) this.#prune();
    const track = { pid: 0, tid };
    const thread: Thread = {
      comm: '',
      asked: Number.NEGATIVE_INFINITY,
      lanes: [{ track, busy: undefined }],
    };
    this.#threads.set(tid, thread);
    return thread;
  }

  #prune(): void {
    for (const [tid, { lanes }] of this.#threads) {
      if (lanes.every(({ busy }) => !busy)) this.#threads.delete(tid);
    }
    this.#processes.clear();
  }

  #laneOf(call: ObservedCall, thread: Thread): Lane {
    const [first] = thread.lanes;
    if (call.tid !== process.pid) {
      // A program's thread makes one call at a time: it was killed in the last, and this is another.
      if (first.busy) this.#abandon(first.busy);
      return first;
    }
    const free = thread.lanes.find(({ busy }) => !busy);
    if (free) return free;
    const { pid } = first.track;
    const lane = { track: { pid, tid: this.#writer.makeUpId() }, busy: undefined };
    thread.lanes.push(lane);
    this.#writer.nameThread(lane.track, `${thread.comm} (at the same time)`);
    return lane;
  }

  /** Finds out whose call it is, which is known only as long as it goes on. */
  #identify({ call, thread, lane: { track } }: OpenCall): void {
    if (track.pid !== 0 && call.start - thread.asked < FRESH) return;
    const { comm, pid } = call;
    if (pid === 0) return;
    thread.asked = call.start;
    if (track.pid !== pid || thread.comm !== comm) {
      track.pid = pid;
      thread.comm = comm;
      this.#writer.nameThread(track, comm);
    }
    if (this.#processes.get(pid) === comm) return;
    // A process is called as its first thread is.
    if (call.tid !== pid && this.#processes.has(pid)) return;
    this.#processes.set(pid, comm);
    this.#writer.nameProcess(pid, comm);
  }

  #finish(open: OpenCall, line: string, result: string): void {
    this.#forget(open);
    const { call, parked, slice } = open;
    this.#writer.end(slice, this.#writer.time(), {
      cat: parked ? 'waiting' : 'call',
      name: requestOf(line) ?? call.name,
      args: { call: line, result },
    });
  }

  /** It has not ended, as far as we know; but it is not looked at any more. */
  #abandon(open: OpenCall): void {
    if (open.lane.track.pid !== 0) {
      this.#finish(open, open.call.text, 'not known');
    } else {
      this.#forget(open);
      this.#writer.drop(open.slice, this.#writer.time());
    }
  }

  #forget({ call, lane }: OpenCall): void {
    this.#open.delete(call);
    lane.busy = undefined;
  }
}

/** An ioctl is called by its request. */
function requestOf(line: string): string | undefined {
  return /^ioctl\(-?\d+, (?!_IOC\()(\w+)/.exec(line)?.[1];
}
