/** What lasts, in the Trace Event format: as asynchronous events, whatever overlaps whatever. */
import type { Args, EventWriter, Label } from './trace_events_writer.js';

interface Span {
  readonly group: string;
  readonly lane: number;
  readonly label: Label;
}

/** Things of a category that begin and end, each known by its key. */
export class Spans<K> {
  readonly #writer: EventWriter;
  readonly #pid: number;
  readonly #open = new Map<K, Span>();
  /** By group: who has which of its ids. */
  readonly #lanes = new Map<string, (K | undefined)[]>();

  constructor(writer: EventWriter, pid: number) {
    this.#writer = writer;
    this.#pid = pid;
  }

  /**
   * It begins. Its id is that of its group, and while another of the group has that, the group's with a number:
   * `17`, `17.1`. What has the same id is in the same line of the picture.
   */
  begin(key: K, group: string, at: number, label: Label): void {
    const lanes = this.#lanes.get(group) ?? [];
    this.#lanes.set(group, lanes);
    const free = lanes.indexOf(undefined);
    const lane = free < 0 ? lanes.length : free;
    lanes[lane] = key;
    const span = { group, lane, label };
    this.#open.set(key, span);
    this.#writer.async('b', this.#pid, idOf(span), at, label);
  }

  /** Something happens to it. */
  note(key: K, at: number, name: string, args?: Args): void {
    const span = this.#open.get(key);
    if (!span) return;
    const label = { cat: span.label.cat, name, ...(args && { args }) };
    this.#writer.async('n', this.#pid, idOf(span), at, label);
  }

  /** It is over; nothing, if it was already. */
  end(key: K, at: number, args?: Args): void {
    const span = this.#open.get(key);
    if (!span) return;
    const { cat, name } = span.label;
    this.#writer.async('e', this.#pid, idOf(span), at, { cat, name, ...(args && { args }) });
    this.#open.delete(key);
    const lanes = this.#lanes.get(span.group) as (K | undefined)[];
    lanes[span.lane] = undefined;
    if (lanes.every((each) => each === undefined)) this.#lanes.delete(span.group);
  }

  /** Those that are not over. */
  get keys(): K[] {
    return [...this.#open.keys()];
  }

  endAll(at: number): void {
    for (const key of this.keys) this.end(key, at);
  }
}

function idOf({ group, lane }: Span): string {
  return lane === 0 ? group : `${group}.${lane}`;
}
