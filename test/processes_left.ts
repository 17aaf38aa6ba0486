/**
 * What tests have started and not ended. All that a worker starts, and what that starts, inherits a variable by which
 * it is found, whoever its parent is by then.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

const NAME = 'DMABUF_SHIM_TEST_WORKER';

/** From now on all that this process starts is of worker `of` of the run. */
export function markChildren(run: number, worker: number): void {
  process.env[NAME] = `${run}.${worker}`;
}

/** Those that are alive still. */
export function processesOf(run: number, worker: number): number[] {
  const mark = `\0${NAME}=${run}.${worker}\0`;
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

/** Ends what was started in the run `$1`, also what only now starts, once whoever made the pipe has gone. */
const WATCH = `
  trap '' HUP INT TERM
  cat
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    for environ in $(grep -alsF "${NAME}=$1." /proc/[0-9]*/environ); do
      pid=\${environ#/proc/}
      kill -KILL "\${pid%/environ}"
    done
    sleep 0.1
  done`;

/** However the run ends: when it is interrupted or killed nobody is left in it to look after what it has started. */
export function endProcessesWithRun(run: number): void {
  const watch = spawn('/bin/sh', ['-c', WATCH, 'sh', String(run)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watch.unref();
  // Node makes such a pipe of sockets.
  (watch.stdin as Socket).unref();
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
