/**
 * The Trace Event format, an array of JSON objects, as Perfetto and chrome://tracing read it: the events, and the
 * rules by which they belong together. Who writes by these classes cannot break them:
 *
 * - the slices ("X") of a thread follow each other, none overlaps another;
 * - an arrow ("s", "f") begins and ends within a slice;
 * - what an asynchronous event ("b") began is ended ("e"), under the same id.
 *
 * Times are in nanoseconds from the start of the trace, and in the file in microseconds with three decimals.
 * Readers may round down what they read, to nanoseconds: whatever has to lie within something else does so by
 * more than that.
 */

/** A point in a slice is so far from its ends. */
const MARGIN = 3;
/** What a slice takes at least, so that there is room for a point in it. */
const SHORTEST = 2 * MARGIN + 1;
/** Larger than any process id (PID_MAX_LIMIT): from here on are processes and threads that there are not. */
const FIRST_MADE_UP = 2 ** 22 + 1;

export type Args = Readonly<Record<string, string | number | boolean>>;

export interface Label {
  /** Category. */
  cat: string;
  name: string;
  args?: Args;
}

/** A thread's line in the picture. */
export interface Track {
  readonly pid: number;
  readonly tid: number;
}

/** One thing that a thread does, from its start to its end. */
export class Slice {
  readonly track: Track;
  readonly start: number;
  /** Where it ends, or, as long as it goes on, ends at the earliest. */
  end: number;
  open = true;
  /** An arrow begins or ends here. */
  marked = false;

  constructor(track: Track, start: number) {
    this.track = track;
    this.start = start;
    this.end = start + SHORTEST;
  }

  /** The time within it that is closest to `at`. */
  point(at: number): number {
    const from = Math.max(at, this.start + MARGIN);
    if (this.open) this.end = Math.max(this.end, from + MARGIN);
    this.marked = true;
    return Math.min(from, this.end - MARGIN);
  }
}

/** A moment of what a thread or a device does. */
export interface Moment {
  readonly slice: Slice;
  readonly at: number;
}

export class EventWriter {
  readonly #write: (text: string) => void;
  readonly #origin = performance.now();
  /** By track: before it, no slice begins. */
  readonly #free = new WeakMap<Track, number>();
  #first = true;
  #madeUp = FIRST_MADE_UP;
  #arrows = 0;

  /** `write` takes the text of the file, piece by piece. */
  constructor(write: (text: string) => void) {
    this.#write = write;
    this.#write('[');
  }

  /** A time by performance.now(): now, unless it is given. */
  time(ms = performance.now()): number {
    return Math.max(0, Math.round((ms - this.#origin) * 1e6));
  }

  /** A number for a process or thread that there is not. */
  makeUpId(): number {
    return this.#madeUp++;
  }

  nameProcess(pid: number, name: string): void {
    this.#metadata('process_name', pid, pid, name);
  }

  nameThread({ pid, tid }: Track, name: string): void {
    this.#metadata('thread_name', pid, tid, name);
  }

  #metadata(what: string, pid: number, tid: number, name: string): void {
    const head = `"ph":"M","pid":${pid},"tid":${tid},"name":"${what}"`;
    this.#event(`${head},"args":{"name":${JSON.stringify(name)}}`);
  }

  begin(track: Track, at: number): Slice {
    return new Slice(track, Math.max(at, this.#free.get(track) ?? 0));
  }

  /** Writes a slice, which is over. */
  end(slice: Slice, at: number, label: Label): void {
    this.drop(slice, at);
    const duration = `,"dur":${us(slice.end - slice.start)}`;
    this.#event(`${head('X', slice.track, slice.start)}${duration}${tail(label)}`);
  }

  /** A slice is over, and is not to be seen. */
  drop(slice: Slice, at: number): void {
    slice.open = false;
    slice.end = Math.max(slice.end, at);
    this.#free.set(slice.track, slice.end + MARGIN);
  }

  /** From one moment to a later one. Nothing if it would point back in time. */
  arrow(name: string, from: Moment, to: Moment): void {
    const start = from.slice.point(from.at);
    const end = to.slice.point(Math.max(start, to.at));
    if (end < start) return;
    const rest = `,"id":${++this.#arrows}${tail({ cat: 'flow', name })}`;
    this.#event(`${head('s', from.slice.track, start)}${rest}`);
    this.#event(`${head('f', to.slice.track, end)},"bp":"e"${rest}`);
  }

  /** Something that happens on its own time, beside what threads do: "b", "n" or "e" of the same id and category. */
  async(ph: 'b' | 'n' | 'e', pid: number, id: string, at: number, label: Label): void {
    this.#event(`${head(ph, { pid, tid: pid }, at)},"id":${JSON.stringify(id)}${tail(label)}`);
  }

  /** A moment of a process. */
  instant(pid: number, at: number, label: Label): void {
    this.#event(`${head('i', { pid, tid: pid }, at)},"s":"p"${tail(label)}`);
  }

  #event(members: string): void {
    this.#write(`${this.#first ? '\n' : ',\n'}{${members}}`);
    this.#first = false;
  }

  close(): void {
    this.#write('\n]\n');
  }
}

// The time comes early: some readers look for it before they take a string apart.
function head(ph: string, { pid, tid }: Track, at: number): string {
  return `"ph":"${ph}","pid":${pid},"tid":${tid},"ts":${us(at)}`;
}

function tail({ cat, name, args }: Label): string {
  const rest = args ? `,"args":${JSON.stringify(args)}` : '';
  return `,"cat":${JSON.stringify(cat)},"name":${JSON.stringify(name)}${rest}`;
}

/** Nanoseconds in microseconds: `1234567` is `1234.567`. */
function us(ns: number): string {
  const whole = Math.floor(ns / 1000);
  return `${whole}.${String(ns - whole * 1000).padStart(3, '0')}`;
}
