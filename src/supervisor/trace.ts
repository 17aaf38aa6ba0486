/** `--trace`: a line for each call that was answered here, in the style of strace. */
import {
  _IOC_DIR,
  _IOC_SIZE,
  type CType,
  choice,
  type FlagTable,
  flags,
  formatArg,
  formatFlags,
  formatRequest,
  type IoctlArg,
  type IoctlTable,
  MAP_FLAGS,
  OPEN_FLAGS,
  PROT_FLAGS,
} from '../../ioctl/index.js';
import { errnoName } from '../errno.js';
import { strndupUser } from '../mm/uaccess.js';
import type { Call } from './call.js';

const AT_FDCWD = -100;
const PATH_MAX = 4096;

const ACCESS_MODES = [...choice(7, { F_OK: 0 }), ...flags({ R_OK: 4, W_OK: 2, X_OK: 1 })];
const AT_FLAGS = flags({ AT_SYMLINK_NOFOLLOW: 0x100, AT_EACCESS: 0x200, AT_EMPTY_PATH: 0x1000 });
const WHENCES = ['SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE'];
const EPOLL_OPS = ['0', 'EPOLL_CTL_ADD', 'EPOLL_CTL_DEL', 'EPOLL_CTL_MOD'];
const FCNTL_COMMANDS: Record<number, string> = { 1033: 'F_ADD_SEALS', 1034: 'F_GET_SEALS' };

/** The text of an argument, given its place. */
type Show = (call: Call, index: number) => string;

const int: Show = (call, i) => String(call.int(i));
const long: Show = (call, i) => String(call.signed(i));
const address: Show = (call, i) => hex(call.arg(i));
const offset: Show = (call, i) => (call.arg(i) === 0 ? '0' : address(call, i));
const dirfd: Show = (call, i) => (call.int(i) === AT_FDCWD ? 'AT_FDCWD' : int(call, i));
const path: Show = (call, i) => {
  try {
    return JSON.stringify(strndupUser(call.task.mm, call.arg(i), PATH_MAX));
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
};

export interface TracerOptions {
  /** Takes each line, without its end. */
  write: (line: string) => void;
}

/** Makes the lines: `before` when a call comes, `after` when it has its answer. */
export class CallTracer {
  readonly #write: (line: string) => void;
  #firstTid = 0;

  constructor({ write }: TracerOptions) {
    this.#write = write;
  }

  /** @see Tracer.enter */
  enter(call: Call, name: string): (answer: number) => void {
    const { tid } = call;
    const ioctl = name === 'ioctl' ? new IoctlTrace(call) : undefined;
    const shown = ioctl?.before ?? (signatures[name] ?? [int]).map((show, i) => show(call, i));
    return (answer) => {
      this.#firstTid ||= tid;
      const who = tid === this.#firstTid ? '' : `[pid ${tid}] `;
      const args = [...shown.slice(0, -1), `${shown.at(-1)}${ioctl?.after(call, answer) ?? ''}`];
      this.#write(`${who}${name}(${args.join(', ')}) = ${result(name, answer)}`);
    };
  }
}

function result(name: string, answer: number): string {
  if (answer < 0) return `-1 ${errnoName(-answer)}`;
  return name === 'mmap' ? hex(answer) : String(answer);
}

function hex(value: number): string {
  return value === 0 ? 'NULL' : `0x${value.toString(16)}`;
}

/** The request by its name in the file's own table, the argument by its fields. */
class IoctlTrace {
  readonly before: string[];
  readonly #type: CType | undefined;
  readonly #address: number;
  readonly #in: IoctlArg | undefined;

  constructor(call: Call) {
    const request = call.uint(1);
    const table: IoctlTable = call.task.fget(call.int(0))?.f_op.ioctls ?? {};
    const def = Object.values(table).find((entry) => entry.request === request);
    this.#address = call.arg(2);
    this.#type = def?.arg;
    this.#in = this.#type && readArgument(call, this.#type, this.#address);
    this.before = [
      int(call, 0),
      formatRequest(request, table),
      this.#in && this.#type ? formatArg(this.#type, this.#in) : hex(this.#address),
    ];
  }

  /** What the call has changed in its argument: ` => {fd=4}`. */
  after(call: Call, answer: number): string {
    if (answer < 0 || !this.#in || !this.#type) return '';
    if ((_IOC_DIR(call.uint(1)) & 2) === 0 || _IOC_SIZE(call.uint(1)) === 0) return '';
    const out = readArgument(call, this.#type, this.#address);
    const changed = out && changedFields(this.#type, this.#in, out);
    return changed ? ` => {${changed}}` : '';
  }
}

function readArgument(call: Call, type: CType, at: number): IoctlArg | undefined {
  try {
    if (type.kind === 'cstring') {
      return type.create(strndupUser(call.task.mm, at, PATH_MAX) as never);
    }
    const bytes = new Uint8Array(type.size);
    call.task.mm.read(at, bytes);
    return type.view(bytes);
  } catch {
    return undefined;
  }
}

/** The fields of a struct whose text differs, `name=value` each. */
function changedFields(type: CType, before: IoctlArg, after: IoctlArg): string {
  const fields = (arg: IoctlArg) => formatArg(type, arg).slice(1, -1).split(', ');
  const old = new Set(fields(before));
  return fields(after)
    .filter((field) => !old.has(field))
    .join(', ');
}
