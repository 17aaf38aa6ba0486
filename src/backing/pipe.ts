import { O_CLOEXEC, O_NONBLOCK, O_RDONLY, POLLIN, POLLRDNORM } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import type { Backing } from '../fs/file.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { ReleaseWatch } from './release.js';

const stat = new Float64Array(STAT_FIELDS);
const byte = new Uint8Array(1);

/**
 * What stands behind a descriptor that becomes readable once, and is never written: programs have the
 * reading end of a pipe, so that poll, select and epoll work by themselves; the kernel has the other.
 */
export class Pipe implements Backing {
  readonly access = O_RDONLY;
  readonly tells = POLLIN | POLLRDNORM;
  readonly ownFlags = O_NONBLOCK;
  readonly dev: number;
  readonly ino: number;
  #writing: number;
  #fd: number;

  /** EMFILE, ENFILE. */
  constructor() {
    // Not blocking, so that who reads it by mistake does not hang.
    const pair = native.pipe(O_CLOEXEC | O_NONBLOCK);
    if (typeof pair === 'number') orThrow(pair);
    [this.#fd, this.#writing] = pair as [number, number];
    native.fstat(this.#fd, stat);
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
  }

  get fd(): number {
    return this.#fd;
  }

  /** From now on there is something to read. Called once. */
  setReadable(): void {
    native.write(this.#writing, byte);
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

  /** The kernel's end of the pipe tells when nobody can read any more. */
  watch(releases: ReleaseWatch, gone: () => void): void {
    releases.watchPeer(this.#writing, { gone });
  }

  end(): void {
    if (this.#writing >= 0) native.close(this.#writing);
    this.#writing = -1;
  }
}
