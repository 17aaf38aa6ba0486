/** Whether a call of a program goes to something of ours: faults are for those calls alone. */
import { isPathOnly } from '../fs/char_dev.js';
import type { File } from '../fs/file.js';
import { isOursAlone } from '../fs/namei.js';
import { Directory } from '../fs/tree.js';
import type { Call } from '../supervisor/call.js';
import type { Context } from '../supervisor/context.js';
import { AT_FDCWD } from '../supervisor/paths/lookup.js';

const AT_SYMLINK_NOFOLLOW = 0x100;
const POLLFD_SIZE = 8;
/** More than any process may have open. */
const MAX_FDS = 2 ** 20;

/** Where a call has its path: the places of arguments. */
interface PathCall {
  path: number;
  /** The descriptor of the directory that it is relative to. */
  dirfd?: number;
  /** Those that may say AT_SYMLINK_NOFOLLOW. */
  flags?: number;
  /** A link at the end is not followed. */
  nofollow?: boolean;
}

const AT: PathCall = { dirfd: 0, path: 1 };

const PATH_CALLS: Readonly<Record<string, PathCall>> = {
  open: { path: 0 },
  openat: AT,
  openat2: AT,
  creat: { path: 0 },
  stat: { path: 0 },
  lstat: { path: 0, nofollow: true },
  newfstatat: { ...AT, flags: 3 },
  statx: { ...AT, flags: 2 },
  access: { path: 0 },
  faccessat: AT,
  faccessat2: { ...AT, flags: 3 },
  readlink: { path: 0, nofollow: true },
  readlinkat: { ...AT, nofollow: true },
  getxattr: { path: 0 },
  lgetxattr: { path: 0, nofollow: true },
  listxattr: { path: 0 },
  llistxattr: { path: 0, nofollow: true },
  truncate: { path: 0 },
  chdir: { path: 0 },
};

/** The places of descriptors. */
const FIRST = [0];
const FD_CALLS: Readonly<Record<string, readonly number[]>> = {
  ioctl: FIRST,
  lseek: FIRST,
  fcntl: FIRST,
  fstat: FIRST,
  fstatfs: FIRST,
  getdents64: FIRST,
  ftruncate: FIRST,
  fallocate: FIRST,
  fsync: FIRST,
  fdatasync: FIRST,
  sync_file_range: FIRST,
  readahead: FIRST,
  read: FIRST,
  readv: FIRST,
  pread64: FIRST,
  preadv: FIRST,
  preadv2: FIRST,
  write: FIRST,
  writev: FIRST,
  pwrite64: FIRST,
  pwritev: FIRST,
  pwritev2: FIRST,
  mmap: [4],
  epoll_ctl: [2],
  sendfile: [0, 1],
  splice: [0, 2],
  copy_file_range: [0, 2],
};

/** The descriptors that a call waits for. */
const WAIT_CALLS: Readonly<Record<string, (call: Call) => number[]>> = {
  poll: pollFds,
  ppoll: pollFds,
  select: selectFds,
  pselect6: selectFds,
};

/** The system calls that faults can be injected into. */
export const INJECTABLE: ReadonlySet<string> = new Set(
  [PATH_CALLS, FD_CALLS, WAIT_CALLS].flatMap((calls) => Object.keys(calls)),
);

/** Something of ours; the open file, if it is one. */
export interface Target {
  file: File | undefined;
}

/** What a call goes to, if it is ours. EFAULT for arguments that cannot be read. */
export function targetOf(call: Call, name: string, context: Context): Target | undefined {
  const path = PATH_CALLS[name];
  if (path) return pathTarget(call, path, context);
  const fds = WAIT_CALLS[name]?.(call) ?? FD_CALLS[name]?.map((index) => call.int(index)) ?? [];
  for (const fd of fds) {
    const target = fdTarget(call, fd, context);
    if (target) return target;
  }
  return undefined;
}

function fdTarget(call: Call, fd: number, { shadows }: Context): Target | undefined {
  const file = call.task.fget(fd);
  if (file) return isPathOnly(file) ? undefined : { file };
  const isShadow = shadows.used && shadows.pathOf(call.task.linkOf(fd) ?? '') !== undefined;
  return isShadow ? { file: undefined } : undefined;
}

function pathTarget(call: Call, where: PathCall, context: Context): Target | undefined {
  const { kernel, paths } = context;
  const dirfd = where.dirfd === undefined ? AT_FDCWD : call.int(where.dirfd);
  const path = paths.readPath(call.task, call.arg(where.path));
  // What fstat(3) is made of: AT_EMPTY_PATH.
  if (path === '') return dirfd === AT_FDCWD ? undefined : fdTarget(call, dirfd, context);
  const flags = where.flags === undefined ? 0 : call.int(where.flags);
  const follow = !where.nofollow && !(flags & AT_SYMLINK_NOFOLLOW);
  const found = paths.resolve(call.task, dirfd, path, follow);
  if (found?.kind === 'descriptor') {
    const file = kernel.files.at(found.pid, found.fd);
    return file && { file };
  }
  if (found?.kind !== 'node') return undefined;
  const { node } = found;
  const machines = node instanceof Directory && !isOursAlone(node, found.path);
  return machines ? undefined : { file: undefined };
}

function pollFds(call: Call): number[] {
  const count = call.uint(1);
  if (count > MAX_FDS) return [];
  const array = new Uint8Array(count * POLLFD_SIZE);
  call.task.mm.read(call.arg(0), array);
  const view = new DataView(array.buffer);
  return Array.from({ length: count }, (_, i) => view.getInt32(i * POLLFD_SIZE, true));
}

/** Those in any of the three sets. */
function selectFds(call: Call): number[] {
  const count = Math.min(call.int(0), MAX_FDS);
  if (count <= 0) return [];
  const all = new Uint8Array(Math.ceil(count / 64) * 8);
  const set = new Uint8Array(all.length);
  for (const index of [1, 2, 3]) {
    if (call.arg(index) === 0) continue;
    call.task.mm.read(call.arg(index), set);
    for (const [i, byte] of set.entries()) all[i] = (all[i] as number) | byte;
  }
  const fds = Array.from({ length: count }, (_, fd) => fd);
  return fds.filter((fd) => ((all[fd >> 3] as number) >> (fd & 7)) & 1);
}
