/** Calls that make names, and take them away: mkdir(2), mknod(2), symlink(2), link(2), rename(2), unlink(2) and their kin. */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  CAP_DAC_READ_SEARCH,
} from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import { major, minor } from '../../fs/dev_t.js';
import { isKernelsAlone, mountPoint } from '../../fs/file_system.js';
import type { Found, NewName } from '../../fs/namei.js';
import {
  isOurDevice,
  linkName,
  makeDirectory,
  makeLink,
  makeNode,
  mayDelete,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  removeName,
  renameName,
} from '../../fs/names.js';
import { type Dentry, Directory } from '../../fs/tree.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { redirect, redirectAll } from '../inject.js';

const RENAME_FLAGS = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
/** A path that ends so names a directory by what it is in, or itself. */
const DOTS = /(?:^|\/)(\.\.?)\/*$/;

/** An end of rename(2) or link(2). */
interface End {
  argument: number;
  dirfd: number;
  path: string;
  slash: boolean;
  found: Found | undefined;
}

export function nameCalls({ paths, kernel }: Context) {
  /** Makes something where there is nothing; `slash`: whether the path may end so. */
  function create(
    call: Call,
    dirfd: number,
    argument: number,
    slash: boolean,
    make: (at: NewName) => void,
  ): Answer {
    const found = paths.find(call, dirfd, argument, false);
    switch (found?.kind) {
      case undefined:
      case 'descriptor':
        return CONTINUE;
      case 'machine':
        return redirect(call, argument, found.path);
      case 'node':
        return -Errno.EEXIST;
      case 'error':
        if (found.code === 'ENOTDIR' && found.slash) return -Errno.EEXIST;
        if (!found.free || (found.slash && !slash)) return -Errno[found.code];
        make(found.free);
        return 0;
    }
  }

  const mkdir = (call: Call, dirfd: number, argument: number) =>
    create(call, dirfd, argument, true, (at) =>
      makeDirectory(at, call.int(argument + 1), call.task),
    );

  function mknod(call: Call, dirfd: number, argument: number): Answer {
    const [mode, dev] = [call.int(argument + 1), call.uint(argument + 2)];
    const rdev = { major: major(dev), minor: minor(dev) };
    if (isOurDevice(kernel, mode, rdev)) {
      const path = paths.readPath(call.task, call.arg(argument)) ?? '';
      const there = paths.placeOf(call.task, dirfd, path);
      // Beside the machine's own nodes: on the machine the numbers are of something else, or of nothing.
      if (there?.place && !there.exists) {
        makeNode(there.place, mode, rdev, call.task);
        return 0;
      }
    }
    return create(call, dirfd, argument, false, (at) => makeNode(at, mode, rdev, call.task));
  }

  function symlink(call: Call, dirfd: number, argument: number): Answer {
    const target = paths.readPath(call.task, call.arg(0));
    // What is wrong with it is for the machine to say.
    if (!target) return CONTINUE;
    return create(call, dirfd, argument, false, (at) => makeLink(at, target, call.task));
  }

  function remove(call: Call, dirfd: number, argument: number, directory: boolean): Answer {
    const end = endOf(call, dirfd, argument);
    const { found, slash, path } = end;
    const dots = found && found.kind !== 'error' && DOTS.exec(path)?.[1];
    if (dots && !directory) return -Errno.EISDIR;
    if (dots) return dots === '.' ? -Errno.EINVAL : -Errno.ENOTEMPTY;
    switch (found?.kind) {
      case undefined:
      case 'descriptor':
        return CONTINUE;
      case 'machine':
        return redirect(call, argument, pathOf(end, found.path));
      case 'error':
        return -Errno[found.code];
      case 'node': {
        const { dentry } = found;
        const isDirectory = dentry.node instanceof Directory;
        if (slash && !isDirectory) return -Errno.ENOTDIR;
        if (slash && !directory) return -Errno.EISDIR;
        removeName(dentry, directory, call.task);
        return 0;
      }
    }
  }

  function unlinkat(call: Call): Answer {
    const flags = call.int(2);
    if (flags & ~AT_REMOVEDIR) return CONTINUE;
    return remove(call, call.int(0), 1, (flags & AT_REMOVEDIR) !== 0);
  }

  /** What a name is itself, with no regard to slashes behind it. */
  function endOf(call: Call, dirfd: number, argument: number, follow = false): End {
    const path = paths.readPath(call.task, call.arg(argument)) ?? '';
    const bare = path.replace(/(?<=[^/])\/+$/, '');
    const found = paths.resolve(call.task, dirfd, bare, follow);
    return { argument, dirfd, path, slash: bare !== path, found };
  }

  /** Both ends are the machine's. */
  function onMachine(call: Call, ends: readonly End[]): Answer {
    const detours = new Map<number, string>();
    for (const end of ends) {
      if (end.found?.kind === 'machine') detours.set(end.argument, pathOf(end, end.found.path));
    }
    return detours.size > 0 ? redirectAll(call, detours) : CONTINUE;
  }

  function rename(call: Call, from: End, to: End, flags: number): Answer {
    const both = (flag: number) => (flags & flag) === flag;
    if (flags & ~RENAME_FLAGS || both(RENAME_NOREPLACE | RENAME_EXCHANGE)) return CONTINUE;
    if (both(RENAME_WHITEOUT | RENAME_EXCHANGE)) return CONTINUE;
    for (const { found } of [from, to]) {
      if (found?.kind === 'error' && !found.free) return -Errno[found.code];
    }
    const source = dentryOf(from.found);
    if (!source && !isOurs(to.found)) {
      return from.found?.kind === 'error' ? -Errno.ENOENT : onMachine(call, [from, to]);
    }
    if (DOTS.test(from.path) || DOTS.test(to.path)) return -Errno.EBUSY;
    if (!source) return renameMachines(call, from, to, flags);
    const isDirectory = source.node instanceof Directory;
    if (from.slash && !isDirectory) return -Errno.ENOTDIR;
    const target = dentryOf(to.found);
    const at = target?.parent ? { parent: target.parent, name: target.name } : freeOf(to.found);
    if (to.slash && !isDirectory && !target) return -Errno.ENOTDIR;
    const place = at ?? placeBeside(call, to, source);
    if (typeof place === 'number') return place;
    renameName(source, place, target, flags, call.task);
    return 0;
  }

  /** What the machine has cannot become one of ours: it is as on another file system. */
  function renameMachines(call: Call, from: End, to: End, flags: number): Answer {
    if (from.found?.kind === 'error') return -Errno.ENOENT;
    const place = paths.placeOf(call.task, from.dirfd, from.path);
    if (!place?.exists) return -Errno.ENOENT;
    const target = dentryOf(to.found);
    const same = target && mountPoint(target.path) === mountPoint(place.path);
    if (same && flags & RENAME_NOREPLACE && !isKernelsAlone(target.path)) return -Errno.EEXIST;
    return -Errno.EXDEV;
  }

  /** Where a name of ours may go in a directory that the machine has too; a negative errno if it may not. */
  function placeBeside(call: Call, to: End, source: Dentry): NewName | number {
    const { path, node } = source;
    const there = paths.placeOf(call.task, to.dirfd, to.path);
    if (!there?.place || mountPoint(there.path) !== mountPoint(path)) return -Errno.EXDEV;
    if (!there.exists) return there.place;
    mayDelete(source, call.task);
    // What is the machine's is not overwritten.
    const isDirectory = node instanceof Directory;
    if (there.isDirectory) return isDirectory ? -Errno.EBUSY : -Errno.EISDIR;
    return isDirectory ? -Errno.ENOTDIR : -Errno.EXDEV;
  }

  function link(call: Call, from: End, to: End): Answer {
    if (from.found?.kind === 'error') return -Errno[from.found.code];
    if (to.found?.kind === 'error' && !to.found.free) return -Errno[to.found.code];
    const source = dentryOf(from.found);
    const target = dentryOf(to.found);
    if (!source && !isOurs(to.found)) return onMachine(call, [from, to]);
    if (target) return -Errno.EEXIST;
    const free = freeOf(to.found);
    if (to.slash) return -Errno.ENOENT;
    if (!source) return -Errno.EXDEV;
    const place = free ?? paths.placeOf(call.task, to.dirfd, to.path);
    if (place && 'exists' in place && place.exists) return -Errno.EEXIST;
    const at = place && 'exists' in place ? place.place : place;
    if (!at) return -Errno.EXDEV;
    linkName(source, at, call.task);
    return 0;
  }

  function linkat(call: Call): Answer {
    const flags = call.int(4);
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return CONTINUE;
    const from = endOf(call, call.int(0), 1, (flags & AT_SYMLINK_FOLLOW) !== 0);
    const to = endOf(call, call.int(2), 3);
    if (flags & AT_EMPTY_PATH && from.path === '') {
      const dentry = call.task.fget(call.int(0))?.attributes.dentry;
      if (!dentry) return CONTINUE;
      if (!call.task.capable(CAP_DAC_READ_SEARCH)) return -Errno.ENOENT;
      return link(call, { ...from, found: foundAt(dentry) }, to);
    }
    return link(call, from, to);
  }

  /** Also what a descriptor in /proc is of, which link(2) may follow. */
  function dentryOf(found: Found | undefined): Dentry | undefined {
    if (found?.kind === 'node') return found.dentry;
    if (found?.kind !== 'descriptor' || found.of !== 'fd') return undefined;
    return kernel.files.at(found.pid, found.fd)?.attributes.dentry;
  }

  return {
    mkdir: (call) => mkdir(call, AT_FDCWD, 0),
    mkdirat: (call) => mkdir(call, call.int(0), 1),
    mknod: (call) => mknod(call, AT_FDCWD, 0),
    mknodat: (call) => mknod(call, call.int(0), 1),
    symlink: (call) => symlink(call, AT_FDCWD, 1),
    symlinkat: (call) => symlink(call, call.int(1), 2),
    unlink: (call) => remove(call, AT_FDCWD, 0, false),
    rmdir: (call) => remove(call, AT_FDCWD, 0, true),
    unlinkat,
    rename: (call) => rename(call, endOf(call, AT_FDCWD, 0), endOf(call, AT_FDCWD, 1), 0),
    renameat: (call) => rename(call, endOf(call, call.int(0), 1), endOf(call, call.int(2), 3), 0),
    renameat2: (call) =>
      rename(call, endOf(call, call.int(0), 1), endOf(call, call.int(2), 3), call.int(4)),
    link: (call) => link(call, endOf(call, AT_FDCWD, 0), endOf(call, AT_FDCWD, 1)),
    linkat,
  } satisfies Record<string, Handler>;
}

/** Something of ours, or a place where it may be. */
function isOurs(found: Found | undefined): boolean {
  return found?.kind === 'node' || freeOf(found) !== undefined;
}

function freeOf(found: Found | undefined): NewName | undefined {
  return found?.kind === 'error' ? found.free : undefined;
}

function foundAt(dentry: Dentry): Found {
  return { kind: 'node', dentry, path: dentry.path, detour: true };
}

/** The path of the machine's, with the slash that the program's had. */
function pathOf({ slash }: End, path: string): string {
  return slash ? `${path}/` : path;
}
