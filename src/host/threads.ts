/** The threads of a process, as /proc shows them. */
import { readdirSync, readFileSync } from 'node:fs';

/** The fields of /proc/TID/stat behind the name, from the state on; undefined if it is gone. */
export function statFields(tid: number): string[] | undefined {
  try {
    const line = readFileSync(`/proc/${tid}/stat`, 'latin1');
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** <linux/sched.h>: a thread that ends, and may have let go of its files while it is not a zombie yet. */
const PF_EXITING = 0x4;

/** Whether a thread runs still; one that has ended is shown until somebody has waited for it. */
export function isRunning(tid: number): boolean {
  const [state = '', , , , , , flags] = statFields(tid) ?? [];
  return !/^[ZX]?$/.test(state) && (Number(flags) & PF_EXITING) === 0;
}

/** All that are shown of a process; none if it is gone. */
export function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/**
 * A thread by which /proc shows what a process has: its first one, but if that has ended (pthread_exit) while
 * others run, nothing is to be seen by it. The first one too if none runs.
 */
export function livingThread(pid: number): number {
  return isRunning(pid) ? pid : (threadsOf(pid).find(isRunning) ?? pid);
}
