/** Where a thread's paths begin. */
import { AT_FDCWD } from '../abi/constants.js';
import { native, STAT_FIELDS, Stat } from '../native.js';

const theirs = new Float64Array(STAT_FIELDS);
const ours = new Float64Array(STAT_FIELDS);

/**
 * What leads to a thread's root, where it is not ours, or has other mounts: /proc/TID/root. Empty where it sees the
 * machine's files by the names that we do.
 */
export function rootOf(tid: number): string {
  const same =
    isSame(`/proc/${tid}/root`, '/proc/self/root') &&
    isSame(`/proc/${tid}/ns/mnt`, '/proc/self/ns/mnt');
  return same ? '' : `/proc/${tid}/root`;
}

/** A path as we see it, of a descriptor, say, as it is for the thread whose root that is. */
export function belowRoot(root: string, path: string): string {
  const top = root === '' ? '/' : native.readlink(root);
  if (typeof top !== 'string' || top === '/') return path;
  if (path === top) return '/';
  return path.startsWith(`${top}/`) ? path.slice(top.length) : path;
}

function isSame(theirPath: string, ourPath: string): boolean {
  if (native.fstatat(AT_FDCWD, theirPath, 0, theirs) < 0) return true;
  native.fstatat(AT_FDCWD, ourPath, 0, ours);
  return theirs[Stat.dev] === ours[Stat.dev] && theirs[Stat.ino] === ours[Stat.ino];
}
