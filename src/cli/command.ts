/** A subcommand: one table of its options, which the parser, `--help` and the shell's completion read. */
import { meant } from './options.js';
import { UsageError } from './usage.js';

export interface Option {
  /** What `--help` says of it. */
  readonly help: string;
  /** Another name, of one letter, behind "-". */
  readonly short?: string;
  /** What stands for its value: FILE, N. Without, the option is a flag. */
  readonly value?: string;
  /** The value may be missing: it is what follows behind "=", or also a next word that can be no program. */
  readonly optional?: 'attached' | 'next';
  /** It may be given again. */
  readonly multiple?: true;
  /** What there is for its value, for completion; files otherwise. */
  readonly choices?: readonly string[];
  /** Its value is several of these, with commas between. */
  readonly list?: true;
}
type Options = Readonly<Record<string, Option>>;

type ValueOf<T extends Option> = T extends { value: string }
  ? T extends { multiple: true }
    ? string[]
    : T extends { optional: string }
      ? string | true
      : string
  : true;
export type Values<O extends Options> = { -readonly [K in keyof O]?: ValueOf<O[K]> | undefined };

interface Declaration<O extends Options> {
  readonly name: string;
  /** What follows the name in "Usage:", a line each. */
  readonly usage: readonly string[];
  readonly about: string;
  readonly options: O;
  /** What `--help` says at the end. */
  readonly after?: string;
  /** What its arguments are: a program, with options of its own, ends this command's options. */
  readonly operands: 'program' | 'files' | 'none' | readonly string[];
  /** Gives the exit status. */
  readonly run: (options: Values<O>, operands: string[]) => number | Promise<number>;
}

export interface Command {
  readonly name: string;
  readonly options: Options;
  readonly operands: 'program' | 'files' | 'none' | readonly string[];
  readonly main: (args: readonly string[]) => number | Promise<number>;
}

const HELP = { help: 'this text', short: 'h' } as const satisfies Option;

/** @throws UsageError, by `main`, for arguments that it does not take. */
export function defineCommand<const O extends Options>(declaration: Declaration<O>): Command {
  const { name, operands, run } = declaration;
  const options = { ...declaration.options, help: HELP };
  return {
    ...{ name, options, operands },
    main(args) {
      const { values, rest } = parse(name, options, args, operands === 'program');
      if (values.help !== undefined) {
        process.stdout.write(helpOf(declaration));
        return 0;
      }
      if (operands === 'none' && rest.length > 0) {
        throw new UsageError(`no argument is taken, not "${rest[0]}"`);
      }
      return run(values as Values<O>, rest);
    },
  };
}

type AnyValue = true | string | string[];

interface Parsed {
  readonly values: Record<string, AnyValue>;
  readonly rest: string[];
  /** Whether "--" has ended the options. */
  readonly ended?: true;
}

function parse(
  command: string,
  options: Options,
  args: readonly string[],
  endsAtOperand: boolean,
): Parsed {
  const values: Record<string, AnyValue> = {};
  const rest: string[] = [];
  // Behind "--" the program is, and a word before it can be none if only options come between.
  const isBeforeEnd = (i: number) =>
    args.indexOf('--') > i &&
    !args[i]?.startsWith('-') &&
    parse(command, options, args.slice(i + 1), endsAtOperand).ended === true;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') return { values, rest: [...rest, ...args.slice(i + 1)], ended: true };
    if (!arg.startsWith('-') || arg === '-') {
      if (endsAtOperand) return { values, rest: args.slice(i) };
      rest.push(arg);
      continue;
    }
    const [, name = arg, attached] =
      /^(--[^=]+)=(.*)$/s.exec(arg) ?? /^(-[^-])(.+)$/s.exec(arg) ?? [];
    const [key, option] =
      Object.entries(options).find(
        ([key, { short }]) => name === `--${key}` || name === `-${short}`,
      ) ?? [];
    if (!key || !option) {
      const names = Object.keys(options).map((each) => `--${each}`);
      const hint = meant(name, names) || ` (see dmabuf-shim ${command} --help)`;
      throw new UsageError(`no option ${name}${hint}`);
    }
    const nextIsValue = option.optional === 'next' && isBeforeEnd(i + 1);
    if (option.value === undefined) {
      if (attached !== undefined) throw new UsageError(`${name} takes no value`);
      values[key] = true;
    } else if (attached === undefined && option.optional && !nextIsValue) {
      values[key] = true;
    } else {
      const value = attached ?? args[++i];
      if (value === undefined || value === '--') {
        throw new UsageError(`${name} takes a value: ${option.value}`);
      }
      const before = values[key];
      values[key] = option.multiple ? [...(Array.isArray(before) ? before : []), value] : value;
    }
  }
  return { values, rest };
}

/** Where the help of options begins, and how long lines are. */
const COLUMN = 22;
const WIDTH = 110;

function helpOf({ name, usage, about, options, after }: Omit<Declaration<Options>, 'run'>): string {
  const lines = usage.map((line, i) =>
    `${i === 0 ? 'Usage:' : '      '} dmabuf-shim ${name} ${line}`.trimEnd(),
  );
  const rows = Object.entries({ ...options, help: HELP }).map(([key, option]) => row(key, option));
  const parts = [lines.join('\n'), about.trim(), rows.join('\n')];
  return `${[...parts, ...(after ? [after.trim()] : [])].join('\n\n')}\n`;
}

function row(key: string, option: Option): string {
  const { value, optional, short } = option;
  const shown =
    value === undefined
      ? ''
      : `${optional === 'attached' ? '[=' : optional ? ' [' : ' '}${value}${optional ? ']' : ''}`;
  const label = `  --${key}${shown}${short && short !== 'h' ? `, -${short}` : ''}`;
  const indent = ' '.repeat(COLUMN);
  const help = wrapped(option.help, WIDTH - COLUMN).join(`\n${indent}`);
  return label.length > COLUMN - 2 ? `${label}\n${indent}${help}` : label.padEnd(COLUMN) + help;
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) as string;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
