/** In each worker, before each file: nothing that a test starts outlives the file, also where it fails or hangs. */
import { afterAll } from 'vitest';
import { endProcesses, markChildren, processesOf } from './processes_left.js';

const [run, worker] = [process.ppid, process.pid];
markChildren(run, worker);

afterAll(() => endProcesses(processesOf(run, worker)));
