/**
 * The source files of an interface: what each declares at its top level, in order, and where a name comes
 * from. The values are those of the loaded module; the sources say what only they know: comments, lines,
 * how a constant is written.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { jsDoc } from './comments.js';
import {
  argumentsOf,
  bare,
  type Call,
  type Comment,
  calleeName,
  type Declarator,
  type Expression,
  isCall,
  keyName,
  lines,
  type Node,
  type Property,
  parseSource,
  type Statement,
  type Tree,
  walk,
} from './syntax.js';

/** Something that a source declares. */
export interface Declaration {
  readonly file: SourceFile;
  readonly name: string;
  /** What stands right of the `=`, or of the colon; undefined if that is not one expression. */
  readonly value: Expression | undefined;
  /** The text of its JSDoc comment. */
  readonly doc: string | undefined;
  /** The line of the name. */
  readonly line: number;
  /** From the first line of the comment to the last of the declaration. */
  readonly lines: { readonly first: number; readonly last: number };
  /** Characters from the start of the file. */
  readonly position: number;
}

/** Where an imported name comes from. */
export interface Import {
  /** As it is called there; `*` for the whole module. */
  readonly name: string;
  readonly from: string;
  /** The file, if it is a relative one. */
  readonly path: string | undefined;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly comments: readonly Comment[];
  /** The comment at the top, if it is that of the file. */
  readonly doc: string | undefined;
  /** What an SPDX line in it says. */
  readonly license: string | undefined;
  /** Constants of the top level. */
  readonly declarations: ReadonlyMap<string, Declaration>;
  /** `struct('tag', …)` and `union('tag', …)`, wherever they are, by tag; the value is the call. */
  readonly structs: ReadonlyMap<string, Declaration>;
  /** What stands in `ioctls({ … })`, by name. */
  readonly ioctls: ReadonlyMap<string, Declaration>;
  readonly imports: ReadonlyMap<string, Import>;
  /** `export … from`: the exported name (`*` for all), and where it comes from. */
  readonly reexports: readonly { readonly as: string; readonly of: Import }[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Draft extends Omit<Writable<SourceFile>, 'declarations' | 'structs' | 'ioctls'> {
  declarations: Map<string, Declaration>;
  structs: Map<string, Declaration>;
  ioctls: Map<string, Declaration>;
  imports: Map<string, Import>;
  reexports: { as: string; of: Import }[];
}

export class Sources {
  /** Each after those that it imports; the one that was asked for is last. */
  readonly files: readonly SourceFile[];
  readonly root: SourceFile;

  /** @throws SourceError for what cannot be parsed; ENOENT and the like as of readFileSync. */
  constructor(path: string) {
    const files = new Map<string, SourceFile>();
    const reading = new Set<string>();
    const read = (one: string): SourceFile => {
      reading.add(one);
      const file = readSource(one);
      for (const next of neighbours(file)) if (!reading.has(next)) read(next);
      files.set(one, file);
      return file;
    };
    this.root = read(path);
    this.files = [...files.values()];
    this.#byPath = files;
  }

  readonly #byPath: ReadonlyMap<string, SourceFile>;

  /** The declaration behind a name in a file, or the import from a package; undefined if there is none. */
  resolve(file: SourceFile, name: string): Declaration | Import | undefined {
    const own = file.declarations.get(name);
    if (own) return own;
    const imported = file.imports.get(name);
    return imported && this.#follow(imported, new Set());
  }

  /** The declaration behind a name that a file exports. */
  exported(file: SourceFile, name: string): Declaration | Import | undefined {
    return this.#exported(file, name, new Set());
  }

  /** The call that an expression makes, or that the constant stands for that it names. */
  callOf(
    file: SourceFile,
    value: Expression | undefined,
  ): { file: SourceFile; call: Call } | undefined {
    if (!value) return undefined;
    const node = bare(value);
    if (isCall(node)) return { file, call: node };
    if (node.type !== 'Identifier') return undefined;
    const found = this.resolve(file, node.name);
    return found && isDeclaration(found) ? this.callOf(found.file, found.value) : undefined;
  }

  #follow(imported: Import, seen: Set<SourceFile>): Declaration | Import | undefined {
    const file = imported.path === undefined ? undefined : this.#byPath.get(imported.path);
    return file ? this.#exported(file, imported.name, seen) : imported;
  }

  #exported(
    file: SourceFile,
    name: string,
    seen: Set<SourceFile>,
  ): Declaration | Import | undefined {
    if (seen.has(file)) return undefined;
    seen.add(file);
    const named = file.reexports.find(({ as }) => as === name);
    if (named) return this.#follow(named.of, seen);
    const own = file.declarations.get(name) ?? file.imports.get(name);
    if (own) return isDeclaration(own) ? own : this.#follow(own, seen);
    for (const { as, of } of file.reexports) {
      if (as !== '*' || of.path === undefined) continue;
      const found = this.#follow({ ...of, name }, seen);
      if (found && isDeclaration(found)) return found;
    }
    return undefined;
  }
}

