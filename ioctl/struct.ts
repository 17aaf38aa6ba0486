/**
 * Structs and unions with the C ABI's layout, as typed views over bytes.
 *
 *     export const dma_heap_allocation_data = struct('dma_heap_allocation_data', {
 *       len: u64, fd: u32, fd_flags: u32, heap_flags: u64,
 *     });
 *     const data = dma_heap_allocation_data.create({ len: 8192n, fd_flags: O_RDWR });
 *     data.fd_flags |= O_CLOEXEC;   // data.bytes has changed
 */

import {
  bytesAt,
  type CType,
  CView,
  type FlexibleLength,
  type Init,
  type IoctlArg,
  inspect,
  type Plain,
  type Value,
} from './ctype.js';
import type { FlagTable } from './flags.js';

/** What a decoder and a header generator want to know of a field besides its type. */
export interface FieldInfo {
  /** Kernel-doc of the field: meaning, unit, direction. */
  readonly doc?: string;
  /** Names of its bits. */
  readonly flags?: FlagTable;
  /** `__counted_by(field)` of a flexible array: the field that has the number of its elements. */
  readonly countedBy?: string;
  /** `__attribute__((aligned(n)))` of the field: bytes, a power of two. */
  readonly align?: number;
  /** Its name in C, where that is one that every view has: `bytes_: field(u64, { cName: 'bytes' })`. */
  readonly cName?: string;
}

/** A type with information on the field that has it. */
export interface FieldSpec<T extends CType = CType> extends FieldInfo {
  readonly type: T;
}

/** A struct or union without name of its own within another: C counts its fields as the outer's. */
export interface Anonymous<T extends StructType = StructType> {
  readonly anonymous: T;
}

/** One field, placed. */
export interface Field extends FieldInfo {
  readonly name: string;
  readonly type: CType;
  /** Bytes from the start of the struct. */
  readonly offset: number;
}

/** What `struct` and `union` take, by name, in C's order. */
export type Members = Readonly<Record<string, CType | FieldSpec | Anonymous>>;

type Unwrapped<M> = M extends FieldSpec<infer T> ? T : M extends CType ? M : never;
type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void
  ? I
  : never;
type Flat<T> = { [K in keyof T]: T[K] };
type Inner<M> = M extends Anonymous<StructType<infer F>> ? F : never;

/** The type of each field: wrappers taken off, anonymous members' fields moved up. */
export type FieldsOf<M> = Flat<
  { [K in keyof M as M[K] extends Anonymous ? never : K]: Unwrapped<M[K]> } & (Inner<
    M[keyof M]
  > extends never
    ? unknown
    : Intersection<Inner<M[keyof M]>>)
>;

type Fields = Readonly<Record<string, CType>>;

/** A struct in memory: one property a field, each reading and writing the bytes themselves. */
export type StructView<F extends Fields = Fields> = IoctlArg & {
  /** A copy as a plain object; nested structs and arrays become objects and arrays. */
  toObject(): StructPlain<F>;
} & { -readonly [K in keyof F]: Value<F[K]> };

/** Initial values: another view of the same struct, or an object; missing fields are zero. */
export type StructInit<F extends Fields> = { readonly [K in keyof F]?: Init<F[K]> };

/** The plain copy of a struct. */
export type StructPlain<F extends Fields> = { -readonly [K in keyof F]: Plain<F[K]> };

/** A struct or union type. */
export interface StructType<F extends Fields = Fields>
  extends CType<StructView<F>, StructInit<F>, StructPlain<F>> {
  readonly kind: 'struct' | 'union';
  /** The tag, without the keyword; empty for an unnamed type. */
  readonly tag: string;
  /** All fields in C's order, those of anonymous members included. */
  readonly fields: readonly Field[];
  /** The members as they are declared: an anonymous one is not unfolded, and its name is empty. */
  readonly members: readonly Field[];
  /** `__attribute__((packed))`. */
  readonly packed: boolean;
  /** What no member is aligned to more than, unless it says so itself: 1 if packed; Infinity if nothing is said. */
  readonly pack: number;
  /** `__attribute__((aligned(n)))`; 1 if nothing is said. */
  readonly aligned: number;
  readonly doc: string | undefined;
  /** The class of the views, for `instanceof`. */
  readonly View: new (
    bytes: Uint8Array,
    offset?: number,
  ) => StructView<F>;
  view(bytes: Uint8Array, offset?: number): StructView<F>;
  /** @throws TypeError for a field that the struct does not have. */
  create(init?: StructInit<F>): StructView<F>;
}

