/** What strace would print: request numbers by name, structs by their fields. */

import type { ArrayType } from './array.js';
import { bytesAt, type CType, type IoctlArg } from './ctype.js';
import { type FlagTable, formatFlags } from './flags.js';
import { _IOC_DIR, _IOC_NR, _IOC_READ, _IOC_SIZE, _IOC_TYPE, _IOC_WRITE } from './ioc.js';
import type { IoctlDef, IoctlTable } from './ioctl.js';
import type { Field, StructType } from './struct.js';

/** The four parts of a request number. */
export interface DecodedRequest {
  /** `_IOC_NONE`, or a union of `_IOC_READ` and `_IOC_WRITE`. */
  readonly dir: number;
  /** One character. */
  readonly type: string;
  readonly nr: number;
  /** In bytes. */
  readonly size: number;
}

/** Takes a request number apart. */
export function decodeRequest(request: number): DecodedRequest {
  return {
    dir: _IOC_DIR(request),
    type: _IOC_TYPE(request),
    nr: _IOC_NR(request),
    size: _IOC_SIZE(request),
  };
}

const byRequest = new WeakMap<IoctlTable, Map<number, IoctlDef>>();

/** The ioctl of a table that a request is, by its whole number; undefined if there is none. */
export function findIoctl(table: IoctlTable, request: number): IoctlDef | undefined {
  let found = byRequest.get(table);
  if (!found) {
    found = new Map(Object.values(table).map((def) => [def.request, def]));
    byRequest.set(table, found);
  }
  return found.get(request);
}

/**
 * The name of a request, looked up in the tables in turn; if none has it,
 * `_IOC(_IOC_READ|_IOC_WRITE, 0x62, 0x3f, 0x8)`.
 */
export function formatRequest(request: number, ...tables: readonly IoctlTable[]): string {
  for (const table of tables) {
    const found = findIoctl(table, request);
    if (found) return found.name;
  }
  const { dir, type, nr, size } = decodeRequest(request);
  const words = [dir & _IOC_READ && '_IOC_READ', dir & _IOC_WRITE && '_IOC_WRITE'];
  const direction = words.filter(Boolean).join('|') || '_IOC_NONE';
  return `_IOC(${[direction, ...[type.charCodeAt(0), nr, size].map(hex)].join(', ')})`;
}

/** `%#x`: 0 has no prefix. */
function hex(n: number | bigint): string {
  return n ? `0x${n.toString(16)}` : '0';
}

/** Elements of an array that are shown. */
const SHOWN_ELEMENTS = 32;

/**
 * An argument by its type: `{len=8192, fd=0, fd_flags=O_RDWR|O_CLOEXEC, heap_flags=0}`.
 * Numbers are decimal, addresses hex (`NULL` for 0), flags by name with what is left in hex,
 * strings quoted; `...` stands for what is cut off. A lone scalar is in brackets: `[1]`.
 * Of a struct that is shorter than its type, as an older program's is, the fields that are there are shown; of a
 * longer one also the bytes beyond, if they are not zero. Anything else that is too short is shown in hex:
 * `"\x01\x02"`.
 */
export function formatArg(type: CType, arg: IoctlArg): string {
  const { bytes } = arg;
  const memory = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isStruct(type)) return formatStruct(type, memory);
  if (bytes.length < type.size) return formatBytes(bytes);
  const text = format(type, memory, 0);
  return type.kind === 'integer' || type.kind === 'pointer' ? `[${text}]` : text;
}

const NO_BYTES = new Uint8Array();

/** A struct that may be shorter or longer than its type. */
function formatStruct(type: StructType, memory: DataView): string {
  const { fields, size } = type;
  const { byteLength } = memory;
  const shown = shownFields(type, byteLength);
  const parts = [formatFields(shown, memory, 0)];
  if (byteLength < size && fields.some((field) => isCut(field, byteLength))) parts.push('...');
  const beyond =
    type.flexible || byteLength <= size ? NO_BYTES : bytesAt(memory, size, byteLength - size);
  if (beyond.some((byte) => byte !== 0)) {
    parts.push(`/* bytes ${size}..${byteLength - 1} */ ${formatBytes(beyond)}`);
  }
  return `{${parts.filter(Boolean).join(', ')}}`;
}

