/** From the path in a program's call to what it names. */

import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, PATH_MAX } from '../../abi/constants.js';
import type { KernelCore } from '../../core.js';
import { ErrnoError } from '../../errno.js';
import { isOursAlone } from '../../fs/directories.js';
import {
  type Found,
  type FoundDescriptor,
  type FoundMachine,
  type FoundNode,
  type NewName,
  type NotFound,
  namei,
  type Restrictions,
  type Start,
} from '../../fs/namei.js';
import { directoryOf } from '../../fs/open.js';
import { MAY_EXEC, mayAccess } from '../../fs/permission.js';
import { Directory, S_IFDIR, S_IFMT } from '../../fs/tree.js';
import { belowRoot, rootOf } from '../../host/roots.js';
import { anyServed, isServed } from '../../host/served_mounts.js';
import { strndupUser } from '../../mm/uaccess.js';
import { native, STAT_FIELDS, Stat } from '../../native.js';
import type { Call } from '../call.js';
import type { RemoteTask } from '../task.js';
import { ShadowedNodes } from './shadowed.js';

const stat = new Float64Array(STAT_FIELDS);

/** Where descriptors of ours are found by name, and what leads out of where a path seems to go. */
const ODD = String.raw`\/fd(?:info)?\/|\/cwd$|\.\.`;
const DELETED = ' (deleted)';

/** Where a relative path begins. */
interface Base extends Start {
  /** What the caller has there is a stand-in: the machine does not know the way from it. */
  ours: boolean;
}

export class PathLookup {
  readonly #kernel: KernelCore;
  readonly #shadowed: ShadowedNodes;
  /** Some program has, or may have, another root than we do, or other mounts. */
  #rootsDiffer = false;
  #odd = /^/;
  /** The version of the tree that {@link #odd} is of. */
  #version = -1;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    this.#shadowed = new ShadowedNodes(kernel.root);
  }

  /**
   * The path at `address` in the caller's memory. Undefined where there is none, or one that is too long: which of
   * the things that are wrong with the call counts is for the machine to say.
   */
  readPath(task: RemoteTask, address: number): string | undefined {
    try {
      return strndupUser(task.mm, address, PATH_MAX, 'ENAMETOOLONG');
    } catch (error) {
      if (error instanceof ErrnoError) return undefined;
      throw error;
    }
  }

  /** What the path in an argument of the call names, as {@link resolve} says. */
  find(call: Call, dirfd: number, argument: number, follow: boolean): Found | undefined {
    return this.resolve(call.task, dirfd, this.readPath(call.task, call.arg(argument)), follow);
  }

  /** From now on programs are asked for their root: one of them changes it, or its mounts. */
  noteOtherRoots(): void {
    this.#rootsDiffer = true;
  }

  /**
   * What `path`, relative to `dirfd`, names: something of ours, or what the machine has where it would not get
   * to by itself. Undefined where it may go on: that is the common case, and costs one system call here.
   */
  resolve(
    task: RemoteTask,
    dirfd: number,
    path: string | undefined,
    follow: boolean,
    how?: Restrictions,
  ): Found | undefined {
    if (!path) return undefined;
    const root = this.#rootsDiffer ? rootOf(task.tid) : '';
    let base: Base | undefined;
    if (!path.startsWith('/') || how) {
      const found = this.#baseOf(task, dirfd, root);
      if (!found || 'kind' in found) return found;
      base = found;
    }
    const served = anyServed();
    const full = path.startsWith('/') ? path : `${base?.at}/${path}`;
    // What the machine has, and what cannot be one of ours, it may as well find by itself.
    const direct = !base?.ours && !this.#rootsDiffer && !how;
    const plain = direct && !this.#isOdd(full) && isThere(full, served);
    if (plain && (served || !this.#shadowed.isAt(full))) return undefined;
    const mayEnter = (directory: Directory) => mayAccess(directory, MAY_EXEC, task);
    const caller = { tgid: () => task.pid, tid: task.tid, root, mayEnter };
    const found = namei(this.#kernel, caller, path, follow, base, how);
    if (found.kind === 'error') return found;
    const detour = found.detour || base?.ours === true;
    if (isMachines(found) || (detour && this.#isOthers(found))) {
      if (!detour) return undefined;
      // That it has to be a directory, which a slash says, is for the machine to find out.
      const slash = path.endsWith('/') ? '/' : '';
      return { kind: 'machine', path: `${found.path}${slash}`, detour: true };
    }
    return found;
  }

  /**
   * Where a name is, or would be, that is the machine's: as we reach it, and in which of the directories that both
   * have. Undefined for what is ours.
   */
  placeOf(
    task: RemoteTask,
    dirfd: number,
    path: string,
  ):
    | { path: string; place: NewName | undefined; exists: boolean; isDirectory: boolean }
    | undefined {
    const root = this.#rootsDiffer ? rootOf(task.tid) : '';
    const base = this.#baseOf(task, dirfd, root);
    if (!base || 'kind' in base) return undefined;
    const bare = path.replace(/(?<=[^/])\/+$/, '');
    const caller = { tgid: () => task.pid, tid: task.tid, root };
    const found = namei(this.#kernel, caller, bare, false, base);
    if (found.kind === 'error') return undefined;
    const exists =
      native.fstatat(AT_FDCWD, `${root}${found.path}`, AT_SYMLINK_NOFOLLOW, stat) === 0;
    const isDirectory = exists && ((stat[Stat.mode] as number) & S_IFMT) === S_IFDIR;
    const place = found.kind === 'machine' ? found.place : undefined;
    return { path: found.path, place, exists, isDirectory };
  }

  /** Whether a path may lead to what is ours, or somewhere else than it seems. */
  #isOdd(path: string): boolean {
    const { root } = this.#kernel;
    if (root.version !== this.#version) {
      this.#version = root.version;
      const ours = [...root.dentries()].map(({ name }) => name).join('|');
      this.#odd = new RegExp(`^\\/+(?:${ours})(?:\\/|$)|${ODD}`);
    }
    return this.#odd.test(path);
  }

  /** An entry of /proc that is of nothing of ours. */
  #isOthers(found: Found): found is FoundDescriptor {
    return found.kind === 'descriptor' && !this.#kernel.files.at(found.pid, found.fd);
  }

  /** ENOTDIR for what is ours and no directory. */
  #baseOf(task: RemoteTask, dirfd: number, root: string): Base | NotFound | undefined {
    const link = dirfd === AT_FDCWD ? task.cwd : task.linkOf(dirfd);
    if (!link?.startsWith('/')) return undefined;
    if (link.endsWith(DELETED)) {
      const file = task.fileAt(dirfd);
      const directory = directoryOf(file);
      if (directory) return { at: directory.dentry.path, directory, ours: true };
      if (file) return { kind: 'error', code: 'ENOTDIR' };
    }
    return { at: belowRoot(root, link), directory: undefined, ours: false };
  }
}

/** Whether the machine has something there; not to be asked of a program that serves it. */
function isThere(path: string, served: boolean): boolean {
  if (!served) return native.access(path) === 0;
  return isServed(path) || native.isCached(path) === 0;
}

/** The machine's own, or a directory that it has as well: whatever is asked of that, it can say. */
function isMachines(found: Exclude<Found, NotFound>): found is FoundMachine | FoundNode {
  if (found.kind !== 'node') return found.kind === 'machine';
  const { node } = found.dentry;
  return node instanceof Directory && !isOursAlone(node);
}
