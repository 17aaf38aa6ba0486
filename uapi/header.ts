/** The C header of an interface, as one for include/uapi is written. */
import { basename } from 'node:path';
import type { IoctlDef, StructType } from '../ioctl/index.js';
import { _IOC_NONE, _IOC_NR, _IOC_READ, _IOC_SIZE, _IOC_TYPE, _IOC_WRITE } from '../ioctl/index.js';
import { CExpressions, character } from './c_expression.js';
import { CStructs, isCName, isCxxKeyword, isMacro, typeName } from './c_struct.js';
import { InputError } from './input_error.js';
import { kernelDoc, type Parameter, plainComment, summarize } from './kernel_doc.js';
import type { Uapi, UapiConstant, UapiIoctl, UapiItem, UapiStruct } from './model.js';
import { argumentsOf, calleeName } from './syntax.js';
import { headerOf } from './system_headers.js';
import { elementOf, isStruct, isUnnamed } from './types.js';

/** What Linux has in its own UAPI headers: programs of any licence may include them. */
export const DEFAULT_LICENSE = 'GPL-2.0 WITH Linux-syscall-note';

export interface HeaderOptions {
  /** The macro that keeps the header from being read twice. */
  readonly guard: string;
  /** An SPDX expression. By default what the source says in an SPDX line of its own, or DEFAULT_LICENSE. */
  readonly license?: string;
}

export interface Header {
  readonly text: string;
  /** What is legal in C, and yet in somebody's way; a line each. */
  readonly warnings: readonly string[];
}

/**
 * Writes the header of an interface.
 * @throws InputError if there is nothing to declare, or something that C cannot say
 */
export function writeHeader(uapi: Uapi, { guard, license }: HeaderOptions): Header {
  const writer = new Writer(uapi);
  const body = writer.body();
  const spdx = license ?? uapi.sources.root.license ?? DEFAULT_LICENSE;
  const text = [
    `/* SPDX-License-Identifier: ${spdx} */\n`,
    plainComment(
      `${about(uapi)}\n\nGenerated from ${basename(uapi.file)} by dmabuf-shim header.`.trim(),
    ),
    `#ifndef ${guard}\n#define ${guard}\n\n`,
    writer.includes(),
    body,
    `\n#endif /* ${guard} */\n`,
  ].join('');
  return { text, warnings: writer.warnings };
}

/** What the header is about: what its devices say, or the source. */
function about({ devices, doc = '' }: Uapi): string {
  const nodes = new Map<string, string[]>();
  for (const { name, doc: said } of devices) {
    if (said !== undefined) nodes.set(said, [...(nodes.get(said) ?? []), `/dev/${name}`]);
  }
  if (nodes.size === 0) return doc;
  return [...nodes].map(([said, names]) => `${names.join(', ')}: ${said}`).join('\n\n');
}

const TAB = 8;
const WIDTH = 80;

class Writer {
  readonly warnings: string[] = [];
  readonly #uapi: Uapi;
  readonly #expressions: CExpressions;
  readonly #structs: CStructs;

  constructor(uapi: Uapi) {
    this.#uapi = uapi;
    this.#expressions = new CExpressions(uapi);
    this.#structs = new CStructs(uapi, this.#expressions);
  }

