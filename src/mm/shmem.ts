import { constants } from 'node:fs';
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native, STAT_FIELDS, Stat } from '../native.js';

const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 0x1;
const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;

/** Where the bytes are that open file descriptions lock, and how many each memory has of them. */
const LOCKS = 2 ** 52;
const LOCKS_EACH = 2 ** 21;

const stat = new Float64Array(STAT_FIELDS);

/**
 * Memory that programs can hold: a memfd. The descriptor here is the kernel's own; what a program
 * gets is the inode opened anew, with an access mode of its own, so that the last close and the last
 * munmap of it, in whatever process, can be told from ours (fs/release.ts).
 */
export class Shmem {
  /** The kernel's own descriptor, O_RDWR. */
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  /** Somebody else's memfd, which we only hold on to: it lives on after our close. */
  readonly foreign: boolean;
  readonly #locks: number;
  #opened = 0;

  private constructor(fd: number, foreign: boolean) {
    this.fd = fd;
    this.foreign = foreign;
    orThrow(native.fstat(fd, stat));
    this.dev = stat[Stat.dev] as number;
    this.ino = stat[Stat.ino] as number;
    this.size = stat[Stat.size] as number;
    // Several holders of one memfd, of several kernels even, must not take each other's bytes.
    this.#locks = LOCKS + (foreign ? Math.floor(Math.random() * 2 ** 30) * LOCKS_EACH : 0);
  }

  /**
   * New memory of `size` bytes, zeroed, that neither grows nor shrinks.
   * `name` is what /proc/PID/maps shows behind "/memfd:". ENOMEM, EMFILE, ENFILE.
   */
  static create(name: string, size: number): Shmem {
    const fd = orThrow(native.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    try {
      if (size > 0) orThrow(native.ftruncate(fd, size));
      orThrow(native.fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW));
      return new Shmem(fd, false);
    } catch (error) {
      native.close(fd);
      throw error;
    }
  }

  /** Holds a program's memfd; `fd`, a descriptor of this process, is closed with it. */
  static hold(fd: number): Shmem {
    return new Shmem(fd, true);
  }

  /** Opens the memory anew for a program; the descriptor is close-on-exec here, whatever `flags` say. */
  open(flags: number): number {
    const fd = orThrow(native.reopen(this.fd, flags | O_CLOEXEC));
    // What may neither read nor write cannot lock, and does not hold anything that it could use.
    if ((flags & O_ACCMODE) === O_ACCMODE) return fd;
    const exclusive = (flags & O_ACCMODE) !== constants.O_RDONLY;
    for (;;) {
      const locked = native.ofdLock(fd, this.#locks + (this.#opened++ % LOCKS_EACH), exclusive);
      if (locked >= 0) return fd;
      if (locked !== -EAGAIN) {
        native.close(fd);
        orThrow(locked);
      }
    }
  }

  /**
   * Whether a description that {@link open} gave lives on: in a descriptor, a mapping or a message in
   * flight. An open file description lock belongs to the description and goes with it, so nothing is
   * counted and nothing can be counted wrong.
   */
  get inUse(): boolean {
    return this.#nextLock(0) !== -1;
  }

  /** How many descriptions live on. */
  get descriptions(): number {
    let count = 0;
    for (let at = this.#nextLock(0); at >= 0; at = this.#nextLock(at + 1)) count++;
    return count;
  }

  #nextLock(from: number): number {
    if (from >= LOCKS_EACH) return -1;
    const at = native.ofdTest(this.fd, this.#locks + from, LOCKS_EACH - from);
    return at < 0 ? -1 : at - this.#locks;
  }

  close(): void {
    native.close(this.fd);
  }
}

const EAGAIN = 11;
