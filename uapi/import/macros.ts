/** The macros of a header: which there are, and what they come to. */
import { join } from 'node:path';
import type { Node, Place } from './ast.js';
import { constantIn } from './ast.js';
import { CompileError, errorLines, type FrontEnd } from './clang.js';

/** A macro without parameters, as the preprocessor prints it. */
export interface Macro extends Place {
  readonly name: string;
  readonly body: string;
}

/**
 * The macros with a body that some files define, in a preprocessed source (`-E -dD`).
 * @throws CompileError if one of the files defines what another has otherwise: they do not go together
 */
export function macros(preprocessed: string, files: ReadonlySet<string>): Map<string, Macro> {
  const found = new Map<string, Macro>();
  let file = '';
  let line = 0;
  for (const text of preprocessed.split('\n')) {
    const marker = /^# (\d+) "(.*?)"/.exec(text);
    if (marker) {
      line = Number(marker[1]);
      file = marker[2] ?? '';
      continue;
    }
    const [, what, name = '', rest = ''] = /^#(define|undef) (\w+)(.*)$/.exec(text) ?? [];
    const before = what && found.get(name);
    if (before && before.file !== file && (what === 'undef' || before.body !== rest.trim())) {
      throw new CompileError(`${name}: ${file} has it otherwise than ${before.file}`);
    }
    // What has parameters has its parenthesis right behind the name.
    if (what === 'undef' || rest.startsWith('(')) found.delete(name);
    else if (what && rest.trim() !== '' && files.has(file)) {
      found.set(name, { name, body: rest.trim(), file, line });
    }
    line++;
  }
  return found;
}

/** What a macro comes to. */
export interface MacroValue {
  readonly macro: Macro;
  /** Undefined if it is no integer constant. */
  readonly number?: bigint;
  /** A string, or the character of a character constant. */
  readonly text?: string;
  /** Set if it is a request of the _IOC family: the type that its size is taken from; '' for a bare number. */
  readonly argument?: string;
  /** Set if it is made with _IOC, but the compiler does not take it: why. */
  readonly broken?: string;
}

/** Stands for `_IOC` where the type of the argument is wanted: the size is what is cast. */
const MARK = '__dmabuf_shim_ioc';

/** What a header's macros may leave to its users to include. */
export const AFTERWARDS = ['linux/ioctl.h', 'linux/fcntl.h', 'stddef.h']
  .map((name) => `#include <${name}>\n`)
  .join('');

/** A source that includes headers; `before` are lines that come first. */
export function including(headers: readonly string[], before: readonly string[] = []): string {
  return [...before, ...headers.map((path) => `#include "${path}"`), ''].join('\n');
}

/**
 * Evaluates macros in the compiler, together with assertions on structs.
 * @param source the headers
 * @param asserted lines of C that must hold
 */
export async function evaluate(
  frontEnd: FrontEnd,
  source: string,
  list: readonly Macro[],
  asserted: readonly string[],
): Promise<{ values: MacroValue[]; wrong: Set<number> }> {
  const expanded = await expansions(frontEnd, source, list);
  const special = list.map((_, i) => isSpecial(expanded[i] ?? ''));
  const lines = `${source}${AFTERWARDS}`.split('\n');
  const asserts = lines.length + 1;
  lines.push(...asserted);
  // Twice, so that what is read back is a name, not all that the macro is made of.
  const first = lines.length + 1;
  for (const [i, { name }] of list.entries()) lines.push(`enum { __value_${i} = (${name}) };`);
  for (const i of list.keys()) lines.push(`enum { __read_${i} = __value_${i} };`);
  lines.push(`#undef _IOC`, `#define _IOC(dir, type, nr, size) ((struct ${MARK} *)(size))`);
  const casts = lines.length + 1;
  for (const [i, { name }] of list.entries()) {
    lines.push(special[i] ? `__auto_type __read_a${i} = (${name});` : '');
  }
  const { trees, answer } = await frontEnd.declarations(lines.join('\n'), '__read_');
  const bad = errorLines(answer);
  const byName = new Map(trees.map((tree) => [(tree as Node).name, tree as Node]));
  const values = list.map((macro, i): MacroValue => {
    const evaluated = bad.has(first + i) ? undefined : byName.get(`__read_${i}`);
    const cast = bad.has(casts + i) ? undefined : byName.get(`__read_a${i}`);
    const value = evaluated && constantIn(evaluated);
    if (value === undefined && expanded[i]?.includes(`${MARK}(`)) {
      return { macro, broken: bad.get(first + i) ?? 'no constant' };
    }
    const number = value === undefined ? {} : { number: BigInt(value) };
    return { macro, ...number, ...(cast && meaning(cast)) };
  });
  const wrong = new Set([...asserted.keys()].filter((i) => bad.has(asserts + i)));
  return { values, wrong };
}

