/** The pieces of a caller's memory that a read(2) or write(2) names. Linux: struct iov_iter. */
import type { Segment } from '../fs/file.js';
import type { UserMemory } from './uaccess.js';

/** Bytes in all. */
export function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}

/** What a write(2) gives: its first bytes, at most `most`, as a short write is no error. EFAULT. */
export function copyFromIter(
  mm: UserMemory,
  segments: readonly Segment[],
  most: number,
): Uint8Array {
  const bytes = new Uint8Array(Math.min(lengthOf(segments), most));
  let at = 0;
  for (const { address, length } of segments) {
    const part = bytes.subarray(at, at + length);
    if (part.length > 0) mm.read(address, part);
    at += part.length;
  }
  return bytes;
}

/** Gives a read(2) as many of the bytes as it has room for, and answers how many these are. EFAULT. */
export function copyToIter(
  mm: UserMemory,
  segments: readonly Segment[],
  bytes: Uint8Array,
): number {
  let at = 0;
  for (const { address, length } of segments) {
    const part = bytes.subarray(at, at + length);
    if (part.length > 0) mm.write(address, part);
    at += part.length;
  }
  return at;
}
