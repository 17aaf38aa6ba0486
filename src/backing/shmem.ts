import { MAP_SHARED, O_RDWR, PROT_READ, PROT_WRITE } from '../../ioctl/index.js';
import {
  F_ADD_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
} from '../abi/constants.js';
import { orThrow } from '../errno.js';
import type { Inode } from '../host/descriptors.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { OwnInode } from './own_inode.js';

/** <linux/mm.h>: there are only page frames to the mapping, none to count, to page out or to copy. */
export const VM_PFNMAP = 0x400;
/** It is the memory of a device. */
export const VM_IO = 0x4000;
/** It cannot grow, nor be duplicated. */
export const VM_DONTEXPAND = 0x40000;
/** It may have both, page frames and pages. */
export const VM_MIXEDMAP = 0x10000000;

const stat = new Float64Array(STAT_FIELDS);

/** Bytes that are to be had by system calls only. Offsets in bytes. */
export interface RemoteBytes {
  /** Fills `into`. EFAULT if not all is there. */
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
}

/** Mappings of a memory that are told from all others of it: a {@link TrackedMemory}. */
export interface Tracked {
  /** How many there are, an area each as Linux counts them. */
  readonly mappings: number;
  /** Where one was made that this address is in. */
  at(address: number): { readonly pieced: boolean } | undefined;
  noteMapping(address: number, length: number, pieced: boolean): void;
}

/** Memory that can be mapped into programs. */
export interface MappableMemory {
  /** The kernel's own descriptor, O_RDWR. */
  readonly fd: number;
  /** Bytes, if that is known. */
  readonly size?: number | undefined;
  /** A new descriptor of it, of this process and close-on-exec, for a program to map it through. */
  open(flags: number): number;
  /**
   * The memory itself, as the kernel sees it: what programs have mapped. Good for as long as the kernel
   * holds the memory; an array of it is empty afterwards.
   */
  bytes(): Uint8Array;
  /** How it is read and written where nobody here has it mapped: then `bytes` is ENODEV. */
  readonly remote?: RemoteBytes;
  /**
   * What drivers say of their mappings in vm_flags: of VM_PFNMAP, VM_DONTEXPAND, VM_IO and VM_MIXEDMAP. The machine's are
   * without; what they forbid then is refused to programs that are started with `exact`.
   */
  readonly vm_flags?: number;
  /** At which descriptors programs had it when they gave it. Missing: it is of the kernel's own making. */
  readonly givenAs?: ReadonlySet<number> | undefined;
  /** What it is, for the log. */
  describe?(): string;
  /** As what its mappings are told apart, of those there are now. */
  readonly tracked?: Set<Tracked>;
  /** Told where a mapping made through such a descriptor is; in `pieced` ones it is but a part. */
  noteMapping?(address: number, length: number, pieced: boolean): void;
}

/** What descriptors of a memory are of. */
export function inodeOf(memory: MappableMemory): Inode {
  const { dev, ino } = memory as Partial<Inode>;
  if (dev !== undefined && ino !== undefined) return { dev, ino };
  if (native.fstat(memory.fd, stat) < 0) return { dev: -1, ino: -1 };
  return { dev: stat[Stat.dev] as number, ino: stat[Stat.ino] as number };
}

/** A mapping of a whole memfd, for the kernel. */
export function mapAll(fd: number, size: number): ArrayBuffer {
  return orThrow<ArrayBuffer>(native.mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

/** A memfd of `size` bytes that neither grows nor shrinks. */
function sealedMemfd(name: string, size: number): number {
  const fd = orThrow(native.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  try {
    if (size > 0) orThrow(native.ftruncate(fd, size));
    orThrow(native.fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW));
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/**
 * Memory of the kernel's own making: a memfd that neither grows nor shrinks. Programs hold it through
 * descriptors and mappings; the kernel has a descriptor of its own only while it needs one, so that
 * the inode goes when the last program lets go of it (fs/release.ts), and so that live buffers cost
 * the kernel no descriptors.
 */
export class Shmem extends OwnInode implements MappableMemory {
  readonly access = O_RDWR;
  /** Bytes. */
  readonly size: number;
  readonly tracked = new Set<Tracked>();
  /** As most drivers map theirs. */
  vm_flags = VM_PFNMAP | VM_DONTEXPAND;
  /** What it is, for the log. */
  describe?: () => string;
  #mapping: ArrayBuffer | undefined;

  /**
   * New memory of `size` bytes, zeroed. `name` is what /proc/PID/maps shows behind "/memfd:".
   * ENOMEM, EMFILE, ENFILE.
   */
  constructor(name: string, size: number) {
    super(sealedMemfd(name, size));
    this.size = size;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.mapping());
  }

  /** The kernel's own mapping of it. ENOMEM. */
  mapping(): ArrayBuffer {
    this.#mapping ??= mapAll(this.fd, this.size);
    return this.#mapping;
  }

  /** Whether the kernel has it mapped: that is one of the mappings that this process has. */
  get isMapped(): boolean {
    return this.#mapping !== undefined;
  }

  /** Closes the kernel's own descriptor, and unmaps what it has mapped. The memory stays as long as a program holds it. */
  override close(): void {
    if (this.#mapping) native.munmap(this.#mapping);
    this.#mapping = undefined;
    super.close();
  }
}
