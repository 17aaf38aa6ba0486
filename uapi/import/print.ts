/** A header's definitions as TypeScript, in the style of ioctl/. */
import { basename } from 'node:path';
import { _IOC_DIR, _IOC_NR, _IOC_READ, _IOC_TYPE, _IOC_WRITE } from '../../ioctl/index.js';
import { infoOf, keyOf, optionsOf } from './layout.js';
import type { Constant, Header, Ioctl, Member, Struct, Type } from './model.js';
import { Names } from './names.js';

const WIDTH = 100;

/** The module's text. `target` is the machine that the compiler compiled for. */
export function printModule(header: Header, target: string): string {
  return new Printer(header).module(target);
}

class Printer {
  readonly #header: Header;
  readonly #used = new Set<string>();
  readonly #names: Names;
  /** Tables of names for the values of enums, by the enum's tag. */
  readonly #tables = new Map<string, string>();

  constructor(header: Header) {
    this.#header = header;
    this.#names = new Names(header);
  }

  module(target: string): string {
    const header = this.#header;
    const body = this.#body();
    const included = header.name.startsWith('/') ? basename(header.name) : `<${header.name}>`;
    const doc = [
      `\`${included}\`: made from the header by \`dmabuf-shim import-header\`, as clang sees it for`,
      `${target}.`,
    ];
    return [
      ['/**', ...doc.map((line) => ` * ${line}`), ' */', ''].join('\n'),
      this.#imports(),
      ...body,
      ...this.#leftOut(),
      '',
    ]
      .filter((part, i) => part !== '' || i > 0)
      .join('\n');
  }

  #imports(): string {
    if (this.#used.size === 0) return 'export {};\n';
    const names = [...this.#used]
      .sort(byName)
      .map((name) => (name === 'View' ? 'type View' : name));
    return `${wrapped('import { ', names, " } from 'dmabuf-shim/ioctl';")}\n`;
  }

  /** Constants, enums and structs as the header has them, then the ioctls. */
  #body(): string[] {
    const { constants, structs, ioctls, path } = this.#header;
    const taken = constants.filter((one) => this.#names.get(one) !== undefined);
    const parts: string[] = [];
    let rest = taken;
    for (const struct of structs) {
      const own = struct.file === path;
      // What stands between its braces names the bits of its fields.
      const [now, later] = split(rest, ({ line }) => own && line <= struct.endLine);
      parts.push(...this.#constants(now), this.#struct(struct));
      rest = later;
    }
    parts.push(...this.#constants(rest));
    if (ioctls.length > 0) parts.push(this.#ioctls(ioctls));
    return parts;
  }

  #constants(list: readonly Constant[]): string[] {
    if (list.length === 0) return [];
    const lines: string[] = [];
    let of: string | undefined;
    for (const [i, constant] of list.entries()) {
      if (i > 0 && constant.of !== of) lines.push('');
      of = constant.of;
      if (constant.doc) lines.push(...jsdoc(constant.doc));
      lines.push(`export const ${this.#name(constant)} = ${literal(constant)};`);
    }
    return [...lines, ''];
  }

  #name(item: Struct | Constant | Ioctl): string {
    return this.#names.get(item) ?? item.name;
  }

  #use(name: string): string {
    this.#used.add(name);
    return name;
  }

  #struct(struct: Struct): string {
    const name = this.#name(struct);
    const tables: string[] = [];
    const members = this.#members(struct, 1, (member) => this.#flags(struct, member, tables));
    const said = spelt(optionsOf(struct));
    const options = said && `, ${said}`;
    const head = `export const ${name} = ${this.#use(struct.kind)}('${struct.name}', {`;
    this.#use('View');
    const typedef = struct.c === struct.name ? ['In C a typedef.'] : [];
    const origin = struct.file === this.#header.path ? [] : [`From ${struct.file}.`];
    const doc = [struct.doc ?? '', ...typedef, ...origin].filter(Boolean).join('\n');
    return [
      ...tables,
      ...(doc ? jsdoc(doc) : []),
      ...(members.length > 0 ? [head, ...members, `}${options});`] : [`${head}}${options});`]),
      `export type ${name} = View<typeof ${name}>;`,
      '',
    ].join('\n');
  }