  body(): string {
    const { items, file } = this.#uapi;
    if (items.length === 0) {
      throw new InputError(`${file}: nothing to declare: it exports no constant, struct or ioctl`);
    }
    const groups: UapiItem[][] = [];
    for (const item of items) {
      const last = groups.at(-1);
      if (last && this.#adjoins(last.at(-1), item)) last.push(item);
      else groups.push([item]);
    }
    return groups.map((group) => this.#group(group)).join('\n');
  }

  /** The #include lines; after the body, which says what is needed. */
  includes(): string {
    const { items } = this.#uapi;
    const ioctls = items.filter((item) => item.kind === 'ioctl');
    const types = ioctls.some(({ def }) => def.arg) || items.some(({ kind }) => kind === 'struct');
    const headers = new Set(this.#expressions.headers);
    for (const header of this.#foreignHeaders()) headers.add(header);
    const names = [
      ...(ioctls.length > 0 ? ['linux/ioctl.h'] : []),
      ...(types ? ['linux/types.h'] : []),
      ...[...headers].sort(),
    ];
    return names.map((name) => `#include <${name}>\n`).join('') + (names.length > 0 ? '\n' : '');
  }

  *#foreignHeaders(): Generator<string> {
    for (const item of this.#uapi.items) {
      if (item.kind === 'constant') continue;
      const type = item.kind === 'struct' ? item.type : item.def.arg;
      if (!type) continue;
      yield* headersWithin(elementOf(type));
    }
  }

  /** Whether two constants stand in one line, or in lines that follow each other. */
  #adjoins(before: UapiItem | undefined, item: UapiItem): boolean {
    if (before?.kind !== 'constant' || item.kind !== 'constant') return false;
    const [a, b] = [this.#uapi.declaration(before), this.#uapi.declaration(item)];
    return a !== undefined && a.file === b?.file && b.lines.first - a.lines.last <= 1;
  }

  #group(group: readonly UapiItem[]): string {
    const constants = group.filter((item) => item.kind === 'constant');
    // Values of a group stand below each other, a tab stop behind the longest name.
    const width = Math.max(0, ...constants.map(({ name }) => `#define ${name}`.length));
    const column = constants.length > 1 ? Math.floor(width / TAB + 1) * TAB : 0;
    return group.map((item) => this.#item(item, column)).join('');
  }

  #item(item: UapiItem, column: number): string {
    if (item.kind === 'constant') return this.#constant(item, column);
    return item.kind === 'struct' ? this.#struct(item) : this.#ioctl(item);
  }

  #constant(item: UapiConstant, column: number): string {
    const { name, value, doc } = item;
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      this.#refuse(item, `${name} is ${value}: no integer`);
    }
    const number = typeof value === 'string' ? 0n : BigInt(value);
    if (number >= 2n ** 64n || number < -(2n ** 63n)) {
      this.#refuse(item, `${name} is ${value}: C has no such integer`);
    }
    const head = `#define ${name}`;
    const tabs = Math.max(1, Math.ceil((column - head.length) / TAB));
    const gap = column === 0 ? ' ' : '\t'.repeat(tabs);
    const line = `${head}${gap}${this.#expressions.definition(item)}\n`;
    return (doc === undefined ? '' : plainComment(doc)) + line;
  }

