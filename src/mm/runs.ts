import type { MappableMemory } from '../backing/shmem.js';

/**
 * Bytes that lie here and there: runs of them, each in one memory. In columns, for there may be one for
 * each page of a buffer.
 */
export class Runs {
  readonly memory: MappableMemory[] = [];
  /** Where each begins in its memory, and how long it is, in bytes. */
  readonly offset: number[] = [];
  readonly length: number[] = [];
  #bytes: Uint8Array | undefined;
  #last: MappableMemory | undefined;

  get count(): number {
    return this.memory.length;
  }

  /** Adds bytes at the end. What goes on where the last run ends, becomes a part of it. */
  readonly add = (memory: MappableMemory, offset: number, length: number): void => {
    const last = this.memory.length - 1;
    const before = this.length[last];
    if (
      before !== undefined &&
      this.memory[last] === memory &&
      (this.offset[last] as number) + before === offset
    ) {
      this.length[last] = before + length;
      return;
    }
    this.memory.push(memory);
    this.offset.push(offset);
    this.length.push(length);
  };

  /** `count` bytes of a run, from its byte `from` on. Not to be kept, nor changed. */
  load(run: number, from: number, count: number): Uint8Array {
    const memory = this.memory[run] as MappableMemory;
    const offset = (this.offset[run] as number) + from;
    if (!memory.remote) return this.#bytesOf(memory).subarray(offset, offset + count);
    const bytes = new Uint8Array(count);
    memory.remote.read(offset, bytes);
    return bytes;
  }

  /** Stores bytes in a run, from its byte `at` on. */
  store(run: number, at: number, bytes: Uint8Array): void {
    const memory = this.memory[run] as MappableMemory;
    const offset = (this.offset[run] as number) + at;
    if (memory.remote) memory.remote.write(offset, bytes);
    else this.#bytesOf(memory).set(bytes, offset);
  }

  /** Makes all bytes of a run `value`. */
  fill(run: number, value: number): void {
    const memory = this.memory[run] as MappableMemory;
    const offset = this.offset[run] as number;
    const length = this.length[run] as number;
    if (memory.remote) memory.remote.write(offset, new Uint8Array(length).fill(value));
    else this.#bytesOf(memory).fill(value, offset, offset + length);
  }

  /** The bytes of a memory; the one that was asked for last is known. */
  #bytesOf(memory: MappableMemory): Uint8Array {
    if (!this.#bytes || this.#last !== memory) {
      this.#bytes = memory.bytes();
      this.#last = memory;
    }
    return this.#bytes;
  }
}
