import { O_RDWR } from '../../ioctl/index.js';
import { native } from '../native.js';
import type { Backing } from './backing.js';
import { Descriptions } from './descriptions.js';
import type { ReleaseWatch } from './release.js';
import type { MappableMemory, Shmem } from './shmem.js';

/**
 * What stands behind descriptors of a file whose memory is somebody else's too: a buffer that a driver has, and
 * exports. Programs' descriptors are of that memory itself, so that the machine maps and reads it by itself; which of
 * its open file descriptions are this file's, is told from all others.
 *
 * One that was made by opening /proc/PID/fd/N is none of them, so that the file may end while a program has that: with
 * O_PATH, or without a supervisor, which refuses it as Linux does.
 */
export class ExportedMemory implements Backing, MappableMemory {
  readonly access = O_RDWR;
  readonly dev: number;
  readonly ino: number;
  readonly memory: Shmem;
  readonly #descriptions: Descriptions;
  #fd = -1;

  /** The memory is its owner's to close, after this file's end. EMFILE, ENFILE. */
  constructor(memory: Shmem) {
    this.memory = memory;
    this.dev = memory.dev;
    this.ino = memory.ino;
    this.#descriptions = new Descriptions(memory);
    this.acquire();
  }

  get fd(): number {
    return this.#fd;
  }

  open(flags: number): number {
    const fd = this.memory.open(flags);
    try {
      this.#descriptions.mark(fd, flags);
    } catch (error) {
      native.close(fd);
      throw error;
    }
    return fd;
  }

  bytes(): Uint8Array {
    return this.memory.bytes();
  }

  describe(): string {
    return this.memory.describe?.() ?? 'a buffer';
  }

  get isMapped(): boolean {
    return this.memory.isMapped;
  }

  get vm_flags(): number {
    return this.memory.vm_flags;
  }

  get tracked(): Shmem['tracked'] {
    return this.memory.tracked;
  }

  close(): void {
    native.close(this.#fd);
    this.#fd = -1;
  }

  acquire(): void {
    this.#fd = this.open(this.access);
  }

  adopt(fd: number): void {
    native.close(fd);
    this.acquire();
  }

  watch(releases: ReleaseWatch, gone: () => void): void {
    releases.watchCloses(this.memory.fd, () => {
      if (this.#descriptions.any) return false;
      gone();
      return true;
    });
  }

  has(fdinfo: string): boolean {
    return this.#descriptions.includes(fdinfo);
  }
}