/** Whether so many bytes hold the beginning of a field, but not its end. */
function isCut({ offset, type }: Field, available: number): boolean {
  return offset < available && offset + type.size > available;
}

/**
 * What a call has changed in its argument: of a struct the fields that are others than before (`{fd=4}`), of
 * anything else all of it; empty if nothing is.
 */
export function formatChanges(type: CType, before: IoctlArg, after: IoctlArg): string {
  const [old, now] = [before.bytes, after.bytes];
  if (sameBytes(old, now, 0, Math.max(old.length, now.length))) return '';
  if (!isStruct(type)) return formatArg(type, after);
  const memory = new DataView(now.buffer, now.byteOffset, now.byteLength);
  const changed = shownFields(type, now.length).filter(
    ({ offset, type: { flexible, kind, size } }) => {
      const end = flexible ? now.length : offset + size;
      if (sameBytes(old, now, offset, end)) return false;
      // What lies behind the NUL of a string is not part of it.
      if (kind !== 'chars') return true;
      return formatString(old.subarray(offset, end)) !== formatString(now.subarray(offset, end));
    },
  );
  const text = formatFields(changed, memory, 0);
  return text && `{${text}}`;
}

function sameBytes(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The fields that lie within so many bytes. */
function shownFields({ fields, size }: StructType, available: number): readonly Field[] {
  if (available >= size) return fields;
  return fields.filter(({ offset, type }) => offset < available && offset + type.size <= available);
}

function formatField(field: Field, memory: DataView, at: number): string {
  const { name, cName = name, type, offset, flags } = field;
  return `${cName}=${format(type, memory, at + offset, flags)}`;
}

function formatFields(fields: readonly Field[], memory: DataView, at: number): string {
  let text = '';
  for (const field of fields) text += `${text && ', '}${formatField(field, memory, at)}`;
  return text;
}

function format(type: CType, memory: DataView, at: number, flags?: FlagTable): string {
  if (isStruct(type)) return `{${formatFields(type.fields, memory, at)}}`;
  if (isArray(type)) {
    const { element } = type;
    const room = type.flexible?.covers(memory.byteLength - at) ?? type.size;
    const n = element.size === 0 ? 0 : room / element.size;
    const shown = Array.from({ length: Math.min(n, SHOWN_ELEMENTS) }, (_, i) =>
      format(element, memory, at + i * element.size, flags),
    );
    if (n > SHOWN_ELEMENTS) shown.push('...');
    return `[${shown.join(', ')}]`;
  }
  if (type.kind === 'chars') return formatString(bytesAt(memory, at, type.size));
  if (type.kind === 'cstring') return formatString(bytesAt(memory, at, memory.byteLength - at));

  const value = type.load(memory, at) as number | bigint;
  if (!flags && type.kind === 'integer') return value.toString();
  const bits = BigInt.asUintN(type.size * 8, BigInt(value));
  if (flags) return formatFlags(bits, flags);
  if (type.kind === 'pointer') return value ? hex(bits) : 'NULL';
  return value.toString();
}

function isStruct(type: CType): type is StructType {
  return type.kind === 'struct' || type.kind === 'union';
}

function isArray(type: CType): type is ArrayType {
  return type.kind === 'array' || type.kind === 'flexible';
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
};

/** A NUL-terminated string; without a NUL it is cut off: `"0123456789abcdef"...`. */
function formatString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  if (end < 0) return `${quote(bytes, escapeByte)}...`;
  return quote(bytes.subarray(0, end), escapeByte);
}

function quote(bytes: Uint8Array, each: (byte: number, next: number | undefined) => string) {
  return `"${Array.from(bytes, (byte, i) => each(byte, bytes[i + 1])).join('')}"`;
}

function escapeByte(byte: number, next: number | undefined): string {
  const char = String.fromCharCode(byte);
  const escaped = ESCAPES[char];
  if (escaped) return escaped;
  if (byte >= 0x20 && byte < 0x7f) return char;
  const digitFollows = next !== undefined && next >= 0x30 && next <= 0x39;
  return `\\${byte.toString(8).padStart(digitFollows ? 3 : 1, '0')}`;
}

function formatBytes(bytes: Uint8Array): string {
  return quote(bytes, (byte) => `\\x${hexByte(byte)}`);
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
