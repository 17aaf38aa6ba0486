/**
 * Files whose bytes a driver moves get high numbers in programs, which a filter can tell: see {@link HIGH_FDS}.
 */
import { HIGH_FDS } from '../abi/system_calls.js';
import { Errno } from '../errno.js';
import { openDescriptors } from '../host/descriptors.js';
import { readLimit } from '../host/limits.js';
import { native, STAT_FIELDS } from '../native.js';

const stat = new Float64Array(STAT_FIELDS);

/** So many numbers are tried, that a program which has them all does not hold up others. */
const MOST = 1024;

/** The lowest number from HIGH_FDS on, and from `least` on, that a thread may have; undefined for none. */
export function freeHighFd(tid: number, least: number): number | undefined {
  // Opened anew: what is found in the directory of an earlier thread with this id is nothing.
  const fds = openDescriptors(tid);
  if (fds < 0) return undefined;
  try {
    const first = Math.max(HIGH_FDS, least);
    const end = Math.min(first + MOST, readLimit(tid, 'Max open files'));
    for (let number = first; number < end; number++) {
      const result = native.fstatNumber(fds, number, stat);
      if (result < 0) return result === -Errno.ENOENT ? number : undefined;
    }
    return undefined;
  } finally {
    native.close(fds);
  }
}
