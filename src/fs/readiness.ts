/**
 * Who says whether a file is ready: the machine's kernel by itself, wherever what stands behind the file can tell
 * (`Backing.tells`); otherwise we, to calls that name the file.
 */
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../ioctl/index.js';
import type { KernelCore } from '../core.js';
import { PerKernel } from '../per_kernel.js';
import type { File } from './file.js';

/** Whatever poll(2) can say. */
const ANYTHING = 0x7fff;
/** What the machine says of memory, always. */
const MEMORY = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

/** All that poll(2) can ever say of a file. */
export function pollMaskOf({ f_op }: File): number {
  return f_op.pollMask ?? ANYTHING;
}

/** Whether the machine says of a file all that there is to be said. */
export function isNative(file: File): boolean {
  const { tells } = file.backing;
  return !file.f_op.poll || (tells !== undefined && (pollMaskOf(file) & ~tells) === 0);
}

/** What the machine says of a file now, if that can be known without asking. */
export function machineSays({ backing }: File): number | undefined {
  return backing.tells === undefined ? MEMORY : undefined;
}

/** What the machine may say of a file, and the file never does. */
function untrueOf(file: File): number {
  return file.f_op.poll ? (file.backing.tells ?? MEMORY) & ~pollMaskOf(file) : 0;
}

/** The open files of a kernel that the machine may say something else of than they do. */
class Readiness {
  /** Those that may not be ready, or for what the machine knows nothing of, and that may be at any number. */
  readonly #busy = new Set<File>();
  /** The same, of which all descriptors that we know of are from HIGH_FDS on. */
  readonly #high = new Set<File>();
  /** How often the machine says what is not true, of a file that is open. */
  readonly #untrue = new Map<number, number>();

  add(file: File): void {
    if (!isNative(file)) (file.f_op.passedAround ? this.#busy : this.#high).add(file);
    const untrue = untrueOf(file);
    if (untrue !== 0) this.#untrue.set(untrue, (this.#untrue.get(untrue) ?? 0) + 1);
  }

  delete(file: File): void {
    this.#busy.delete(file);
    this.#high.delete(file);
    const untrue = untrueOf(file);
    if (untrue === 0) return;
    const count = (this.#untrue.get(untrue) ?? 0) - 1;
    if (count > 0) this.#untrue.set(untrue, count);
    else this.#untrue.delete(untrue);
  }

  /** A file that was ready for all may not be any more. */
  mayHaveChanged(file: File): void {
    this.#busy.add(file);
  }

  /** Whether a file's descriptors get numbers from HIGH_FDS on: calls that wait for them are known by these. */
  isHigh(file: File): boolean {
    return this.#high.has(file);
  }

  /** It has a descriptor below HIGH_FDS. */
  isAnywhere(file: File): void {
    if (this.#high.delete(file)) this.#busy.add(file);
  }

  get anyHigh(): boolean {
    return this.#high.size > 0;
  }

  /** Whether there is a file, at any number, that calls which name it are to be looked at for, whatever they ask. */
  get anyBusy(): boolean {
    for (const file of this.#busy) {
      if (file.f_op.pollSources?.(file).length === 0) this.#busy.delete(file);
    }
    return this.#busy.size > 0;
  }

  /** What a call has to ask for to be looked at even if no file is busy: poll(2) events. */
  get untrue(): number {
    let all = 0;
    for (const events of this.#untrue.keys()) all |= events;
    return all;
  }

  /** Whether the machine's answer may be another than the file's, to who asks for these events. */
  mayDiffer(file: File, events: number): boolean {
    if (!file.f_op.poll) return false;
    return this.#busy.has(file) || this.#high.has(file) || (events & untrueOf(file)) !== 0;
  }
}

const readiness = new PerKernel<KernelCore, Readiness>(() => new Readiness());

export function readinessOf(kernel: KernelCore): Readiness {
  return readiness.of(kernel);
}
