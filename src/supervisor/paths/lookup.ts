/** From the path in a program's call to what it names. */

import { AT_FDCWD } from '../../abi/constants.js';
import type { KernelCore } from '../../core.js';
import { ErrnoError } from '../../errno.js';
import {
  type Found,
  type FoundDescriptor,
  type FoundMachine,
  type FoundNode,
  isOursAlone,
  type NotFound,
  namei,
} from '../../fs/namei.js';
import { Directory } from '../../fs/tree.js';
import { anyServed, isServed } from '../../host/served_mounts.js';
import { strndupUser } from '../../mm/uaccess.js';
import { native } from '../../native.js';
import type { Call } from '../call.js';
import type { RemoteTask } from '../task.js';
import type { ShadowDirectories } from './shadow.js';

const PATH_MAX = 4096;

/** Where our own nodes, and descriptors of ours, are found by name. */
const OURS = /^\/+(?:dev|sys)(?:\/|$)|\/fd(?:info)?\/|\/cwd$|\.\./;

export class PathLookup {
  readonly #kernel: KernelCore;
  readonly #shadows: ShadowDirectories;

  constructor(kernel: KernelCore, shadows: ShadowDirectories) {
    this.#kernel = kernel;
    this.#shadows = shadows;
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

  /**
   * What `path`, relative to `dirfd`, names: something of ours, or what the machine has where it would not get
   * to by itself. Undefined where it may go on: that is the common case, and costs one system call here.
   */
  resolve(
    task: RemoteTask,
    dirfd: number,
    path: string | undefined,
    follow: boolean,
  ): Found | undefined {
    if (!path) return undefined;
    let full = path;
    let fromShadow = false;
    if (!path.startsWith('/')) {
      const base = this.#baseOf(task, dirfd);
      if (base === undefined) return undefined;
      full = `${base.path}/${path}`;
      fromShadow = base.shadow;
    }
    const served = anyServed();
    // What the machine has, and what cannot be one of ours, it may as well find by itself.
    if (!fromShadow && !OURS.test(full) && isThere(full, served)) return undefined;
    const found = namei(this.#kernel.root, full, follow, { tgid: () => task.pid, tid: task.tid });
    if (found.kind === 'error') return found;
    const detour = found.detour || fromShadow;
    if (isMachines(found) || (detour && this.#isOthers(found))) {
      if (!detour) return undefined;
      // That it has to be a directory, which a slash says, is for the machine to find out.
      const slash = path.endsWith('/') ? '/' : '';
      return { kind: 'machine', path: `${found.path}${slash}`, detour: true };
    }
    return found;
  }

  /** An entry of /proc that is of nothing of ours. */
  #isOthers(found: Found): found is FoundDescriptor {
    return found.kind === 'descriptor' && !this.#kernel.files.at(found.pid, found.fd);
  }

  #baseOf(task: RemoteTask, dirfd: number): { path: string; shadow: boolean } | undefined {
    const link = dirfd === AT_FDCWD ? task.cwd : task.linkOf(dirfd);
    if (!link?.startsWith('/')) return undefined;
    const path = this.#shadows.pathOf(link);
    return path === undefined ? { path: link, shadow: false } : { path, shadow: true };
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
  return found.node instanceof Directory && !isOursAlone(found.node, found.path);
}
