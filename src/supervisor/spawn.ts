/** Starting programs under the supervisor. */

import { type ChildProcess, type SpawnOptions, spawn as spawnProcess } from 'node:child_process';
import { MFD_CLOEXEC, SOCK_SEQPACKET } from '../abi/constants.js';
import type { Needs } from '../abi/system_calls.js';
import { Errno } from '../errno.js';
import { check, launcher, native, SystemError } from '../native.js';
import { buildFilter } from './filter.js';
import type { Supervisor } from './supervisor.js';

/** What the launcher reports: struct { u32 step; s32 errno }. */
const REPORT_SIZE = 8;
/** Which step failed, or 0: the listener comes with the report. */
const STEPS = [
  '',
  'prctl(PR_SET_NO_NEW_PRIVS)',
  'seccomp(SECCOMP_SET_MODE_FILTER)',
  'execve',
  'mmap',
];
const STEP_EXEC = 3;

/** Why a program cannot be served on this machine. `dmabuf-shim doctor` says more. */
export class UnsupportedMachineError extends Error {
  /** errno of the system call that failed, or 0. */
  readonly errno: number;

  constructor(message: string, errno: number) {
    super(message);
    this.name = 'UnsupportedMachineError';
    this.errno = errno;
  }
}

/**
 * child_process.spawn() of a program that the supervisor serves. An `error` event reports what
 * spawn's own would: a program that is not there, or may not be executed.
 * @param strings Instead of command, args and env: these and the environment as bytes, each ended by NUL.
 * @throws UnsupportedMachineError where this machine forbids seccomp notification.
 */
export function spawn(
  supervisor: Supervisor,
  command: string,
  args: readonly string[],
  { shell, ...options }: SpawnOptions,
  needs: Needs,
  strings?: Uint8Array,
): ChildProcess {
  const program = shell
    ? [shell === true ? '/bin/sh' : shell, '-c', [command, ...args].join(' ')]
    : [command, ...args];
  const pair = native.socketpair(SOCK_SEQPACKET);
  if (typeof pair === 'number') throw new SystemError(-pair, 'socketpair');
  const [ours, theirs] = pair;
  try {
    sendProgram(ours, buildFilter(needs), strings);
    const stdio = stdioArray(options.stdio);
    const child = spawnProcess(launcher, [String(stdio.length), ...program], {
      ...options,
      // What it says to the dynamic loader is for the program.
      ...(strings && { env: {} }),
      stdio: [...stdio, theirs],
    });
    native.close(theirs);
    // The launcher could not even be started: spawn itself reports that.
    if (child.pid === undefined) return child;
    const report = receive(ours);
    if (report.listener === undefined) {
      if (report.step === STEP_EXEC || report.step === 0) return child;
      child.on('error', () => {});
      child.kill('SIGKILL');
      throw unsupported(report);
    }
    supervisor.addListener(report.listener, needs);
    const exec = receive(ours);
    if (exec.step === STEP_EXEC) {
      const [file = '', ...spawnargs] = program;
      const error = new SystemError(exec.errno, `spawn ${file}`);
      Object.assign(error, { path: file, spawnargs });
      process.nextTick(() => child.emit('error', error));
    }
    return child;
  } finally {
    native.close(ours);
  }
}

/** The launcher's message: see its first comment. */
function sendProgram(socket: number, filter: Uint8Array, strings: Uint8Array | undefined): void {
  if (!strings) {
    check('sendmsg', native.sendmsg(socket, filter, [], 0));
    return;
  }
  // A message holds less than arguments and environment may have.
  const memfd = check('memfd_create', native.memfdCreate('strings', MFD_CLOEXEC));
  try {
    check('write', native.write(memfd, strings));
    check('sendmsg', native.sendmsg(socket, filter, [memfd], 0));
  } finally {
    native.close(memfd);
  }
}

interface Report {
  step: number;
  errno: number;
  listener?: number;
}

/** The launcher's next report; at the end of the stream, which exec brings, one of step 0. */
function receive(socket: number): Report {
  const data = new Uint8Array(REPORT_SIZE);
  const fds: number[] = [];
  const length = native.recvmsg(socket, data, fds, 0);
  if (length < REPORT_SIZE) return { step: 0, errno: 0 };
  const view = new DataView(data.buffer);
  const report: Report = { step: view.getUint32(0, true), errno: view.getInt32(4, true) };
  if (fds[0] !== undefined) report.listener = fds[0];
  return report;
}

function unsupported({ step, errno }: Report): UnsupportedMachineError {
  const why =
    errno === Errno.EBUSY
      ? 'another supervisor serves this process already (is it under dmabuf-shim run?)'
      : 'this machine does not allow it';
  const { code } = new SystemError(errno, '');
  return new UnsupportedMachineError(`${STEPS[step]}: ${code}: ${why}`, errno);
}

/** The `stdio` option as an array of at least three. */
function stdioArray(
  stdio: SpawnOptions['stdio'],
): Exclude<SpawnOptions['stdio'], string | undefined> {
  if (Array.isArray(stdio)) {
    const missing = Math.max(0, 3 - stdio.length);
    return [...stdio, ...new Array<'pipe'>(missing).fill('pipe')];
  }
  const each = stdio ?? 'pipe';
  return typeof each === 'string' ? [each, each, each] : ['pipe', 'pipe', 'pipe'];
}