  #struct(item: UapiStruct): string {
    const { type, doc } = item;
    const parameters = this.#parameters(type, '');
    const users = this.#uapi.items.filter((one) => one.kind === 'ioctl' && one.def.arg === type);
    const names = users.flatMap((one) => (one.kind === 'ioctl' ? [one.def.name] : []));
    const made = names.length > 0 ? `Argument of ${names.join(', ')}` : '';
    const text = doc ?? (made || (parameters.length > 0 ? type.tag.replaceAll('_', ' ') : ''));
    const comment = text === '' ? '' : kernelDoc(type.name, summarize(text), parameters);
    this.#warnOfNames(item, type);
    return comment + this.#structs.declaration(type);
  }

  /** The documented members of a struct and of what is unnamed within it, as kernel-doc calls them. */
  #parameters(type: StructType, prefix: string): Parameter[] {
    return type.members.flatMap((member) => {
      const name = prefix + (member.cName ?? member.name);
      const doc = member.name === '' ? undefined : this.#uapi.fieldDoc(type, member.name);
      const own = doc === undefined ? [] : [{ name, doc }];
      const element = elementOf(member.type);
      if (!isUnnamed(element)) return own;
      return [...own, ...this.#parameters(element, member.name === '' ? prefix : `${name}.`)];
    });
  }

  #warnOfNames(item: UapiStruct, type: StructType): void {
    for (const { name: key, cName: name = key, type: member } of type.members) {
      const at = `${this.#at(item)}"${name}"`;
      if (isCxxKeyword(name)) {
        this.warnings.push(`${at} is a keyword of C++: the header is for C only`);
      } else if (isMacro(name)) {
        this.warnings.push(`${at} is a macro of gcc's, 1, unless it is called with -std=c11`);
      }
      const element = elementOf(member);
      if (isUnnamed(element)) this.#warnOfNames(item, element);
    }
  }

  #ioctl(item: UapiIoctl): string {
    const { def, doc } = item;
    if (!isCName(def.name)) this.#refuse(item, `"${def.name}" is no name of a macro`);
    const text = [doc, errorsOf(def, doc)].filter((one) => one !== undefined).join('\n\n');
    const comment = text === '' ? '' : kernelDoc(`DOC: ${def.name}`, summarize(text));
    const request = this.#request(item);
    const line = `#define ${def.name} ${request}\n`;
    if (line.length <= WIDTH) return comment + line;
    return `${comment}#define ${def.name} \\\n\t${request}\n`;
  }

  /** `_IOWR(MAGIC, 0x01, struct job)`. */
  #request(item: UapiIoctl): string {
    const { def } = item;
    const [type, nr] = this.#typeAndNumber(item);
    if (def.dir === _IOC_NONE) return `_IO(${type}, ${nr})`;
    const size = _IOC_SIZE(def.request);
    const [read, write] = [(def.dir & _IOC_READ) !== 0, (def.dir & _IOC_WRITE) !== 0];
    if (size === 0) {
      const dir = [...(read ? ['_IOC_READ'] : []), ...(write ? ['_IOC_WRITE'] : [])].join(' | ');
      return `_IOC(${dir}, ${type}, ${nr}, 0)`;
    }
    return `_IO${read ? 'R' : ''}${write ? 'W' : ''}(${type}, ${nr}, ${this.#argument(item, size)})`.replace(
      '_IORW',
      '_IOWR',
    );
  }

  /** The type that the number's size is of: not always what the argument points to. */
  #argument(item: UapiIoctl, size: number): string {
    const { arg, name } = item.def;
    if (arg && elementOf(arg).kind.match(/struct|union/) && isUnnamed(elementOf(arg))) {
      this.#refuse(item, `${name} has a struct without a name: C cannot name it in the macro`);
    }
    if (arg?.size === size) return typeName(arg);
    return size <= 8 && Number.isInteger(Math.log2(size)) ? `__u${size * 8}` : `char[${size}]`;
  }

  /** The first two arguments of the macro, as the source writes them. */
  #typeAndNumber(item: UapiIoctl): [string, string] {
    const type = _IOC_TYPE(item.def.request).charCodeAt(0);
    const nr = _IOC_NR(item.def.request);
    const declared = this.#uapi.declaration(item);
    const made = declared && this.#uapi.sources.callOf(declared.file, declared.value);
    const isMaker = made && /^io[rw]{0,2}$/.test(calleeName(made.call) ?? '');
    const [first, second] = isMaker ? argumentsOf(made.call) : [];
    return [
      (made && first && this.#expressions.expression(made.file, first, BigInt(type))) ??
        character(type),
      (made && second && this.#expressions.expression(made.file, second, BigInt(nr))) ??
        `0x${nr.toString(16).padStart(2, '0')}`,
    ];
  }

  #at(item: UapiItem): string {
    const place = this.#uapi.place(item);
    return place ? `${place.file}:${place.line}: ` : '';
  }

  #refuse(item: UapiItem, why: string): never {
    throw new InputError(`${this.#at(item)}${why}`);
  }
}

/** The errnos of an ioctl's contract, unless its text names them all. */
function errorsOf({ errors = [] }: IoctlDef, doc = ''): string | undefined {
  if (errors.every((name) => doc.includes(name))) return undefined;
  return `Errors: ${errors.join(', ')}.`;
}

/** The headers of others that have the structs which a type is made of. */
function* headersWithin(type: unknown): Generator<string> {
  if (!isStruct(type)) return;
  const header = headerOf(type);
  if (header !== undefined) yield header;
  else for (const member of type.members) yield* headersWithin(elementOf(member.type));
}
