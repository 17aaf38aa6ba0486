/** The definitions as they will be at run time, and what a C compiler has to agree to. */
import {
  anonymous,
  array,
  type CType,
  charArray,
  cstring,
  field,
  flexible,
  type Members,
  ptr,
  type StructOptions,
  type StructType,
  s8,
  s16,
  s32,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
  union,
  VIEW_PROPERTIES,
} from '../../ioctl/index.js';
import { isStruct } from '../types.js';
import { type Member, Refusal, type Struct, type Type } from './model.js';

const SCALAR_TYPES = { u8, s8, u16, s16, u32, s32, u64, s64, ptr };

/** The types of a header, each made once. */
export class Layouts {
  readonly #made = new Map<Struct, StructType>();

  /** @throws Refusal for what the definitions cannot say. */
  struct(from: Struct): StructType {
    const known = this.#made.get(from);
    if (known) return known;
    const members: Record<string, Members[string]> = {};
    let most = 1;
    for (const [i, member] of from.members.entries()) {
      const made = this.type(member.type);
      most = Math.max(most, made.align);
      const key = keyOf(from, i);
      if (member.name !== '') members[key] = field(made, infoOf(member, key));
      else if (isStruct(made)) members[key] = anonymous(made);
    }
    if (from.packed || (from.pack ?? most) >= most) from.pack = undefined;
    const define = from.kind === 'union' ? union : struct;
    try {
      const made = define(from.name, members, optionsOf(from));
      this.#made.set(from, made);
      return made;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      const taken = / is taken/.test(error.message);
      throw new Refusal(taken ? 'a name twice' : 'a flexible member inside', error.message);
    }
  }

  type(type: Type): CType {
    switch (type.kind) {
      case 'scalar':
      case 'enum':
        return SCALAR_TYPES[type.name];
      case 'char':
        return s8;
      case 'chars':
        return charArray(type.n);
      case 'string':
        return cstring;
      case 'array':
        return array(this.type(type.element), type.n);
      case 'flexible':
        return flexible(this.type(type.element));
      case 'record':
        return this.struct(type.record);
    }
  }
}

/** What a struct's members are called here: as in C, but for what every view has. */
export function keyOf({ members }: Struct, i: number): string {
  const name = members[i]?.name ?? '';
  // That of a member without a name is not used.
  if (name === '') return `_${i}`;
  let key = name;
  while (VIEW_PROPERTIES.has(key) || (key !== name && members.some((one) => one.name === key))) {
    key += '_';
  }
  return key;
}

/** What is to be said of a field besides its type. */
export function infoOf({ name, align }: Member, key: string): { align?: number; cName?: string } {
  return { ...(align && { align }), ...(key !== name && { cName: name }) };
}

/** What is to be said of a struct as a whole. */
export function optionsOf({ packed, pack, align }: Struct): StructOptions {
  const isPacked = packed || pack === 1;
  return {
    ...(isPacked ? { packed: true } : pack && { pack }),
    ...(align && { align }),
  };
}

/**
 * What has to be true in C for a struct to be laid out as `type` is: sizes, offsets, and the signs of
 * integers, down to the scalars of structs that are declared in place.
 * @param c what C calls it
 */
export function claims(c: string, type: StructType): string[] {
  const own = [`sizeof(${c}) == ${type.size}`, `_Alignof(${c}) == ${type.align}`];
  return [
    ...own,
    ...type.fields.flatMap((f) => fieldClaims(c, f.cName ?? f.name, f.type, f.offset)),
  ];
}

function fieldClaims(c: string, path: string, type: CType, offset: number): string[] {
  const lvalue = `((${c} *)0)->${path}`;
  const place = `__builtin_offsetof(${c}, ${path}) == ${offset}`;
  if (type.kind === 'flexible' || type.kind === 'cstring') return [place];
  return [place, `sizeof(${lvalue}) == ${type.size}`, ...kindClaims(c, path, type, offset)];
}

function kindClaims(c: string, path: string, type: CType, offset: number): string[] {
  const lvalue = `((${c} *)0)->${path}`;
  if (type.kind === 'integer') {
    const sign = type.name.startsWith('__s') ? '<' : '>';
    return [`(__typeof__(${lvalue}))-1 ${sign} 0`];
  }
  // 5 is what gcc and clang call pointers.
  if (type.kind === 'pointer') return [`__builtin_classify_type(${lvalue}) == 5`];
  if (type.kind === 'array' && type.size > 0 && 'element' in type) {
    return kindClaims(c, `${path}[0]`, type.element as CType, offset);
  }
  if (isStruct(type) && type.tag === '') {
    return type.fields.flatMap((f) =>
      fieldClaims(c, `${path}.${f.cName ?? f.name}`, f.type, offset + f.offset),
    );
  }
  return [];
}

/** The claims as one line of C. */
export function assertion(list: readonly string[], what: string): string {
  return `_Static_assert(${list.map((claim) => `(${claim})`).join(' && ')}, "${what}");`;
}
