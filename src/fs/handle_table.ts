/** Handles: the numbers by which programs name what an open file of a device has. Linux: lib/idr.c. */

import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { File } from './file.js';

declare module '../observe/observer.js' {
  interface Observer {
    /** A handle of an open file was made: `kind` says of what, such as `attachment`. */
    handleMade?(file: File, kind: string, handle: number): void;
    handleGone?(file: File, kind: string, handle: number): void;
  }
}

/** An open file as a kit for drivers shows it. */
interface ShownFile {
  readonly kernel: KernelCore;
}

const files = new WeakMap<ShownFile, File>();

/** @internal Tells of which file an open file of a device is. */
export function noteFile(shown: ShownFile, file: File): void {
  files.set(shown, file);
}

/**
 * The handles of one kind that an open file has, from 1 on; 0 is none. As an idr that is filled by
 * idr_alloc_cyclic(): a number that was given back is not used again until all others were.
 */
export class HandleTable<T> {
  readonly #file: File;
  /** What they are of, such as `attachment`: those who observe are told. */
  readonly kind: string;
  readonly #values = new Map<number, T>();
  #next = 1;

  /** `file`: of a driver's, or of a {@link defineDevice}'s handler or `open`. */
  constructor(file: File | ShownFile, kind: string) {
    this.#file = file instanceof File ? file : (files.get(file) as File);
    this.kind = kind;
  }

  get size(): number {
    return this.#values.size;
  }

  /** A new handle. `make` is given its number; what it throws leaves nothing behind. ENOSPC. */
  alloc(make: T | ((handle: number) => T)): number {
    if (this.#values.size >= LAST) throw errno('ENOSPC');
    while (this.#values.has(this.#next)) this.#next = after(this.#next);
    const handle = this.#next;
    const value = typeof make === 'function' ? (make as (handle: number) => T)(handle) : make;
    this.#values.set(handle, value);
    this.#next = after(handle);
    const { observers } = this.#file.kernel;
    if (observers.active) observers.tell('handleMade', this.#file, this.kind, handle);
    return handle;
  }

  /** ENOENT */
  find(handle: number): T {
    const value = this.#values.get(handle);
    if (value === undefined) throw errno('ENOENT');
    return value;
  }

  /** What it was of, which is the caller's to let go of. ENOENT */
  remove(handle: number): T {
    const value = this.find(handle);
    this.#values.delete(handle);
    const { observers } = this.#file.kernel;
    if (observers.active) observers.tell('handleGone', this.#file, this.kind, handle);
    return value;
  }

  /** Removes all, in the order in which they were made, and gives what they were of. */
  clear(): T[] {
    return [...this.#values.keys()].map((handle) => this.remove(handle));
  }

  *[Symbol.iterator](): Iterator<[handle: number, value: T]> {
    yield* this.#values;
  }
}

/** INT_MAX, as an idr has it. */
const LAST = 0x7fffffff;

function after(handle: number): number {
  return handle === LAST ? 1 : handle + 1;
}
