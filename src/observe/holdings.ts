/** What a process has of a kernel's files, as /proc shows it. */
import { readdirSync, readFileSync } from 'node:fs';
import type { File } from '../fs/file.js';
import type { Kernel } from '../kernel.js';
import { native, STAT_FIELDS, Stat } from '../native.js';

const AT_FDCWD = -100;
const stat = new Float64Array(STAT_FIELDS);

export interface Held {
  readonly fd: number;
  readonly file: File;
}

/** The descriptors of the kernel's files that a process has; none if it is gone. */
export function filesHeldBy(kernel: Kernel, pid: number): Held[] {
  const held: Held[] = [];
  for (const fd of descriptorsOf(pid)) {
    const file = fileAt(kernel, pid, fd);
    if (file) held.push({ fd, file });
  }
  return held;
}

/** The kernel's file behind a descriptor of a process. */
export function fileAt(kernel: Kernel, pid: number, fd: number): File | undefined {
  if (native.fstatat(AT_FDCWD, `/proc/${pid}/fd/${fd}`, 0, stat) < 0) return undefined;
  return kernel.files.find(stat[Stat.dev] as number, stat[Stat.ino] as number);
}

export function descriptorsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map(Number);
  } catch {
    return []; // Gone, or another user's.
  }
}

/** A field of /proc/PID/stat behind the name, counted from the state on; undefined if it is gone. */
function statField(pid: number, index: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[index];
  } catch {
    return undefined;
  }
}

/** 0 if it is gone. */
export function parentOf(pid: number): number {
  return Number(statField(pid, 1) ?? 0);
}

/** Whether a process runs still; one that nobody has waited for yet does not. */
export function isAlive(pid: number): boolean {
  return !/^[ZX]?$/.test(statField(pid, 0) ?? '');
}
