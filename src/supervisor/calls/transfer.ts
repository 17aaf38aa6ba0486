/**
 * read(2), write(2) and what else moves bytes through a descriptor: of Linux's own files none can do it, and what
 * is left is the order in which Linux finds that out. Devices of one's own may read and write.
 */
import { O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY } from '../../../ioctl/index.js';
import { Errno, errno } from '../../errno.js';
import type { File, Segment } from '../../fs/file.js';
import { isKernelsAlone } from '../../fs/file_system.js';
import { Directory, S_IFDIR, S_IFIFO, S_IFMT } from '../../fs/tree.js';
import { flagsOfDescriptor } from '../../host/descriptors.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { fileOf as anyFileOf } from './fd.js';

type Direction = 'read' | 'write';

/** The file that an argument names, if it is one of ours that the machine does not serve by itself. */
function fileOf(call: Call, argument = 0): File | undefined {
  const file = anyFileOf(call, argument);
  return file?.f_op.native ? undefined : file;
}

function refused(file: File, direction: Direction): number {
  const denied = direction === 'read' ? O_WRONLY : O_RDONLY;
  return (file.openFlags & O_ACCMODE) === denied ? -Errno.EBADF : -Errno.EINVAL;
}

/** With one piece of memory, or with struct iovec[]. */
const transfer =
  (direction: Direction, segments: (call: Call) => Segment[]): Handler =>
  (call) => {
    const file = anyFileOf(call);
    if (!file || (file.f_op.native && !file.f_op[direction])) return CONTINUE;
    const move = file.f_op[direction];
    const denied = refused(file, direction);
    if (!move || denied === -Errno.EBADF) return denied;
    const pieces = segments(call).filter(({ length }) => length > 0);
    return move.call(file.f_op, file, pieces, call.task);
  };

/** TASK_SIZE_MAX: no program has memory beyond. */
const USER_SPACE = process.arch === 'x64' ? 2 ** 47 - PAGE_SIZE : 2 ** 52;

/** EFAULT for what cannot be anybody's memory, as access_ok() has it: before the driver is asked. */
function oneSegment(call: Call): Segment[] {
  const [address, length] = [call.arg(1), call.arg(2)];
  if (address + length > USER_SPACE) throw errno('EFAULT');
  return [{ address, length }];
}

const IOVEC_SIZE = 16;
const UIO_MAXIOV = 1024;

function iovec(call: Call): Segment[] {
  const count = call.arg(2);
  if (count > UIO_MAXIOV) throw errno('EINVAL');
  const bytes = new Uint8Array(count * IOVEC_SIZE);
  call.task.mm.read(call.arg(1), bytes);
  const words = new BigUint64Array(bytes.buffer);
  return Array.from({ length: count }, (_, i) => ({
    address: Number(words[2 * i]),
    length: Number(words[2 * i + 1]),
  }));
}

/** At the position in argument 3. */
const positioned =
  (direction: Direction, segments: (call: Call) => Segment[]): Handler =>
  (call) => {
    const file = anyFileOf(call);
    const writeAt = direction === 'write' ? file?.f_op.writeAt : undefined;
    if (!file || (file.f_op.native && !writeAt)) return CONTINUE;
    if (call.signed(3) < 0) return -Errno.EINVAL;
    const denied = refused(file, direction);
    if (!writeAt) return file.f_op.positioned ? denied : -Errno.ESPIPE;
    // What is open to be read alone has no FMODE_PWRITE.
    if (denied === -Errno.EBADF) return -Errno.ESPIPE;
    return writeAt.call(file.f_op, file, segments(call), call.arg(3), call.task);
  };

/** <linux/fs.h>: the only flag that a file with read() and write() of its own does not refuse. */
const RWF_HIPRI = 1;

/** With flags; −1 is the file's own position, and all that a device has. */
function positionedOrNot(direction: Direction): Handler {
  const there = positioned(direction, iovec);
  const here = transfer(direction, (call) => {
    const segments = iovec(call);
    if (call.int(5) & ~RWF_HIPRI) throw errno('EOPNOTSUPP');
    return segments;
  });
  return (call) => (call.signed(3) === -1 ? here(call) : there(call));
}

/**
 * Between two files, of which at least one is ours: none of ours has splice_read() or splice_write(), so that all that is
 * left is what is wrong besides. The machine says so of what is not ours.
 */
