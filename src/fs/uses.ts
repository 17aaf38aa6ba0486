import { readdirSync, readFileSync } from 'node:fs';
import type { Shmem } from '../mm/shmem.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { major, minor } from './dev_t.js';
import { livingThread } from './threads.js';

const AT_FDCWD = -100;
const stat = new Float64Array(STAT_FIELDS);

/** Where this process has mapped memories for the kernel's own ends, beside {@link Shmem.mapping}. */
export const kernelMappings = new Set<number>();

/**
 * How many descriptors and mappings of a memory there are, in all processes that this user may look
 * into: what Linux has as the reference count of the file. It is looked up, not kept, since whatever
 * would keep it had to see every dup, fork and close of every program. What the kernel has of
 * its own is not counted, and descriptors in flight in a message are not seen.
 */
export function countUses(memory: Shmem): number {
  let uses = 0;
  const own = `/proc/${process.pid}/fd/${memory.fd}`;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const path of descriptorPaths(Number(pid))) {
      if (path === own) continue;
      if (native.fstatat(AT_FDCWD, path, 0, stat) < 0) continue;
      if (stat[Stat.ino] === memory.ino && stat[Stat.dev] === memory.dev) uses++;
    }
    const areas = areasOf(pid, memory);
    uses += areas.length;
    if (Number(pid) === process.pid) uses -= areas.filter((at) => kernelMappings.has(at)).length;
  }
  return memory.isMapped ? uses - 1 : uses;
}

/** The processes, other than this one, that have a descriptor of an inode. */
export function holdersOf({ dev, ino }: { dev: number; ino: number }): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) =>
      descriptorPaths(Number(pid)).some(
        (path) =>
          native.fstatat(AT_FDCWD, path, 0, stat) === 0 &&
          stat[Stat.ino] === ino &&
          stat[Stat.dev] === dev,
      ),
    )
    .map(Number);
}

/** The descriptors of a process. */
function descriptorPaths(pid: number): string[] {
  const paths = descriptorPathsOf(pid);
  if (paths.length > 0) return paths;
  const tid = livingThread(pid);
  return tid === pid ? [] : descriptorPathsOf(tid);
}

function descriptorPathsOf(tid: number): string[] {
  const folder = `/proc/${tid}/fd`;
  try {
    return readdirSync(folder).map((fd) => `${folder}/${fd}`);
  } catch {
    return []; // Gone, or another user's.
  }
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
export function countAreas(inode: { dev: number; ino: number }, ranges: AddressRange[]): number {
  let count = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const seen = new Set<AddressRange>();
    for (const start of areasOf(pid, inode)) {
      const range = ranges.find((each) => start >= each.start && start < each.end);
      if (!range || (range.pieced && seen.has(range))) continue;
      seen.add(range);
      count++;
    }
  }
  return count;
}

/** Where a process has an inode mapped. */
function areasOf(pid: string, inode: { dev: number; ino: number }): number[] {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, 'latin1');
    // Of a process whose first thread has ended.
    if (maps === '') maps = readFileSync(`/proc/${livingThread(Number(pid))}/maps`, 'latin1');
  } catch {
    return [];
  }
  const dev = formatDev(inode.dev);
  const starts: number[] = [];
  for (const line of maps.split('\n')) {
    // address perms offset dev inode path
    const [addresses = '', , , lineDev, ino] = line.split(/ +/, 5);
    if (Number(ino) === inode.ino && lineDev === dev) {
      starts.push(Number.parseInt(addresses, 16));
    }
  }
  return starts;
}

/** A st_dev as /proc/PID/maps writes it: major and minor in hexadecimal. */
function formatDev(dev: number): string {
  return [major(dev), minor(dev)].map((n) => n.toString(16).padStart(2, '0')).join(':');
}