/** Options of a struct or union. */
export interface StructOptions {
  /** Kernel-doc of the struct. */
  readonly doc?: string;
  /** `__attribute__((packed))`: no padding, alignment 1. */
  readonly packed?: boolean;
  /** `#pragma pack(n)`: no member is aligned to more than so many bytes. */
  readonly pack?: number;
  /** `__attribute__((aligned(n)))`: the struct is aligned to so many bytes at least, and fills them up. */
  readonly align?: number;
}

/** A type with information on its field: `field(u32, { doc: 'access', flags: SYNC_FLAGS })`. */
export function field<T extends CType>(type: T, info: FieldInfo): FieldSpec<T> {
  return { type, ...info };
}

/** A documented field: `doc(u64, 'size of the allocation in bytes')`. */
export function doc<T extends CType>(type: T, text: string): FieldSpec<T> {
  return { type, doc: text };
}

/** A member without name; the key that it stands under is not used. */
export function anonymous<T extends StructType>(type: T): Anonymous<T> {
  return { anonymous: type };
}

/** A struct by its tag; without one, as the type of a member. */
export function struct<M extends Members>(
  tag: string,
  members: M,
  options?: StructOptions,
): StructType<FieldsOf<M>>;
export function struct<M extends Members>(members: M): StructType<FieldsOf<M>>;
export function struct<M extends Members>(first: string | M, members?: M, options?: StructOptions) {
  return define('struct', first, members, options);
}

