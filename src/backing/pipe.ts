import { O_CLOEXEC, O_NONBLOCK, O_RDONLY, POLLIN, POLLRDNORM } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';
import { OwnInode } from './own_inode.js';
import type { ReleaseWatch } from './release.js';

const byte = new Uint8Array(1);

/**
 * What stands behind a descriptor that becomes readable once, and is never written: programs have the
 * reading end of a pipe, so that poll, select and epoll work by themselves; the kernel has the other.
 */
export class Pipe extends OwnInode {
  readonly access = O_RDONLY;
  readonly tells = POLLIN | POLLRDNORM;
  readonly ownFlags = O_NONBLOCK;
  #writing: number;

  /** EMFILE, ENFILE. */
  constructor() {
    // Not blocking, so that who reads it by mistake does not hang.
    const pair = native.pipe(O_CLOEXEC | O_NONBLOCK);
    const [reading, writing] = orThrow(pair) as [number, number];
    super(reading);
    this.#writing = writing;
  }

  /** From now on there is something to read. Called once. */
  setReadable(): void {
    native.write(this.#writing, byte);
  }

  /** The kernel's end of the pipe tells when nobody can read any more. */
  override watch(releases: ReleaseWatch, gone: () => void): void {
    releases.watchPeer(this.#writing, { gone });
  }

  end(): void {
    if (this.#writing >= 0) native.close(this.#writing);
    this.#writing = -1;
  }
}
