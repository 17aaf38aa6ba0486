/** Memory that programs made, and that the kernel maps into others: the memfds behind a udmabuf. */
import { MAP_SHARED, O_ACCMODE, O_CLOEXEC, O_RDONLY, PROT_NONE } from '../../ioctl/index.js';
import { Errno, orThrow } from '../errno.js';
import { Frames } from '../mm/frames.js';
import { PAGE_SIZE } from '../mm/page.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { ReleaseWatch } from './release.js';
import { type MappableMemory, mapAll } from './shmem.js';
import { type AddressRange, countAreas } from './uses.js';

/** Where the bytes are that descriptions lock, and how many each pin has of them. */
const LOCKS = 2 ** 52;
const LOCKS_EACH = 2 ** 21;

const stat = new Float64Array(STAT_FIELDS);

/** A memfd of a program's, kept for as long as anything is pinned in it: one descriptor each. */
class PinnedMemfd implements MappableMemory {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  /** Bytes, when it was pinned first. */
  readonly size: number;
  readonly #mapping: ArrayBuffer | undefined;
  #whole: ArrayBuffer | undefined;
  pins = 0;
  /** Where its pages are, as devices see them. */
  readonly frames = new Frames(this);
  describe?: () => string;

  constructor(fd: number) {
    this.fd = fd;
    orThrow(native.fstat(fd, stat));
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
    this.size = stat[Stat.size] as number;
    // A mapping that could be written through keeps F_SEAL_WRITE from being added (EBUSY).
    const mapping = native.mmap(PAGE_SIZE, PROT_NONE, MAP_SHARED, fd, 0);
    if (typeof mapping !== 'number') this.#mapping = mapping;
  }

  open(flags: number): number {
    return orThrow(native.reopen(this.fd, flags | O_CLOEXEC));
  }

  bytes(): Uint8Array {
    this.#whole ??= mapAll(this.fd, this.size);
    return new Uint8Array(this.#whole);
  }

  close(): void {
    for (const mapping of [this.#mapping, this.#whole]) if (mapping) native.munmap(mapping);
    native.close(this.fd);
  }
}

/** The memfds that a kernel has pins in, by inode. */
export class Pins {
  readonly #releases: ReleaseWatch;
  readonly #memfds = new Map<number, PinnedMemfd>();

  constructor(releases: ReleaseWatch) {
    this.#releases = releases;
  }

  /** Pins the memfd that `fd`, O_RDWR, is of; the descriptor is this object's from here on. */
  pin(fd: number): Pin {
    const memfd = new PinnedMemfd(fd);
    const known = this.#memfds.get(memfd.ino);
    if (known) memfd.close();
    else this.#memfds.set(memfd.ino, memfd);
    return new Pin(known ?? memfd, this.#releases, (last) => {
      this.#memfds.delete(last.ino);
      last.close();
    });
  }

  /** The kernel ends. */
  close(): void {
    for (const memfd of this.#memfds.values()) memfd.close();
    this.#memfds.clear();
  }
}

/**
 * A hold on a program's memfd. Mappings made through it are told from all others of that memfd by a
 * lock: an open file description lock belongs to the description that a mapping was made through, and
 * goes with it, so that nothing is counted and nothing can be counted wrong.
 */
export class Pin implements MappableMemory {
  readonly #memfd: PinnedMemfd;
  readonly #releases: ReleaseWatch;
  readonly #lastGone: (memfd: PinnedMemfd) => void;
  /** Pins of one memfd, of other kernels even, must not take each other's bytes. */
  readonly #locks = LOCKS + Math.floor(Math.random() * 2 ** 30) * LOCKS_EACH;
  #opened = 0;
  #mapped = false;
  #ranges: AddressRange[] = [];
  /** Called with true for the first mapping, and with false when the last is gone. */
  onMapped: (mapped: boolean) => void = () => {};

  /** @internal Made by {@link Pins.pin}. */
  constructor(memfd: PinnedMemfd, releases: ReleaseWatch, lastGone: (memfd: PinnedMemfd) => void) {
    memfd.pins++;
    this.#memfd = memfd;
    this.#releases = releases;
    this.#lastGone = lastGone;
  }

  get fd(): number {
    return this.#memfd.fd;
  }

  get ino(): number {
    return this.#memfd.ino;
  }

  /** The memfd itself, which several pins may be in. */
  get whole(): MappableMemory {
    return this.#memfd;
  }

  /** Where the memfd's pages are. */
  get frames(): Frames {
    return this.#memfd.frames;
  }

  /** Says what the memfd is a part of, for the log. */
  describeAs(describe: () => string): void {
    this.#memfd.describe = describe;
  }

  /** Bytes. */
  get size(): number {
    return this.#memfd.size;
  }

  bytes(): Uint8Array {
    return this.#memfd.bytes();
  }

  open(flags: number): number {
    const fd = this.#memfd.open(flags);
    const exclusive = (flags & O_ACCMODE) !== O_RDONLY;
    for (;;) {
      const at = this.#locks + (this.#opened++ % LOCKS_EACH);
      const locked = native.ofdLock(fd, at, exclusive);
      if (locked >= 0) break;
      if (locked !== -Errno.EAGAIN) {
        native.close(fd);
        orThrow(locked);
      }
    }
    if (!this.#mapped) {
      this.#mapped = true;
      this.onMapped(true);
      this.#releases.watchCloses(this.fd, () => this.#checkMapped());
    }
    return fd;
  }

  /** Some description of the memfd was closed: true if it was the last of ours. */
  #checkMapped(): boolean {
    if (this.#nextLock(0) >= 0) return false;
    this.#mapped = false;
    this.onMapped(false);
    return true;
  }

  noteMapping(address: number, length: number, pieced: boolean): void {
    // What is not mapped any more may be somebody else's by now.
    if (this.#nextLock(0) < 0) this.#ranges = [];
    const end = address + length;
    this.#ranges = this.#ranges.filter((range) => range.end <= address || range.start >= end);
    this.#ranges.push({ start: address, end, pieced });
  }

  /** How many mappings there are, an area each as Linux counts them. */
  get mappings(): number {
    return this.#nextLock(0) < 0 ? 0 : countAreas(this.#memfd, this.#ranges);
  }

  #nextLock(from: number): number {
    if (from >= LOCKS_EACH) return -1;
    const at = native.ofdTest(this.fd, this.#locks + from, LOCKS_EACH - from);
    return at < 0 ? -1 : at - this.#locks;
  }

  unpin(): void {
    if (--this.#memfd.pins === 0) this.#lastGone(this.#memfd);
  }
}
