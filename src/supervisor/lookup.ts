/** From the path in a program's call to what it names. */
import { type Found, namei } from '../fs/namei.js';
import type { Kernel } from '../kernel.js';
import { strndupUser } from '../mm/uaccess.js';
import { native } from '../native.js';
import type { RemoteTask } from './process.js';
import type { ShadowDirectories } from './shadow.js';

export const AT_FDCWD = -100;
const PATH_MAX = 4096;

/** Where our own nodes, and descriptors of ours, are found by name. */
const OURS = /^\/+(?:dev|sys)(?:\/|$)|\/fd(?:info)?\/|\/cwd$|\.\./;

export class PathLookup {
  readonly #kernel: Kernel;
  readonly #shadows: ShadowDirectories;

  constructor(kernel: Kernel, shadows: ShadowDirectories) {
    this.#kernel = kernel;
    this.#shadows = shadows;
  }

  /** The path at `address` in the caller's memory. EFAULT, ENAMETOOLONG. */
  readPath(task: RemoteTask, address: number): string {
    return strndupUser(task.mm, address, PATH_MAX, 'ENAMETOOLONG');
  }

  /**
   * What `path`, relative to `dirfd`, names, or undefined where the machine may go on by itself: that
   * is the common case, and costs one system call here.
   */
  resolve(task: RemoteTask, dirfd: number, path: string, follow: boolean): Found | undefined {
    if (path === '') return undefined;
    let full = path;
    let fromShadow = false;
    if (!path.startsWith('/')) {
      const base = this.#baseOf(task, dirfd);
      if (base === undefined) return undefined;
      full = `${base.path}/${path}`;
      fromShadow = base.shadow;
    }
    // What the machine has, and what cannot be one of ours, it may as well find by itself.
    if (!fromShadow && !OURS.test(full) && native.access(full) === 0) return undefined;
    const found = namei(this.#kernel.root, full, follow, { tgid: () => task.pid, tid: task.tid });
    if (fromShadow && (found.kind === 'machine' || found.kind === 'node')) found.detour = true;
    return found.kind !== 'machine' || found.detour ? found : undefined;
  }

  #baseOf(task: RemoteTask, dirfd: number): { path: string; shadow: boolean } | undefined {
    const link = dirfd === AT_FDCWD ? task.cwd : task.linkOf(dirfd);
    if (!link?.startsWith('/')) return undefined;
    const path = this.#shadows.pathOf(link);
    return path === undefined ? { path: link, shadow: false } : { path, shadow: true };
  }
}
