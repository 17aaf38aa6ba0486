import { O_CLOEXEC } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { Backing } from './backing.js';
import type { ReleaseWatch } from './release.js';

const stat = new Float64Array(STAT_FIELDS);

/** What has an inode of its own: descriptors of programs are known by it. */
export abstract class OwnInode implements Backing {
  abstract readonly access: number;
  readonly dev: number;
  readonly ino: number;
  #fd: number;

  /** `fd`, or a negative errno: this object's from here on. EMFILE, ENFILE, ENOMEM. */
  constructor(fd: number) {
    this.#fd = orThrow(fd);
    native.fstat(fd, stat);
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
  }

  get fd(): number {
    return this.#fd;
  }

  open(flags: number): number {
    return orThrow(native.reopen(this.#fd, flags | O_CLOEXEC));
  }

  close(): void {
    native.close(this.#fd);
    this.#fd = -1;
  }

  adopt(fd: number): void {
    this.#fd = fd;
  }

  watch(releases: ReleaseWatch, gone: () => void): void {
    releases.watchInode(this.#fd, gone);
  }
}
