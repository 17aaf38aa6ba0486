/** From clang's types to the types that the definitions have. */
import {
  alignmentOf,
  commentOf,
  type Declarations,
  type EnumNode,
  type FieldNode,
  hasAttribute,
  type RecordNode,
} from './ast.js';
import { docOf, fieldDocs } from './comments.js';
import { type Member, Refusal, type ScalarName, type Struct, type Type } from './model.js';

/** C's own types on 64-bit Linux; `long` is the one that 32 bits have otherwise. */
const BUILTIN: Readonly<Record<string, Type>> = {
  ...scalars('u8', 'unsigned char'),
  ...scalars('s8', 'signed char'),
  ...scalars('u16', 'unsigned short'),
  ...scalars('s16', 'short'),
  ...scalars('u32', 'unsigned int'),
  ...scalars('s32', 'int'),
  ...scalars('u64', 'unsigned long long'),
  ...scalars('s64', 'long long'),
  ...scalars('u64', 'unsigned long', 'unsigned long'),
  ...scalars('s64', 'long', 'long'),
  ...scalars('u8', '_Bool', 'bool: 0 or 1'),
  // Some headers leave it to their users to include <stddef.h>.
  ...scalars('u64', 'size_t', 'size_t'),
  char: { kind: 'char' },
};

function scalars(name: ScalarName, c: string, remark?: string): Record<string, Type> {
  return { [c]: { kind: 'scalar', name, ...(remark && { remark }) } };
}

const UNSUPPORTED: Readonly<Record<string, string>> = {
  float: 'floating point',
  double: 'floating point',
  'long double': 'floating point',
  _Float16: 'floating point',
  __int128: 'a 128-bit integer',
  'unsigned __int128': 'a 128-bit integer',
  void: 'void',
};

/** Types of a source, resolved when they are asked for, each once. */
export class Types {
  readonly #declared: Declarations;
  readonly #packs: ReadonlyMap<RecordNode, number>;
  readonly #records = new Map<RecordNode, Struct | Refusal>();
  /** What holds for the struct that is being converted, and so for those without a name within it. */
  #pack: number | undefined;

  /** @param packs what `#pragma pack` comes to, for the structs with names that are under one */
  constructor(declared: Declarations, packs: ReadonlyMap<RecordNode, number> = new Map()) {
    this.#declared = declared;
    this.#packs = packs;
  }

  /** A struct with a name. @throws Refusal */
  struct(node: RecordNode, name: string, c: string): Struct {
    const known = this.#records.get(node) ?? this.#define(node, name, c);
    if (known instanceof Refusal) throw known;
    return known;
  }

