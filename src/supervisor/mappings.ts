/** Which mappings of a program are ours, and what they refuse as a driver's would: mostly to programs with `exact`. */

import { PROT_READ } from '../../ioctl/index.js';
import {
  MADV_COLD,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_GUARD_INSTALL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  MS_SYNC,
} from '../abi/constants.js';
import {
  inodeOf,
  type MappableMemory,
  type Tracked,
  VM_DONTEXPAND,
  VM_IO,
  VM_MIXEDMAP,
  VM_PFNMAP,
} from '../backing/shmem.js';
import { TrackedMemory } from '../backing/tracked.js';
import type { KernelCore } from '../core.js';
import { Errno } from '../errno.js';
import type { File, MemoryPiece } from '../fs/file.js';
import type { Inode } from '../host/descriptors.js';
import { type Mapping, mappingsWithin } from '../host/maps.js';
import { PAGE_SIZE, pageAlign } from '../mm/page.js';
import { copyToUser } from '../mm/uaccess.js';
import { STAT_FIELDS, Stat } from '../native.js';
import { PerKernel } from '../per_kernel.js';
import type { Call } from './call.js';

/** Memories of drivers that were mapped through nodes, by inode number, until they are closed. */
const mappedOf = new PerKernel<KernelCore, Map<number, Inode & { memory: MappableMemory }>>(
  () => new Map(),
);

/** Takes note of a memory that a program has mapped in place of a file's own. */
export function noteMapped(kernel: KernelCore, memory: MappableMemory): void {
  const mapped = mappedOf.of(kernel);
  const inode = inodeOf(memory);
  if (mapped.get(inode.ino)?.memory === memory || kernel.pins.at(inode)) return;
  for (const [ino, each] of mapped) if (each.memory.fd < 0) mapped.delete(ino);
  mapped.set(inode.ino, { ...inode, memory });
}

interface Ours extends Mapping {
  vm_flags: number;
  /** Where it has to be told where the mapping is. */
  tracked?: Tracked;
  /** It is one of several pieces that are one mapping to the program. */
  pieced: boolean;
}

/** Those of a caller's mappings between two addresses that are ours, in their order. */
function oursWithin({ task }: Call, start: number, end: number): Ours[] {
  const { kernel } = task;
  const ours: Ours[] = [];
  for (const mapping of mappingsWithin(task.pid, start, end) ?? []) {
    const known = knownOf(kernel, mapping, Math.max(start, mapping.start));
    if (known) ours.push({ ...mapping, ...known });
  }
  return ours;
}

/** What is known of the mapping of an inode at an address. */
function knownOf(
  kernel: KernelCore,
  inode: Inode,
  address: number,
): Pick<Ours, 'vm_flags' | 'tracked' | 'pieced'> | undefined {
  const pinned = kernel.pins.at(inode);
  if (pinned) {
    // A program may have its memfd mapped by itself, too.
    for (const tracked of pinned.tracked) {
      const range = tracked.at(address);
      if (range) return { vm_flags: pinned.vm_flags, tracked, pieced: range.pieced };
    }
    return undefined;
  }
  const backing: Partial<MappableMemory> | undefined = kernel.files.ofInode(inode)?.backing;
  const mapped = mappedOf.of(kernel).get(inode.ino);
  const memory = backing ?? (mapped?.dev === inode.dev ? mapped.memory : undefined);
  return memory && { vm_flags: memory.vm_flags ?? 0, pieced: false };
}

const stat = new Float64Array(STAT_FIELDS);

/** Whether a process has a memory of a program's by a descriptor of its own, where we have seen it. */
export function hasMemory({ task }: Call, memory: MappableMemory | undefined): boolean {
  if (!memory?.givenAs) return false;
  const { dev, ino } = inodeOf(memory);
  return [...memory.givenAs].some(
    (fd) => task.fstat(fd, stat) && stat[Stat.ino] === ino && stat[Stat.dev] === dev,
  );
}

/** The files of ours that parts of programs' memory are mapped through. */
const fileBehind = new WeakMap<Tracked, File>();

/** A part of a buffer, and a mapping of it. */
export interface Part {
  mapping: Mapping;
  file: File;
  piece: MemoryPiece;
}

/**
 * What a mremap(2) fails with that a driver's mapping does not allow; undefined: the machine makes it. Without `exact`
 * that is of parts of other programs' memory alone: what is beyond the part is not the caller's to see. One of these
 * that may go anywhere is made here, so that it is known where it is.
 */
