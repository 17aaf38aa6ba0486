/** stat(2), access(2), readlink(2) and their kin. */
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  CAP_DAC_OVERRIDE,
} from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import { magicAt } from '../../fs/file_system.js';
import type { Found, FoundDescriptor, FoundMachine } from '../../fs/namei.js';
import { MAY_READ, MAY_WRITE, mayAccess } from '../../fs/permission.js';
import { statFile, statNode } from '../../fs/stat.js';
import { Symlink } from '../../fs/tree.js';
import { STAT_FIELDS } from '../../native.js';
import { packStat, packStatfs, packStatx } from '../abi.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { redirect } from '../inject.js';
import { onName } from './on_name.js';

/** What is not for the caller to ask the machine for. */
type FoundOurs = Exclude<Found, FoundMachine>;

const stat = new Float64Array(STAT_FIELDS);

type Pack = (fields: Float64Array) => Uint8Array;

export function statCalls(context: Context) {
  const { paths, kernel } = context;

  function statPath(
    call: Call,
    dirfd: number,
    argument: number,
    flags: number,
    into: number,
    pack: Pack,
  ): Answer {
    const path = paths.readPath(call.task, call.arg(argument));
    const isNull = call.arg(argument) === 0;
    if (flags & AT_EMPTY_PATH && (path === '' || isNull)) {
      const file = call.task.fileAt(dirfd, stat);
      if (file && isNull && !kernel.has('stat_without_path')) return -Errno.EFAULT;
      return statOpen(call, file, into, pack);
    }
    const follow = !(flags & AT_SYMLINK_NOFOLLOW);
    const found = paths.resolve(call.task, dirfd, path, follow);
    if (found?.kind === 'machine') return redirect(call, argument, found.path);
    const fields = found && fieldsOf(found, follow);
    if (fields === undefined) return CONTINUE;
    if (typeof fields === 'number') return fields;
    call.task.mm.write(into, pack(fields));
    return 0;
  }

  /** stat(2)'s fields, a negative errno, or undefined for what the machine can say. */
  function fieldsOf(found: FoundOurs, follow: boolean): Float64Array | number | undefined {
    switch (found.kind) {
      case 'error':
        return -Errno[found.code];
      case 'node':
        return statNode(found.dentry, stat);
      case 'descriptor': {
        const file = follow && found.of === 'fd' && kernel.files.at(found.pid, found.fd, stat);
        return file ? statFile(file, stat) : undefined;
      }
    }
  }

  /** Of an open file of ours, of which `stat` has what the machine says. */
  function statOpen(call: Call, file: File | undefined, into: number, pack: Pack): Answer {
    if (!file) return CONTINUE;
    statFile(file, stat);
    call.task.mm.write(into, pack(stat));
    return 0;
  }

  function access(call: Call, dirfd: number, path: number, mode: number, flags = 0): Answer {
    if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return CONTINUE;
    const as = flags & AT_EACCESS ? 'effective' : 'real';
    const follow = !(flags & AT_SYMLINK_NOFOLLOW);
    const empty = (flags & AT_EMPTY_PATH) !== 0;
    return onName(
      context,
      call,
      { path, dirfd, follow, empty },
      ({ node }) => (mayAccess(node, mode, call.task, as) ? 0 : -Errno.EACCES),
      ({ attributes }) => {
        // A buffer has no name, but a mode: anybody may do what that lets its owner do.
        const isRoot = call.task.capable(CAP_DAC_OVERRIDE);
        const allowed = isRoot ? MAY_READ | MAY_WRITE : attributes.mode >> 6;
        return mode & ~allowed & 7 ? -Errno.EACCES : 0;
      },
    );
  }

  function readlink(call: Call, dirfd: number, argument: number): Answer {
    const size = call.int(argument + 2);
    if (size <= 0) return CONTINUE;
    const path = paths.readPath(call.task, call.arg(argument));
    const found = paths.resolve(call.task, dirfd, path, false);
    if (found?.kind === 'machine') return redirect(call, argument, found.path);
    const target = path === '' ? targetOfOpen(call, dirfd) : found && targetOf(found);
    if (target === undefined) return CONTINUE;
    if (typeof target === 'number') return target;
    const bytes = Buffer.from(target).subarray(0, size);
    call.task.mm.write(call.arg(argument + 1), bytes);
    return bytes.length;
  }

  /** Of a link that was opened with O_PATH. */
  function targetOfOpen(call: Call, fd: number): string | undefined {
    const node = call.task.fget(fd)?.attributes.dentry?.node;
    // Of what is no link the machine says so.
    return node instanceof Symlink ? node.target : undefined;
  }

  function targetOf(found: FoundOurs): string | number | undefined {
    switch (found.kind) {
      case 'error':
        return -Errno[found.code];
      case 'node': {
        const { node } = found.dentry;
        return node instanceof Symlink ? node.target : -Errno.EINVAL;
      }
      case 'descriptor':
        return linkOf(found);
    }
  }

  /** What a descriptor of ours says that it is of, or the working directory. */
  function linkOf({ of, pid, fd, path }: FoundDescriptor): string | undefined {
    if (of === 'fdinfo') return undefined;
    return (of === 'fd' ? kernel.files.at(pid, fd) : kernel.files.behind(path))?.link();
  }

  /** f_type of dma-bufs and of what has a name in our tree; others are on the machine's tmpfs anyway. */
  function fileSystemOf(call: Call): number | undefined {
    const attributes = call.task.fget(call.int(0))?.attributes;
    const dentry = attributes?.dentry;
    return attributes?.f_type ?? (dentry && magicAt(dentry.path));
  }

  function fstatfs(call: Call): Answer {
    const magic = fileSystemOf(call);
    if (magic === undefined) return CONTINUE;
    call.task.mm.write(call.arg(1), packStatfs(magic));
    return 0;
  }

  return {
    fstatfs,
    stat: (call) => statPath(call, AT_FDCWD, 0, 0, call.arg(1), packStat),
    lstat: (call) => statPath(call, AT_FDCWD, 0, AT_SYMLINK_NOFOLLOW, call.arg(1), packStat),
    fstat: (call) => statOpen(call, call.task.lookUp(call.int(0), stat), call.arg(1), packStat),
    newfstatat: (call) => statPath(call, call.int(0), 1, call.int(3), call.arg(2), packStat),
    statx: (call) => statPath(call, call.int(0), 1, call.int(2), call.arg(4), packStatx),
    access: (call) => access(call, AT_FDCWD, 0, call.int(1)),
    faccessat: (call) => access(call, call.int(0), 1, call.int(2)),
    faccessat2: (call) => access(call, call.int(0), 1, call.int(2), call.int(3)),
    readlink: (call) => readlink(call, AT_FDCWD, 0),
    readlinkat: (call) => readlink(call, call.int(0), 1),
  } satisfies Record<string, Handler>;
}