export function isDeclaration(found: Declaration | Import): found is Declaration {
  return 'file' in found;
}

function neighbours(file: SourceFile): string[] {
  const all = [...file.imports.values(), ...file.reexports.map(({ of }) => of)];
  return all.flatMap(({ path }) => (path === undefined ? [] : [path]));
}

/** The file that `import … from './name.js'` means: TypeScript's own, or what lies there. */
function relativeFile(from: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  const path = resolve(dirname(from), specifier);
  const sibling = path.replace(/\.([cm]?)js$/, '.$1ts');
  const candidates = [sibling, path, `${path}.ts`, `${path}.mts`, `${path}.js`, `${path}.mjs`];
  return [...candidates, resolve(path, 'index.ts'), resolve(path, 'index.js')].find(
    (one) => /\.[cm]?[jt]s$/.test(one) && existsSync(one) && statSync(one).isFile(),
  );
}

function readSource(path: string): SourceFile {
  const text = readFileSync(path, 'utf8');
  const { program, comments } = parsed(path, text);
  const [first] = program.body;
  const file: Draft = {
    path,
    text,
    comments: (comments ?? []).filter((one) => jsDoc(one) !== undefined),
    doc: first && fileComment(first),
    license: license(comments ?? []),
    declarations: new Map(),
    structs: new Map(),
    ioctls: new Map(),
    imports: new Map(),
    reexports: [],
  };
  for (const statement of program.body) addStatement(file, statement);
  return file;
}

/** A syntax error, and where it is. */
export class SourceError extends SyntaxError {
  readonly path: string;
  readonly line: number;

  constructor(message: string, path: string, line: number) {
    super(message);
    this.name = 'SourceError';
    this.path = path;
    this.line = line;
  }
}

function parsed(path: string, text: string): Tree {
  try {
    return parseSource(text);
  } catch (error) {
    const { message } = error as SyntaxError;
    // The parser appends line and column.
    const [, what = message, line = '1'] = /^(.*?)\.? \((\d+):\d+\)$/s.exec(message) ?? [];
    throw new SourceError(what, path, Number(line));
  }
}

function license(comments: readonly Comment[]): string | undefined {
  for (const { value } of comments) {
    const [, found] = /SPDX-License-Identifier:\s*([^\n]*)/.exec(value) ?? [];
    if (found) return found.replace(/[\s*]+$/, '');
  }
  return undefined;
}

/** The first JSDoc comment, unless it belongs to the declaration below it. */
function fileComment(first: Statement): string | undefined {
  const all = (first.leadingComments ?? []).filter((one) => jsDoc(one) !== undefined);
  const [comment, ...others] = all;
  if (!comment) return undefined;
  const declares = !/^Import/.test(first.type);
  const adjoins = lines(comment).last + 1 === lines(first).first;
  return others.length === 0 && declares && adjoins ? undefined : jsDoc(comment);
}

function addStatement(file: Draft, statement: Statement): void {
  switch (statement.type) {
    case 'ImportDeclaration':
      for (const one of statement.specifiers) {
        const name = one.type === 'ImportSpecifier' ? nameOf(one.imported) : undefined;
        const whole = one.type === 'ImportDefaultSpecifier' ? 'default' : '*';
        file.imports.set(one.local.name, importOf(file, statement.source.value, name ?? whole));
      }
      return;
    case 'ExportAllDeclaration':
      file.reexports.push({ as: '*', of: importOf(file, statement.source.value, '*') });
      return;
    case 'ExportNamedDeclaration':
      if (statement.declaration) addDeclaration(file, statement.declaration, statement);
      for (const one of statement.specifiers) addExport(file, statement.source?.value, one);
      return;
    default:
      addDeclaration(file, statement, statement);
  }
}

