/** /proc/TID/limits */
import { readText } from './read.js';

/** A soft limit, as /proc/TID/limits names it (`Max open files`); Infinity if there is none, or it is not to be had. */
export function readLimit(tid: number, name: string): number {
  const limit = new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(readText(`/proc/${tid}/limits`))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}
