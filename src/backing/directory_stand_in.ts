import { chmodSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import type { Backing } from '../fs/file.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { ReleaseWatch } from './release.js';

const stat = new Float64Array(STAT_FIELDS);

/**
 * What a program has open, or for its working directory, that is in a directory which only this kernel has: a real
 * directory, empty, and removed as soon as it is open: nothing is left on disk.
 */
export class DirectoryStandIn implements Backing {
  readonly access = O_RDONLY;
  readonly dev: number;
  readonly ino: number;
  #fd: number;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'dmabuf-shim-'));
    // Who may change into it is not the machine's to decide.
    chmodSync(directory, 0o755);
    this.#fd = native.open(directory, O_DIRECTORY | O_CLOEXEC, 0);
    rmdirSync(directory);
    orThrow(this.#fd);
    native.fstat(this.#fd, stat);
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
  }

  get fd(): number {
    return this.#fd;
  }

  open(flags: number): number {
    return orThrow(native.reopen(this.#fd, flags | O_DIRECTORY | O_CLOEXEC));
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