/** What each macro expands to, with {@link MARK} where it has `_IOC`. */
async function expansions(
  frontEnd: FrontEnd,
  source: string,
  list: readonly Macro[],
): Promise<string[]> {
  const wanted = list.map(({ name }, i) => `__at_${i} ${name}`);
  const lines = [
    source,
    '#include <linux/ioctl.h>',
    '#undef _IOC',
    `#define _IOC ${MARK}`,
    ...wanted,
  ];
  const { stdout } = await frontEnd.preprocess(lines.join('\n'), '-P');
  const found: string[] = [];
  for (const [, i, text] of stdout.matchAll(/^__at_(\d+)(.*)$/gm)) found[Number(i)] = text ?? '';
  return found;
}

/** Whether its syntax is of interest: requests, strings, characters. */
function isSpecial(expanded: string): boolean {
  return expanded.includes(MARK) || /^[\s(]*["']/.test(expanded);
}

function meaning(declared: Node): Pick<MacroValue, 'text' | 'argument'> | undefined {
  const value = unwrapped(declared.inner?.find(({ kind }) => /Expr|Literal|Operator/.test(kind)));
  if (value?.kind === 'StringLiteral') return textOf(unescaped(value.value ?? ''));
  if (value?.kind === 'CharacterLiteral') {
    // Others are negative, or several characters in one number: they are what that is.
    const code = Number(value.value);
    return code < 0x80 ? { text: String.fromCharCode(code) } : {};
  }
  if (value?.kind !== 'CStyleCastExpr' || value.type?.qualType !== `struct ${MARK} *`)
    return undefined;
  const size = unwrapped(value.inner?.[0]);
  if (size?.kind !== 'UnaryExprOrTypeTraitExpr') return { argument: '' };
  return { argument: size.argType?.qualType ?? unwrapped(size.inner?.[0])?.type?.qualType ?? '' };
}

/** Bytes as a string; nothing if they are none in UTF-8. */
function textOf(bytes: string): { text: string } | undefined {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes, 'latin1')) };
  } catch {
    return undefined;
  }
}

/** What a string is that clang quotes as C does. */
function unescaped(quoted: string): string {
  const letters: Record<string, string> = {
    a: '\x07',
    b: '\b',
    f: '\f',
    n: '\n',
    r: '\r',
    t: '\t',
    v: '\v',
  };
  return quoted
    .slice(quoted.indexOf('"') + 1, -1)
    .replace(/\\(x[0-9a-f]+|[0-7]{1,3}|.)/gi, (_, what) => {
      const code = /^x/.test(what) ? Number.parseInt(what.slice(1), 16) : Number.parseInt(what, 8);
      return Number.isNaN(code) ? (letters[what] ?? what) : String.fromCharCode(code);
    });
}

/** An expression without what only surrounds it. */
function unwrapped(node: Node | undefined): Node | undefined {
  const around = node && /^(ParenExpr|ImplicitCastExpr|ConstantExpr)$/.test(node.kind);
  return around ? unwrapped(node.inner?.[0]) : node;
}

/** The folders that `#include <…>` looks into, for the name of a header. */
export function includedAs(path: string, folders: readonly string[]): string {
  const known = [
    ...folders,
    '/usr/include/x86_64-linux-gnu',
    '/usr/include/aarch64-linux-gnu',
    '/usr/include',
  ];
  const folder = known.find((one) => path.startsWith(join(one, '/')));
  return folder ? path.slice(join(folder, '/').length) : path;
}