  #define(node: RecordNode, name: string, c: string): Struct | Refusal {
    let made: Struct | Refusal;
    try {
      made = this.#convert(node, name, c);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      made = error;
    }
    this.#records.set(node, made);
    return made;
  }

  #convert(node: RecordNode, name: string, c: string): Struct {
    const { file, line, endLine, comment } = node;
    const { doc, fields } = fieldDocs(docOf(comment, file));
    const packed = hasAttribute(node.node, 'PackedAttr');
    const align = alignmentOf(node.node);
    const pack = hasPragma(node) ? (this.#packs.get(node) ?? this.#pack) : undefined;
    const outer = this.#pack;
    this.#pack = pack;
    try {
      const members = node.fields.map((field, i) => {
        const last = i === node.fields.length - 1 || node.node.tagUsed === 'union';
        return this.#member(field, { last, isPacked: packed || pack !== undefined }, fields);
      });
      const kind = node.node.tagUsed === 'union' ? 'union' : 'struct';
      return { kind, name, c, file, line, endLine, packed, pack, align, members, doc };
    } finally {
      this.#pack = outer;
    }
  }

  #member(
    field: FieldNode,
    { last, isPacked }: { last: boolean; isPacked: boolean },
    docs: ReadonlyMap<string, string>,
  ): Member {
    const { node, file, line } = field;
    const name = node.name ?? '';
    if (node.isBitfield) throw new Refusal('bit-field', name);
    const type = this.type(node.type?.qualType ?? '', field.unnamed, name, last);
    const own = docOf(commentOf(node), file)?.replace(/^@\w+:\s*/, '');
    const align = alignmentOf(node) ?? (isPacked ? undefined : this.#aliasAlignment(node));
    return { name, type, align, file, line, doc: own ?? docs.get(name) };
  }

  /** What a typedef asks for, such as __aligned_u64; i386 would not align it so of itself. */
  #aliasAlignment({ type }: FieldNode['node']): number | undefined {
    const alias = this.#declared.typedefs.get(arrays(type?.qualType ?? '').base);
    return alias && alignmentOf(alias.node);
  }

  /**
   * The type that clang writes like this. `unnamed` is the type declared with it; `last` says that an array
   * without length may be what follows a struct.
   * @throws Refusal
   */
  type(
    text: string,
    unnamed: RecordNode | EnumNode | undefined,
    where: string,
    last = false,
  ): Type {
    const { base, lengths } = arrays(text);
    let type = this.#base(base, unnamed, where);
    if (lengths.length === 0) return type;
    for (const n of lengths.slice(1).reverse()) type = arrayOf(type, n);
    const [n = 0] = lengths;
    if (n > 0 || !last) return arrayOf(type, n);
    return type.kind === 'char' ? { kind: 'string' } : { kind: 'flexible', element: type };
  }

  #base(text: string, unnamed: RecordNode | EnumNode | undefined, where: string): Type {
    const base = text.replace(/\b(const|volatile|restrict|__restrict)\b\s*/g, '').trim();
    const inPlace = /\((anonymous|unnamed)\b[^)]*\)$/.test(base) || base === '';
    if (unnamed && inPlace) return this.#unnamed(unnamed, '', '');
    if (/\)\s*\(|\)\(|\(\^/.test(base.replace(/\((anonymous|unnamed)[^)]*\)/g, ''))) {
      throw new Refusal('pointer to a function', where);
    }
    if (base.endsWith('*') || /\(\*+\)/.test(base)) {
      return { kind: 'scalar', name: 'ptr', remark: inPlace ? 'a pointer' : text.trim() };
    }
    const inner = /^typeof\s*\((.*)\)$/.exec(base)?.[1];
    if (inner) return this.type(inner, undefined, where);
    const reason = UNSUPPORTED[base];
    if (reason) throw new Refusal(reason, where);
    return BUILTIN[base] ?? this.#declaredType(base, where);
  }

  #declaredType(base: string, where: string): Type {
    const record = this.#declared.records.get(base);
    if (record) return { kind: 'record', record: this.#nested(record, base) };
    const listed = this.#declared.enums.get(base);
    if (listed) return enumType(listed, base.slice('enum '.length));
    const alias = this.#declared.typedefs.get(base);
    if (alias?.unnamed) return this.#unnamed(alias.unnamed, base, base);
    if (!alias) {
      const isName = /^((struct|union|enum) )?\w+$/.test(base);
      const reason = isName ? 'a type that is not declared' : 'a type that there is not here';
      throw new Refusal(reason, `${where}: ${base}`);
    }
    const type = this.type(alias.node.type?.qualType ?? '', undefined, where);
    return withRemark(type, base);
  }

  /** @throws Refusal that says which struct it is that cannot be had. */
  #nested(record: RecordNode, c: string): Struct {
    try {
      return this.struct(record, c.replace(/^(struct|union) /, ''), c);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const inside = error.detail.startsWith('in ') ? error.detail : `in ${c}: ${error.detail}`;
      throw new Refusal(error.kind, inside);
    }
  }

  #unnamed(node: RecordNode | EnumNode, name: string, c: string): Type {
    if ('constants' in node) return enumType(node, name);
    if (name === '') return { kind: 'record', record: this.#convert(node, '', '') };
    return { kind: 'record', record: this.struct(node, name, c) };
  }
}

/** Whether a struct is under `#pragma pack`. */
export function hasPragma({ node }: RecordNode): boolean {
  return hasAttribute(node, 'MaxFieldAlignmentAttr');
}

/** `char[4][16]` taken apart: the element and the lengths; 0 where there is none. */
function arrays(text: string): { base: string; lengths: number[] } {
  const found = /^(.*?)((?:\[\d*\])+)$/s.exec(text);
  // `int (*)[4]` is a pointer.
  if (!found || /\(\*/.test(found[1] ?? '')) return { base: text, lengths: [] };
  const lengths = [...(found[2] ?? '').matchAll(/\[(\d*)\]/g)].map(([, n]) => Number(n || 0));
  return { base: found[1] ?? '', lengths };
}

function arrayOf(element: Type, n: number): Type {
  if (element.kind === 'char' && n > 0) return { kind: 'chars', n };
  return { kind: 'array', element, n };
}

function enumType({ constants }: EnumNode, tag: string): Type {
  const negative = constants.some(({ value }) => value < 0n);
  return { kind: 'enum', name: negative ? 's32' : 'u32', tag };
}

/** What a typedef tells that the type behind it does not. */
function withRemark(type: Type, name: string): Type {
  if (type.kind !== 'scalar') return type;
  if (/^__be(16|32|64)$/.test(name)) return { ...type, remark: `${name}: big-endian` };
  if (/^__le(16|32|64)$/.test(name)) return { ...type, remark: name };
  if (type.remark === 'long' || type.remark === 'unsigned long') return { ...type, remark: name };
  return type;
}
