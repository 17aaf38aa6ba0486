/** Integers as C computes them, on machines whose int has 32 bits and whose long long has 64. */

/** A value with its type: int, unsigned int, long long or unsigned long long. */
export interface CInteger {
  readonly value: bigint;
  readonly bits: 32 | 64;
  readonly signed: boolean;
}

/** A result that C does not define, or an operator that it does not have. */
export class Undefined extends Error {}

function fits({ value, bits, signed }: CInteger): boolean {
  const top = 1n << BigInt(signed ? bits - 1 : bits);
  return value < top && value >= (signed ? -top : 0n);
}

/** The value in a type: unsigned wraps, signed must hold it. */
function convert(value: bigint, { bits, signed }: Omit<CInteger, 'value'>): CInteger {
  const result = { value: signed ? value : BigInt.asUintN(bits, value), bits, signed };
  if (!fits(result)) throw new Undefined(`${value} overflows`);
  return result;
}

const INT = { bits: 32, signed: true } as const;
const UNSIGNED = { bits: 32, signed: false } as const;
const LONG = { bits: 64, signed: true } as const;
const UNSIGNED_LONG = { bits: 64, signed: false } as const;

/** A literal: the first type that holds it, of those that its base and suffix allow. */
export function literal(value: bigint, { decimal = false, suffix = '' } = {}): CInteger {
  const types = [INT, UNSIGNED, LONG, UNSIGNED_LONG].filter(({ bits, signed }) => {
    if (suffix.includes('LL') && bits === 32) return false;
    return suffix.startsWith('U') ? !signed : !decimal || signed;
  });
  const type = types.find((one) => fits({ value, ...one }));
  if (!type) throw new Undefined(`${value} has no type`);
  return { value, ...type };
}

/** The type that two operands meet in. */
function common(a: CInteger, b: CInteger): Omit<CInteger, 'value'> {
  if (a.bits === b.bits) return { bits: a.bits, signed: a.signed && b.signed };
  return a.bits > b.bits ? a : b;
}

export function unary(operator: string, operand: CInteger): CInteger {
  if (operator === '-') return convert(-operand.value, operand);
  if (operator === '~') return convert(~operand.value, operand);
  if (operator === '+') return operand;
  throw new Undefined(operator);
}

function shift(operator: string, left: CInteger, { value: by }: CInteger): CInteger {
  if (by < 0n || by >= BigInt(left.bits) || left.value < 0n) throw new Undefined('shift');
  return convert(operator === '<<' ? left.value << by : left.value >> by, left);
}

const OPERATORS: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '|': (a, b) => a | b,
  '&': (a, b) => a & b,
  '^': (a, b) => a ^ b,
};

export function binary(operator: string, left: CInteger, right: CInteger): CInteger {
  if (operator === '<<' || operator === '>>') return shift(operator, left, right);
  const compute = OPERATORS[operator];
  if (!compute || (/[/%]/.test(operator) && right.value === 0n)) throw new Undefined(operator);
  const type = common(left, right);
  return convert(compute(convert(left.value, type).value, convert(right.value, type).value), type);
}
