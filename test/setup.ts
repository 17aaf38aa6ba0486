/** In each worker, before each file: nothing that a test starts outlives the file. */
import { afterAll, afterEach } from 'vitest';
import { endProcesses, markChildren, processesOf, stillThere } from './processes_left.js';

const PATIENCE = 10_000;
const [run, worker] = [process.ppid, process.pid];
markChildren(run, worker);

let failed = false;
afterEach(({ task }) => {
  failed ||= task.result?.state === 'fail';
});

afterAll(async () => {
  const find = () => processesOf(run, worker);
  const left = endProcesses(await stillThere(find, failed ? 0 : PATIENCE));
  if (left.length > 0 && !failed) throw new Error(`left running:\n${left.join('\n')}`);
});
