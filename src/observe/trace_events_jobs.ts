/** The work of devices in the Trace Event format: slices on the lines of their engines. */

import type { DmaFence } from '../drivers/dma-buf/dma-fence.js';
import { errnoName } from '../errno.js';
import type { ObservedJob } from '../kit/engine.js';
import type { FenceTracks } from './trace_events_fences.js';
import { Spans } from './trace_events_spans.js';
import type { EventWriter, Moment, Slice, Track } from './trace_events_writer.js';

interface Running {
  readonly slice: Slice;
  readonly lane: Lane;
  /** Microseconds that it has waited. */
  readonly waited: number;
}

interface Lane {
  readonly track: Track;
  busy: boolean;
}

export class JobTracks {
  readonly #writer: EventWriter;
  readonly #fences: FenceTracks;
  readonly #pid: number;
  readonly #queue: Spans<ObservedJob>;
  /** By their fences: when those that wait were queued. */
  readonly #queued = new Map<DmaFence, { job: ObservedJob; at: number }>();
  readonly #running = new Map<ObservedJob, Running>();
  /** By the engine's name; more than one where several engines are called the same. */
  readonly #engines = new Map<string, Lane[]>();

  constructor(writer: EventWriter, fences: FenceTracks) {
    this.#writer = writer;
    this.#fences = fences;
    this.#pid = writer.makeUpId();
    writer.nameProcess(this.#pid, 'devices');
    this.#queue = new Spans(writer, this.#pid);
  }

  queued(job: ObservedJob): void {
    const at = this.#writer.time();
    this.#queued.set(job.fence, { job, at });
    const args = { job: job.id, engine: job.engine };
    this.#queue.begin(job, job.engine, at, { cat: 'queue', name: job.name, args });
  }

  started(job: ObservedJob): void {
    const at = this.#writer.time();
    const queued = this.#queued.get(job.fence);
    if (queued === undefined) return;
    this.#leaveQueue(job, at);
    const lane = this.#laneOf(job.engine);
    const slice = this.#writer.begin(lane.track, at);
    lane.busy = true;
    this.#running.set(job, { slice, lane, waited: (at - queued.at) / 1000 });
    this.#fences.endsWork(job.fence, slice);
    this.#arrow('queue', this.#fences.madeAt(job.fence), { slice, at });
    for (const before of new Set(job.after)) {
      this.#arrow('wait', this.#fences.signaledAt(before), { slice, at });
    }
  }

  ended(job: ObservedJob): void {
    const running = this.#running.get(job);
    if (!running) return;
    this.#running.delete(job);
    running.lane.busy = false;
    const { error } = job.fence;
    this.#writer.end(running.slice, this.#writer.time(), {
      cat: 'job',
      name: job.name,
      args: {
        job: job.id,
        'µs in the queue': running.waited,
        ...(error && { error: errnoName(-error) }),
      },
    });
  }

  /** A job that is not begun, as what it waits for has failed, is over with its fence. */
  signaled(fence: DmaFence): void {
    const queued = this.#queued.get(fence);
    if (queued) this.#leaveQueue(queued.job, this.#writer.time());
  }

  /** A device accessed what it may not. */
  fault(device: string, text: string): void {
    const at = this.#writer.time();
    this.#writer.instant(this.#pid, at, { cat: 'fault', name: `${device}: fault`, args: { text } });
  }

  /** What goes on is shown up to now. */
  close(): void {
    for (const job of [...this.#running.keys()]) this.ended(job);
    this.#queue.endAll(this.#writer.time());
  }

  #leaveQueue(job: ObservedJob, at: number): void {
    this.#queued.delete(job.fence);
    const { error } = job.fence;
    this.#queue.end(job, at, error ? { error: errnoName(-error) } : {});
  }

  #laneOf(engine: string): Lane {
    const lanes = this.#engines.get(engine) ?? [];
    this.#engines.set(engine, lanes);
    const free = lanes.find(({ busy }) => !busy);
    if (free) return free;
    const lane = { track: { pid: this.#pid, tid: this.#writer.makeUpId() }, busy: false };
    lanes.push(lane);
    this.#writer.nameThread(lane.track, engine);
    return lane;
  }

  #arrow(name: string, from: Moment | undefined, to: Moment): void {
    if (from && from.slice !== to.slice) this.#writer.arrow(name, from, to);
  }
}