export function remapped(call: Call): number | Part | undefined {
  const { exact } = call.needs;
  const { kernel } = call.task;
  if (!exact && !kernel.pins.anyMapped) return undefined;
  const [from, to, flags] = [call.arg(0), call.arg(4), call.arg(3)];
  const [oldSize, newSize] = [pageAlign(call.arg(1)), pageAlign(call.arg(2))];
  const fixed = (flags & MREMAP_FIXED) !== 0;
  // What is wrong whatever is mapped comes first, and the machine knows it.
  const overlaps = to < from + oldSize && from < to + newSize;
  if (flags > 7 || from % PAGE_SIZE !== 0 || newSize === 0) return undefined;
  if (fixed && (!(flags & MREMAP_MAYMOVE) || to % PAGE_SIZE !== 0 || overlaps)) return undefined;
  const [first] = oursWithin(call, from, from + 1);
  if (!first) return undefined;
  // There is no second one of a private mapping, whatever it is of.
  if (oldSize === 0 && !first.shared) return undefined;
  const isStrange = first.tracked && !hasMemory(call, kernel.pins.at(first));
  if (!exact && !isStrange) return undefined;
  const more = oldSize === 0 || newSize > oldSize;
  const kept = (flags & MREMAP_DONTUNMAP) !== 0;
  if (first.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) {
    if (kept) return -Errno.EINVAL;
    if (more) return -Errno.EFAULT;
  }
  if (isStrange && (more || kept)) {
    if (from + oldSize > first.end && !first.pieced) return -Errno.EFAULT;
    const part = partOf(call, first, from, newSize);
    if (!part) return -Errno.EFAULT;
    if (!fixed && flags & MREMAP_MAYMOVE) return part;
  }
  const several = first.end < from + Math.min(oldSize, newSize) && !first.pieced;
  if (fixed && several && !kernel.has('mremap_several')) return -Errno.EFAULT;
  if (fixed || more) first.tracked?.noteMapping(fixed ? to : from, newSize, first.pieced);
  return undefined;
}

/** The part of a buffer that a mapping shows from an address on, if that is in one piece. */
function partOf({ task }: Call, mapping: Ours, address: number, length: number): Part | undefined {
  const { tracked, pieced } = mapping;
  const file = tracked && fileBehind.get(tracked);
  if (!file || pieced) return undefined;
  const offset = mapping.offset + address - mapping.start;
  const whole = { offset: 0, length: file.attributes.size, prot: PROT_READ, shared: true };
  const pieces = file.f_op.mmap?.(file, whole, task) ?? [];
  const piece = pieces.find(
    (each) =>
      each.memory === (tracked as unknown) &&
      each.offset <= offset &&
      offset + length <= each.offset + each.length,
  );
  return piece && { mapping, file, piece: { ...piece, offset, length } };
}

/** Takes note of it. */
export function noteMappedThrough(memory: MappableMemory, file: File): void {
  if (memory instanceof TrackedMemory) fileBehind.set(memory, file);
}

/** The mapping of a part of a program's memory that is at an address, and the file that it was made through. */
export function mappedThrough(call: Call, address: number): (Mapping & { file: File }) | undefined {
  if (!call.task.kernel.pins.anyMapped) return undefined;
  const [first] = oursWithin(call, address, address + 1);
  const file = first?.tracked && fileBehind.get(first.tracked);
  return file && { ...first, file };
}

/** Linux's VM_SPECIAL. */
const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;

/** The mappings that do not take an advice, by their vm_flags, and what it fails with. */
const REFUSED: ReadonlyMap<number, { of?: number; errno: number }> = new Map([
  // Not a regular file.
  [MADV_REMOVE, { errno: Errno.ENODEV }],
  [MADV_GUARD_INSTALL, { errno: Errno.EINVAL }],
  [MADV_DODUMP, { of: VM_SPECIAL, errno: Errno.EINVAL }],
  [MADV_DOFORK, { of: VM_IO, errno: Errno.EINVAL }],
  ...[
    ...[MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_COLD, MADV_PAGEOUT],
    ...[MADV_POPULATE_READ, MADV_POPULATE_WRITE],
  ].map((advice) => [advice, { of: VM_PFNMAP, errno: Errno.EINVAL }] as const),
]);

/** The same of madvise(2). Linux begins with the mappings before the one that refuses. */
export function refusedMadvise(call: Call): number | undefined {
  const refused = REFUSED.get(call.int(2));
  if (!call.needs.exact || !refused || call.arg(0) % PAGE_SIZE !== 0) return undefined;
  const { of, errno } = refused;
  const ours = oursWithin(call, call.arg(0), call.arg(0) + pageAlign(call.arg(1)));
  const some = ours.some(({ vm_flags }) => of === undefined || (vm_flags & of) !== 0);
  return some ? -errno : undefined;
}

/** The same of msync(2): drivers have nothing to write back to. */
export function refusedMsync(call: Call): number | undefined {
  if (!call.needs.exact || !(call.int(2) & MS_SYNC) || call.arg(0) % PAGE_SIZE !== 0) {
    return undefined;
  }
  const ours = oursWithin(call, call.arg(0), call.arg(0) + pageAlign(call.arg(1)));
  return ours.some(({ shared }) => shared) ? -Errno.EINVAL : undefined;
}

/** mincore(2) of a mapping of page frames, where no page is ever in core. */
export function mincoreOfFrames(call: Call): number | undefined {
  const [start, size] = [call.arg(0), pageAlign(call.arg(1))];
  if (!call.needs.exact || start % PAGE_SIZE !== 0) return undefined;
  let end = start;
  for (const each of oursWithin(call, start, start + size)) {
    if (each.start > end || !(each.vm_flags & VM_PFNMAP)) return undefined;
    end = each.end;
  }
  if (end < start + size) return undefined;
  copyToUser(call.task.mm, call.arg(2), new Uint8Array(size / PAGE_SIZE));
  return 0;
}
