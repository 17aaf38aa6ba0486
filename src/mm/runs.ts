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
  #bytesOf: MappableMemory | undefined;

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

  /** The bytes of the memory that a run is in. */
  bytesOf(run: number): Uint8Array {
    const memory = this.memory[run] as MappableMemory;
    if (!this.#bytes || this.#bytesOf !== memory) {
      this.#bytes = memory.bytes();
      this.#bytesOf = memory;
    }
    return this.#bytes;
  }
}