function between(call: Call, ends: { from: number; to: number }): number | undefined {
  const [from, to] = [fileOf(call, ends.from), fileOf(call, ends.to)];
  if (!from && !to) return undefined;
  const denied = (file: File | undefined, argument: number, direction: Direction) =>
    (file ? refused(file, direction) : accessOf(call, argument, direction)) === -Errno.EBADF;
  if (denied(from, ends.from, 'read') || denied(to, ends.to, 'write')) return -Errno.EBADF;
  return -Errno.EINVAL;
}

/** EBADF for a descriptor of the caller's that is none, or not open for that. */
function accessOf(call: Call, argument: number, direction: Direction): number {
  const flags = flagsOfDescriptor(call.tid, call.int(argument));
  if (flags === undefined || flags & O_PATH) return -Errno.EBADF;
  return (flags & O_ACCMODE) === (direction === 'read' ? O_WRONLY : O_RDONLY) ? -Errno.EBADF : 0;
}

function sendfile(call: Call): Answer {
  const [from, to] = [fileOf(call, 1), fileOf(call, 0)];
  if (from && refused(from, 'read') !== -Errno.EBADF && call.arg(2) !== 0) {
    if (!from.f_op.positioned) return -Errno.ESPIPE;
  }
  const answer = between(call, { from: 1, to: 0 });
  // Nothing at all goes anywhere, and so to a file of ours as well.
  return answer === -Errno.EINVAL && to && !from && call.arg(3) === 0 ? 0 : (answer ?? CONTINUE);
}

/** <linux/splice.h>: SPLICE_F_MOVE and its like */
const SPLICE_F_ALL = 0xf;

function splice(call: Call): Answer {
  // That is no matter of files.
  if (call.arg(4) === 0 || call.int(5) & ~SPLICE_F_ALL) return CONTINUE;
  const answer = between(call, { from: 0, to: 2 });
  if (answer !== -Errno.EINVAL) return answer ?? CONTINUE;
  const isPipe = (argument: number) =>
    ((call.task.modeOf(call.int(argument)) ?? 0) & S_IFMT) === S_IFIFO && !fileOf(call, argument);
  const places = [0, 2].filter((argument) => isPipe(argument) && call.arg(argument + 1) !== 0);
  return places.length > 0 ? -Errno.ESPIPE : answer;
}

/** It is for regular files alone. */
function copy_file_range(call: Call): Answer {
  if (!fileOf(call, 0) && !fileOf(call, 2)) return CONTINUE;
  const modes = [0, 2].map((argument) => call.task.modeOf(call.int(argument)));
  if (modes.includes(undefined)) return -Errno.EBADF;
  if (call.int(5) !== 0) return -Errno.EINVAL;
  return modes.some((mode) => ((mode ?? 0) & S_IFMT) === S_IFDIR) ? -Errno.EISDIR : -Errno.EINVAL;
}

const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;

function fallocate(call: Call): Answer {
  const file = fileOf(call);
  if (!file) return CONTINUE;
  const mode = call.int(1);
  if (call.signed(2) < 0 || call.signed(3) <= 0) return -Errno.EINVAL;
  if (mode !== 0 && mode !== (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    return -Errno.EOPNOTSUPP;
  }
  return refused(file, 'write') === -Errno.EBADF ? -Errno.EBADF : -Errno.ENODEV;
}

/** A call that every file of ours refuses. */
const refuse =
  (code: keyof typeof Errno): Handler =>
  (call) =>
    fileOf(call) ? -Errno[code] : CONTINUE;

/** There is nothing to write back of attributes, and no way to for directories of sysfs. */
const fsync: Handler = (call) => {
  const file = anyFileOf(call);
  if (!file?.f_op.native) return file ? -Errno.EINVAL : CONTINUE;
  const { dentry } = file.attributes;
  const none = dentry?.node instanceof Directory && isKernelsAlone(dentry.path);
  return none ? -Errno.EINVAL : CONTINUE;
};

export const transferCalls = {
  read: transfer('read', oneSegment),
  readv: transfer('read', iovec),
  write: transfer('write', oneSegment),
  writev: transfer('write', iovec),
  pread64: positioned('read', oneSegment),
  preadv: positioned('read', iovec),
  preadv2: positionedOrNot('read'),
  pwrite64: positioned('write', oneSegment),
  pwritev: positioned('write', iovec),
  pwritev2: positionedOrNot('write'),
  sendfile,
  splice,
  copy_file_range,
  fallocate,
  ftruncate: (call) => (anyFileOf(call) ? -Errno.EINVAL : CONTINUE),
  fsync,
  fdatasync: fsync,
  sync_file_range: refuse('ESPIPE'),
  readahead: refuse('EINVAL'),
  shutdown: refuse('ENOTSOCK'),
} satisfies Record<string, Handler>;
