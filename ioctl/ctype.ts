/**
 * C types as values: their size, their alignment, how to read and write them in memory.
 *
 * Little-endian 64-bit hosts only (x86-64, arm64): both lay out every type here alike. The kernel
 * asks of its ioctl structs that 32-bit programs see the same layout, so there is no third case.
 */

/** What can be passed as the argument of an ioctl: anything whose bytes can be handed over. */
export interface IoctlArg {
  /** The memory of the argument itself, no copy. */
  readonly bytes: Uint8Array;
}

/** Whether `value` can be passed as the argument of an ioctl. */
export function isIoctlArg(value: unknown): value is IoctlArg {
  return value instanceof Object && 'bytes' in value && value.bytes instanceof Uint8Array;
}

export type Kind =
  | 'integer'
  | 'pointer'
  | 'chars'
  | 'cstring'
  | 'array'
  | 'flexible'
  | 'struct'
  | 'union';

/**
 * A C type.
 * @typeParam V what reading gives: number, bigint, string, or a view of the same memory
 * @typeParam I what writing takes
 * @typeParam P the plain copy: views become objects and arrays
 */
export interface CType<V = unknown, I = V, P = V> {
  readonly kind: Kind;
  /** As C writes it: `__u32`, `struct dma_buf_sync`, `char[32]`. */
  readonly name: string;
  /** `sizeof`, in bytes; a flexible part counts 0. */
  readonly size: number;
  /** `_Alignof`, in bytes. */
  readonly align: number;
  /** Set if the real length follows from the memory (or from the initial value). */
  readonly flexible?: FlexibleLength<I>;
  /** Reads the value at byte `at`. */
  load(memory: DataView, at: number): V;
  /** Writes the value at byte `at`. `where` names the place in an error. */
  store(memory: DataView, at: number, value: I, where: string): void;
  /** A copy without views. */
  plain(value: V): P;
  /**
   * A view of memory that exists: it shares `bytes`, from `offset` on, whatever the alignment.
   * @throws RangeError if fewer than `size` bytes are there.
   */
  view(bytes: Uint8Array, offset?: number): IoctlArg;
  /** A view of fresh memory; what `init` does not mention is zero. */
  create(init?: I): IoctlArg;
}

/** How long a type with a flexible part is in a given case. */
export interface FlexibleLength<I> {
  /** The bytes that it covers when `available` bytes are there. */
  covers(available: number): number;
  /** The bytes that it takes to hold `init`. */
  needs(init: I): number;
}

/** What reading a field of type T gives. */
export type Value<T extends CType> = ReturnType<T['load']>;
/** What writing a field of type T takes. */
export type Init<T extends CType> = Parameters<T['store']>[2];
/** The plain copy of a field of type T. */
export type Plain<T extends CType> = ReturnType<T['plain']>;
/** The view that `T.view(bytes)` and `T.create()` give; undefined for an ioctl without argument. */
export type View<T extends CType | undefined> = T extends CType ? ReturnType<T['view']> : undefined;

/** What a view is made of: the type as far as the view has to know it. */
interface Layout {
  readonly name: string;
  readonly size: number;
  readonly flexible?: { covers(available: number): number };
}

/**
 * A C object in memory. Its subclasses, one a type, get their members from {@link defineMember}
 * once, so that access to a member is an accessor of the prototype and costs no lookup.
 */
export class CView implements IoctlArg {
  readonly bytes: Uint8Array;
  readonly #memory: DataView;
  #parts: Map<PropertyKey, unknown> | undefined;

