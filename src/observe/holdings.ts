/** What a process has of a kernel's files, as /proc shows it. */
import type { KernelCore } from '../core.js';
import type { File } from '../fs/file.js';
import { descriptorsOf } from '../host/descriptors.js';
import { isRunning, livingThread } from '../host/threads.js';

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
