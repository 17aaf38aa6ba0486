import { O_ACCMODE, O_NOCTTY, O_RDONLY, O_RDWR, O_WRONLY } from '../../ioctl/index.js';
import {
  F_ADD_SEALS,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  SEEK_SET,
} from '../abi/constants.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';
import { OwnInode } from './own_inode.js';

/** Bytes that the kernel has written, for a program to read as a file of its machine's: a memfd of their length. */
export class Content extends OwnInode {
  readonly access: number = O_RDWR;
  #isEmpty = true;

  /** EMFILE, ENFILE, ENOMEM. */
  constructor(name: string) {
    super(native.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }

  /** Puts other bytes in the place of those that there are. */
  replace(bytes: Uint8Array): void {
    if (!this.#isEmpty) {
      orThrow(native.ftruncate(this.fd, 0));
      orThrow(native.lseek(this.fd, 0, SEEK_SET));
    }
    this.#isEmpty = bytes.length === 0;
    if (bytes.length > 0) orThrow(native.write(this.fd, bytes));
  }
}

/**
 * The same of a file that is written, too, which its driver does: a write that it is not shown fails, rather than go to
 * nobody. It is EBADF of who also reads, and EPERM of who does not.
 */
export class WrittenContent extends Content {
  /** With a flag that no program's descriptor has: none is to have the kernel's. */
  override readonly access = O_RDWR | O_NOCTTY;
  readonly ownFlags = O_ACCMODE;
  #hasContent = false;
  #isSealed = false;

  /** Of what was given without a content, none comes later. */
  override replace(bytes: Uint8Array): void {
    if (this.#isSealed) return;
    super.replace(bytes);
    this.#hasContent = true;
  }

  /** What has no content is not to be read: EBADF. */
  override open(flags: number): number {
    const access = this.#hasContent ? O_RDONLY : O_WRONLY;
    if (!this.#hasContent) {
      orThrow(native.fcntl(this.fd, F_ADD_SEALS, F_SEAL_WRITE));
      this.#isSealed = true;
    }
    return super.open((flags & ~O_ACCMODE) | access);
  }
}
