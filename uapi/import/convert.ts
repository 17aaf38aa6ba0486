/** Headers to definitions: all that a header declares, and what of it cannot be said. */
import { _IOC_DIR, _IOC_NONE, _IOC_SIZE } from '../../ioctl/index.js';
import { type Declarations, declarations, type RecordNode } from './ast.js';
import { CompileError, errorsOf, type FrontEnd } from './clang.js';
import { docOf } from './comments.js';
import { assertion, claims, Layouts } from './layout.js';
import { evaluate, includedAs, including, type Macro, type MacroValue, macros } from './macros.js';
import {
  type Constant,
  type Header,
  type Ioctl,
  type LeftOut,
  Refusal,
  type Struct,
  type Type,
} from './model.js';
import { hasPragma, Types } from './types.js';

/** What libc declares and some headers take for granted. */
const LIBC = [
  '#define _GNU_SOURCE',
  ...libc('stddef', 'stdint', 'signal', 'sys/types', 'sys/socket', 'linux/types'),
];

function libc(...names: string[]): string[] {
  return names.map((name) => `#include <${name}.h>`);
}

export interface ImportOptions {
  /** Folders that headers are included from, to name them by. */
  readonly include?: readonly string[];
}

/** A header. Where it does not compile by itself, libc's own headers come first. @throws CompileError */
export async function importHeader(
  frontEnd: FrontEnd,
  path: string,
  options: ImportOptions = {},
): Promise<Header> {
  const converter = new Converter(frontEnd, [path], options, []);
  const [header] = await converter.run().catch((error: unknown) => {
    if (!(error instanceof CompileError)) throw error;
    // What the header lacks by itself is the better message.
    return new Converter(frontEnd, [path], options, LIBC).run().catch(() => Promise.reject(error));
  });
  if (!header) throw new CompileError(`${path}: nothing came of it`);
  return header;
}

/**
 * Several headers in one run of the compiler. Those that do not go together are divided until they do.
 * @param failed is told of each that does not compile
 */
export async function importHeaders(
  frontEnd: FrontEnd,
  paths: readonly string[],
  options: ImportOptions,
  failed: (path: string, error: CompileError) => void,
): Promise<Header[]> {
  try {
    if (paths.length > 1) return await new Converter(frontEnd, paths, options, []).run();
    return await Promise.all(paths.map((path) => importHeader(frontEnd, path, options)));
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    const [only] = paths;
    if (only !== undefined && paths.length === 1) {
      failed(only, error);
      return [];
    }
  }
  const half = paths.length >> 1;
  const parts = [paths.slice(0, half), paths.slice(half)];
  const done = [];
  for (const part of parts) done.push(await importHeaders(frontEnd, part, options, failed));
  return done.flat();
}

/** One header, while it is put together. */
interface Draft {
  readonly path: string;
  readonly structs: Struct[];
  readonly constants: Constant[];
  readonly ioctls: Ioctl[];
  readonly leftOut: LeftOut[];
}

class Converter {
  readonly #frontEnd: FrontEnd;
  readonly #source: string;
  readonly #paths: readonly string[];
  readonly #options: ImportOptions;
  readonly #before: readonly string[];
  readonly #layouts = new Layouts();
  /** What clang lays out otherwise. */
  readonly #wrong = new Map<Struct, Refusal>();

  constructor(
    frontEnd: FrontEnd,
    paths: readonly string[],
    options: ImportOptions,
    before: readonly string[],
  ) {
    this.#frontEnd = frontEnd;
    this.#paths = paths;
    this.#options = options;
    this.#before = before;
    this.#source = including(paths, before);
  }

