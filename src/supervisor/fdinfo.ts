/** /proc/PID/fdinfo/N: what the machine says there of a descriptor, made into what Linux says of our file. */
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../../ioctl/index.js';
import { errno } from '../errno.js';
import type { File } from '../fs/file.js';
import { flagsOfDescriptor } from '../host/descriptors.js';
import { readText } from '../host/read.js';

/** What open(2) sets on every 64-bit machine, and what is opened without it does not have. */
const O_LARGEFILE = process.arch === 'arm64' ? 0o400000 : 0o100000;

/** The flags of the description, as they are for the machine's memfd, as those of our file. */
function ofOurs(file: File, flags: number): number {
  const { ownFlags = 0 } = file.backing;
  const own = (flags & ~ownFlags) | (file.openFlags & ownFlags);
  if (!file.attributes.dentry) return own & ~O_LARGEFILE;
  if (file.openFlags & O_PATH) return (flags & O_CLOEXEC) | (file.openFlags & ~O_CLOEXEC);
  const kept = O_DIRECTORY | O_NOFOLLOW;
  return (own & ~kept) | O_LARGEFILE | (file.openFlags & kept);
}

const FLAGS = /^flags:\t(\d+)$/m;

/** fcntl(F_GETFL) of a thread's descriptor of `file`, or undefined if it is closed by now. */
export function openFlags(file: File, tid: number, fd: number): number | undefined {
  const flags = flagsOfDescriptor(tid, fd);
  return flags === undefined ? undefined : ofOurs(file, flags) & ~O_CLOEXEC;
}

/** The text of `path`, which is the descriptor's entry in a fdinfo directory. */
export function fdinfo(file: File, path: string): string {
  const node = file.attributes.dentry?.node;
  const machines = readText(path);
  if (machines === '') throw errno('ENOENT');
  const lines = machines
    .replace(FLAGS, (_, flags) => `flags:\t0${ofOurs(file, Number.parseInt(flags, 8)).toString(8)}`)
    .replace(/^ino:.*\n/m, (line) => {
      if (!file.kernel.has('fdinfo_ino')) return '';
      return node ? `ino:\t${node.ino}\n` : line;
    })
    // Our own marks on the description are not the program's.
    .replace(/^lock:.*\n/gm, '')
    // Nor is what a socket has.
    .replace(/^scm_fds:.*\n/m, '');
  return lines + (file.f_op.showFdinfo?.(file) ?? '');
}
