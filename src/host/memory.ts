/** /proc/PID/mem and what is behind mappings: memory of processes, by descriptors of this process. */
import { O_CLOEXEC, O_RDWR } from '../../ioctl/index.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { descriptorsOfInode, type Inode, pathOfDescriptor } from './descriptors.js';
import type { Mapping } from './maps.js';
import { livingThread } from './threads.js';

/**
 * A descriptor of a process's memory: positions are addresses. It stays that of the memory that the process has now,
 * which ends with the last process that has it; not of what it, or another process with its id, has later. A negative
 * errno.
 */
export function openMemory(pid: number): number {
  return native.open(`/proc/${livingThread(pid)}/mem`, O_RDWR | O_CLOEXEC, 0);
}

const stat = new Float64Array(STAT_FIELDS);

/** A descriptor, O_RDWR, of the file behind a mapping of a process's; undefined if there is none to be had. */
export function openMapped(
  pid: number,
  { start, end, path, dev, ino }: Mapping,
): number | undefined {
  const tid = livingThread(pid);
  const ways = [
    // Root's way.
    () => `/proc/${tid}/map_files/${start.toString(16)}-${end.toString(16)}`,
    () => {
      const [fd] = descriptorsOfInode(tid, { dev, ino });
      return fd === undefined ? '' : pathOfDescriptor(tid, fd);
    },
    () => (path.startsWith('/') ? path : ''),
  ];
  for (const way of ways) {
    const fd = openAs(way(), { dev, ino });
    if (fd >= 0) return fd;
  }
  return undefined;
}

function openAs(path: string, { dev, ino }: Inode): number {
  const fd = path === '' ? -1 : native.open(path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  native.fstat(fd, stat);
  if (stat[Stat.dev] === dev && stat[Stat.ino] === ino) return fd;
  native.close(fd);
  return -1;
}