  async run(): Promise<Header[]> {
    const [preprocessed, { tree, answer }] = await Promise.all([
      this.#frontEnd.preprocess(this.#source, '-dD'),
      this.#frontEnd.tree(this.#source),
    ]);
    const [error] = errorsOf(answer);
    if (error !== undefined || !tree) throw new CompileError(error ?? 'clang gave no tree');
    const declared = declarations(tree);
    const types = new Types(declared, await this.#packs(declared));
    const drafts = this.#paths.map((path) => this.#draft(path, declared, types));
    const known = macros(preprocessed.stdout, new Set(this.#paths));
    await this.#ask(drafts, [...known.values()], types);
    return drafts.map((draft) => this.#header(draft));
  }

  /**
   * What `#pragma pack` comes to for each struct that is under one: its alignment, which clang's tree does not
   * tell. It may be less than what the pragma says, if no member needs more.
   */
  async #packs(declared: Declarations): Promise<Map<RecordNode, number>> {
    const records = namedRecords(declared).filter(({ node }) => hasPragma(node));
    if (records.length === 0) return new Map();
    const asked = records.map(({ node: { file, line }, c }) => ({
      ...{ name: `_Alignof(${c})`, body: '', file, line },
    }));
    const { values } = await evaluate(this.#frontEnd, this.#source, asked, []);
    const packs = records.map(({ node }, i) => [node, Number(values[i]?.number ?? 1n)] as const);
    return new Map(packs);
  }

  /** What the tree tells of a header. */
  #draft(path: string, declared: Declarations, types: Types): Draft {
    const draft: Draft = { path, structs: [], constants: [], ioctls: [], leftOut: [] };
    for (const { node, name, c } of recordsOf(declared, path)) {
      try {
        const made = types.struct(node, name, c);
        this.#layouts.struct(made);
        draft.structs.push(made);
      } catch (error) {
        draft.leftOut.push(leftOut('struct', name, node, error));
      }
    }
    for (const { file, node, constants } of declared.allEnums) {
      if (file !== path) continue;
      for (const { name, value, line, comment } of constants) {
        const doc = docOf(comment, file);
        draft.constants.push({ name, value, file, line, doc, of: node.name ?? '' });
      }
    }
    return draft;
  }

  /** Has the compiler evaluate the macros, and say whether the structs are as they are said to be. */
  async #ask(drafts: readonly Draft[], known: readonly Macro[], types: Types): Promise<void> {
    const all = new Set(drafts.flatMap(({ structs }) => structs.flatMap(withParts)));
    const foreign: Struct[] = [];
    for (const struct of all) foreign.push(struct);
    const lines = foreign.map((struct) =>
      assertion(claims(struct.c, this.#layouts.struct(struct)), struct.c),
    );
    const { values, wrong } = await evaluate(this.#frontEnd, this.#source, known, lines);
    for (const i of wrong) {
      const struct = foreign[i];
      if (struct) this.#wrong.set(struct, new Refusal('laid out otherwise', struct.c));
    }
    const byPath = new Map(drafts.map((draft) => [draft.path, draft]));
    for (const value of values) {
      const draft = byPath.get(value.macro.file);
      if (draft) this.#macro(draft, value, types);
    }
    await this.#arguments(drafts, all);
  }

  /** Structs that only ioctls name are to be agreed upon, too. */
  async #arguments(drafts: readonly Draft[], asked: ReadonlySet<Struct>): Promise<void> {
    const used = new Set(
      drafts.flatMap(({ ioctls }) => ioctls.flatMap(({ arg }) => (arg ? partsOf(arg) : []))),
    );
    const more = [...used].filter((struct) => !asked.has(struct));
    if (more.length === 0) return;
    const lines = more.map((one) => assertion(claims(one.c, this.#layouts.struct(one)), one.c));
    const { wrong } = await evaluate(this.#frontEnd, this.#source, [], lines);
    for (const i of wrong) {
      const struct = more[i];
      if (struct) this.#wrong.set(struct, new Refusal('laid out otherwise', struct.c));
    }
  }

  #macro(draft: Draft, value: MacroValue, types: Types): void {
    const { macro, number, text, argument, broken } = value;
    const { name, file, line } = macro;
    if (broken !== undefined) {
      const why = new Refusal('not compiling', broken);
      draft.leftOut.push({ what: 'ioctl', name, file, line, why });
      return;
    }
    if (argument === undefined || number === undefined) {
      const constant = text ?? number;
      if (constant !== undefined) addMacro(draft.constants, constantOf(macro, constant));
      return;
    }
    try {
      const request = Number(BigInt.asUintN(32, number));
      const arg = this.#argument(request, argument, types);
      draft.ioctls.push({ name, file, line, request, arg });
    } catch (error) {
      draft.leftOut.push(leftOut('ioctl', name, macro, error));
      draft.constants.push({ name, value: BigInt.asUintN(32, number), file, line });
    }
  }

  #argument(request: number, text: string, types: Types): Type | undefined {
    const none = _IOC_DIR(request) === _IOC_NONE;
    if (none && _IOC_SIZE(request) === 0) return undefined;
    if (none) throw new Refusal('a size without a direction');
    if (text === '') throw new Refusal('a size without a type');
    const type = types.type(text, undefined, text);
    const culprit = partsOf(type).find((part) => this.#wrong.has(part));
    const why = culprit && this.#wrong.get(culprit);
    if (why) throw why;
    if (this.#layouts.type(type).size !== _IOC_SIZE(request)) {
      throw new Refusal('a size that is not that of the type', text);
    }
    return type;
  }

  /** The header, without what has turned out to be wrong. */
  #header({ path, ...draft }: Draft): Header {
    const bad = (parts: readonly Struct[]) => parts.find((part) => this.#wrong.has(part));
    const structs: Struct[] = [];
    const left = [...draft.leftOut];
    const constants = [...draft.constants];
    for (const struct of draft.structs) {
      const culprit = bad(withParts(struct));
      const why = culprit && this.#wrong.get(culprit);
      if (why) left.push({ what: 'struct', name: struct.name, file: path, line: struct.line, why });
      else structs.push(struct);
    }
    const ioctls = draft.ioctls.filter(({ arg, name, line, request }) => {
      const culprit = arg && bad(partsOf(arg));
      const why = culprit && this.#wrong.get(culprit);
      if (!why) return true;
      left.push({ what: 'ioctl', name, file: path, line, why });
      constants.push({ name, value: BigInt(request), file: path, line });
      return false;
    });
    const used = ioctls.flatMap(({ arg }) => (arg ? partsOf(arg) : []));
    return {
      name: includedAs(path, this.#options.include ?? []),
      path,
      before: this.#before,
      constants: constants.sort(byLine),
      structs: [...new Set([...structs, ...used].flatMap(withParts))],
      ioctls,
      leftOut: left.sort(byLine),
    };
  }
}

/** A macro hides the constant of an enum that has its name; mostly it is there to be tested by #ifdef. */
function addMacro(constants: Constant[], constant: Constant): void {
  const i = constants.findIndex(({ name }) => name === constant.name);
  if (i < 0) constants.push(constant);
  else if (constants[i]?.value !== constant.value) constants[i] = constant;
}

function byLine(a: { line: number }, b: { line: number }): number {
  return a.line - b.line;
}

function leftOut(
  what: LeftOut['what'],
  name: string,
  at: { file: string; line: number },
  error: unknown,
) {
  if (!(error instanceof Refusal)) throw error;
  return { what, name, file: at.file, line: at.line, why: error };
}

/** The structs of a file, in order. */
function recordsOf(declared: Declarations, path: string) {
  return namedRecords(declared)
    .filter(({ node }) => node.file === path)
    .sort((a, b) => a.node.line - b.node.line);
}

/** The structs with a tag, or named by a typedef. */
function namedRecords(declared: Declarations) {
  const found: { node: RecordNode; name: string; c: string }[] = [];
  for (const [c, node] of declared.records) {
    found.push({ node, name: c.replace(/^(struct|union) /, ''), c });
  }
  for (const [name, { unnamed, node }] of declared.typedefs) {
    const plain = unnamed && !('constants' in unnamed) && !/[[*(]/.test(node.type?.qualType ?? '');
    if (plain) found.push({ node: unnamed, name, c: name });
  }
  return found;
}

/** The structs with names that a type is made of: what it needs comes first. */
export function partsOf(type: Type): Struct[] {
  if (type.kind === 'array' || type.kind === 'flexible') return partsOf(type.element);
  return type.kind === 'record' ? withParts(type.record) : [];
}

/** A struct and those that it is made of, which come first. */
function withParts(struct: Struct): Struct[] {
  const parts = struct.members.flatMap(({ type }) => partsOf(type));
  return struct.name === '' ? parts : [...parts, struct];
}

function constantOf({ name, body, file, line }: Macro, value: bigint | string): Constant {
  const text = typeof value === 'bigint' ? spelling(body, value) : undefined;
  return { name, value, file, line, ...(text && { text }) };
}

/** A number as its header has it, if that is plain: in hex, or one number shifted by another. */
function spelling(body: string, value: bigint): string | undefined {
  const plain = body.replace(/^\((.*)\)$/, '$1').replace(/\b(0x[0-9a-f]+|\d+)[ul]+\b/gi, '$1');
  const hex = /^0x[0-9a-f]+$/i.test(plain);
  const [, one, by] = /^(\d+) ?<< ?(\d+)$/.exec(plain) ?? [];
  const shifts = one !== undefined && by !== undefined && value < 2n ** 31n;
  if (hex && BigInt(plain) === value) return plain.toLowerCase();
  return shifts && BigInt(one) << BigInt(by) === value ? `${one} << ${by}` : undefined;
}
