/** Fences in the Trace Event format, with arrows to the calls that they wake. */

import { type DmaFence, describeFence } from '../drivers/dma-buf/dma-fence.js';
import { asDmaFenceArray } from '../drivers/dma-buf/dma-fence-array.js';
import { asDmaFenceChain } from '../drivers/dma-buf/dma-fence-chain.js';
import { errnoName } from '../errno.js';
import { Spans } from './trace_events_spans.js';
import type { EventWriter, Moment, Slice, Track } from './trace_events_writer.js';

/** What is known of a fence. */
interface Known {
  readonly made: number;
  readonly madeBy: string;
  /** The call that made it. */
  readonly maker: Slice | undefined;
  /** The work that it is the end of. */
  work: Slice | undefined;
  signaled: Moment | undefined;
}

export class FenceTracks {
  readonly #writer: EventWriter;
  readonly #pid: number;
  readonly #spans: Spans<DmaFence>;
  readonly #known = new WeakMap<DmaFence, Known>();
  /** Those that were made just now: what they are called is known when their driver has made them. */
  readonly #new: DmaFence[] = [];
  readonly #timelines = new Map<string, Track>();

  constructor(writer: EventWriter) {
    this.#writer = writer;
    this.#pid = writer.makeUpId();
    writer.nameProcess(this.#pid, 'fences');
    this.#spans = new Spans(writer, this.#pid);
  }

  /** `maker` is the call that it is made in. */
  made(fence: DmaFence, maker: Slice | undefined, madeBy: string): void {
    // That of context 0 has always been signalled, and stands for none.
    if (fence.context === 0) return;
    const made = this.#writer.time();
    this.#known.set(fence, { made, madeBy, maker, work: undefined, signaled: undefined });
    this.#new.push(fence);
  }

  /** Writes of those that were made since. To be called before whatever comes next. */
  settle(): void {
    if (this.#new.length === 0) return;
    for (const fence of this.#new.splice(0)) {
      const { made, madeBy } = this.#known.get(fence) as Known;
      const timeline = timelineOf(fence);
      this.#spans.begin(fence, timeline, made, {
        cat: 'fence',
        name: nameOf(fence),
        args: { timeline, seqno: fence.seqno, ...(madeBy && { 'made by': madeBy }) },
      });
    }
  }

  /** It is signalled, in `call` if in one, and wakes the calls `waiters`. */
  signaled(fence: DmaFence, call: Slice | undefined, waiters: readonly Slice[]): void {
    const known = this.#known.get(fence);
    if (!known) return;
    const at = this.#writer.time();
    this.#spans.end(fence, at, fence.error ? { error: errnoName(-fence.error) } : {});
    const slice = known.work ?? this.#causeOf(fence) ?? call ?? this.#signalSlice(fence, at);
    known.signaled = { slice, at };
    for (const waiter of waiters) {
      if (waiter !== slice)
        this.#writer.arrow(nameOf(fence), known.signaled, { slice: waiter, at });
    }
  }

  /** Nobody has it any more, signalled or not. */
  released(fence: DmaFence): void {
    this.#spans.end(fence, this.#writer.time(), { error: 'released without a signal' });
  }

  /** A call puts fences on a buffer. */
  imported(fences: Iterable<DmaFence>, call: Slice): void {
    for (const fence of fences) {
      const made = this.madeAt(fence);
      if (!made || made.slice === call) continue;
      this.#writer.arrow(nameOf(fence), made, { slice: call, at: call.start });
    }
  }

  /** The slice of the work that a fence is the end of. */
  endsWork(fence: DmaFence, work: Slice): void {
    const known = this.#known.get(fence);
    if (known) known.work = work;
  }

  /** Where in a call it was made. */
  madeAt(fence: DmaFence): Moment | undefined {
    const known = this.#known.get(fence);
    return known?.maker && { slice: known.maker, at: known.made };
  }

  signaledAt(fence: DmaFence): Moment | undefined {
    return this.#known.get(fence)?.signaled;
  }

  close(): void {
    this.settle();
    this.#spans.endAll(this.#writer.time());
  }

  /** One that stands for others is signalled where the last of those was. */
  #causeOf(fence: DmaFence): Slice | undefined {
    const link = asDmaFenceChain(fence)?.fence;
    const moments = (asDmaFenceArray(fence)?.fences ?? (link ? [link] : []))
      .map((each) => this.signaledAt(each))
      .filter((each) => each !== undefined);
    return moments.reduce((a, b) => (b.at >= a.at ? b : a), moments[0] as Moment)?.slice;
  }

  /** For a signal that comes from nothing that is in the picture: a moment of the timeline's own. */
  #signalSlice(fence: DmaFence, at: number): Slice {
    const timeline = timelineOf(fence);
    let track = this.#timelines.get(timeline);
    if (!track) {
      track = { pid: this.#pid, tid: this.#writer.makeUpId() };
      this.#timelines.set(timeline, track);
      this.#writer.nameThread(track, timeline);
    }
    const slice = this.#writer.begin(track, at);
    this.#writer.end(slice, at, { cat: 'signal', name: nameOf(fence) });
    return slice;
  }
}

/** Fences that stand for others have a context each, and are in one line. */
function timelineOf(fence: DmaFence): string {
  if (asDmaFenceArray(fence)) return 'dma_fence_array';
  if (asDmaFenceChain(fence)) return 'dma_fence_chain';
  return ask(fence, () => {
    const { context, ops } = fence;
    return `${ops.getDriverName(fence)} ${ops.getTimelineName(fence)} ${context}`;
  });
}

function nameOf(fence: DmaFence): string {
  return ask(fence, () => describeFence(fence));
}

/** What a driver throws is no reason for anybody else to fail. */
function ask(fence: DmaFence, question: () => string): string {
  try {
    return question();
  } catch {
    return `${fence.context}-${fence.seqno}`;
  }
}
