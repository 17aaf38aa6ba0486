/** stat(2), access(2), readlink(2) and their kin. */
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import type { Found, FoundDescriptor, FoundMachine } from '../../fs/namei.js';
import { mayAccess, statFile, statNode } from '../../fs/stat.js';
import { Symlink } from '../../fs/tree.js';
import { native, STAT_FIELDS } from '../../native.js';
import { packStat, packStatfs, packStatx } from '../abi.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { redirect } from '../inject.js';

/** <linux/magic.h> */
const TMPFS_MAGIC = 0x01021994;
const SYSFS_MAGIC = 0x62656572;
const DEBUGFS_MAGIC = 0x64626720;

/** What is not for the caller to ask the machine for. */
type FoundOurs = Exclude<Found, FoundMachine>;

const stat = new Float64Array(STAT_FIELDS);

type Pack = (fields: Float64Array) => Uint8Array;

export function statCalls({ paths, kernel, shadows }: Context) {
  function statPath(
    call: Call,
    dirfd: number,
    argument: number,
    flags: number,
    into: number,
    pack: Pack,
  ): Answer {
    const path = paths.readPath(call.task, call.arg(argument));
    // No path at all is as good as an empty one (Linux 6.11).
    if (flags & AT_EMPTY_PATH && (path === '' || call.arg(argument) === 0)) {
      return statFd(call, dirfd, into, pack);
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
        return statNode(found.node, found.path, stat);
      case 'descriptor': {
        const file = follow && found.of === 'fd' && kernel.files.at(found.pid, found.fd, stat);
        return file ? statFile(file, stat) : undefined;
      }
    }
  }

  function statFd(call: Call, fd: number, into: number, pack: Pack): Answer {
    const file = call.task.lookUp(fd, stat);
    if (file) statFile(file, stat);
    else {
      const path = shadows.used && shadows.pathOf(call.task.linkOf(fd) ?? '');
      if (!path) return CONTINUE;
      const found = paths.resolve(call.task, AT_FDCWD, path, false);
      if (found?.kind !== 'node') return CONTINUE;
      statNode(found.node, path, stat);
    }
    call.task.mm.write(into, pack(stat));
    return 0;
  }

  function access(call: Call, dirfd: number, argument: number, mode: number, flags = 0): Answer {
    if (mode & ~7) return CONTINUE;
    const follow = !(flags & AT_SYMLINK_NOFOLLOW);
    const found = paths.find(call, dirfd, argument, follow);
    if (found?.kind === 'machine') return redirect(call, argument, found.path);
    const fields = found && fieldsOf(found, follow);
    if (fields === undefined) return CONTINUE;
    if (typeof fields === 'number') return fields;
    return mayAccess(fields[2] as number, mode) ? 0 : -Errno.EACCES;
  }

  function readlink(call: Call, dirfd: number, argument: number): Answer {
    const [into, size] = [call.arg(argument + 1), call.int(argument + 2)];
    if (size <= 0) return CONTINUE;
    const found = paths.find(call, dirfd, argument, false);
    if (found?.kind === 'machine') return redirect(call, argument, found.path);
    const target = found && targetOf(found);
    if (target === undefined) return CONTINUE;
    if (typeof target === 'number') return target;
    const bytes = Buffer.from(target).subarray(0, size);
    call.task.mm.write(into, bytes);
    return bytes.length;
  }

  function targetOf(found: FoundOurs): string | number | undefined {
    switch (found.kind) {
      case 'error':
        return -Errno[found.code];
      case 'node':
        return found.node instanceof Symlink ? found.node.target : -Errno.EINVAL;
      case 'descriptor':
        return linkOf(found);
    }
  }

  /** What a descriptor of ours says that it is of, or the working directory. */
  function linkOf({ of, pid, fd, path }: FoundDescriptor): string | undefined {
    if (of === 'fdinfo') return undefined;
    const file = of === 'fd' ? kernel.files.at(pid, fd) : undefined;
    if (file) return file.link();
    if (!shadows.used) return undefined;
    const link = native.readlink(path);
    return typeof link === 'string' ? shadows.pathOf(link) : undefined;
  }

  /** f_type of dma-bufs and of directories of ours. Descriptors of nodes are on tmpfs anyway. */
  function fileSystemOf(call: Call): number | undefined {
    const file = call.task.fget(call.int(0));
    if (file) return file.attributes.f_type;
    if (!shadows.used) return undefined;
    const path = shadows.pathOf(call.task.linkOf(call.int(0)) ?? '');
    if (path === undefined) return undefined;
    if (path.startsWith('/sys/kernel/debug')) return DEBUGFS_MAGIC;
    return path.startsWith('/sys') ? SYSFS_MAGIC : TMPFS_MAGIC;
  }

  function fstatfs(call: Call): Answer {
    const magic = fileSystemOf(call);
    if (magic === undefined) return CONTINUE;
    call.task.mm.write(call.arg(1), packStatfs(magic));
    return 0;
  }

  /** Nodes and files of ours have no extended attributes. */
  const noAttributes =
    (follow: boolean, answer: number): Handler =>
    (call) => {
      const found = paths.find(call, AT_FDCWD, 0, follow);
      if (found?.kind === 'machine') return redirect(call, 0, found.path);
      if (found?.kind === 'error') return -Errno[found.code];
      return found?.kind === 'node' ? answer : CONTINUE;
    };

  return {
    fstatfs,
    stat: (call) => statPath(call, AT_FDCWD, 0, 0, call.arg(1), packStat),
    lstat: (call) => statPath(call, AT_FDCWD, 0, AT_SYMLINK_NOFOLLOW, call.arg(1), packStat),
    fstat: (call) => statFd(call, call.int(0), call.arg(1), packStat),
    newfstatat: (call) => statPath(call, call.int(0), 1, call.int(3), call.arg(2), packStat),
    statx: (call) => statPath(call, call.int(0), 1, call.int(2), call.arg(4), packStatx),
    access: (call) => access(call, AT_FDCWD, 0, call.int(1)),
    faccessat: (call) => access(call, call.int(0), 1, call.int(2)),
    faccessat2: (call) => access(call, call.int(0), 1, call.int(2), call.int(3)),
    readlink: (call) => readlink(call, AT_FDCWD, 0),
    readlinkat: (call) => readlink(call, call.int(0), 1),
    getxattr: noAttributes(true, -Errno.ENODATA),
    lgetxattr: noAttributes(false, -Errno.ENODATA),
    listxattr: noAttributes(true, 0),
    llistxattr: noAttributes(false, 0),
  } satisfies Record<string, Handler>;
}