  constructor(layout: Layout, bytes: Uint8Array, offset: number) {
    const available = bytes.length - offset;
    if (offset < 0 || available < layout.size) {
      throw new RangeError(`${layout.name} takes ${layout.size} bytes, ${available} are there`);
    }
    const size = layout.flexible?.covers(available) ?? layout.size;
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, size);
    this.#memory = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** Gives the views of a class the member `key`, of the given type, `at` bytes from the start. */
  static defineMember(view: CView, key: PropertyKey, type: CType, at: number, where: string): void {
    const get = isPart(type)
      ? function (this: CView): unknown {
          return CView.#part(this, key, type, at);
        }
      : function (this: CView): unknown {
          return type.load(this.#memory, at);
        };
    Object.defineProperty(view, key, {
      enumerable: true,
      get,
      set(this: CView, value: unknown) {
        type.store(this.#memory, at, value, where);
      },
    });
  }

  /** What a view has `at` bytes from its start: its `index`th element. */
  static element(view: CView, index: number, type: CType, at: number): unknown {
    return isPart(type) ? CView.#part(view, index, type, at) : type.load(view.#memory, at);
  }

  static setElement(view: CView, index: number, type: CType, at: number, value: unknown): void {
    type.store(view.#memory, at, value, `${type.name}[${index}]`);
  }

  /** A part is a view itself: made once, so that `view.part === view.part`, as an lvalue in C. */
  static #part(view: CView, key: PropertyKey, type: CType, at: number): unknown {
    view.#parts ??= new Map();
    let part = view.#parts.get(key);
    if (part === undefined) {
      part = type.load(view.#memory, at);
      view.#parts.set(key, part);
    }
    return part;
  }
}

function isPart({ kind }: CType): boolean {
  return kind === 'struct' || kind === 'union' || kind === 'array' || kind === 'flexible';
}

/** Where Node's `util.inspect` looks; by its registered name, so that nothing is imported. */
export const inspect = Symbol.for('nodejs.util.inspect.custom');

/** The bytes of one object within a larger memory. */
export function bytesAt(memory: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(memory.buffer, memory.byteOffset + at, size);
}

/** A view of a lone scalar or string: the argument of `_IOW('W', 1, __u32)`. */
export interface ScalarView<V> extends IoctlArg {
  value: V;
}

/** A type whose values are JavaScript primitives. */
export interface Scalar<V extends number | bigint | string = number | bigint | string>
  extends CType<V> {
  view(bytes: Uint8Array, offset?: number): ScalarView<V>;
  create(init?: V): ScalarView<V>;
}

type Access<V> = Pick<CType<V>, 'load' | 'store'>;
type Shape = Pick<Scalar, 'kind' | 'name' | 'size' | 'align'>;

function scalar<V extends number | bigint | string>(
  shape: Shape,
  access: Access<V>,
  flexible?: FlexibleLength<V>,
): Scalar<V> {
  class ScalarClass extends CView {
    declare value: V;
  }
  const type: Scalar<V> = {
    ...shape,
    ...access,
    ...(flexible && { flexible }),
    plain: (value) => value,
    view: (bytes, offset = 0) => new ScalarClass(type, bytes, offset),
    create(init) {
      const size = init === undefined ? undefined : flexible?.needs(init);
      const view = type.view(new Uint8Array(size ?? Math.max(type.size, flexible ? 1 : 0)));
      if (init !== undefined) view.value = init;
      return view;
    },
  };
  CView.defineMember(ScalarClass.prototype, 'value', type, 0, shape.name);
  return type;
}

function integer(
  name: string,
  size: number,
  [min, max]: readonly [number, number],
  load: (memory: DataView, at: number) => number,
  put: (memory: DataView, at: number, value: number) => void,
): Scalar<number> {
  return scalar<number>(
    { kind: 'integer', name, size, align: size },
    {
      load,
      store(memory, at, value, where) {
        if (!Number.isInteger(value) || value < min || value > max) {
          throw refused(where, value, 'number', `${name}: an integer from ${min} to ${max}`);
        }
        put(memory, at, value);
      },
    },
  );
}

function integer64(
  kind: 'integer' | 'pointer',
  name: string,
  [min, max]: readonly [bigint, bigint],
  load: (memory: DataView, at: number) => bigint,
  put: (memory: DataView, at: number, value: bigint) => void,
): Scalar<bigint> {
  return scalar<bigint>(
    { kind, name, size: 8, align: 8 },
    {
      load,
      store(memory, at, value, where) {
        if (typeof value !== 'bigint' || value < min || value > max) {
          throw refused(where, value, 'bigint', `${name}: a bigint from ${min}n to ${max}n`);
        }
        put(memory, at, value);
      },
    },
  );
}

function refused(where: string, value: unknown, expected: string, range: string): Error {
  const shown = typeof value === 'bigint' ? `${value}n` : String(value);
  const message = `${where}: ${shown} is not a ${range}`;
  return typeof value === expected ? new RangeError(message) : new TypeError(message);
}

/** `__u8`: 0 to 255. */
export const u8 = integer(
  '__u8',
  1,
  [0, 0xff],
  (m, at) => m.getUint8(at),
  (m, at, v) => m.setUint8(at, v),
);

/** `__s8`: −128 to 127. */
export const s8 = integer(
  '__s8',
  1,
  [-0x80, 0x7f],
  (m, at) => m.getInt8(at),
  (m, at, v) => m.setInt8(at, v),
);

/** `__u16`: 0 to 65,535. */
export const u16 = integer(
  '__u16',
  2,
  [0, 0xffff],
  (m, at) => m.getUint16(at, true),
  (m, at, v) => m.setUint16(at, v, true),
);

/** `__s16`: −32,768 to 32,767. */
export const s16 = integer(
  '__s16',
  2,
  [-0x8000, 0x7fff],
  (m, at) => m.getInt16(at, true),
  (m, at, v) => m.setInt16(at, v, true),
);

/** `__u32`: 0 to 2³² − 1. */
export const u32 = integer(
  '__u32',
  4,
  [0, 0xffffffff],
  (m, at) => m.getUint32(at, true),
  (m, at, v) => m.setUint32(at, v, true),
);

/** `__s32`: −2³¹ to 2³¹ − 1. */
export const s32 = integer(
  '__s32',
  4,
  [-0x80000000, 0x7fffffff],
  (m, at) => m.getInt32(at, true),
  (m, at, v) => m.setInt32(at, v, true),
);

const U64 = [0n, 2n ** 64n - 1n] as const;
const S64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;
const getU64 = (m: DataView, at: number) => m.getBigUint64(at, true);
const setU64 = (m: DataView, at: number, v: bigint) => m.setBigUint64(at, v, true);

/** `__u64`: a bigint from 0n to 2n ** 64n − 1n. */
export const u64 = integer64('integer', '__u64', U64, getU64, setU64);

/** `__s64`: a bigint from −(2n ** 63n) to 2n ** 63n − 1n. */
export const s64 = integer64(
  'integer',
  '__s64',
  S64,
  (m, at) => m.getBigInt64(at, true),
  (m, at, v) => m.setBigInt64(at, v, true),
);

/** An address of the program, carried in a `__u64` as ioctl structs do; 0n is NULL. */
export const ptr = integer64('pointer', '__u64', U64, getU64, setU64);

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder('utf-8', { ignoreBOM: true }) };

/**
 * `char[n]`: a NUL-terminated string of up to n − 1 bytes of UTF-8.
 * Reading stops at the first NUL (or at the end, if there is none). Writing fills the rest with
 * NULs and cuts off what does not fit, between characters, as `strscpy` with padding does.
 */
export function charArray(n: number): Scalar<string> {
  return scalar<string>(
    { kind: 'chars', name: `char[${n}]`, size: n, align: 1 },
    {
      load: (memory, at) => readString(bytesAt(memory, at, n)),
      store(memory, at, value) {
        const bytes = bytesAt(memory, at, n).fill(0);
        utf8.encoder.encodeInto(value, bytes.subarray(0, n - 1));
      },
    },
  );
}

/** A NUL-terminated string of any length, which an ioctl takes by its address (`const char *`). */
export const cstring: Scalar<string> = scalar<string>(
  { kind: 'cstring', name: 'char[]', size: 0, align: 1 },
  {
    load: (memory, at) => readString(bytesAt(memory, at, memory.byteLength - at)),
    store(memory, at, value) {
      const bytes = bytesAt(memory, at, memory.byteLength - at).fill(0);
      utf8.encoder.encodeInto(value, bytes.subarray(0, -1));
    },
  },
  { covers: (available) => available, needs: (init) => utf8.encoder.encode(init).length + 1 },
);

function readString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return utf8.decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
