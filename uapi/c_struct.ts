/** Structs and unions as C declares them. */
import type { CType, Field, StructType } from '../ioctl/index.js';
import type { CExpressions } from './c_expression.js';
import { Alignment } from './c_layout.js';
import { InputError } from './input_error.js';
import type { Uapi } from './model.js';
import { elementOf, isArray, isStruct, isUnnamed } from './types.js';

const KEYWORDS = new Set(
  `auto break case char const continue default do double else enum extern float for goto if inline int long
  register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while`.split(
    /\s+/,
  ),
);

/** Words that C++ keeps for itself: a header with such a name is for C only. */
const CXX_KEYWORDS = new Set(
  `and and_eq asm bitand bitor bool catch class compl const_cast constexpr decltype delete dynamic_cast explicit
  export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
  reinterpret_cast static_assert static_cast template this thread_local throw true try typeid typename using
  virtual wchar_t xor xor_eq alignas alignof char16_t char32_t`.split(/\s+/),
);

/** Whether C takes a name; C++ may not. */
export function isCName(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name) && !KEYWORDS.has(name);
}

export function isCxxKeyword(name: string): boolean {
  return CXX_KEYWORDS.has(name);
}

/** Whether compilers have a macro of that name for the machine. */
export function isMacro(name: string): boolean {
  return /^(linux|unix|i386)$/.test(name);
}

/** A type as `sizeof` takes it: `struct job`, `__u32[4]`. */
export function typeName(type: CType): string {
  const element = elementOf(type);
  const name = element.kind === 'chars' || element.kind === 'cstring' ? 'char' : element.name;
  return (
    name +
    lengthsOf(type)
      .map((length) => `[${length ?? ''}]`)
      .join('')
  );
}

/** The lengths of an array, of an array of arrays, and so on; undefined for a flexible one. */
function lengthsOf(type: CType): (number | undefined)[] {
  if (type.kind === 'chars') return [type.size];
  if (type.kind === 'cstring') return [undefined];
  if (!isArray(type)) return [];
  const { element, size } = type;
  const own = type.kind === 'flexible' ? undefined : element.size === 0 ? 0 : size / element.size;
  return [own, ...lengthsOf(element)];
}

/** Whether `#pragma pack` has to say what `packed` cannot. */
function hasPragma({ pack }: StructType): boolean {
  return pack > 1 && pack < Number.POSITIVE_INFINITY;
}

/** Whether what holds for a struct's members may hold for those of one that is written within it. */
function packsAlike(outer: StructType, inner: StructType): boolean {
  if (hasPragma(inner)) return inner.pack === outer.pack;
  if (inner.pack === 1 || !hasPragma(outer)) return true;
  return inner.members.every(({ type }) => type.align <= outer.pack);
}

function attribute(list: readonly string[]): string {
  return list.length === 0 ? '' : ` __attribute__((${list.join(', ')}))`;
}

export class CStructs {
  readonly #uapi: Uapi;
  readonly #expressions: CExpressions;
  readonly #alignment: Alignment;

  constructor(uapi: Uapi, expressions: CExpressions) {
    this.#uapi = uapi;
    this.#expressions = expressions;
    this.#alignment = new Alignment((type) => uapi.isForeign(type));
    // All of them first: one may have to be aligned for the sake of another.
    for (const item of uapi.items) if (item.kind === 'struct') this.#alignment.add(item.type);
  }

  /**
   * The declaration, with its semicolon.
   * @throws InputError for what C has no way to say
   */
  declaration(type: StructType): string {
    const declared = `${this.#body(type, type.tag, '')};\n`;
    if (!hasPragma(type)) return declared;
    return `#pragma pack(push, ${type.pack})\n${declared}#pragma pack(pop)\n`;
  }

