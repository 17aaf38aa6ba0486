/** System calls as strace(1) shows them: for `--trace`, and for who observes. */
import {
  _IOC_READ,
  _IOC_SIZE,
  type CType,
  choice,
  type FlagTable,
  findIoctl,
  flags,
  formatArg,
  formatChanges,
  formatFlags,
  formatRequest,
  type IoctlArg,
  type IoctlDef,
  MAP_FLAGS,
  OPEN_FLAGS,
  PROT_FLAGS,
} from '../../ioctl/index.js';
import { Errno, errnoName } from '../errno.js';
import { strndupUser } from '../mm/uaccess.js';
import type { Task } from '../task.js';

const AT_FDCWD = -100;
const PATH_MAX = 4096;

const ACCESS_MODES = [...choice(7, { F_OK: 0 }), ...flags({ R_OK: 4, W_OK: 2, X_OK: 1 })];
const AT_FLAGS = flags({ AT_SYMLINK_NOFOLLOW: 0x100, AT_EACCESS: 0x200, AT_EMPTY_PATH: 0x1000 });
const WHENCES = ['SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE'];
const EPOLL_OPS = ['0', 'EPOLL_CTL_ADD', 'EPOLL_CTL_DEL', 'EPOLL_CTL_MOD'];
const FCNTL_COMMANDS: Record<number, string> = { 1033: 'F_ADD_SEALS', 1034: 'F_GET_SEALS' };

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
type Show = (call: CallArguments, index: number) => string;

const int: Show = (call, i) => String(call.int(i));
const long: Show = (call, i) => String(call.signed(i));
const address: Show = (call, i) => hex(call.arg(i));
const offset: Show = (call, i) => (call.arg(i) === 0 ? '0' : address(call, i));
const dirfd: Show = (call, i) => (call.int(i) === AT_FDCWD ? 'AT_FDCWD' : int(call, i));
const path: Show = (call, i) => {
  try {
    return JSON.stringify(call.path?.(i) ?? strndupUser(call.task.mm, call.arg(i), PATH_MAX));
  } catch {
    return address(call, i);
  }
};
const oneOf =
  (names: readonly string[] | Record<number, string>): Show =>
  (call, i) =>
    (names as Record<number, string>)[call.int(i)] ?? int(call, i);
const flagsOf =
  (table: FlagTable): Show =>
  (call, i) =>
    formatFlags(call.uint(i), table);

/** The arguments of each call, in order; a call that is not here shows its descriptor alone. */
const signatures: Record<string, Show[]> = {
  open: [path, flagsOf(OPEN_FLAGS)],
  openat: [dirfd, path, flagsOf(OPEN_FLAGS)],
  openat2: [dirfd, path, address, long],
  creat: [path, address],
  stat: [path, address],
  lstat: [path, address],
  fstat: [int, address],
  newfstatat: [dirfd, path, address, flagsOf(AT_FLAGS)],
  statx: [dirfd, path, flagsOf(AT_FLAGS), address, address],
  fstatfs: [int, address],
  access: [path, flagsOf(ACCESS_MODES)],
  faccessat: [dirfd, path, flagsOf(ACCESS_MODES)],
  faccessat2: [dirfd, path, flagsOf(ACCESS_MODES), flagsOf(AT_FLAGS)],
  readlink: [path, address, long],
  readlinkat: [dirfd, path, address, long],
  getxattr: [path, path],
  lgetxattr: [path, path],
  listxattr: [path],
  llistxattr: [path],
  getdents64: [int, address, long],
  chdir: [path],
  getcwd: [address, long],
  lseek: [int, long, oneOf(WHENCES)],
  ftruncate: [int, long],
  fallocate: [int, int, long, long],
  fcntl: [int, oneOf(FCNTL_COMMANDS), long],
  mmap: [address, long, flagsOf(PROT_FLAGS), flagsOf(MAP_FLAGS), int, offset],
  poll: [address, int, int],
  ppoll: [address, int, address, address],
  select: [int, address, address, address, address],
  pselect6: [int, address, address, address, address, address],
  epoll_ctl: [int, oneOf(EPOLL_OPS), int, address],
  munmap: [address, long],
};

/** A call as text. It is made when the call comes: what the arguments point at is read then. */
export class CallText {
  readonly #name: string;
  readonly #shown: readonly string[];
  readonly #ioctl: IoctlText | undefined;

  constructor(call: CallArguments, name: string) {
    this.#name = name;
    this.#ioctl = name === 'ioctl' ? new IoctlText(call) : undefined;
    this.#shown =
      this.#ioctl?.before ?? (signatures[name] ?? [int]).map((show, i) => show(call, i));
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
    return `${this.#name}(${args}${last}) = ${callResult(this.#name, answer)}`;
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
    const { ioctls = {}, extensible = false } = call.task.fget(call.int(0))?.f_op ?? {};
    this.#def = findIoctl(ioctls, request, extensible);
    const { arg: type, name, dir, copy = dir } = this.#def ?? {};
    this.#size = type && extensible ? _IOC_SIZE(request) : (type?.size ?? 0);
    // What the kernel is to fill says nothing yet.
    if (type && copy !== _IOC_READ) this.#in = this.#read(call, type);
    this.before = [
      int(call, 0),
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
      return { bytes };
    } catch {
      return undefined;
    }
  }
}
