/** The interface that a TypeScript file declares: its constants, structs and ioctls, in order. */
import { existsSync, statSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { CType, IoctlDef, StructType } from '../ioctl/index.js';
import type { DeviceDefinition } from '../src/kit/define_device.js';
import { FieldSources } from './fields.js';
import { InputError } from './input_error.js';
import { loadModule } from './load.js';
import {
  type Declaration,
  isDeclaration,
  SourceError,
  type SourceFile,
  Sources,
} from './sources.js';
import { bare, type Expression, walk } from './syntax.js';
import { headerOf } from './system_headers.js';
import { isDevice, isIoctl, isIoctlTable, isStruct, namedStructs, sameType } from './types.js';

export interface UapiConstant {
  readonly kind: 'constant';
  readonly name: string;
  readonly value: number | bigint | string;
  /** As the source writes it: `1 << 0`; undefined if it is not made of literals, names and operators. */
  readonly expression?: string;
  readonly doc?: string;
}

export interface UapiStruct {
  readonly kind: 'struct';
  readonly type: StructType;
  readonly doc?: string;
}

export interface UapiIoctl {
  readonly kind: 'ioctl';
  readonly def: IoctlDef;
  readonly doc?: string;
}

export type UapiItem = UapiConstant | UapiStruct | UapiIoctl;

/** Where something is declared. */
export interface Place {
  /** As the file was named, or relative to the working directory. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface Uapi {
  /** The path, as it was asked for. */
  readonly file: string;
  /** The comment at the top of the file. */
  readonly doc?: string;
  /** In source order; what a struct or ioctl needs is before it. Not what `isForeign`. */
  readonly items: readonly UapiItem[];
  /** The default export: one definition, or several. */
  readonly devices: readonly DeviceDefinition[];
  /** Kernel-doc of a field: of the definition, or of the comment on it. */
  fieldDoc(struct: StructType, field: string): string | undefined;
  /** Where an item is declared; undefined if the source does not show it, as for what a function made. */
  place(item: UapiItem): Place | undefined;
  fieldPlace(struct: StructType, field: string): Place | undefined;
  /** Whether a struct is one of `dmabuf-shim/ioctl` that a header of Linux's has. */
  isForeign(struct: StructType): boolean;
  /** How an item is declared in the source. */
  declaration(item: UapiItem): Declaration | undefined;
  readonly fields: FieldSources;
  readonly sources: Sources;
}

/**
 * Loads a file and what it exports and uses: the structs and ioctls of its exports and of its devices,
 * the constants, and those of the files beside it that declare part of the same interface.
 * @throws InputError, in a line: no such file, a syntax error, what the file throws when it is loaded.
 */
export async function loadUapi(path: string): Promise<Uapi> {
  const absolute = resolve(path);
  if (!existsSync(absolute)) throw new InputError(`${path}: no such file`);
  if (!statSync(absolute).isFile()) throw new InputError(`${path}: is no file`);
  const sources = readSources(path, absolute);
  const builder = new Builder(path, sources);
  builder.add(await load(path, absolute), sources.root);
  for (const file of builder.companions()) builder.add(await load(file.path, file.path), file);
  return builder.build();
}

function readSources(path: string, absolute: string): Sources {
  try {
    return new Sources(absolute);
  } catch (error) {
    if (!(error instanceof SourceError)) throw new InputError(`${path}: ${firstLine(error)}`);
    const shown = error.path === absolute ? path : relative('', error.path);
    throw new InputError(`${shown}:${error.line}: ${firstLine(error)}`);
  }
}

async function load(path: string, absolute: string): Promise<Record<string, unknown>> {
  try {
    return await loadModule(absolute);
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    const [, line] = stack.split(`${absolute}:`)[1]?.match(/^(\d+)/) ?? [];
    throw new InputError(`${path}${line ? `:${line}` : ''}: ${firstLine(error)}`);
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n')[0] ?? text;
}

/** A constant's name: as C writes macros. */
const MACRO = /^_*[A-Z][A-Z0-9_]*$/;

class Builder {
  readonly #path: string;
  readonly #sources: Sources;
  readonly #fields: FieldSources;
  readonly #devices: DeviceDefinition[] = [];
  readonly #constants = new Map<string, UapiConstant>();
  readonly #structs = new Map<string, UapiStruct>();
  readonly #ioctls = new Map<string, UapiIoctl>();
  readonly #declarations = new Map<UapiItem, Declaration>();

  constructor(path: string, sources: Sources) {
    this.#path = path;
    this.#sources = sources;
    this.#fields = new FieldSources(sources);
  }

  /** What a module exports. */
  add(module: Record<string, unknown>, file: SourceFile): void {
    const devices = [module.default].flat().filter(isDevice);
    if (file === this.#sources.root) this.#devices.push(...devices);
    const values = Object.entries(module);
    for (const [, value] of values) {
      if (isStruct(value)) this.#addStructs(value);
      else if (isIoctlTable(value)) for (const def of Object.values(value)) this.#addIoctl(def);
      else if (isIoctl(value)) this.#addIoctl(value);
    }
    for (const { ioctls = {}, events } of devices) {
      for (const def of Object.values(ioctls)) this.#addIoctl(def);
      if (events) this.#addStructs(events);
    }
    for (const [name, value] of values) this.#addConstant(file, name, value);
  }

  /** Files that declare some of what was found, and are not exported whole: the rest of the same interface. */
  companions(): SourceFile[] {
    return this.#sources.files.filter(
      (file) =>
        file !== this.#sources.root &&
        ([...file.structs.keys()].some((tag) => this.#structs.has(tag)) ||
          [...file.ioctls.keys()].some((name) => this.#ioctls.has(name))),
    );
  }

  /** The structs with tags that a type is, or is made of. */
  #addStructs(type: CType): void {
    for (const one of namedStructs(type)) {
      if (headerOf(one) !== undefined) continue;
      const known = this.#structs.get(one.tag);
      if (known && !sameType(known.type, one)) {
        throw new InputError(`${this.#path}: two different structs have the tag ${one.tag}`);
      }
      const declared = this.#find('structs', one.tag);
      if (declared?.value?.type === 'CallExpression') {
        this.#fields.bind(one, { file: declared.file, call: declared.value });
      }
      if (known) continue;
      this.#note(this.#structs, one.tag, declared, {
        kind: 'struct',
        type: one,
        ...documented(one.doc ?? declared?.doc),
      });
    }
  }

  #addIoctl(def: IoctlDef): void {
    if (def.arg) this.#addStructs(def.arg);
    const known = this.#ioctls.get(def.name);
    if (known || headerOf(def) !== undefined) {
      if (known && known.def.request !== def.request) {
        throw new InputError(`${this.#path}: two different ioctls are called ${def.name}`);
      }
      return;
    }
    const declared = this.#find('ioctls', def.name);
    const doc = def.doc ?? declared?.doc;
    this.#note(this.#ioctls, def.name, declared, { kind: 'ioctl', def, ...documented(doc) });
  }

  #addConstant(file: SourceFile, name: string, value: unknown): void {
    const isValue =
      typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string';
    if (!isValue || !MACRO.test(name) || this.#ioctls.has(name)) return;
    const declared = this.#sources.exported(file, name);
    if (!declared || !isDeclaration(declared)) return;
    const known = this.#constants.get(name);
    if (known && known.value !== value) {
      throw new InputError(`${this.#path}: two different constants are called ${name}`);
    }
    if (known) return;
    const { doc, value: written } = declared;
    const expression = written && isPlain(written) ? textOf(declared.file, written) : undefined;
    this.#note(this.#constants, name, declared, {
      kind: 'constant',
      name,
      value,
      ...(expression !== undefined && { expression }),
      ...documented(doc),
    });
  }

  #find(what: 'structs' | 'ioctls', name: string): Declaration | undefined {
    for (const file of this.#sources.files.toReversed()) {
      const found = file[what].get(name);
      if (found) return found;
    }
    return undefined;
  }

  #note<T extends UapiItem>(
    items: Map<string, T>,
    name: string,
    declared: Declaration | undefined,
    item: T,
  ): void {
    items.set(name, item);
    if (declared) this.#declarations.set(item, declared);
  }

  /** In source order; what the sources do not show comes last. */
  #inOrder(): UapiItem[] {
    const all = [...this.#constants.values(), ...this.#structs.values(), ...this.#ioctls.values()];
    const rank = (item: UapiItem): [number, number] => {
      const declared = this.#declarations.get(item);
      if (!declared) return [this.#sources.files.length, 0];
      return [this.#sources.files.indexOf(declared.file), declared.position];
    };
    const ranks = new Map(all.map((item) => [item, rank(item)]));
    const rankOf = (item: UapiItem) => ranks.get(item) ?? [0, 0];
    return all.sort((a, b) => rankOf(a)[0] - rankOf(b)[0] || rankOf(a)[1] - rankOf(b)[1]);
  }

  /** The items, each struct before what is made of it. */
  #items(): UapiItem[] {
    const done = new Set<UapiItem>();
    const put = (item: UapiItem) => {
      const type = item.kind === 'struct' ? item.type : item.kind === 'ioctl' && item.def.arg;
      for (const { tag } of type ? namedStructs(type) : []) {
        const needed = this.#structs.get(tag);
        if (needed && needed !== item) done.add(needed);
      }
      done.add(item);
    };
    this.#inOrder().forEach(put);
    return [...done];
  }

  build(): Uapi {
    const { root } = this.#sources;
    const at = (declared: Declaration | undefined): Place | undefined =>
      declared && {
        file: declared.file === root ? this.#path : relative('', declared.file.path),
        line: declared.line,
      };
    const declaration = (item: UapiItem) => this.#declarations.get(item);
    const fields = this.#fields;
    return {
      file: this.#path,
      ...documented(root.doc),
      items: this.#items(),
      devices: this.#devices,
      fieldDoc(struct, field) {
        const info = struct.fields.find(({ name }) => name === field);
        return info?.doc ?? fields.get(struct, field)?.doc;
      },
      place: (item) => at(declaration(item)),
      fieldPlace: (struct, field) => at(fields.get(struct, field)),
      isForeign: (struct) => headerOf(struct) !== undefined,
      declaration,
      fields,
      sources: this.#sources,
    };
  }
}

function documented(doc: string | undefined): { doc?: string } {
  return doc === undefined ? {} : { doc };
}

const PLAIN = new Set([
  ...['NumericLiteral', 'BigIntLiteral', 'StringLiteral', 'Identifier'],
  ...['UnaryExpression', 'BinaryExpression', 'ParenthesizedExpression'],
]);

/** Whether an expression is made of literals, names and operators only. */
function isPlain(value: Expression): boolean {
  let plain = true;
  walk(bare(value), (node) => {
    plain &&= PLAIN.has(node.type);
  });
  return plain;
}

function textOf(file: SourceFile, value: Expression): string {
  const { start, end } = bare(value);
  return file.text.slice(start ?? 0, end ?? 0);
}
