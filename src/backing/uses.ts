import { descriptorsOfInode, fdinfoOf, type Inode } from '../host/descriptors.js';
import { areasOf } from '../host/maps.js';
import { processes } from '../host/threads.js';

/** Where this process has mapped memories for the kernel's own ends, beside {@link Shmem.mapping}. */
const kernelMappings = new Set<number>();

/** Takes note of such a mapping. */
export function addKernelMapping(address: number): void {
  kernelMappings.add(address);
}

export function deleteKernelMapping(address: number): void {
  kernelMappings.delete(address);
}

/** Memory of which descriptors and mappings are counted. */
interface Counted extends Inode {
  /** The kernel's own descriptor; −1 for none. */
  readonly fd: number;
  /** Whether the kernel has it mapped. */
  readonly isMapped: boolean;
  /** Mappings that are not counted. */
  readonly tracked: ReadonlySet<{ readonly mappings: number }>;
  /** Without it all descriptors are counted; else those of which /proc/PID/fdinfo/N says so. */
  has?(fdinfo: string): boolean;
}

/**
 * How many descriptors and mappings of a memory there are, in all processes that this user may look
 * into: what Linux has as the reference count of the file. It is looked up, not kept, since whatever
 * would keep it had to see every dup, fork and close of every program. What the kernel has of
 * its own is not counted, and descriptors in flight in a message are not seen.
 */
export function countUses(memory: Counted): number {
  let uses = memory.isMapped ? -1 : 0;
  for (const { pid, tid } of processes()) {
    const descriptors = descriptorsOfInode(tid, memory).filter(
      (fd) => !memory.has || memory.has(fdinfoOf(tid, fd)),
    );
    const areas = areasOf(tid, memory) ?? [];
    uses += descriptors.length + areas.length;
    if (pid !== process.pid) continue;
    if (descriptors.includes(memory.fd)) uses--;
    uses -= areas.filter(({ start }) => kernelMappings.has(start)).length;
  }
  for (const { mappings } of memory.tracked) uses -= mappings;
  return uses;
}

/** Addresses that a mapping was made at; programs inherit them. */
export interface AddressRange {
  start: number;
  end: number;
  /** It is one mapping to the program, and several areas to the machine. */
  pieced: boolean;
}

/**
 * How many mappings there are, in all processes that this user may look into, of an inode at addresses
 * where it was once mapped: an area each, as Linux counts them, but for what is made of pieces.
 */
export function countAreas(inode: Inode, ranges: AddressRange[]): number {
  let count = 0;
  for (const { tid } of processes()) {
    const seen = new Set<AddressRange>();
    for (const { start } of areasOf(tid, inode) ?? []) {
      const range = ranges.find((each) => start >= each.start && start < each.end);
      if (!range || (range.pieced && seen.has(range))) continue;
      seen.add(range);
      count++;
    }
  }
  return count;
}
