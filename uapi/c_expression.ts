/**
 * Constants as C writes them: the source's own expression if C computes the same from it, with the suffixes
 * that this takes; the number otherwise.
 */
import { binary, type CInteger, literal, Undefined, unary } from './c_integer.js';
import type { Uapi, UapiConstant } from './model.js';
import { isDeclaration, type SourceFile } from './sources.js';
import { bare, type Expression } from './syntax.js';
import { macroNamed } from './system_headers.js';

/** What C makes of an expression. */
interface Translation {
  readonly text: string;
  readonly integer: CInteger;
  /** The operator, where it binds less than a name does. */
  readonly operator?: string;
}

/**
 * Appended to literals, where the plain ones give another value than TypeScript's; `none` where nothing is
 * to be appended, as to the right of a shift.
 */
type Suffix = '' | 'U' | 'ULL' | 'none';

const MAX_INT = 2n ** 31n - 1n;

/** A number that no expression stands for. */
export function numeral(value: bigint): string {
  // C has no negative literals: that of the least is positive, and too large.
  if (value === -MAX_INT - 1n) return `(-${MAX_INT} - 1)`;
  if (value === -(2n ** 63n)) return `(${value + 1n}LL - 1)`;
  if (value < 0n) return value < -MAX_INT ? `(${value}LL)` : `(${value})`;
  const digits = value < 0x10000n ? String(value) : `0x${value.toString(16)}`;
  return value < 2n ** 32n ? digits : `${digits}ULL`;
}

/** A character of one byte, as the type of an ioctl is: `'b'`, or `0xba`. */
export function character(code: number): string {
  const char = String.fromCharCode(code);
  if (char === "'" || char === '\\') return `'\\${char}'`;
  return code >= 0x20 && code < 0x7f ? `'${char}'` : `0x${code.toString(16).padStart(2, '0')}`;
}

/** A string literal of C, in UTF-8. */
export function stringLiteral(text: string): string {
  const bytes = [...new TextEncoder().encode(text)].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    // Three digits: what follows is no part of it.
    const isPlain = byte >= 0x20 && byte < 0x7f;
    return isPlain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  });
  // No trigraphs, which standard C still has.
  return `"${bytes.join('').replaceAll('??', '?\\?')}"`;
}

export class CExpressions {
  /** Headers that have the macros which were named. */
  readonly headers = new Set<string>();
  readonly #uapi: Uapi;
  readonly #constants: ReadonlyMap<string, UapiConstant>;
  readonly #typed = new Map<string, CInteger>();

  constructor(uapi: Uapi) {
    this.#uapi = uapi;
    const constants = uapi.items.filter((item) => item.kind === 'constant');
    this.#constants = new Map(constants.map((item) => [item.name, item]));
  }

  /** What stands behind `#define NAME`. */
  definition(item: UapiConstant): string {
    const { value } = item;
    if (typeof value === 'string' && (value.length !== 1 || value > '\xff')) {
      return stringLiteral(value);
    }
    const declared = this.#uapi.declaration(item);
    const number = typeof value === 'string' ? BigInt(value.charCodeAt(0)) : BigInt(value);
    const made = declared?.value && this.#translate(declared.file, declared.value, number);
    if (made) {
      this.#typed.set(item.name, made.integer);
      return made.operator === undefined ? made.text : `(${made.text})`;
    }
    return typeof value === 'string' ? character(Number(number)) : numeral(number);
  }

  /** An expression of the source whose value is known; undefined if C would compute another from it. */
  expression(file: SourceFile, node: Expression, value: bigint): string | undefined {
    return this.#translate(file, node, value)?.text;
  }

  #translate(file: SourceFile, node: Expression, value: bigint): Translation | undefined {
    for (const suffix of ['', 'U', 'ULL'] as const) {
      const headers = new Set<string>();
      try {
        const made = new Translator(suffix, headers, this).expression(file, node);
        if (made.integer.value !== value) continue;
        for (const header of headers) this.headers.add(header);
        return made;
      } catch (error) {
        if (!(error instanceof Undefined)) throw error;
      }
    }
    return undefined;
  }

  /** @internal What a name stands for: a macro of this header or of another, or an expression. */
  lookUp(
    file: SourceFile,
    name: string,
  ):
    | { macro: string; integer: CInteger; header?: string }
    | { file: SourceFile; value: Expression } {
    const found = this.#uapi.sources.resolve(file, name);
    const macro = found?.name ?? name;
    const constant = this.#constants.get(macro);
    if (constant && found && isDeclaration(found)) {
      return { macro, integer: this.#typed.get(macro) ?? integerOf(constant) };
    }
    const other = macroNamed(macro);
    if (other && found) {
      const { header, value } = other;
      return { macro, integer: literal(value), ...(header !== undefined && { header }) };
    }
    if (!found || !isDeclaration(found) || !found.value) throw new Undefined(name);
    return { file: found.file, value: found.value };
  }
}

