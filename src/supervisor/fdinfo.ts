/** /proc/PID/fdinfo/N: what the machine says there of a descriptor, made into what Linux says of our file. */
import { O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_PATH } from '../../ioctl/index.js';
import { Pipe } from '../backing/pipe.js';
import { errno, orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import { native } from '../native.js';

const PAGE = 4096;
/** What open(2) sets on every 64-bit machine, and what is opened without it does not have. */
const O_LARGEFILE = process.arch === 'arm64' ? 0o400000 : 0o100000;

function read(path: string): string {
  const fd = orThrow(native.open(path, O_CLOEXEC, 0));
  const text = new Uint8Array(PAGE);
  const length = native.read(fd, text);
  native.close(fd);
  if (length < 0) throw errno('ENOENT');
  return Buffer.from(text.subarray(0, length)).toString();
}

/** The flags of the description, as they are for the machine's memfd, as those of our file. */
function ofOurs(file: File, flags: number): number {
  // A sync_file's pipe does not block, whatever the program thinks.
  if (file.backing instanceof Pipe) return flags & ~O_NONBLOCK;
  if (!file.attributes.node) return flags & ~O_LARGEFILE;
  if (file.f_flags & O_PATH) return (flags & O_CLOEXEC) | (file.f_flags & (O_PATH | O_NOFOLLOW));
  return flags | (file.f_flags & O_NOFOLLOW);
}

const FLAGS = /^flags:\t(\d+)$/m;

/** fcntl(F_GETFL) of a thread's descriptor of `file`, or undefined if it is closed by now. */
export function openFlags(file: File, tid: number, fd: number): number | undefined {
  const flags = FLAGS.exec(read(`/proc/${tid}/fdinfo/${fd}`))?.[1];
  return flags === undefined ? undefined : ofOurs(file, Number.parseInt(flags, 8)) & ~O_CLOEXEC;
}

/** The text of `path`, which is the descriptor's entry in a fdinfo directory. */
export function fdinfo(file: File, path: string): string {
  const { node } = file.attributes;
  const lines = read(path)
    .replace(FLAGS, (_, flags) => `flags:\t0${ofOurs(file, Number.parseInt(flags, 8)).toString(8)}`)
    .replace(/^ino:.*\n/m, (line) => {
      if (!file.kernel.has('fdinfo_ino')) return '';
      return node ? `ino:\t${node.ino}\n` : line;
    })
    // Our own marks on the description are not the program's.
    .replace(/^lock:.*\n/gm, '');
  return lines + (file.f_op.showFdinfo?.(file) ?? '');
}
