import { errno } from '../errno.js';

/** How much memory the kernel has to give, and how much of it is given. In bytes. */
export class PageAllocator {
  readonly size: number;
  readonly #reclaim: () => void;
  #used = 0;

  /** `reclaim` frees what nobody has any more; it is called before an allocation fails. */
  constructor(size: number, reclaim: () => void) {
    this.size = size;
    this.#reclaim = reclaim;
  }

  get used(): number {
    return this.#used;
  }

  /** ENOMEM when there is not that much left. */
  allocate(bytes: number): void {
    if (bytes > this.size - this.#used) this.#reclaim();
    if (bytes > this.size - this.#used) throw errno('ENOMEM');
    this.#used += bytes;
  }

  free(bytes: number): void {
    this.#used -= bytes;
  }
}