function integerOf({ name, value }: UapiConstant): CInteger {
  if (typeof value === 'string' && value.length !== 1) throw new Undefined(name);
  const number = typeof value === 'string' ? BigInt(value.charCodeAt(0)) : BigInt(value);
  return number < 0n ? unary('-', literal(-number)) : literal(number);
}

/** One expression, with one suffix. */
class Translator {
  readonly #suffix: Suffix;
  readonly #headers: Set<string>;
  readonly #names: CExpressions;

  constructor(suffix: Suffix, headers: Set<string>, names: CExpressions) {
    this.#suffix = suffix;
    this.#headers = headers;
    this.#names = names;
  }

  expression(file: SourceFile, value: Expression, suffix: Suffix = this.#suffix): Translation {
    const node = bare(value);
    switch (node.type) {
      case 'NumericLiteral':
        return numericLiteral(file.text.slice(node.start ?? 0, node.end ?? 0), suffix);
      case 'BigIntLiteral':
        return numericLiteral(node.value, suffix === 'none' ? suffix : 'ULL');
      case 'StringLiteral':
        if (node.value.length !== 1 || node.value > '\xff') throw new Undefined(node.value);
        return characterLiteral(node.value);
      case 'Identifier':
        return this.#name(file, node.name, suffix);
      case 'UnaryExpression': {
        const operand = this.expression(file, node.argument, suffix);
        const text = `${node.operator}${enclosed(operand)}`;
        return { text, integer: unary(node.operator, operand.integer), operator: node.operator };
      }
      case 'BinaryExpression':
        if (node.left.type === 'PrivateName') throw new Undefined(node.type);
        return this.#binary(file, node.operator, node.left, node.right, suffix);
      default:
        throw new Undefined(node.type);
    }
  }

  #name(file: SourceFile, name: string, suffix: Suffix): Translation {
    const found = this.#names.lookUp(file, name);
    if (!('macro' in found)) return this.expression(found.file, found.value, suffix);
    if (found.header !== undefined) this.#headers.add(found.header);
    return { text: found.macro, integer: found.integer };
  }

  #binary(
    file: SourceFile,
    operator: string,
    left: Expression,
    right: Expression,
    suffix: Suffix,
  ): Translation {
    const isShift = /^(<<|>>>?)$/.test(operator);
    const a = this.expression(file, left, suffix);
    // `x >>> 0` says that x has no sign; C says so with a suffix.
    if (operator === '>>>' && isZero(right)) return a;
    const b = this.expression(file, right, isShift || operator === '**' ? 'none' : suffix);
    if (operator === '**') return power(a, b, suffix);
    const c = operator === '>>>' ? '>>' : operator;
    const integer = binary(c, a.integer, b.integer);
    const first = a.operator === c && /^[|&+*]$/.test(c) ? a.text : enclosed(a);
    return { text: `${first} ${c} ${enclosed(b)}`, integer, operator: c };
  }
}

function isZero(value: Expression): boolean {
  const node = bare(value);
  return node.type === 'NumericLiteral' && node.value === 0;
}

function enclosed({ text, operator }: Translation): string {
  return operator === undefined ? text : `(${text})`;
}

/** `2 ** n`, which C writes as a shift. */
function power(base: Translation, exponent: Translation, suffix: Suffix): Translation {
  if (base.integer.value !== 2n) throw new Undefined('**');
  const one = numericLiteral('1', base.text.endsWith('ULL') ? 'ULL' : suffix);
  const integer = binary('<<', one.integer, exponent.integer);
  return { text: `${one.text} << ${enclosed(exponent)}`, integer, operator: '<<' };
}

function characterLiteral(char: string): Translation {
  const code = char.charCodeAt(0);
  return { text: character(code), integer: literal(BigInt(code)) };
}

/** A literal of TypeScript in C's spelling: without separators, octal with a leading 0, no binary. */
function numericLiteral(raw: string, wanted: Suffix): Translation {
  const digits = raw.replaceAll('_', '');
  if (!/^(0x[0-9a-f]+|0[ob]\d+|\d+)$/i.test(digits)) throw new Undefined(raw);
  const value = BigInt(digits);
  const isDecimal = !/^0[xob]/i.test(digits);
  const least = value >= 2n ** 32n ? 'ULL' : isDecimal && value > MAX_INT ? 'U' : '';
  const suffix = least === 'ULL' || wanted === 'none' ? least : wanted || least;
  const spelt = /^0o/i.test(digits)
    ? `0${digits.slice(2)}`
    : /^0b/i.test(digits)
      ? `0x${value.toString(16)}`
      : digits;
  return { text: `${spelt}${suffix}`, integer: literal(value, { decimal: isDecimal, suffix }) };
}
