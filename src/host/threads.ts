/** Processes and their threads: /proc/TID/stat, comm, and who there is. */
import { readdirSync } from 'node:fs';
import { native } from '../native.js';
import { readText } from './read.js';

/** The fields of /proc/TID/stat behind the name, from the state on; undefined if it is gone. */
function statFields(tid: number): string[] | undefined {
  const line = readText(`/proc/${tid}/stat`);
  return line === '' ? undefined : line.slice(line.lastIndexOf(')') + 2).split(' ');
}

/** The name of a thread, up to 15 bytes; empty if it is gone. */
export function readComm(tid: number): string {
  return Buffer.from(readText(`/proc/${tid}/comm`).slice(0, -1), 'latin1').toString();
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

/** Whether a process runs still; one that nobody has waited for yet does not. */
export function isAlive(pid: number): boolean {
  return isRunning(livingThread(pid));
}

/** Whether a process or thread is shown, be it that nobody has waited for it yet. */
export function isShown(tid: number): boolean {
  return native.access(`/proc/${tid}`) === 0;
}

/** 0 if it is gone. */
export function parentOf(pid: number): number {
  return Number(statFields(pid)?.[1] ?? 0);
}

/** All processes that are shown. */
export function processIds(): number[] {
  return readdirSync('/proc').map(Number).filter(Boolean);
}

/** Processes that there is something to be seen of, each with the thread by which to look into it. */
export function* processes(): Iterable<{ pid: number; tid: number }> {
  // Most processes of a machine are threads of its kernel: they have no program.
  const hasProgram = (tid: number) => typeof native.readlink(`/proc/${tid}/exe`) === 'string';
  for (const pid of processIds()) {
    if (hasProgram(pid)) yield { pid, tid: pid };
    else {
      const tid = livingThread(pid);
      if (tid !== pid && hasProgram(tid)) yield { pid, tid };
    }
  }
}

/** A process, told from others that had its id before, or will have it. */
export interface Process {
  readonly pid: number;
  /** When it was started, in clock ticks since the machine was. */
  readonly startTime: number;
  /** The two as one, for a Map. */
  readonly key: string;
}

/** Where /proc/PID/stat has it, behind the name. */
const STARTTIME = 19;

/** The process that has an id now; `startTime` is 0 if there is none. */
export function processOf(pid: number): Process {
  const startTime = Number(statFields(pid)?.[STARTTIME] ?? 0);
  return { pid, startTime, key: `${pid}@${startTime}` };
}