  #members(struct: Struct, depth: number, info: (member: Member) => string | undefined): string[] {
    const indent = '  '.repeat(depth);
    return struct.members.flatMap((member, i) => {
      const type = this.#type(member.type, depth);
      const flags = info(member);
      const key = keyOf(struct, i);
      const anonymous = member.name === '' ? `${this.#use('anonymous')}(${type})` : type;
      const said =
        member.name === '' ? '' : spelt({ ...(flags && { flags }), ...infoOf(member, key) });
      const value = said ? `${this.#use('field')}(${type}, ${said})` : anonymous;
      const remark = remarkOf(member.type);
      const line = `${indent}${key}: ${value},${remark ? ` // C: ${remark}` : ''}`;
      return [...(member.doc ? jsdoc(member.doc, indent) : []), line];
    });
  }

  #type(type: Type, depth: number): string {
    switch (type.kind) {
      case 'scalar':
      case 'enum':
        return this.#use(type.name);
      case 'char':
        return this.#use('s8');
      case 'chars':
        return `${this.#use('charArray')}(${type.n})`;
      case 'string':
        return this.#use('cstring');
      case 'array':
        return `${this.#use('array')}(${this.#type(type.element, depth)}, ${type.n})`;
      case 'flexible':
        return `${this.#use('flexible')}(${this.#type(type.element, depth)})`;
      case 'record':
        return type.record.name === ''
          ? this.#inPlace(type.record, depth)
          : this.#name(type.record);
    }
  }

  #inPlace(struct: Struct, depth: number): string {
    const kind = this.#use(struct.kind);
    const members = this.#members(struct, depth + 1, () => undefined);
    const said = spelt(optionsOf(struct));
    const [before, after] = said ? ["'', ", `, ${said}`] : ['', ''];
    if (members.length === 0) return `${kind}(${before}{}${after})`;
    return [`${kind}(${before}{`, ...members, `${'  '.repeat(depth)}}${after})`].join('\n');
  }

  /** The names of a field's values: the constants of its enum; for flags, the macros beside it. */
  #flags(struct: Struct, member: Member, tables: string[]): string | undefined {
    const { type } = member;
    if (type.kind === 'enum') return this.#enumTable(type.tag, tables);
    const ours = struct.file === this.#header.path;
    if (type.kind !== 'scalar' || !isFlags(member) || !ours) return undefined;
    const bits = this.#beside(struct, member);
    const values = bits.map(({ value }) => value);
    const distinct = new Set(values).size === values.length;
    if (bits.length === 0 || !distinct || !values.every(isBit)) return undefined;
    const names = bits.map((bit) => this.#name(bit));
    const table = this.#names.fresh(`${struct.name}_${member.name}`.toUpperCase());
    tables.push(`${wrapped(`const ${table} = ${this.#use('flags')}({ `, names, ' });')}\n`);
    return table;
  }

  /** The macros that a struct has right behind one of its fields, or, if there are none, before it. */
  #beside(struct: Struct, member: Member): Constant[] {
    const { members } = struct;
    const i = members.indexOf(member);
    const before = members[i - 1];
    const next = members[i + 1]?.line ?? struct.endLine;
    const between = (from: number, to: number) =>
      this.#header.constants.filter(
        ({ line, of }) => of === undefined && line > from && line <= to,
      );
    const behind = between(member.line, next);
    if (behind.length > 0) return behind;
    // Those behind another field of flags are that one's.
    return before && isFlags(before) ? [] : between(before?.line ?? struct.line, member.line);
  }

  #enumTable(tag: string, tables: string[]): string | undefined {
    const known = this.#tables.get(tag);
    if (known !== undefined || tag === '') return known;
    const constants = this.#header.constants.filter(
      (one) => one.of === tag && this.#names.get(one) !== undefined,
    );
    const plain = constants.every(({ value }) => typeof value === 'bigint' && value >= 0n);
    if (constants.length === 0 || constants.length > 64 || !plain) return undefined;
    const table = this.#names.fresh(`${tag}_values`.toUpperCase());
    const head = `const ${table} = ${this.#use('choice')}(0xffffffff, { `;
    tables.push(
      `${wrapped(
        head,
        constants.map((one) => this.#name(one)),
        ' });',
      )}\n`,
    );
    this.#tables.set(tag, table);
    return table;
  }

  #ioctls(list: readonly Ioctl[]): string {
    const base = this.#header.name.split('/').at(-1) ?? '';
    const plain = `${base.replace(/\.h$/, '').replace(/\W/g, '_').replace(/^(\d)/, '_$1')}_ioctls`;
    const table = this.#names.fresh(plain);
    const lines = list.map((one) => `  ${this.#name(one)}: ${this.#ioctl(one)},`);
    const names = list.map((one) => this.#name(one));
    return [
      `export const ${table} = ${this.#use('ioctls')}({`,
      ...lines,
      '});',
      wrapped('export const { ', names, ` } = ${this.#use('requests')}(${table});`),
    ].join('\n');
  }

  #ioctl({ request, arg }: Ioctl): string {
    const nr = _IOC_NR(request);
    const place = `${character(_IOC_TYPE(request))}, 0x${nr.toString(16).padStart(2, '0')}`;
    if (!arg) return `${this.#use('io')}(${place})`;
    const dir = _IOC_DIR(request);
    const maker = dir === _IOC_READ ? 'ior' : dir === _IOC_WRITE ? 'iow' : 'iowr';
    return `${this.#use(maker)}(${place}, ${this.#type(arg, 1)})`;
  }

  #leftOut(): string[] {
    const { leftOut, constants } = this.#header;
    const nameless = constants.filter((one) => this.#names.get(one) === undefined);
    const lines = [
      ...leftOut.map(
        ({ what, name, line, why }) => `// ${what} ${name} (line ${line}): ${why.message}`,
      ),
      ...nameless.map(({ name, line }) => `// constant ${name} (line ${line}): the name is taken`),
    ];
    if (lines.length === 0) return [];
    return ['', '// Left out:', ...lines];
  }
}

