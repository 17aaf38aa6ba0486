import { O_CLOEXEC, O_RDWR } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import type { Backing } from '../fs/file.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { ReleaseWatch } from './release.js';

const MFD_CLOEXEC = 0x1;
const SEEK_SET = 0;
const stat = new Float64Array(STAT_FIELDS);

/** Bytes that the kernel has written, for a program to read as a file of its machine's: a memfd of their length. */
export class Content implements Backing {
  readonly access = O_RDWR;
  readonly dev: number;
  readonly ino: number;
  #fd: number;

  /** EMFILE, ENFILE, ENOMEM. */
  constructor(name: string) {
    this.#fd = orThrow(native.memfdCreate(name, MFD_CLOEXEC));
    native.fstat(this.#fd, stat);
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
  }

  get fd(): number {
    return this.#fd;
  }

  open(flags: number): number {
    return orThrow(native.reopen(this.#fd, flags | O_CLOEXEC));
  }

  /** Puts other bytes in the place of those that there are. */
  replace(bytes: Uint8Array): void {
    orThrow(native.ftruncate(this.#fd, 0));
    orThrow(native.lseek(this.#fd, 0, SEEK_SET));
    if (bytes.length > 0) orThrow(native.write(this.#fd, bytes));
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
