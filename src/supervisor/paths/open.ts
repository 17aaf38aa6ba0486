/** open(2) and its kin. */
import {
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  struct,
  u64,
  type View,
} from '../../../ioctl/index.js';
import { AT_FDCWD, MFD_CLOEXEC } from '../../abi/constants.js';
import { Errno, orThrow } from '../../errno.js';
import type { File } from '../../fs/file.js';
import type { FoundDescriptor, NotFound, Restrictions } from '../../fs/namei.js';
import { machineNode, makeFile } from '../../fs/names.js';
import { openDentry, pathFile } from '../../fs/open.js';
import { isOwner, MAY_READ, MAY_WRITE, mayAccess } from '../../fs/permission.js';
import {
  type Dentry,
  Directory,
  FileNode,
  S_IFMT,
  S_IFREG,
  Symlink,
  type TreeNode,
} from '../../fs/tree.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { native } from '../../native.js';
import { ANSWERED, type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { fdinfo } from '../fdinfo.js';
import { redirect } from '../inject.js';

/** O_TMPFILE without the O_DIRECTORY that goes with it. */
const __O_TMPFILE = O_TMPFILE & ~O_DIRECTORY;

const open_how = struct('open_how', { flags: u64, mode: u64, resolve: u64 });

/** What open(2) does once, and is no property of the open file. */
const OPENING_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_NOFOLLOW | O_DIRECT;

/** What counts beside O_PATH. */
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

export function openCalls({ paths, kernel, watches }: Context) {
  function open(
    call: Call,
    dirfd: number,
    argument: number,
    asked: number,
    how?: Restrictions,
  ): Answer {
    const flags = asked & O_PATH ? asked & PATH_FLAGS : asked;
    // What does not go together is refused before anybody looks at the path.
    if (flags & O_CREAT && flags & O_DIRECTORY) return CONTINUE;
    if (flags & __O_TMPFILE && (!(flags & O_DIRECTORY) || !(flags & O_ACCMODE))) return CONTINUE;
    const follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
    const path = paths.readPath(call.task, call.arg(argument));
    const found = paths.resolve(call.task, dirfd, path, follow, how);
    switch (found?.kind) {
      case undefined:
        return CONTINUE;
      case 'error':
        return flags & O_CREAT ? notCreated(call, found) : -Errno[found.code];
      case 'node':
        return openNode(call, found.dentry, flags, argument);
      case 'descriptor':
        return openDescriptor(call, found, flags, argument);
      case 'machine':
        return redirect(call, argument, found.path);
    }
  }

  /** A regular file that is not there, in a directory of ours. */
  function notCreated(call: Call, { code, free, slash }: NotFound): Answer {
    if (slash) return -Errno.EISDIR;
    if (!free) return -Errno[code];
    return makeFile(free, 'regular file', call.task);
  }

  function openNode(call: Call, dentry: Dentry, flags: number, argument: number): Answer {
    const { node } = dentry;
    const isDirectory = node instanceof Directory;
    if (flags & O_CREAT && flags & O_EXCL) return -Errno.EEXIST;
    if (flags & O_CREAT && isDirectory) return -Errno.EISDIR;
    if (flags & O_DIRECTORY && !isDirectory) return -Errno.ENOTDIR;
    // With both bits of the access mode a descriptor is for neither reading nor writing.
    const nothing = isDirectory ? O_RDONLY : O_ACCMODE;
    if (flags & O_PATH) return give(call, pathFile(dentry, kernel, flags), nothing, flags);
    if (node instanceof Symlink) return -Errno.ELOOP; // A link that was not to be followed.
    if (flags & __O_TMPFILE && isDirectory) {
      return makeFile({ parent: node, name: '' }, 'file without a name', call.task);
    }
    const access = flags & O_ACCMODE;
    const wanted =
      (access !== O_WRONLY ? MAY_READ : 0) | (access || flags & O_TRUNC ? MAY_WRITE : 0);
    if (isDirectory && wanted & MAY_WRITE) return -Errno.EISDIR;
    if (!mayAccess(node, wanted, call.task)) return -Errno.EACCES;
    if (flags & O_NOATIME && !isOwner(node, call.task)) return -Errno.EPERM;
    if (flags & O_DIRECT) return -Errno.EINVAL;
    const machines = node instanceof FileNode && machineNode(kernel, node);
    if (machines) return redirect(call, argument, machines);
    // With its descriptor the caller goes on: the path may then be something else.
    if (node instanceof FileNode) kernel.observers.call?.keep();
    const file = openDentry(dentry, call.task, flags);
    watches.opened(file, dentry);
    return give(call, file, flags & ~OPENING_FLAGS, flags);
  }

  /** Has the caller go on with a descriptor of `file`. */
  function give(call: Call, file: File, kept: number, flags: number): Answer {
    const { observers } = kernel;
    try {
      const number = call.task.numberOf(file);
      const cloexec = (flags & O_CLOEXEC) !== 0;
      file.lend(kept & ~O_CLOEXEC, (fd) => call.answerFd(fd, cloexec, number));
      if (observers.active && file.attributes.dentry?.node instanceof FileNode) {
        observers.tell('descriptorInstalled', file, call.answered, call.task.pid);
      }
      return ANSWERED;
    } finally {
      file.put();
    }
  }

  /** Opening /proc/PID/fd/N opens what the descriptor is of, once more. */
  function openDescriptor(
    call: Call,
    found: FoundDescriptor,
    flags: number,
    argument: number,
  ): Answer {
    const file = kernel.files.at(found.pid, found.fd);
    if (!file) return CONTINUE;
    if (found.of === 'fdinfo') {
      kernel.settle();
      const fd = openText(fdinfo(file, found.path), flags);
      return call.answerNewFd(fd, (flags & O_CLOEXEC) !== 0);
    }
    if (flags & O_CREAT && flags & O_EXCL) return -Errno.EEXIST;
    if (flags & O_NOFOLLOW) return flags & O_PATH ? CONTINUE : -Errno.ELOOP;
    const { dentry } = file.attributes;
    if (dentry) return openNode(call, dentry, flags, argument);
    if (flags & O_DIRECTORY) return -Errno.ENOTDIR;
    // An anonymous inode has no way to be opened.
    return flags & O_PATH ? CONTINUE : -Errno.ENXIO;
  }

  /** What is ours has the size that it has. */
  function truncate(call: Call): Answer {
    if (call.signed(1) < 0) return CONTINUE;
    const found = paths.find(call, AT_FDCWD, 0, true);
    switch (found?.kind) {
      case undefined:
        return CONTINUE;
      case 'error':
        return -Errno[found.code];
      case 'descriptor':
        return kernel.files.at(found.pid, found.fd) ? -Errno.EINVAL : CONTINUE;
      case 'node':
        return truncateNode(call, found.dentry.node);
      case 'machine':
        return redirect(call, 0, found.path);
    }
  }

  function truncateNode(call: Call, node: TreeNode): Answer {
    if (node instanceof Directory) return -Errno.EISDIR;
    if ((node.mode & S_IFMT) !== S_IFREG) return -Errno.EINVAL;
    return mayAccess(node, MAY_WRITE, call.task) ? 0 : -Errno.EACCES;
  }

  return {
    truncate,
    open: (call) => open(call, AT_FDCWD, 0, call.int(1)),
    openat: (call) => open(call, call.int(0), 1, call.int(2)),
    creat: (call) => open(call, AT_FDCWD, 0, O_CREAT | O_WRONLY | O_TRUNC),
    openat2(call) {
      const how = readHow(call);
      if (!how || how.resolve & ~KNOWN_RESOLVE) return CONTINUE;
      const flags = Number(how.flags);
      // What does not go together is refused, before anybody looks at the path.
      if (flags & O_PATH && flags & ~PATH_FLAGS) return CONTINUE;
      if (how.mode !== 0n && !(flags & O_CREAT)) return CONTINUE;
      return open(call, call.int(0), 1, flags, restrictionsOf(how.resolve));
    },
  } satisfies Record<string, Handler>;
}

// <linux/openat2.h>
const RESOLVE_NO_XDEV = 0x01n;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const RESOLVE_IN_ROOT = 0x10n;
const RESOLVE_CACHED = 0x20n;
const KNOWN_RESOLVE = 0x3fn;

function restrictionsOf(resolve: bigint): Restrictions | undefined {
  // All of ours is known without asking a disk.
  if ((resolve & ~RESOLVE_CACHED) === 0n) return undefined;
  const has = (flag: bigint) => (resolve & flag) !== 0n;
  return {
    noXdev: has(RESOLVE_NO_XDEV),
    noMagiclinks: has(RESOLVE_NO_MAGICLINKS),
    noSymlinks: has(RESOLVE_NO_SYMLINKS),
    beneath: has(RESOLVE_BENEATH),
    inRoot: has(RESOLVE_IN_ROOT),
  };
}

/** A read-only descriptor of a text, close-on-exec. */
function openText(text: string, flags: number): number {
  const memfd = orThrow(native.memfdCreate('generated', MFD_CLOEXEC));
  try {
    orThrow(native.write(memfd, Buffer.from(text)));
    return orThrow(native.reopen(memfd, (flags & O_NONBLOCK) | O_CLOEXEC));
  } finally {
    native.close(memfd);
  }
}

/** The struct of openat2(2), unless there is anything in it that the machine refuses, or knows and we do not. */
function readHow(call: Call): View<typeof open_how> | undefined {
  const size = call.arg(3);
  if (size < open_how.size || size > PAGE_SIZE) return undefined;
  const bytes = new Uint8Array(size);
  if (call.task.mm.readSome(call.arg(2), bytes) < size) return undefined;
  if (bytes.subarray(open_how.size).some((byte) => byte !== 0)) return undefined;
  const how = open_how.view(bytes);
  return BigInt.asUintN(31, how.flags) === how.flags ? how : undefined;
}
