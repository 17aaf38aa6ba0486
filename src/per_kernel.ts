/** State of a subsystem that each kernel has one of. */

/** Whatever holds state: {@link KernelCore}. */
export interface StateHolder {
  /** @internal By {@link PerKernel}: what that keeps here. */
  readonly state: unknown[];
}

let slots = 0;

/**
 * What a subsystem keeps for each kernel, made when it is first asked for. The subsystem holds the key, so that nobody
 * else gets at the state, and the kernel holds the state, so that it ends with it.
 */
export class PerKernel<K extends StateHolder, T> {
  readonly #slot = slots++;
  readonly #make: (kernel: K) => T;

  constructor(make: (kernel: K) => T) {
    this.#make = make;
  }

  of(kernel: K): T {
    const known = kernel.state[this.#slot] as T | undefined;
    if (known !== undefined) return known;
    const made = this.#make(kernel);
    kernel.state[this.#slot] = made;
    return made;
  }
}
