/** Directories of the machine's that ours are seen as one with, known by what they are, whatever name leads to them. */
import { AT_FDCWD } from '../abi/constants.js';
import { mountPoints } from '../host/served_mounts.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { major, minor } from './dev_t.js';
import { Directory, DynamicDirectory } from './tree.js';

const stat = new Float64Array(STAT_FIELDS);

/**
 * Whoever comes to one of them by a bind mount, from another root, or in another mount namespace, finds the same
 * device and inode.
 */
export class MachineDirectories {
  readonly #root: Directory;
  readonly #byDev = new Map<number, Map<number, Directory>>();
  #version = -1;
  #points: ReadonlyMap<string, readonly string[]> | undefined;
  #elsewhere = false;

  constructor(root: Directory) {
    this.#root = root;
  }

  find(dev: number, ino: number): Directory | undefined {
    if (this.#version !== this.#root.version) {
      this.#version = this.#root.version;
      this.#byDev.clear();
      this.#survey(this.#root);
    }
    return this.#byDev.get(dev)?.get(ino);
  }

  /** Whether any of them is known by another name, to us already: mounted, or bound, once more. */
  get areElsewhere(): boolean {
    const points = mountPoints();
    if (points !== this.#points) {
      this.#points = points;
      this.#elsewhere = [...this.#root.dentries()].some(({ path }) => {
        if (native.fstatat(AT_FDCWD, path, 0, stat) < 0) return false;
        const dev = stat[Stat.dev] as number;
        const mounted = points.get(`${major(dev)}:${minor(dev)}`) ?? [];
        return mounted.includes(path) && mounted.some((point) => !isWithin(point, path));
      });
    }
    return this.#elsewhere;
  }

  #survey(directory: Directory): void {
    if (isOursAlone(directory)) return;
    if (native.fstatat(AT_FDCWD, directory.dentry.path || '/', 0, stat) < 0) return;
    const [dev, ino] = [stat[Stat.dev] as number, stat[Stat.ino] as number];
    const inodes = this.#byDev.get(dev);
    if (inodes) inodes.set(ino, directory);
    else this.#byDev.set(dev, new Map([[ino, directory]]));
    if (directory instanceof DynamicDirectory) return;
    for (const { node } of directory.dentries()) if (node instanceof Directory) this.#survey(node);
  }
}

function isWithin(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}

/** Whether a directory of ours is nothing but that: what is not in it is nowhere. */
export function isOursAlone(directory: Directory): boolean {
  directory.machineHasIt ??=
    !directory.isHidden && native.access(directory.dentry.path || '/') === 0;
  return !directory.machineHasIt;
}