/** A union: all members at offset 0. `create` takes one of them. */
export function union<M extends Members>(
  tag: string,
  members: M,
  options?: StructOptions,
): StructType<FieldsOf<M>>;
export function union<M extends Members>(members: M): StructType<FieldsOf<M>>;
export function union<M extends Members>(first: string | M, members?: M, options?: StructOptions) {
  return define('union', first, members, options);
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** Properties that every view has; a C field of that name would hide them. */
export const VIEW_PROPERTIES: ReadonlySet<string> = new Set([
  'bytes',
  'toObject',
  'constructor',
  '__proto__',
]);

/** Where the members of a struct may lie. */
interface Packing {
  readonly pack: number;
  readonly aligned: number;
}

function packing(tag: string, { packed = false, pack, align = 1 }: StructOptions): Packing {
  if (packed && pack !== undefined) throw new TypeError(`${tag} is packed, and has a pack`);
  const found = { pack: packed ? 1 : (pack ?? Number.POSITIVE_INFINITY), aligned: align };
  for (const n of [pack ?? 1, align]) checkAlign(tag, n);
  return found;
}

function checkAlign(where: string, n: number): void {
  if (Number.isInteger(n) && n > 0 && Number.isInteger(Math.log2(n))) return;
  throw new RangeError(`${where}: an alignment of ${n}, which is no power of two`);
}

/**
 * The alignment of a member, in bytes: that of its type (`natural`), as far as the struct lets it be, or what it
 * says itself.
 */
export function memberAlign(
  natural: number,
  { align = 1 }: { readonly align?: number },
  { pack }: { readonly pack: number },
): number {
  return Math.max(Math.min(natural, pack), align);
}

/** Places the members by the ABI's rule: each at the next multiple of its alignment. */
function place(kind: 'struct' | 'union', tag: string, members: Members, packing: Packing) {
  const fields: Field[] = [];
  const placed: Field[] = [];
  let end = 0;
  let size = 0;
  let align = packing.aligned;
  for (const [name, member] of Object.entries(members)) {
    if (fields.some((before) => before.type.flexible) && kind === 'struct') {
      throw new TypeError(`${tag}.${name} follows a flexible member`);
    }
    const spec = 'anonymous' in member ? { type: member.anonymous } : specOf(member);
    const { type } = spec;
    checkAlign(`${tag}.${name}`, spec.align ?? 1);
    const own = memberAlign(type.align, spec, packing);
    const offset = kind === 'union' ? 0 : roundUp(end, own);
    end = offset + type.size;
    size = Math.max(size, end);
    align = Math.max(align, own);
    if ('anonymous' in member) {
      placed.push({ name: '', type, offset });
      for (const inner of member.anonymous.fields) {
        fields.push({ ...inner, offset: offset + inner.offset });
      }
    } else {
      const one = { ...spec, name, type, offset };
      fields.push(one);
      placed.push(one);
    }
  }
  for (const [i, { name }] of fields.entries()) {
    const twice = fields.findIndex((other) => other.name === name) !== i;
    if (twice) throw new TypeError(`${tag}.${name} is taken`);
    if (!VIEW_PROPERTIES.has(name)) continue;
    const remedy = `${name}_: field(…, { cName: '${name}' })`;
    throw new TypeError(`${tag}.${name} is taken: views have it; write ${remedy}`);
  }
  return { fields, placed, size: roundUp(size, align), align };
}

function specOf(member: CType | FieldSpec): FieldSpec {
  return 'type' in member ? member : { type: member };
}

function define(
  kind: 'struct' | 'union',
  first: string | Members,
  second: Members = {},
  options: StructOptions = {},
): StructType {
  const tag = typeof first === 'string' ? first : '';
  const members = typeof first === 'string' ? second : first;
  const stated = packing(tag || kind, options);
  const { fields, placed, size, align } = place(kind, tag || kind, members, stated);
  const byName = new Map(fields.map((f) => [f.name, f]));
  const flexible = flexibleTail(fields, size);

  class View extends CView {
    constructor(bytes: Uint8Array, offset = 0) {
      super(type, bytes, offset);
    }
    toObject() {
      return type.plain(view(this));
    }
    [inspect](_depth: number, options: object, print: (value: unknown, options: object) => string) {
      return `${tag || kind} ${print(this.toObject(), options)}`;
    }
  }
  // The accessors are defined below, by name: the compiler cannot see them.
  const view = (made: CView) => made as unknown as StructView;

  const type: StructType = {
    kind,
    tag,
    name: `${kind} ${tag}`.trimEnd(),
    size,
    align,
    fields,
    members: placed,
    packed: options.packed ?? false,
    ...stated,
    doc: options.doc,
    ...(flexible && { flexible }),
    View: View as unknown as StructType['View'],
    view: (bytes, offset = 0) => view(new View(bytes, offset)),
    create(init) {
      const bytes = new Uint8Array((init && flexible?.needs(init)) ?? size);
      if (init) type.store(new DataView(bytes.buffer), 0, init, type.tag);
      return type.view(bytes);
    },
    load: (memory, at) => type.view(bytesAt(memory, at, memory.byteLength - at)),
    store(memory, at, init, where) {
      if (init instanceof View) {
        bytesAt(memory, at, init.bytes.length).set(init.bytes);
        return;
      }
      const given = Object.entries(init).filter(([, value]) => value !== undefined);
      if (kind === 'union' && given.length > 1) {
        throw new TypeError(`${where}: a union holds one of ${given.map(([name]) => name)}`);
      }
      bytesAt(memory, at, size).fill(0);
      for (const [name, value] of given) {
        const f = byName.get(name);
        if (!f) throw new TypeError(`${type.name} has no field ${name}`);
        f.type.store(memory, at + f.offset, value, `${where}.${name}`);
      }
    },
    plain(value) {
      return Object.fromEntries(fields.map((f) => [f.name, f.type.plain(value[f.name])]));
    },
  };
  for (const f of fields) {
    CView.defineMember(View.prototype, f.name, f.type, f.offset, `${tag || kind}.${f.name}`);
  }
  return type;
}

/** The length of a struct whose last field is flexible; undefined for any other. */
function flexibleTail(
  fields: readonly Field[],
  size: number,
): FlexibleLength<StructInit<Fields>> | undefined {
  const tail = fields.at(-1);
  const inner = tail?.type.flexible;
  if (!tail || !inner) return undefined;
  return {
    covers: (available) => Math.max(size, tail.offset + inner.covers(available - tail.offset)),
    needs(init) {
      const value = init[tail.name];
      return value === undefined ? size : Math.max(size, tail.offset + inner.needs(value));
    },
  };
}

/** The size of a type in bytes; a flexible array counts 0. */
export function sizeof(type: { readonly size: number }): number {
  return type.size;
}

/** The alignment of a type in bytes. */
export function alignof(type: { readonly align: number }): number {
  return type.align;
}

/** The offset of a field in bytes from the start of its struct. */
export function offsetof<F extends Fields>(type: StructType<F>, name: keyof F & string): number {
  const found = type.fields.find((f) => f.name === name);
  if (!found) throw new TypeError(`${type.name} has no field ${name}`);
  return found.offset;
}
