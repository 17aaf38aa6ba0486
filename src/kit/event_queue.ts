/** Events of an open file, as input(4), DRM and V4L2 have them: queued by the driver, read in order. */
import { type CType, O_NONBLOCK } from '../../ioctl/index.js';
import { EventSocket } from '../backing/event_socket.js';
import { errno } from '../errno.js';
import type { File, Segment } from '../fs/file.js';
import { Wait } from '../fs/wait_queue.js';
import { copyToIter, lengthOf } from '../mm/segments.js';
import type { Task } from '../task.js';

/** Events that are kept for a file that nobody reads; then one goes for each that comes. */
const MAX_EVENTS = 4096;

type Event = Parameters<CType['create']>[0];

export interface Events {
  readonly empty: boolean;
  push(event: Event): void;
  /**
   * As many whole events as fit, and there is room for one, into the caller's memory: how many bytes. EFAULT: they
   * are queued still, as the caller has not got them.
   */
  take(segments: readonly Segment[], task: Task): number;
}

/** read(2): waits for the first event. EINVAL if not even one fits, EAGAIN with O_NONBLOCK. */
export function readEvents(
  events: Events,
  { file, size }: { file: File; size: number },
  segments: readonly Segment[],
  task: Task,
): number | Wait {
  const room = lengthOf(segments);
  if (room === 0) return 0;
  if (room < size) throw errno('EINVAL');
  const taken = events.take(segments, task);
  if (taken > 0) return taken;
  if (file.f_flags & O_NONBLOCK) throw errno('EAGAIN');
  // Another reader may be faster then.
  return new Wait([file.changed]);
}

/**
 * Events of files that have nothing else to be read or waited for: what stands behind a file is the queue, and
 * programs' read(2) and poll(2) are the machine's own.
 */
class EventStream implements Events {
  readonly #type: CType;
  readonly #file: File;
  readonly #socket: EventSocket;

  constructor(type: CType, file: File, socket: EventSocket) {
    this.#type = type;
    this.#file = file;
    this.#socket = socket;
  }

  get empty(): boolean {
    return this.#socket.unread === 0;
  }

  push(event: Event): void {
    if (this.#socket.length >= MAX_EVENTS) this.#socket.dropOldestWaiting();
    this.#socket.push(this.#type.create(event).bytes);
    this.#file.changed.wakeUp();
  }

  /** For who is served all the same. */
  take(segments: readonly Segment[], task: Task): number {
    const { size } = this.#type;
    const whole = (queued: Uint8Array) => queued.length - (queued.length % size);
    return this.#socket.take(task, lengthOf(segments), whole, (bytes, at) => {
      copyToIter(task.mm, from(segments, at), bytes);
    });
  }
}

/** The memory from `at` on. */
function from(segments: readonly Segment[], at: number): Segment[] {
  let skip = at;
  return segments.map(({ address, length }) => {
    const skipped = Math.min(skip, length);
    skip -= skipped;
    return { address: address + skipped, length: length - skipped };
  });
}

/** Events of files that have more than these to be waited for: each read of one is served. */
class EventQueue implements Events {
  readonly #type: CType;
  readonly #file: File;
  readonly #events: Uint8Array[] = [];

  constructor(type: CType, file: File) {
    this.#type = type;
    this.#file = file;
  }

  get empty(): boolean {
    return this.#events.length === 0;
  }

  push(event: Event): void {
    if (this.#events.length === MAX_EVENTS) this.#events.shift();
    this.#events.push(this.#type.create(event).bytes);
    this.#file.changed.wakeUp();
  }

  take(segments: readonly Segment[], task: Task): number {
    const events = this.#events.slice(0, Math.floor(lengthOf(segments) / this.#type.size));
    const taken = copyToIter(task.mm, segments, Buffer.concat(events));
    this.#events.splice(0, events.length);
    this.#file.tellEpoll();
    return taken;
  }
}

/** What events are kept in, of a file that was opened of a device with these. */
export function eventsOf(type: CType, file: File): Events {
  const { backing } = file;
  if (backing instanceof EventSocket) return new EventStream(type, file, backing);
  return new EventQueue(type, file);
}
