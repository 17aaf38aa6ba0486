/** System calls as strace(1) shows them: for `--trace`, and for who observes. */
import {
  _IOC_READ,
  _IOC_SIZE,
  type ArrayType,
  type CType,
  findIoctl,
  formatArg,
  formatChanges,
  formatFlags,
  formatRequest,
  type IoctlArg,
  type IoctlDef,
  POLL_FLAGS,
  type StructType,
  s32,
  struct,
  u16,
} from '../../ioctl/index.js';
import { type Argument, int } from '../abi/arguments.js';
import { AT_FDCWD, PATH_MAX } from '../abi/constants.js';
import { systemCall } from '../abi/system_calls.js';
import { Errno, errnoName } from '../errno.js';
import { strndupUser } from '../mm/uaccess.js';
import type { Task } from '../task.js';

/** What a system call is given: by a program, or by this process through `kernel.sys`. */
export interface CallArguments {
  readonly task: Pick<Task, 'pid' | 'comm' | 'mm' | 'fget'>;
  /** An argument as an unsigned number: an address, a length. */
  arg(index: number): number;
  /** As a signed 64-bit number, an int, an unsigned int. */
  signed(index: number): number;
  int(index: number): number;
  uint(index: number): number;
  /** A path that is no address; undefined: it is. */
  path?(index: number): string | undefined;
}

/** The text of an argument, given its place. */
function show(call: CallArguments, { kind, table = [], names = {} }: Argument, i: number): string {
  switch (kind) {
    case 'path':
    case 'string':
      return text(call, i);
    case 'dirfd':
      return call.int(i) === AT_FDCWD ? 'AT_FDCWD' : String(call.int(i));
    case 'flags':
      return formatFlags(call.uint(i), table);
    case 'one of':
      return names[call.int(i)] ?? String(call.int(i));
    case 'long':
      return String(call.signed(i));
    case 'int':
    case 'fd':
      return String(call.int(i));
    case 'mode':
      return `0${call.uint(i).toString(8)}`;
    case 'offset':
      return call.arg(i) === 0 ? '0' : hex(call.arg(i));
    case 'pollfds':
      return pollFds(call, i, 'events') ?? hex(call.arg(i));
    case 'address':
    case 'fd_set':
      return hex(call.arg(i));
  }
}

/** Elements of an array of struct pollfd that are shown. */
const SHOWN_FDS = 32;
const pollfd = struct('pollfd', { fd: s32, events: u16, revents: u16 });

/**
 * An array of struct pollfd as far as it asks for something, or has an answer; undefined if it cannot be read. Its
 * length is the argument behind it.
 */
function pollFds(call: CallArguments, i: number, field: 'events' | 'revents'): string | undefined {
  const count = call.uint(i + 1);
  const bytes = new Uint8Array(Math.min(count, SHOWN_FDS) * pollfd.size);
  try {
    call.task.mm.read(call.arg(i), bytes);
  } catch {
    return undefined;
  }
  const shown: string[] = [];
  for (let at = 0; at < bytes.length; at += pollfd.size) {
    const { fd, [field]: events } = pollfd.view(bytes, at);
    if (field === 'revents' && events === 0) continue;
    shown.push(`{fd=${fd}, ${field}=${formatFlags(events, POLL_FLAGS)}}`);
  }
  if (count > SHOWN_FDS) shown.push('...');
  return `[${shown.join(', ')}]`;
}

function text(call: CallArguments, i: number): string {
  try {
    return JSON.stringify(call.path?.(i) ?? strndupUser(call.task.mm, call.arg(i), PATH_MAX));
  } catch {
    return hex(call.arg(i));
  }
}

/** A call as text. It is made when the call comes: what the arguments point at is read then. */
export class CallText {
  readonly #name: string;
  readonly #shown: readonly string[];
  readonly #ioctl: IoctlText | undefined;

  constructor(call: CallArguments, name: string) {
    this.#name = name;
    this.#ioctl = name === 'ioctl' ? new IoctlText(call) : undefined;
    this.#shown =
      this.#ioctl?.before ?? (systemCall(name)?.args ?? [int]).map((arg, i) => show(call, arg, i));
  }

  /** Without the result: `ioctl(3, DMA_HEAP_IOCTL_ALLOC, {len=8192, …})`. */
  get before(): string {
    return `${this.#name}(${this.#shown.join(', ')})`;
  }

