/**
 * Definitions of ioctls. A header's file says each ioctl once, in a table:
 *
 *     export const dma_heap_ioctls = ioctls({
 *       DMA_HEAP_IOCTL_ALLOC: iowr('H', 0x0, dma_heap_allocation_data),
 *     });
 *     export const { DMA_HEAP_IOCTL_ALLOC } = requests(dma_heap_ioctls);
 *
 * The constants are what a program writes, plain numbers. The table is what decoders read and what
 * a driver's handlers are typed by; nothing looks an ioctl up by its number alone, because the same
 * number means different things to different files.
 */

import type { CType, IoctlArg, View } from './ctype.js';
import { _IOC, _IOC_NONE, _IOC_READ, _IOC_WRITE, type Sized } from './ioc.js';

declare const argument: unique symbol;

/**
 * A request number that knows, for the compiler only, the type of its argument. At run time it is
 * the number; it goes wherever a number goes.
 */
export type Request<A extends CType | undefined = CType | undefined> = number & {
  readonly [argument]: A;
};

/** What to pass with a request: the view of its type; for a bare number, anything that has bytes. */
export type ArgOf<R extends number> =
  R extends Request<infer A> ? View<A> : IoctlArg | number | bigint | undefined;

/** One ioctl. */
export interface IoctlDef<A extends CType | undefined = CType | undefined> {
  /** As in the header: `DMA_HEAP_IOCTL_ALLOC`. */
  readonly name: string;
  readonly request: Request<A>;
  /** `_IOC_NONE`, or a union of `_IOC_READ` and `_IOC_WRITE`. */
  readonly dir: number;
  /** What is really copied, where that is something else than `dir`. */
  readonly copy?: number | undefined;
  /** What the pointer points to; undefined if there is no argument. */
  readonly arg: A;
  /** Kernel-doc of the ioctl. */
  readonly doc: string | undefined;
  /**
   * The names of the errnos that its contract allows, such as `EINVAL`; undefined: it does not say. Chaos injects
   * those that a correct program may see; of the headers in this folder only these are listed, and the docs
   * say the others.
   */
  readonly errors: readonly string[] | undefined;
}

/** An ioctl whose name is still to come: the key that it gets in its table. */
export type IoctlSpec<A extends CType | undefined = CType | undefined> = Omit<IoctlDef<A>, 'name'>;

/** The ioctls of a header, by name. */
export type IoctlTable = Readonly<Record<string, IoctlDef>>;

/** What can be said of an ioctl besides its number and its argument. */
export interface IoctlOptions {
  doc?: string;
  /** Names of errnos, such as `EINVAL`. */
  errors?: readonly string[];
  /**
   * What is really copied, `_IOC_READ` and `_IOC_WRITE`, where the number says something else, as some of Linux's
   * do: `_IOC_WRITE` for WDIOC_SETOPTIONS, which is an `_IOR`.
   */
  copy?: number;
}

/** What makes an ioctl with an argument, of one direction. */
export interface IoctlMaker {
  <T extends CType>(type: string, nr: number, arg: T, options?: IoctlOptions): IoctlSpec<T>;
  /**
   * For a pointer to something else than what the number's size is taken from: `_IOW('b', 1, __u32)`
   * of DMA_BUF_SET_NAME_A takes a string.
   */
  <A extends CType>(
    type: string,
    nr: number,
    sized: Sized,
    options: IoctlOptions & { arg: A },
  ): IoctlSpec<A>;
  /**
   * For a plain number instead of a pointer: RTC_IRQP_SET is `_IOW('p', 12, unsigned long)`, and what is passed is
   * the rate itself.
   */
  (
    type: string,
    nr: number,
    sized: Sized,
    options: IoctlOptions & { arg: undefined },
  ): IoctlSpec<undefined>;
}

function maker(dir: number): IoctlMaker {
  const make = <T extends CType>(
    type: string,
    nr: number,
    sized: T,
    options: IoctlOptions & { arg?: T | undefined } = {},
  ) => ({
    request: _IOC(dir, type, nr, sized.size) as Request<T>,
    dir,
    copy: options.copy,
    arg: ('arg' in options ? options.arg : sized) as T,
    doc: options.doc,
    errors: options.errors,
  });
  return make as IoctlMaker;
}

/** `_IOR(type, nr, arg)`: the kernel fills the argument. */
export const ior = maker(_IOC_READ);

/** `_IOW(type, nr, arg)`: the kernel takes the argument. */
export const iow = maker(_IOC_WRITE);

/** `_IOWR(type, nr, arg)`: both. */
export const iowr = maker(_IOC_READ | _IOC_WRITE);

/** `_IO(type, nr)`: no argument. */
export function io(
  type: string,
  nr: number,
  { doc, errors }: IoctlOptions = {},
): IoctlSpec<undefined> {
  const request = _IOC(_IOC_NONE, type, nr, 0) as Request<undefined>;
  return { request, dir: _IOC_NONE, arg: undefined, doc, errors };
}

/** A table of ioctls: each gets its key as name. */
export function ioctls<T extends Readonly<Record<string, IoctlSpec>>>(
  specs: T,
): { readonly [K in keyof T]: IoctlDef<T[K]['arg']> } {
  const named = Object.entries(specs).map(([name, one]) => [name, { ...one, name }]);
  return Object.fromEntries(named);
}

/** The request numbers of a table, by name, to be exported as constants. */
export function requests<T extends IoctlTable>(
  table: T,
): { readonly [K in keyof T]: T[K]['request'] } {
  const numbers = Object.entries(table).map(([name, { request }]) => [name, request]);
  return Object.fromEntries(numbers);
}
