/**
 * read(2), write(2) and what else moves bytes through a descriptor: of Linux's own files none can do it, and what
 * is left is the order in which Linux finds that out. Devices of one's own may read and write.
 */
import { O_ACCMODE, O_RDONLY, O_WRONLY } from '../../../ioctl/index.js';
import { Errno, errno } from '../../errno.js';
import type { File, Segment } from '../../fs/file.js';
import { isKernelsAlone } from '../../fs/file_system.js';
import { Directory } from '../../fs/tree.js';
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
  return (file.f_flags & O_ACCMODE) === denied ? -Errno.EBADF : -Errno.EINVAL;
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

function sendfile(call: Call): Answer {
  const from = fileOf(call, 1);
  if (!from) return !fileOf(call, 0) || call.arg(3) === 0 ? CONTINUE : refusedTo(call, 0);
  const readable = refused(from, 'read');
  if (readable === -Errno.EBADF) return readable;
  return call.arg(2) !== 0 && !from.f_op.positioned ? -Errno.ESPIPE : -Errno.EINVAL;
}

function splice(call: Call): Answer {
  const from = fileOf(call, 0);
  if (from) return refused(from, 'read');
  return fileOf(call, 2) ? refusedTo(call, 2) : CONTINUE;
}

/** The errno of writing to the file in argument `argument`. */
function refusedTo(call: Call, argument: number): Answer {
  const file = fileOf(call, argument);
  return file ? refused(file, 'write') : CONTINUE;
}

const copy_file_range: Handler = (call) =>
  fileOf(call, 0) || fileOf(call, 2) ? -Errno.EINVAL : CONTINUE;

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
