/** Memory that programs made, and that the kernel maps into others: the memfds behind a udmabuf. */
import { MAP_SHARED, O_CLOEXEC, O_NONBLOCK, PROT_NONE } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import type { Inode } from '../host/descriptors.js';
import { Frames } from '../mm/frames.js';
import { PAGE_SIZE } from '../mm/page.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { type MappableMemory, mapAll, type Tracked } from './shmem.js';

const stat = new Float64Array(STAT_FIELDS);

/** A memfd of a program's, kept for as long as anything is pinned in it: one descriptor each. */
export class PinnedMemfd implements MappableMemory {
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
  /** As what it is mapped through buffers. */
  readonly tracked = new Set<Tracked>();
  vm_flags = 0;
  readonly givenAs = new Set<number>();
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
    // With O_NONBLOCK a lease of a program's makes it fail, and holds nobody up.
    return orThrow(native.reopen(this.fd, flags | O_NONBLOCK | O_CLOEXEC));
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
  readonly #memfds = new Map<number, PinnedMemfd>();

  /** Pins the memfd that `fd`, O_RDWR, is of; the descriptor is this object's from here on. */
  pin(fd: number): Pin {
    const memfd = new PinnedMemfd(fd);
    const known = this.#memfds.get(memfd.ino);
    if (known) memfd.close();
    else this.#memfds.set(memfd.ino, memfd);
    return new Pin(known ?? memfd, (last) => {
      this.#memfds.delete(last.ino);
      last.close();
    });
  }

  /** The memfd with this inode, if anything is pinned in it. */
  at({ dev, ino }: Inode): PinnedMemfd | undefined {
    const memfd = this.#memfds.get(ino);
    return memfd?.dev === dev ? memfd : undefined;
  }

  /** Whether any of them is mapped as a part of a buffer. */
  get anyMapped(): boolean {
    for (const { tracked } of this.#memfds.values()) if (tracked.size > 0) return true;
    return false;
  }

  /** The kernel ends. */
  close(): void {
    for (const memfd of this.#memfds.values()) memfd.close();
    this.#memfds.clear();
  }
}

/** A hold on a program's memfd: it stays, and does not change its size. */
export class Pin {
  /** The memfd, which several pins may be in. */
  readonly memory: PinnedMemfd;
  readonly #lastGone: (memfd: PinnedMemfd) => void;

  /** @internal Made by {@link Pins.pin}. */
  constructor(memfd: PinnedMemfd, lastGone: (memfd: PinnedMemfd) => void) {
    memfd.pins++;
    this.memory = memfd;
    this.#lastGone = lastGone;
  }

  unpin(): void {
    if (--this.memory.pins === 0) this.#lastGone(this.memory);
  }
}