  #body(type: StructType, path: string, indent: string): string {
    this.#check(type, path);
    const head = `${type.kind} ${type.tag}`.trimEnd();
    const members = type.members.map((member) => this.#member(type, member, path, `${indent}\t`));
    const attributes = [
      ...(type.pack === 1 ? ['packed'] : []),
      ...(type.aligned > 1 ? [`aligned(${type.aligned})`] : []),
    ];
    return `${head} {\n${members.join('')}${indent}}${attribute(attributes)}`;
  }

  #member(type: StructType, member: Field, path: string, indent: string): string {
    const { name, cName = name } = member;
    const element = elementOf(member.type);
    const where = name === '' ? path : `${path}.${name}`;
    const base = isUnnamed(element)
      ? this.#body(element, where, indent)
      : this.#baseName(type, member);
    const declarator = name === '' ? '' : ` ${cName}${this.#brackets(type, member)}`;
    return `${indent}${base}${declarator}${this.#attribute(type, member)};\n`;
  }

  #baseName(type: StructType, member: Field): string {
    const element = elementOf(member.type);
    return this.#isAligned64(type, member)
      ? '__aligned_u64'
      : typeName(element).replace(/\[.*/, '');
  }

  /** Whether a member is one that Linux has a name for. */
  #isAligned64(type: StructType, { type: of, align }: Field): boolean {
    const asks = this.#alignment.has(type) || (align === 8 && type.pack >= 8);
    return asks && (align ?? 8) === 8 && elementOf(of).name === '__u64';
  }

  /** Linux has no name of old for an aligned __s64, and somebody else's struct is as it is. */
  #attribute(type: StructType, member: Field): string {
    if (this.#isAligned64(type, member)) return '';
    const { type: of, align = 1 } = member;
    const element = elementOf(of);
    const asks = this.#alignment.has(type) && element.align === 8;
    const foreign = isStruct(element) && this.#uapi.isForeign(element);
    const n = Math.max(align, asks && (element.name === '__s64' || foreign) ? 8 : 1);
    return attribute(n > 1 ? [`aligned(${n})`] : []);
  }

  /** `[2][NAME_LEN]`: with the names that the source uses. */
  #brackets(type: StructType, { name, type: fieldType }: Field): string {
    const numbers = lengthsOf(fieldType);
    const known = numbers.filter((number) => number !== undefined);
    const written = this.#uapi.fields.lengths(type, name);
    // An array that a function made shows less in the source than it has.
    const sources = written.length === known.length ? written : [];
    return numbers
      .map((number) => {
        if (number === undefined) return '[]';
        const source = sources.shift();
        const { file, value } = source ?? {};
        const text = file && value && this.#expressions.expression(file, value, BigInt(number));
        return `[${text ?? number}]`;
      })
      .join('');
  }

  #check(type: StructType, path: string): void {
    const refuse = (why: string): never => {
      const item = this.#uapi.items.find(
        (one) => one.kind === 'struct' && one.type.tag === path.split('.')[0],
      );
      const place = item && this.#uapi.place(item);
      const at = place ? `${place.file}:${place.line}: ` : '';
      throw new InputError(`${at}${type.kind} ${path} ${why}`);
    };
    if (type.tag !== '' && !isCName(type.tag)) refuse('has a name that C does not take');
    if (type.members.length === 0) refuse('has no members: C has no empty struct');
    for (const { name: key, cName: name = key, type: member } of type.members) {
      if (name !== '' && !isCName(name)) refuse(`has a member "${name}": C takes no such name`);
      const inner = elementOf(member);
      if (isUnnamed(inner) && !packsAlike(type, inner))
        refuse(`has a struct without a tag, ${name}, with another \`pack\`: give it a tag`);
      if (member.kind !== 'flexible' && member.kind !== 'cstring') continue;
      if (type.kind === 'union') refuse(`has a flexible array, ${name}: C allows none in a union`);
      if (type.members.length === 1)
        refuse(`has nothing but a flexible array, ${name}: C wants a member before it`);
    }
  }
}
