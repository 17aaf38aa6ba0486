/**
 * Reads a file in the Trace Event format as Perfetto's trace processor does, and fails where that would drop an
 * event or bind it to another than is meant: events in the order of their times, to the nanosecond and rounded down;
 * slices that overlap, ends without a beginning, arrows that begin or end in no slice.
 */
import { expect } from 'vitest';

interface Event {
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  name: string;
  cat?: string;
  id?: string | number;
  bp?: string;
  s?: string;
  args?: Record<string, unknown>;
}

export interface Slice {
  pid: number;
  tid: number;
  /** Nanoseconds. */
  start: number;
  end: number;
  name: string;
  cat: string;
  args: Record<string, unknown>;
}

export interface Span {
  pid: number;
  id: string;
  start: number;
  end: number;
  name: string;
  cat: string;
  /** Of its beginning and of its end. */
  args: Record<string, unknown>;
  notes: { name: string; at: number; args: Record<string, unknown> }[];
}

export interface Arrow {
  name: string;
  from: Slice;
  to: Slice;
}

export interface Trace {
  slices: Slice[];
  spans: Span[];
  arrows: Arrow[];
  moments: { name: string; args: Record<string, unknown> }[];
  process(pid: number): string | undefined;
  /** `devices/scaler`, `camera/camera`. */
  lineOf(slice: Slice): string;
}

/** What a reader makes of a time: nanoseconds, rounded down. */
const ns = (us: number) => Math.trunc(us * 1000);

const MEMBERS: Record<string, string[]> = {
  M: ['ph', 'pid', 'tid', 'name', 'args'],
  X: ['ph', 'pid', 'tid', 'ts', 'dur', 'cat', 'name', 'args'],
  b: ['ph', 'pid', 'tid', 'ts', 'id', 'cat', 'name', 'args'],
  n: ['ph', 'pid', 'tid', 'ts', 'id', 'cat', 'name', 'args'],
  e: ['ph', 'pid', 'tid', 'ts', 'id', 'cat', 'name', 'args'],
  s: ['ph', 'pid', 'tid', 'ts', 'id', 'cat', 'name'],
  f: ['ph', 'pid', 'tid', 'ts', 'bp', 'id', 'cat', 'name'],
  i: ['ph', 'pid', 'tid', 'ts', 's', 'cat', 'name', 'args'],
};

export function readTrace(text: string): Trace {
  const events = JSON.parse(text) as Event[];
  for (const event of events) checkMembers(event);
  // As some readers do: what is in one line is one event.
  expect(text.trim().split('\n')).toHaveLength(events.length + 2);
  const timed = events.filter(({ ph }) => ph !== 'M').toSorted((a, b) => ns(a.ts) - ns(b.ts));
  const names = namesOf(events);
  const slices = readSlices(timed);
  for (const { pid, tid } of slices) {
    expect(names.has(`process_name ${pid}`), `process ${pid} has a name`).toBe(true);
    expect(names.has(`thread_name ${pid} ${tid}`), `thread ${tid} has a name`).toBe(true);
  }
  return {
    slices,
    spans: readSpans(timed),
    arrows: readArrows(timed, slices),
    moments: timed.filter(({ ph }) => ph === 'i').map(({ name, args = {} }) => ({ name, args })),
    process: (pid) => names.get(`process_name ${pid}`),
    lineOf: ({ pid, tid }) =>
      `${names.get(`process_name ${pid}`)}/${names.get(`thread_name ${pid} ${tid}`)}`,
  };
}

function checkMembers(event: Event): void {
  const text = JSON.stringify(event);
  const known = MEMBERS[event.ph] ?? [];
  expect(known, `a known phase: ${text}`).not.toEqual([]);
  const optional = event.args === undefined ? known.filter((name) => name !== 'args') : known;
  expect(Object.keys(event).toSorted(), text).toEqual(optional.toSorted());
  for (const number of [event.pid, event.tid]) {
    expect(Number.isInteger(number) && number > 0 && number < 2 ** 32, text).toBe(true);
  }
  for (const time of [event.ts, event.dur]) {
    expect(time === undefined || (time >= 0 && time < 1e12), text).toBe(true);
  }
  for (const value of Object.values(event.args ?? {})) {
    expect(['string', 'number', 'boolean'], text).toContain(typeof value);
  }
}

function namesOf(events: Event[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { ph, name, pid, tid, args } of events) {
    if (ph !== 'M') continue;
    const key = name === 'process_name' ? `${name} ${pid}` : `${name} ${pid} ${tid}`;
    names.set(key, String(args?.name));
  }
  return names;
}

function readSlices(timed: Event[]): Slice[] {
  const last = new Map<string, Slice>();
  return timed
    .filter(({ ph }) => ph === 'X')
    .map(({ pid, tid, ts, dur = 0, name, cat = '', args = {} }) => {
      const slice = { pid, tid, start: ns(ts), end: ns(ts) + ns(dur), name, cat, args };
      const before = last.get(`${pid} ${tid}`);
      const both = `${JSON.stringify(before)} and ${JSON.stringify(slice)} overlap`;
      expect((before?.end ?? -1) < slice.start, both).toBe(true);
      last.set(`${pid} ${tid}`, slice);
      return slice;
    });
}

function readSpans(timed: Event[]): Span[] {
  const open = new Map<string, Span>();
  const spans: Span[] = [];
  for (const { ph, pid, id, cat = '', name, ts, args = {} } of timed) {
    const key = `${cat} ${id}`;
    const span = open.get(key);
    const text = `${ph} ${name} ${key} at ${ts}`;
    if (ph === 'b') {
      expect(span, `${text} begins what has not ended`).toBeUndefined();
      const begun = { pid, id: String(id), start: ns(ts), end: -1, name, cat, args, notes: [] };
      open.set(key, begun);
      spans.push(begun);
    } else if (ph === 'n') {
      expect(span, `${text} is outside`).toBeDefined();
      span?.notes.push({ name, at: ns(ts), args });
    } else if (ph === 'e') {
      expect(span?.name, `${text} ends what has begun`).toBe(name);
      open.delete(key);
      if (span) Object.assign(span, { end: ns(ts), args: { ...span.args, ...args } });
    }
  }
  expect([...open.keys()], 'what has begun has ended').toEqual([]);
  return spans;
}

function readArrows(timed: Event[], slices: Slice[]): Arrow[] {
  const begun = new Map<string | number | undefined, Arrow>();
  const arrows: Arrow[] = [];
  for (const { ph, id, name, pid, tid, ts, bp } of timed) {
    if (ph !== 's' && ph !== 'f') continue;
    const at = ns(ts);
    const within = slices.find(
      (slice) => slice.pid === pid && slice.tid === tid && slice.start < at && at < slice.end,
    );
    const text = `${ph} ${name} ${id} at ${ts}`;
    if (!within) throw new Error(`${text} is in no slice`);
    if (ph === 's') {
      expect(begun.has(id), `${text}: its id is taken`).toBe(false);
      begun.set(id, { name, from: within, to: within });
    } else {
      const arrow = begun.get(id);
      expect([arrow?.name, bp], `${text} ends what has begun`).toEqual([name, 'e']);
      if (arrow) arrows.push({ ...arrow, to: within });
      begun.delete(id);
    }
  }
  expect(begun.size, 'what has begun has ended').toBe(0);
  return arrows;
}
