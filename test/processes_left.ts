/**
 * What tests have started and not ended. All that a worker starts, and what that starts, inherits a variable by which
 * it is found, whoever its parent is by then.
 */
import { readdirSync, readFileSync } from 'node:fs';

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

export function endProcesses(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}
