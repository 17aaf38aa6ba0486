/** What to inject, and into which calls: the syntax of `strace -e inject=`. */
import { systemCall } from '../abi/system_calls.js';
import { Errno } from '../errno.js';

/**
 * A fault to be injected, as strace(1) says it: `{ call: 'DMA_HEAP_IOCTL_ALLOC', error: 'ENOMEM', when: '3+2' }` is
 * `DMA_HEAP_IOCTL_ALLOC:error=ENOMEM:when=3+2`. One of `error`, `retval` and the delays is needed.
 */
export interface FaultRule {
  /** Names of ioctls, of whatever device, and of system calls. */
  call: string | readonly string[];
  /** The call fails with this errno, by name or number, and does nothing. */
  error?: string | number;
  /** The call gives this, not negative, and does nothing. */
  retval?: number;
  /** As `delay_enter`. */
  delay?: number | string;
  /** Before the call: microseconds, or a number with its unit: `'20ms'` (ns, us, ms, s). */
  delay_enter?: number | string;
  /** Between the call and its answer, in the same units. Not for open(2) and its kin, mmap and chdir. */
  delay_exit?: number | string;
  /**
   * Which calls, counted from 1 over the whole life of the rule, for each of its names by itself: `3`, `3+` (from
   * the third on), `3+2` (every second from the third on), `3..7`, `3..7+2`. All, if it is not given.
   */
  when?: number | string;
}

/** A rule that has been understood. */
export interface ParsedRule {
  readonly text: string;
  readonly names: readonly string[];
  /** What the call gives, if it is not made: a negative errno, or a value. */
  readonly result: number | undefined;
  /** Milliseconds. */
  readonly enter: number;
  readonly exit: number;
  /** Whether the nth call is one of them. */
  readonly when: (n: number) => boolean;
}

/** The greatest errno that a program may see: beyond are those that only the kernel itself uses. */
const LAST_ERRNO = 511;

type Option = readonly [key: string, value: string];

/** @throws RangeError, in one line, for what makes no sense. */
export function parseRule(rule: FaultRule | string): ParsedRule {
  const text = typeof rule === 'string' ? rule : formatRule(rule);
  const fail = (why: string): never => {
    throw new RangeError(`fault "${text}": ${why}`);
  };
  const [set = '', ...rest] = text.split(':');
  const names = set.split(',');
  if (names.some((name) => !/^\w+$/.test(name))) fail('it begins with the names of calls: A,B');
  const options = rest.map((option): Option => {
    const at = option.indexOf('=');
    return at < 0 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)];
  });
  const found = readOptions(options, fail);
  if (found.result === undefined && found.enter === undefined && found.exit === undefined) {
    fail('error=, retval=, delay= or delay_exit= is missing');
  }
  const atOnce = names.find((name) => systemCall(name)?.atOnce);
  if (found.exit !== undefined && atOnce) {
    fail(`what ${atOnce} gives cannot be held back: use delay=`);
  }
  const { result, enter = 0, exit = 0, when = () => true } = found;
  return { text, names, result, enter, exit, when };
}

/** The same as one line. */
function formatRule({ call, ...options }: FaultRule): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return [[call].flat().join(','), ...given.map(([key, value]) => `${key}=${value}`)].join(':');
}

type Fail = (why: string) => never;

type Found = Partial<Pick<ParsedRule, 'result' | 'enter' | 'exit' | 'when'>>;

function readOptions(options: readonly Option[], fail: Fail): Found {
  const found: { -readonly [K in keyof Found]: Found[K] } = {};
  const set = <K extends keyof Found>(key: K, name: string, value: Found[K]) => {
    if (found[key] !== undefined) fail(`${name}= is one too many`);
    found[key] = value;
  };
  for (const [key, value] of options) {
    switch (key) {
      case 'error':
        set('result', key, -(errorNumber(value) ?? fail(`no errno ${value}`)));
        break;
      case 'retval':
        set('result', key, integer(value) ?? fail(`retval=${value} is not a number from 0 on`));
        break;
      case 'delay':
      case 'delay_enter':
        set('enter', key, milliseconds(value) ?? fail(`${key}=${value} is no time, such as 20ms`));
        break;
      case 'delay_exit':
        set('exit', key, milliseconds(value) ?? fail(`${key}=${value} is no time, such as 20ms`));
        break;
      case 'when':
        // As with strace, the last one counts.
        found.when = parseWhen(value) ?? fail(`when=${value} is not FIRST[..LAST][+[STEP]]`);
        break;
      default:
        fail(`no option ${key}; there are error, retval, delay, delay_enter, delay_exit, when`);
    }
  }
  return found;
}

function errorNumber(text: string): number | undefined {
  const number = /^\d+$/.test(text)
    ? Number(text)
    : (Errno as Record<string, number>)[text.toUpperCase()];
  return number !== undefined && number > 0 && number <= LAST_ERRNO ? number : undefined;
}

/** As strtoull(3) reads it with base 0. */
function integer(text: string): number | undefined {
  if (!/^(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.test(text)) return undefined;
  const number = Number(/^0\d/.test(text) ? `0o${text.slice(1)}` : text);
  return Number.isSafeInteger(number) ? number : undefined;
}

const MS_PER_UNIT = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 } as const;

function milliseconds(text: string): number | undefined {
  const [, number, unit = 'us'] =
    /^((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(s|ms|us|ns)?$/.exec(text) ?? [];
  const value = Number(number) * MS_PER_UNIT[unit as keyof typeof MS_PER_UNIT];
  return Number.isFinite(value) ? value : undefined;
}

function parseWhen(text: string): ParsedRule['when'] | undefined {
  const [, from, to, plus, by] = /^(\d+)(?:\.\.(\d+))?(\+(\d+)?)?$/.exec(text) ?? [];
  if (from === undefined) return undefined;
  const first = Number(from);
  // A range is every call in it; without one and without "+" it is one call.
  const last = to !== undefined ? Number(to) : plus ? Number.POSITIVE_INFINITY : first;
  const step = Number(by ?? 1);
  if (first < 1 || last < first || step < 1) return undefined;
  return (n) => n >= first && n <= last && (n - first) % step === 0;
}
