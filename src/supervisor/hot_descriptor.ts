import { KCMP_FILE } from '../abi/constants.js';
import type { File } from '../fs/file.js';
import { native } from '../native.js';

/** Look-ups of the same descriptor in a row that make it worth while. */
const WORTH = 16;

/**
 * The descriptor that one thread uses over and over. While it does, we have a duplicate of it, and
 * kcmp(2), which compares open file descriptions, tells that the number still means the same file: in
 * half the time that a look-up in /proc takes. The duplicate keeps the file; so it is given up as soon as
 * there is any other call, or none, and before anybody is told what is alive.
 */
export class HotDescriptor {
  #tid = 0;
  #fd = -1;
  #uses = 0;
  #duplicate = -1;
  #file: File | undefined;

  /** Gives the duplicate up unless it is this descriptor's; false if it had to. */
  keepFor(tid: number, fd: number): boolean {
    if (this.#duplicate < 0 || (fd === this.#fd && tid === this.#tid)) return true;
    this.drop();
    return false;
  }

  /** The file of `tid`'s descriptor `fd`, if it is the one in use, and still is that. */
  get(tid: number, fd: number): File | undefined {
    if (this.#duplicate < 0) return undefined;
    if (native.kcmp(process.pid, tid, KCMP_FILE, this.#duplicate, fd) === 0) return this.#file;
    this.drop();
    return undefined;
  }

  /** Tells what a look-up found; `duplicate` makes a duplicate of the descriptor. */
  note(tid: number, fd: number, file: File, duplicate: () => number): void {
    if (fd !== this.#fd || tid !== this.#tid) {
      this.drop();
      this.#tid = tid;
      this.#fd = fd;
    } else if (++this.#uses === WORTH) {
      // Where this is not allowed it is not tried again.
      this.#duplicate = duplicate();
      this.#file = file;
    }
  }

  drop(): void {
    if (this.#duplicate >= 0) native.close(this.#duplicate);
    this.#duplicate = -1;
    this.#file = undefined;
    this.#fd = -1;
    this.#uses = 0;
  }
}
