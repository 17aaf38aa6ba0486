import { O_ACCMODE, O_RDONLY } from '../../ioctl/index.js';
import { Errno, orThrow } from '../errno.js';
import { native } from '../native.js';

/** Where the bytes are that descriptions lock, and how many each set of them has. */
const LOCKS = 2 ** 52;
const LOCKS_EACH = 2 ** 21;

/**
 * Open file descriptions of a memory that are told from all others of it by a lock each: an open file
 * description lock belongs to the description, which every duplicate of a descriptor, every fork, and every
 * mapping that was made through it share, and goes when the last of these does, in whatever process. So nothing
 * is counted, and nothing can be counted wrong.
 */
export class Descriptions {
  /** Sets of one memory, of other kernels even, must not take each other's bytes. */
  readonly #first = LOCKS + Math.floor(Math.random() * 2 ** 30) * LOCKS_EACH;
  readonly #memory: { readonly fd: number };
  #marked = 0;

  /** `memory.fd` is none of them. */
  constructor(memory: { readonly fd: number }) {
    this.#memory = memory;
  }

  /** Makes the description behind `fd`, which is new and has this access mode, one of them. ENOLCK. */
  mark(fd: number, flags: number): void {
    const exclusive = (flags & O_ACCMODE) !== O_RDONLY;
    for (;;) {
      const at = this.#first + (this.#marked++ % LOCKS_EACH);
      const locked = native.ofdLock(fd, at, exclusive);
      if (locked >= 0) return;
      if (locked !== -Errno.EAGAIN) orThrow(locked);
    }
  }

  /** Whether there is one still. */
  get any(): boolean {
    return native.ofdTest(this.#memory.fd, this.#first, LOCKS_EACH) >= 0;
  }

  /** Whether /proc/PID/fdinfo/N is that of a descriptor of one. */
  includes(fdinfo: string): boolean {
    for (const [, byte] of fdinfo.matchAll(/^lock:.* OFDLCK .* (\d+) \d+$/gm)) {
      const at = Number(byte) - this.#first;
      if (at >= 0 && at < LOCKS_EACH) return true;
    }
    return false;
  }
}
