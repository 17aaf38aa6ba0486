/** Once a run: compiles dist/, which the command line is started from; ends what workers that hung, or were killed, have left. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endProcessesWithRun } from './processes_left.js';

export default function setup(): void {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`dist/ cannot be built:\n${stdout}${stderr}`);
  endProcessesWithRun(process.pid);
}
