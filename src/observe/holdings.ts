/** What a process has of a kernel's files, as /proc shows it. */
import { readdirSync } from 'node:fs';
import type { File } from '../fs/file.js';
import { isRunning, livingThread, statFields } from '../host/threads.js';
import type { Kernel } from '../kernel.js';
import { native, STAT_FIELDS, Stat } from '../native.js';

const AT_FDCWD = -100;
/** A program that serves the file, and may wait for us, is not asked. */
const AT_STATX_DONT_SYNC = 0x4000;
const stat = new Float64Array(STAT_FIELDS);

export interface Held {
  readonly fd: number;
  readonly file: File;
}

/** The descriptors of the kernel's files that a process has; none if it is gone. */
export function filesHeldBy(kernel: Kernel, pid: number): Held[] {
  const tid = livingThread(pid);
  const held = descriptorsOf(tid).flatMap((fd) => {
    const file = fileAt(kernel, tid, fd);
    return file ? [{ fd, file }] : [];
  });
  // It may have ended meanwhile, and shown but a part: then another thread shows all.
  return isRunning(tid) || livingThread(pid) === tid ? held : filesHeldBy(kernel, pid);
}

/** The kernel's file behind a descriptor of a thread. */
export function fileAt(kernel: Kernel, tid: number, fd: number): File | undefined {
  const link = `/proc/${tid}/fd/${fd}`;
  if (native.fstatat(AT_FDCWD, link, AT_STATX_DONT_SYNC, stat) < 0) return undefined;
  return kernel.files.find(stat[Stat.dev] as number, stat[Stat.ino] as number);
}

/** The descriptors of a thread that runs. */
export function descriptorsOf(tid: number): number[] {
  try {
    return readdirSync(`/proc/${tid}/fd`).map(Number);
  } catch {
    return []; // Gone, or another user's.
  }
}

/** 0 if it is gone. */
export function parentOf(pid: number): number {
  return Number(statFields(pid)?.[1] ?? 0);
}

/** Whether a process runs still; one that nobody has waited for yet does not. */
export function isAlive(pid: number): boolean {
  return isRunning(livingThread(pid));
}
