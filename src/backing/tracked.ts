import type { Inode } from '../host/descriptors.js';
import { native } from '../native.js';
import { Descriptions } from './descriptions.js';
import type { ReleaseWatch } from './release.js';
import { inodeOf, type MappableMemory, type Tracked } from './shmem.js';
import { type AddressRange, countAreas } from './uses.js';

/**
 * A memory as it is mapped through one file: mappings of it that are made here are told from all others of
 * it. What mmap(2) of a driver's node answers is such a one where the driver, as with Linux's vm_operations, has to
 * know whether a buffer is mapped.
 *
 * That is known of all of them together, and exactly: {@link isMapped} turns false when the last is gone, in
 * whatever process and by whatever means: munmap, another mapping in its place, exit, exec, a crash. Copies that
 * fork and mremap make, and the parts that munmap and mprotect leave, are mappings like the others. Of each single
 * one nobody is told; {@link mappings} looks where there are any. The memory is not to be closed while it is mapped.
 */
export class TrackedMemory implements MappableMemory, Tracked {
  /** The memory itself. */
  readonly whole: MappableMemory;
  readonly #inode: Inode;
  readonly #releases: ReleaseWatch;
  readonly #descriptions: Descriptions;
  readonly #onMapped: (mapped: boolean) => void;
  #mapped = false;
  #ranges: AddressRange[] = [];

  /** `onMapped` is called with true before the first mapping, and with false some time after the last is gone. */
  constructor(
    { releases }: { readonly releases: ReleaseWatch },
    memory: MappableMemory,
    onMapped: (mapped: boolean) => void = () => {},
  ) {
    this.whole = memory;
    this.#inode = inodeOf(memory);
    this.#releases = releases;
    this.#descriptions = new Descriptions(memory);
    this.#onMapped = onMapped;
  }

  get fd(): number {
    return this.whole.fd;
  }

  bytes(): Uint8Array {
    return this.whole.bytes();
  }

  get givenAs(): ReadonlySet<number> | undefined {
    return this.whole.givenAs;
  }

  get size(): number | undefined {
    return this.whole.size;
  }

  get vm_flags(): number {
    return this.whole.vm_flags ?? 0;
  }

  describe(): string {
    return this.whole.describe?.() ?? 'a buffer';
  }

  open(flags: number): number {
    const fd = this.whole.open(flags);
    try {
      this.#descriptions.mark(fd, flags);
    } catch (error) {
      native.close(fd);
      throw error;
    }
    if (!this.#mapped) {
      this.#mapped = true;
      this.whole.tracked?.add(this);
      this.#onMapped(true);
      this.#releases.watchCloses(this.fd, () => this.#check());
    }
    return fd;
  }

  /** Some description of the memory was closed: true if it was the last of these. */
  #check(): boolean {
    if (this.isMapped) return false;
    this.#mapped = false;
    this.whole.tracked?.delete(this);
    this.#onMapped(false);
    return true;
  }

  noteMapping(address: number, length: number, pieced: boolean): void {
    // What is not mapped any more may be somebody else's by now.
    if (!this.isMapped) this.#ranges = [];
    const end = address + length;
    // What lay there is replaced; the parts of it beside the new one are mapped still.
    this.#ranges = this.#ranges.flatMap((range) =>
      [
        { ...range, end: Math.min(range.end, address) },
        { ...range, start: Math.max(range.start, end) },
      ].filter((part) => part.start < part.end),
    );
    this.#ranges.push({ start: address, end, pieced });
  }

  /** Where a mapping was made here that this address is in, if it is there still. */
  at(address: number): Readonly<AddressRange> | undefined {
    if (!this.isMapped) return undefined;
    return this.#ranges.find(({ start, end }) => address >= start && address < end);
  }

  /** Whether any mapping that was made here is there still, now. */
  get isMapped(): boolean {
    return this.#mapped && this.#descriptions.any;
  }

  /** How many mappings there are, an area each as Linux counts them. */
  get mappings(): number {
    return this.isMapped ? countAreas(this.#inode, this.#ranges) : 0;
  }
}
