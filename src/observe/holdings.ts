/** What a process has of a kernel's files, as /proc shows it. */
import { readdirSync } from 'node:fs';
import type { KernelCore } from '../core.js';
import type { File } from '../fs/file.js';
import { isRunning, livingThread, statFields } from '../host/threads.js';

export interface Held {
  readonly fd: number;
  readonly file: File;
}

/** The descriptors of the kernel's files that a process has; none if it is gone. */
export function filesHeldBy(kernel: KernelCore, pid: number): Held[] {
  const tid = livingThread(pid);
  const held = descriptorsOf(tid).flatMap((fd) => {
    const file = kernel.files.at(tid, fd);
    return file ? [{ fd, file }] : [];
  });
  // It may have ended meanwhile, and shown but a part: then another thread shows all.
  return isRunning(tid) || livingThread(pid) === tid ? held : filesHeldBy(kernel, pid);
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
