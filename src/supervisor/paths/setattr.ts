/** Modes, owners, times and extended attributes of what is ours: chmod(2), chown(2), utimensat(2), setxattr(2) and their kin. */
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/constants.js';
import { Errno, errno } from '../../errno.js';
import { changeMode, changeOwner, changeTimes, type NewTime } from '../../fs/setattr.js';
import type { Dentry } from '../../fs/tree.js';
import { listAttributes, readAttribute, writeAttribute } from '../../fs/xattr.js';
import { strndupUser } from '../../mm/uaccess.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { onDescriptor, onName, type Where } from './on_name.js';

// <linux/stat.h>
const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;
const NSEC_PER_SEC = 1_000_000_000;
// <linux/xattr.h>, <linux/limits.h>
const XATTR_NAME_MAX = 255;
const XATTR_SIZE_MAX = 65536;

export function setattrCalls(context: Context) {
  const { kernel } = context;
  const watches = context.watches;

  /** Does what changes a node, and tells those who watch it. */
  const change = (dentry: Dentry, make: () => void): number => {
    make();
    watches.attributes(dentry);
    return 0;
  };

  const chmod = (call: Call, where: Where, mode: number): Answer =>
    onName(context, call, where, (dentry) =>
      change(dentry, () => changeMode(dentry.node, mode, call.task)),
    );

  const chown = (call: Call, where: Where, uid: number): Answer =>
    onName(context, call, where, (dentry) => owned(call, dentry, call.int(uid), call.int(uid + 1)));

  function owned(call: Call, dentry: Dentry, uid: number, gid: number): number {
    if (uid === -1 && gid === -1) return 0;
    return change(dentry, () => changeOwner(dentry.node, uid, gid, call.task));
  }

  function fchmodat2(call: Call): Answer {
    const flags = call.int(3);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return CONTINUE;
    const where = atOf(call, 1, flags);
    return onName(context, call, where, (dentry) => {
      if (!kernel.has('fchmodat2')) return -Errno.ENOSYS;
      return change(dentry, () => changeMode(dentry.node, call.int(2), call.task));
    });
  }

  function fchownat(call: Call): Answer {
    const flags = call.int(4);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return CONTINUE;
    return chown(call, atOf(call, 1, flags), 2);
  }

  function timed(
    call: Call,
    times: readonly [NewTime, NewTime] | undefined,
    on: (action: (dentry: Dentry) => Answer) => Answer,
  ): Answer {
    if (times?.every((time) => time === 'omitted')) return CONTINUE;
    return on((dentry) => {
      if (!times) return -Errno.EINVAL;
      return change(dentry, () => changeTimes(dentry.node, ...times, call.task));
    });
  }

  function utimensat(call: Call): Answer {
    const flags = call.int(3);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return CONTINUE;
    const times = readTimes(call, call.arg(2), 1);
    if (call.arg(1) === 0 && !(flags & AT_EMPTY_PATH)) {
      if (call.int(0) === AT_FDCWD) return CONTINUE;
      return timed(call, times, (action) => onDescriptor(call, action));
    }
    return timed(call, times, (action) => onName(context, call, atOf(call, 1, flags), action));
  }

  /** With struct timeval[2], in microseconds. */
  const utimes = (where: (call: Call) => Where, argument: number): Handler => {
    return (call) => {
      const times = readTimes(call, call.arg(argument), 1000);
      return timed(call, times, (action) => onName(context, call, where(call), action));
    };
  };

  function utime(call: Call): Answer {
    const times = readSeconds(call, call.arg(1));
    return timed(call, times, (action) => onName(context, call, { path: 0 }, action));
  }

  function getxattr(call: Call, follow: boolean): Answer {
    return onName(context, call, { path: 0, follow }, (dentry) => {
      const value = readAttribute(dentry, nameOf(call), call.task);
      return give(call, value, call.arg(2), call.arg(3));
    });
  }

  function listxattr(call: Call, follow: boolean): Answer {
    return onName(context, call, { path: 0, follow }, (dentry) =>
      give(call, listAttributes(dentry, call.task), call.arg(1), call.arg(2)),
    );
  }

  function setxattr(call: Call, follow: boolean): Answer {
    const [size, flags] = [call.arg(3), call.int(4)];
    if (flags & ~3) return CONTINUE;
    return onName(context, call, { path: 0, follow }, (dentry) => {
      const name = nameOf(call);
      if (size > XATTR_SIZE_MAX) return -Errno.E2BIG;
      const value = new Uint8Array(size);
      if (size > 0) call.task.mm.read(call.arg(2), value);
      return change(dentry, () => writeAttribute(dentry, name, value, flags, call.task));
    });
  }

  function removexattr(call: Call, follow: boolean): Answer {
    return onName(context, call, { path: 0, follow }, (dentry) => {
      const name = nameOf(call);
      return change(dentry, () => writeAttribute(dentry, name, undefined, 0, call.task));
    });
  }

  return {
    chmod: (call) => chmod(call, { path: 0 }, call.int(1)),
    fchmod: (call) =>
      onDescriptor(call, (dentry) =>
        change(dentry, () => changeMode(dentry.node, call.int(1), call.task)),
      ),
    fchmodat: (call) => chmod(call, { path: 1, dirfd: call.int(0) }, call.int(2)),
    fchmodat2,
    chown: (call) => chown(call, { path: 0 }, 1),
    lchown: (call) => chown(call, { path: 0, follow: false }, 1),
    fchown: (call) => onDescriptor(call, (dentry) => owned(call, dentry, call.int(1), call.int(2))),
    fchownat,
    utime,
    utimes: utimes(() => ({ path: 0 }), 1),
    futimesat: utimes((call) => ({ path: 1, dirfd: call.int(0), empty: call.arg(1) === 0 }), 2),
    utimensat,
    getxattr: (call) => getxattr(call, true),
    lgetxattr: (call) => getxattr(call, false),
    listxattr: (call) => listxattr(call, true),
    llistxattr: (call) => listxattr(call, false),
    setxattr: (call) => setxattr(call, true),
    lsetxattr: (call) => setxattr(call, false),
    removexattr: (call) => removexattr(call, true),
    lremovexattr: (call) => removexattr(call, false),
  } satisfies Record<string, Handler>;
}

