/** Which mappings of a program are ours, and what they refuse as a driver's would: programs with `exact`. */
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
import type { KernelCore } from '../core.js';
import { Errno } from '../errno.js';
import type { Inode } from '../host/descriptors.js';
import { type Mapping, mappingsWithin } from '../host/maps.js';
import { PAGE_SIZE, pageAlign } from '../mm/page.js';
import { copyToUser } from '../mm/uaccess.js';
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

/** What a mremap(2) fails with that a driver's mapping does not allow; undefined: the machine makes it. */
export function refusedMremap(call: Call): number | undefined {
  if (!call.needs.exact) return undefined;
  const [from, to, flags] = [call.arg(0), call.arg(4), call.arg(3)];
  const [oldSize, newSize] = [pageAlign(call.arg(1)), pageAlign(call.arg(2))];
  const fixed = (flags & MREMAP_FIXED) !== 0;
  // What is wrong whatever is mapped comes first, and the machine knows it.
  const overlaps = to < from + oldSize && from < to + newSize;
  if (flags > 7 || from % PAGE_SIZE !== 0 || newSize === 0) return undefined;
  if (fixed && (!(flags & MREMAP_MAYMOVE) || to % PAGE_SIZE !== 0 || overlaps)) return undefined;
  const [first] = oursWithin(call, from, from + 1);
  if (!first) return undefined;
  const { kernel } = call.task;
  // There is no second one of a private mapping, whatever it is of.
  if (oldSize === 0 && !first.shared) return undefined;
  if (first.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) {
    if (flags & MREMAP_DONTUNMAP) return -Errno.EINVAL;
    if (oldSize === 0 || newSize > oldSize) return -Errno.EFAULT;
  }
  if (!fixed) return undefined;
  const several = first.end < from + Math.min(oldSize, newSize) && !first.pieced;
  if (several && !kernel.has('mremap_several')) return -Errno.EFAULT;
  first.tracked?.noteMapping(to, newSize, first.pieced);
  return undefined;
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
