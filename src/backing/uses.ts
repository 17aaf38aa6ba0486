import { readdirSync, readFileSync } from 'node:fs';
import { O_DIRECTORY } from '../../ioctl/index.js';
import { major, minor } from '../fs/dev_t.js';
import { livingThread } from '../host/threads.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { Shmem } from './shmem.js';

const stat = new Float64Array(STAT_FIELDS);

/** What a descriptor or a mapping is of. */
interface Inode {
  dev: number;
  ino: number;
}

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
  for (const { pid, tid } of processes()) {
    const descriptors = descriptorsOf(tid, memory);
    const areas = areasOf(tid, memory);
    uses += descriptors.length + areas.length;
    if (pid !== process.pid) continue;
    if (descriptors.includes(memory.fd)) uses--;
    uses -= areas.filter((at) => kernelMappings.has(at)).length;
  }
  return memory.isMapped ? uses - 1 : uses;
}

/** The processes, other than this one, that have a descriptor of an inode. */
export function holdersOf(inode: Inode): number[] {
  return [...processes()]
    .filter(({ pid, tid }) => pid !== process.pid && descriptorsOf(tid, inode).length > 0)
    .map(({ pid }) => pid);
}

/** Those that there is something to be seen of, each with the thread by which to look into it. */
function* processes(): Iterable<{ pid: number; tid: number }> {
  // Most processes of a machine are threads of its kernel: they have no program.
  const hasProgram = (tid: number) => typeof native.readlink(`/proc/${tid}/exe`) === 'string';
  for (const pid of readdirSync('/proc').map(Number).filter(Boolean)) {
    if (hasProgram(pid)) yield { pid, tid: pid };
    else {
      const tid = livingThread(pid);
      if (tid !== pid && hasProgram(tid)) yield { pid, tid };
    }
  }
}

/** The descriptors of a thread's process that are of an inode. */
function descriptorsOf(tid: number, { dev, ino }: Inode): number[] {
  const folder = `/proc/${tid}/fd`;
  // By names in an open directory: most of the path is looked up once for all of them.
  const fd = native.open(folder, O_DIRECTORY, 0);
  if (fd < 0) return [];
  try {
    return readdirSync(folder)
      .map(Number)
      .filter((name) => {
        if (native.fstatNumber(fd, name, stat) < 0) return false;
        return stat[Stat.ino] === ino && stat[Stat.dev] === dev;
      });
  } catch {
    return []; // Gone meanwhile.
  } finally {
    native.close(fd);
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
export function countAreas(inode: Inode, ranges: AddressRange[]): number {
  let count = 0;
  for (const { tid } of processes()) {
    const seen = new Set<AddressRange>();
    for (const start of areasOf(tid, inode)) {
      const range = ranges.find((each) => start >= each.start && start < each.end);
      if (!range || (range.pieced && seen.has(range))) continue;
      seen.add(range);
      count++;
    }
  }
  return count;
}

function mapsOf(tid: number): string {
  try {
    return readFileSync(`/proc/${tid}/maps`, 'latin1');
  } catch {
    return ''; // Gone meanwhile, or another user's.
  }
}

/** Where a thread's process has an inode mapped. */
function areasOf(tid: number, { dev, ino }: Inode): number[] {
  const maps = mapsOf(tid);
  // start-end perms offset dev inode path: there are hundreds of lines, and few are of this inode.
  const wanted = ` ${formatDev(dev)} ${ino} `;
  const starts: number[] = [];
  for (let at = maps.indexOf(wanted); at >= 0; at = maps.indexOf(wanted, at + 1)) {
    starts.push(Number.parseInt(maps.slice(maps.lastIndexOf('\n', at) + 1, at), 16));
  }
  return starts;
}

/** A st_dev as /proc/PID/maps writes it: major and minor in hexadecimal. */
function formatDev(dev: number): string {
  return [major(dev), minor(dev)].map((n) => n.toString(16).padStart(2, '0')).join(':');
}