/** Of a call that has a dirfd before its path, and these flags. */
function atOf(call: Call, path: number, flags: number): Where {
  const follow = !(flags & AT_SYMLINK_NOFOLLOW);
  return { path, dirfd: call.int(path - 1), follow, empty: (flags & AT_EMPTY_PATH) !== 0 };
}

/** The present for no times; undefined for what is refused. `unit`: nanoseconds of what counts parts of a second. */
function readTimes(
  call: Call,
  address: number,
  unit: number,
): readonly [NewTime, NewTime] | undefined {
  if (address === 0) return ['now', 'now'];
  const bytes = new Uint8Array(32);
  if (call.task.mm.readSome(address, bytes) < bytes.length) return undefined;
  const words = new BigInt64Array(bytes.buffer);
  const [atime, mtime] = [0, 2].map((at) => timeOf(Number(words[at]), Number(words[at + 1]), unit));
  return atime && mtime && [atime, mtime];
}

function timeOf(sec: number, part: number, unit: number): NewTime | undefined {
  if (unit === 1 && part === UTIME_NOW) return 'now';
  if (unit === 1 && part === UTIME_OMIT) return 'omitted';
  const nsec = part * unit;
  return nsec >= 0 && nsec < NSEC_PER_SEC ? { sec, nsec } : undefined;
}

/** struct utimbuf */
function readSeconds(call: Call, address: number): readonly [NewTime, NewTime] | undefined {
  if (address === 0) return ['now', 'now'];
  const bytes = new Uint8Array(16);
  if (call.task.mm.readSome(address, bytes) < bytes.length) return undefined;
  const [atime, mtime] = new BigInt64Array(bytes.buffer);
  return [
    { sec: Number(atime), nsec: 0 },
    { sec: Number(mtime), nsec: 0 },
  ];
}

/** The name of an extended attribute. EFAULT, ERANGE. */
function nameOf(call: Call): string {
  const name = strndupUser(call.task.mm, call.arg(1), XATTR_NAME_MAX + 1, 'ERANGE');
  if (name === '') throw errno('ERANGE');
  return name;
}

/** Gives bytes to a caller that has room for so many, or wants to know how many there are. */
function give(call: Call, bytes: Uint8Array, address: number, room: number): number {
  if (room === 0) return bytes.length;
  if (bytes.length > room) return -Errno.ERANGE;
  if (bytes.length > 0) call.task.mm.write(address, bytes);
  return bytes.length;
}