type Specifier = Extract<Statement, { type: 'ExportNamedDeclaration' }>['specifiers'][number];

function addExport(file: Draft, from: string | undefined, one: Specifier): void {
  if (one.type !== 'ExportSpecifier') return;
  const [local, as] = [one.local.name, nameOf(one.exported)];
  if (from !== undefined) file.reexports.push({ as, of: importOf(file, from, local) });
  // `export { local as NAME }`: the same declaration, by another name.
  const own = file.declarations.get(local);
  if (from === undefined && own && local !== as) {
    file.declarations.set(as, { ...own, name: as });
  }
}

function nameOf(name: { name: string } | { value: string }): string {
  return 'name' in name ? name.name : name.value;
}

function importOf(file: Draft, from: string, name: string): Import {
  return { name, from, path: relativeFile(file.path, from) };
}

function addDeclaration(file: Draft, statement: Statement, whole: Statement): void {
  const variables = statement.type === 'VariableDeclaration' ? statement.declarations : [];
  for (const one of variables) addVariable(file, one, whole);
  walk(statement, (node) => {
    if (!isCall(node)) return;
    const holder = variables.find(({ init }) => init && bare(init) === node);
    addCall(file, node, holder ? whole : node);
  });
}

function addVariable(file: Draft, { id, init }: Declarator, whole: Statement): void {
  if (id.type === 'Identifier') {
    file.declarations.set(id.name, declaration(file, id.name, init ?? undefined, id, whole));
  }
  if (id.type !== 'ObjectPattern') return;
  // `export const { A, B } = requests(table)`: the names are declared, no expression says their values.
  for (const property of id.properties) {
    if (property.type !== 'ObjectProperty' || property.value.type !== 'Identifier') continue;
    const { name } = property.value;
    file.declarations.set(name, declaration(file, name, undefined, property.value, whole));
  }
}

function addCall(file: Draft, call: Call, whole: Node): void {
  const name = calleeName(call);
  const [first] = argumentsOf(call);
  if (!first) return;
  const argument = bare(first);
  if ((name === 'struct' || name === 'union') && argument.type === 'StringLiteral') {
    const tag = argument.value;
    if (!file.structs.has(tag)) file.structs.set(tag, declaration(file, tag, call, call, whole));
  }
  if (name !== 'ioctls' || argument.type !== 'ObjectExpression') return;
  for (const property of argument.properties) {
    if (property.type !== 'ObjectProperty') continue;
    const key = keyName(property);
    if (key !== undefined) file.ioctls.set(key, declareProperty(file, key, property));
  }
}

/** A property of an object literal as a declaration: a field, or an ioctl. */
export function declareProperty(file: SourceFile, name: string, property: Property): Declaration {
  // What is no expression is a pattern, and stands left of a `=` only.
  return declaration(file, name, property.value as Expression, property, property);
}

function declaration(
  file: SourceFile,
  name: string,
  value: Expression | undefined,
  named: Pick<Node, 'loc' | 'start'>,
  whole: Node,
): Declaration {
  const comment = commentOf(file, whole);
  const { first, last } = lines(whole);
  return {
    file,
    name,
    value,
    doc: comment && jsDoc(comment),
    line: lines(named).first,
    lines: { first: comment ? Math.min(lines(comment).first, first) : first, last },
    position: named.start ?? 0,
  };
}

/** The JSDoc comment before a node, or the one behind it at the end of its line. */
function commentOf({ text, comments }: SourceFile, node: Node): Comment | undefined {
  const before = node.leadingComments?.filter((one) => !endsLine(text, one)).at(-1);
  if (before && jsDoc(before) !== undefined) return before;
  const end = node.end ?? 0;
  return comments.find((one) => {
    const between = text.slice(end, one.start ?? 0);
    return (one.start ?? 0) >= end && /^[,; \t]*$/.test(between) && endsLine(text, one);
  });
}

/** Whether a comment stands behind code, and nothing behind the comment: it is on what precedes it. */
function endsLine(text: string, { start, end }: Comment): boolean {
  const line = text.slice(text.lastIndexOf('\n', start ?? 0) + 1, start ?? 0);
  return line.trim() !== '' && /^[,;]?[ \t]*(\n|$)/.test(text.slice(end ?? 0));
}
