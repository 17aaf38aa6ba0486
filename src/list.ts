/**
 * Lists whose entries know their neighbours (<linux/list.h>): adding and removing cost the same however
 * many there are. An entry is in one list at a time.
 */
export abstract class ListEntry {
  /** @internal */
  list: object | undefined;
  /** @internal */
  before: ListEntry | undefined;
  /** @internal */
  behind: ListEntry | undefined;
}

export class List<T extends ListEntry> implements Iterable<T> {
  #first: ListEntry | undefined;
  #last: ListEntry | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(entry: T): boolean {
    return entry.list === this;
  }

  /** list_add_tail(): it is in no list yet. */
  add(entry: T): void {
    entry.list = this;
    entry.before = this.#last;
    if (this.#last) this.#last.behind = entry;
    else this.#first = entry;
    this.#last = entry;
    this.#size++;
  }

  /** list_del(), of an entry of this list. */
  delete(entry: T): void {
    const { before, behind } = entry;
    if (before) before.behind = behind;
    else this.#first = behind;
    if (behind) behind.before = before;
    else this.#last = before;
    entry.list = entry.before = entry.behind = undefined;
    this.#size--;
  }

  /** list_for_each_entry_safe(): the oldest first; the entry at hand may be deleted. */
  *[Symbol.iterator](): Iterator<T> {
    for (let entry = this.#first; entry; ) {
      const next = entry.behind;
      yield entry as T;
      entry = next;
    }
  }
}
