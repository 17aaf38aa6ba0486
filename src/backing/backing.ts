import type { ReleaseWatch } from './release.js';

/** What programs' descriptors of a file are descriptors of, to the machine's kernel. */
export interface Backing {
  readonly dev: number;
  readonly ino: number;
  /** The kernel's own descriptor of what programs have; −1 while it has none. */
  readonly fd: number;
  /** Access mode of that. */
  readonly access: number;
  /**
   * What the machine's kernel may tell poll(2) and epoll(7) of it, whenever the file's `poll` says so too. Missing: it
   * is memory, which the machine takes to be ready always, and refuses to epoll.
   */
  readonly tells?: number;
  /** Those flags of its description that are not the program's. */
  readonly ownFlags?: number;
  /** A new open file description, as a descriptor of this process. */
  open(flags: number): number;
  /** Of what the kernel writes for programs to read: puts other bytes in the place of those that there are. */
  replace?(bytes: Uint8Array): void;
  /** Closes the kernel's own descriptor: what programs have stays. */
  close(): void;
  /** Takes a descriptor for the kernel's own. */
  adopt(fd: number): void;
  /** It cannot be opened again: all descriptors of it share one description. */
  readonly single?: boolean;
  /** Gets one without any program's; missing: that needs `adopt`. */
  acquire?(): void;
  /** Calls `gone` when no program has it any more, nor the kernel. ENOSPC. */
  watch(releases: ReleaseWatch, gone: () => void): void;
  /** Without it all descriptors of the inode are the file's; else those of which /proc/PID/fdinfo/N says so. */
  has?(fdinfo: string): boolean;
  /** Nobody has it any more, or the kernel ends: closes what the kernel has besides. */
  end?(): void;
}