/** `{ packed: true }`; empty for nothing. */
function spelt(options: object): string {
  const parts = Object.entries(options).map(
    ([key, value]) => `${key}: ${key === 'cName' ? `'${value}'` : value}`,
  );
  return parts.length === 0 ? '' : `{ ${parts.join(', ')} }`;
}

/** Headers say which field has which bits by its name alone. */
function isFlags({ name }: Member): boolean {
  return /flag/i.test(name);
}

function isBit(value: bigint | string): boolean {
  return typeof value === 'bigint' && value > 0n && (value & (value - 1n)) === 0n;
}

function split<T>(list: readonly T[], first: (one: T) => boolean): [T[], T[]] {
  return [list.filter(first), list.filter((one) => !first(one))];
}

/** As Biome sorts names: without regard to case, and numbers by their value. */
function byName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** A list in one line if it fits, else an item a line. */
function wrapped(head: string, items: readonly string[], tail: string): string {
  const line = `${head}${items.join(', ')}${tail}`;
  if (line.length <= WIDTH) return line;
  return [head.trimEnd(), ...items.map((item) => `  ${item},`), tail.trimStart()].join('\n');
}

function jsdoc(text: string, indent = ''): string[] {
  const lines = text
    .replace(/\*\//g, '* /')
    .split('\n')
    .flatMap((line) => fold(line, WIDTH - indent.length - 4));
  const [only = ''] = lines;
  if (lines.length === 1 && only.length + indent.length + 7 <= WIDTH)
    return [`${indent}/** ${only} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}

function fold(line: string, width: number): string[] {
  const lines = [''];
  for (const word of line.split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}

function literal({ value, text }: Constant): string {
  if (typeof value === 'string') return character(value);
  const safe = value >= -(2n ** 53n) && value <= 2n ** 53n;
  return `${text ?? value}${safe ? '' : 'n'}`;
}

/** A string as Biome quotes it. */
function character(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"');
  const visible = escaped.replace(/[^ -~]/g, (c) => {
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
  const bytes = visible.replace(/\\u00([0-9a-f]{2})/g, '\\x$1');
  if (!bytes.includes("'")) return `'${bytes}'`;
  return bytes.includes('"') ? `'${bytes.replace(/'/g, "\\'")}'` : `"${bytes}"`;
}

function remarkOf(type: Type): string | undefined {
  if (type.kind === 'array' || type.kind === 'flexible') return remarkOf(type.element);
  if (type.kind === 'enum' && type.tag !== '') return `enum ${type.tag}`;
  if (type.kind === 'char') return 'char';
  return type.kind === 'scalar' ? type.remark : undefined;
}