  /**
   * With it, and with what the call has changed in its argument: ` => {fd=4}`. To be made before the caller
   * goes on. `answer` is a negative errno for a failure; undefined: the machine's kernel makes the call.
   */
  line(call: CallArguments, answer: number | undefined): string {
    const last = this.#ioctl?.argumentAfter(call, answer) ?? this.#shown.at(-1);
    let args = '';
    for (let i = 0; i < this.#shown.length - 1; i++) args += `${this.#shown[i]}, `;
    const told = answer !== undefined && answer > 0 ? this.#revents(call) : '';
    return `${this.#name}(${args}${last}) = ${callResult(this.#name, answer)}${told}`;
  }

  /** What poll(2) has found: ` ([{fd=4, revents=POLLIN}])`. */
  #revents(call: CallArguments): string {
    if (systemCall(this.#name)?.args[0]?.kind !== 'pollfds') return '';
    const text = pollFds(call, 0, 'revents');
    return text === undefined ? '' : ` (${text})`;
  }
}

/** What a call answers: undefined where the machine's kernel makes it. */
export function callResult(name: string, answer: number | undefined): string {
  if (answer === undefined) return '?';
  // What no program ever sees: the call is made again, or is EINTR.
  if (-answer >= Errno.ERESTARTSYS) return `? ${errnoName(-answer)}`;
  if (answer < 0) return `-1 ${errnoName(-answer)}`;
  return name === 'mmap' ? hex(answer) : String(answer);
}

function hex(value: number): string {
  return value === 0 ? 'NULL' : `0x${value.toString(16)}`;
}

/** The request by its name in the file's own table, the argument by its fields. */
class IoctlText {
  readonly before: string[];
  readonly #def: IoctlDef | undefined;
  /** Bytes of the argument: an extensible struct may have more or less than its type. */
  readonly #size: number;
  readonly #in: IoctlArg | undefined;

  constructor(call: CallArguments) {
    const request = call.uint(1);
    const f_op = call.task.fget(call.int(0))?.f_op ?? {};
    const { ioctls = {} } = f_op;
    this.#def = f_op.findIoctl ? f_op.findIoctl(request) : findIoctl(ioctls, request);
    const { arg: type, name, dir, copy = dir } = this.#def ?? {};
    // A request that is not the definition's own has the size of the caller's struct.
    this.#size = this.#def?.request === request ? (type?.size ?? 0) : _IOC_SIZE(request);
    // What the kernel is to fill says nothing yet.
    if (type && copy !== _IOC_READ) this.#in = this.#read(call, type);
    this.before = [
      String(call.int(0)),
      name ?? formatRequest(request, ioctls),
      type && this.#in ? formatArg(type, this.#in) : hex(call.arg(2)),
    ];
  }

  /** The argument, with what the call has changed in it: `{len=8192, fd=0} => {fd=4}`; undefined: as before. */
  argumentAfter(call: CallArguments, answer: number | undefined): string | undefined {
    const { arg: type, dir = 0, copy = dir } = this.#def ?? {};
    if (answer === undefined || answer < 0 || !type || !(copy & _IOC_READ)) return undefined;
    const out = this.#read(call, type);
    if (!out) return undefined;
    if (!this.#in) return copy === _IOC_READ ? formatArg(type, out) : undefined;
    const changed = formatChanges(type, this.#in, out);
    return changed ? `${this.before.at(-1)} => ${changed}` : undefined;
  }

  #read(call: CallArguments, type: CType): IoctlArg | undefined {
    const at = call.arg(2);
    try {
      if (type.kind === 'cstring') {
        return type.create(strndupUser(call.task.mm, at, PATH_MAX) as never);
      }
      // From a pool: a small array of its own would have to be moved before it can be looked at by fields.
      const bytes = Buffer.allocUnsafe(this.#size);
      call.task.mm.read(at, bytes);
      return { bytes: withCounted(call, type, bytes, at) };
    } catch {
      return undefined;
    }
  }
}

/** Elements of an array behind a struct that are read: one more than are shown. */
const READ_ELEMENTS = 33;

/** A struct with what is there of the array behind it, if something counts that. */
function withCounted(call: CallArguments, type: CType, head: Buffer, address: number): Uint8Array {
  const { fields = [] } = type as Partial<StructType>;
  const tail = fields.at(-1);
  const counter = tail && fields.find(({ name }) => name === tail.countedBy);
  if (!tail || !counter || head.length < type.size) return head;
  const memory = new DataView(head.buffer, head.byteOffset, head.length);
  const count = Math.min(Number(counter.type.load(memory, counter.offset)), READ_ELEMENTS);
  const { element } = tail.type as ArrayType;
  const rest = Buffer.alloc(count * element.size);
  const there = call.task.mm.readSome(address + tail.offset, rest);
  return Buffer.concat([head.subarray(0, tail.offset), rest.subarray(0, there)]);
}
