/** Text that is written often, and a little at a time: gathered, so that it costs few calls of write(2). */

/** Bytes that are gathered before they are written. */
const CAPACITY = 64 * 1024;
/** Milliseconds that text stays in memory at most, if the event loop has its turn. */
const DELAY = 200;
/** Bytes that a character takes at most, in UTF-8. */
const WIDEST = 3;

export class TextBuffer {
  readonly #write: (bytes: Buffer) => void;
  readonly #bytes = Buffer.allocUnsafe(CAPACITY);
  #used = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `write` takes what has been gathered, in UTF-8. It is not to keep the bytes. */
  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  add(text: string): void {
    const most = text.length * WIDEST;
    if (most > CAPACITY - this.#used) this.flush();
    if (most > CAPACITY) {
      this.#write(Buffer.from(text));
      return;
    }
    this.#used += this.#bytes.write(text, this.#used);
    // It keeps nothing alive: who adds text flushes it at the end.
    this.#timer ??= setTimeout(() => this.flush(), DELAY).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const used = this.#used;
    this.#used = 0;
    if (used > 0) this.#write(this.#bytes.subarray(0, used));
  }
}
