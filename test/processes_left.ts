/**
 * Whatever a test starts ends with it, also where the test fails, or hangs, before it comes to that. All that a worker
 * starts, and what that starts, inherits a variable by which it is found, whoever its parent is by then.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const NAME = 'DMABUF_SHIM_TEST_WORKER';

/** From now on all that this process starts is of worker `of` of the run. */
export function markChildren(run: number, worker: number): void {
  process.env[NAME] = `${run}.${worker}`;
}

/** Those that are alive still, of one worker of a run or of all. */
export function processesOf(run: number, worker?: number): number[] {
  const mark = `\0${NAME}=${run}.${worker === undefined ? '' : `${worker}\0`}`;
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => {
      try {
        return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(mark);
      } catch {
        return false; // It has ended, or is somebody else's.
      }
    });
}

/** Ends them all: what they were. */
export function endProcesses(pids: readonly number[]): string[] {
  return pids.flatMap((pid) => {
    try {
      const name = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      process.kill(pid, 'SIGKILL');
      return [`${pid} ${name}`];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
}

/** Some are about to end when their test does: gives those that are not, in as long as it may take. */
export async function stillThere(find: () => number[], patience: number): Promise<number[]> {
  for (const end = performance.now() + patience; ; ) {
    const pids = find();
    if (pids.length === 0 || performance.now() > end) return pids;
    await sleep(20);
  }
}
