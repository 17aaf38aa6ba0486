import { ErrnoError, errno, orThrow } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Shmem } from '../mm/shmem.js';
import { native } from '../native.js';
import { KERN_ERR } from '../printk.js';

const IN_CLOSE = 0x18;
const IN_NONBLOCK = 0o4000;
/** sizeof(struct inotify_event) without a name, and inodes watched by themselves have none. */
const EVENT_SIZE = 16;

/**
 * Milliseconds after which a description that seemed to be alive still when its close was reported is
 * looked at again: the kernel reports first, and drops the description's locks a moment later.
 */
const LOOK_AGAIN = [1, 5, 25, 125];

interface Watched {
  memory: Shmem;
  released: () => void;
}

/**
 * Tells when the last descriptor and the last mapping of a memory are gone, in any process. inotify
 * reports that some description was closed; the memory's locks say whether it was the last.
 */
export class ReleaseWatch {
  readonly fd: number;
  readonly #watched = new Map<number, Set<Watched>>();
  readonly #events = new Uint8Array(EVENT_SIZE * 256);
  readonly #view = new DataView(this.#events.buffer);
  readonly #late = new Map<number, NodeJS.Timeout>();

  constructor() {
    this.fd = orThrow(native.inotifyInit(IN_NONBLOCK));
  }

  get size(): number {
    return this.#watched.size;
  }

  /** `released` is called once. ENOSPC when the user's inotify watches are used up. */
  add(memory: Shmem, released: () => void): void {
    const wd = orThrow(native.inotifyAddWatch(this.fd, `/proc/self/fd/${memory.fd}`, IN_CLOSE));
    const watched = this.#watched.get(wd);
    if (watched) watched.add({ memory, released });
    else this.#watched.set(wd, new Set([{ memory, released }]));
  }

  /** Handles what has been reported so far. */
  drain(): void {
    for (;;) {
      const n = native.read(this.fd, this.#events);
      for (let at = 0; at < n; at += EVENT_SIZE) {
        const mask = this.#view.getUint32(at + 4, true);
        if (mask & IN_CLOSE) this.#check(this.#view.getInt32(at, true), 0);
      }
      if (n < this.#events.length) break;
    }
    for (const wd of [...this.#late.keys()]) this.#check(wd, 0);
  }

  #check(wd: number, attempt: number): void {
    const all = this.#watched.get(wd);
    if (!all) return;
    clearTimeout(this.#late.get(wd));
    this.#late.delete(wd);
    for (const watched of all) {
      if (watched.memory.inUse) continue;
      all.delete(watched);
      if (all.size === 0) {
        this.#watched.delete(wd);
        // The watch of a memory of ours ends when that is closed, which is what happens next.
        if (watched.memory.foreign) native.inotifyRmWatch(this.fd, wd);
      }
      watched.released();
    }
    if (all.size > 0 && attempt < LOOK_AGAIN.length) {
      const timer = setTimeout(() => this.#check(wd, attempt + 1), LOOK_AGAIN[attempt]);
      this.#late.set(wd, timer.unref());
    }
  }

  close(): void {
    for (const timer of this.#late.values()) clearTimeout(timer);
    this.#watched.clear();
    native.close(this.fd);
  }
}

/** A memory, and whether any program holds it. */
export class HeldMemory {
  readonly memory: Shmem;
  readonly #kernel: Kernel;
  readonly #changed: (held: boolean) => void;
  #held = false;

  /** `changed` is called with true when the first program gets hold of it, with false after the last. */
  constructor(kernel: Kernel, memory: Shmem, changed: (held: boolean) => void) {
    this.#kernel = kernel;
    this.memory = memory;
    this.#changed = changed;
  }

  get held(): boolean {
    return this.#held;
  }

  /** The kernel's own descriptor. */
  get fd(): number {
    return this.memory.fd;
  }

  /**
   * A descriptor for a program, of this process for now and close-on-exec. Whoever gets it holds the
   * memory until it, and all that was duplicated from and mapped through it, is gone. ENOMEM.
   */
  open(flags: number): number {
    if (!this.#held) {
      this.#watch();
      this.#held = true;
      this.#changed(true);
    }
    return this.memory.open(flags);
  }

  #watch(): void {
    try {
      this.#kernel.releases.add(this.memory, () => {
        this.#held = false;
        this.#changed(false);
      });
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.#kernel.printk(
        KERN_ERR,
        `dmabuf-shim: cannot watch another buffer (${error.code}): raise fs.inotify.max_user_watches`,
      );
      throw errno('ENOMEM');
    }
  }
}
