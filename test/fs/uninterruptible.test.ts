/** Rows that say which waits a signal ends, for programs. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { io, ioctls } from '../../ioctl/index.js';
import { type File, ioctlOperations, miscRegister } from '../../src/index.js';
import { needs } from '../programs.js';
import { expectNothingLeft, testKernel, until } from '../run.js';

const wait_ioctls = ioctls({ WAIT: io('w', 1), WAIT_UNINTERRUPTIBLE: io('w', 2) });

/** Prints what comes of the call, and how often the handler of SIGUSR1 ran. */
const WAITER = `
import fcntl, signal, sys
handled = []
signal.signal(signal.SIGUSR1, lambda *_: handled.append(1))
with open('/dev/waits') as file:
    try:
        result = fcntl.ioctl(file, int(sys.argv[1]))
    except InterruptedError:
        result = 'EINTR'
    print(result, len(handled))
`;

/** Whether a process has a signal that it has not handled yet, which it would. */
function isPending(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return /^(SigPnd|ShdPnd):\s*0*[1-9a-f]/m.test(status);
}

beforeEach(needs(['python3', 'python3']));

test.each([
  ['WAIT', 'ends', 'EINTR 1', 1],
  ['WAIT_UNINTERRUPTIBLE', 'goes on', '7 1', 0],
] as const)('a signal comes: %s %s', async (name, _what, printed, aborts) => {
  const kernel = testKernel();
  let [waits, aborted] = [false, 0];
  let answer = (_value: number): void => {};
  const wait = (_file: File, _arg: number, call: { signal: AbortSignal }) => {
    waits = true;
    call.signal.addEventListener('abort', () => aborted++);
    return new Promise<number>((resolve) => {
      answer = resolve;
    });
  };
  const rows = { WAIT: wait, WAIT_UNINTERRUPTIBLE: { uninterruptible: true, handle: wait } };
  miscRegister(kernel, 'waits', ioctlOperations(wait_ioctls, { of: (file: File) => file }, rows));
  const { request } = wait_ioctls[name];
  const child = kernel.spawn('python3', ['-c', WAITER, String(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (text) => {
    output += text;
  });
  const closed = once(child, 'close');
  await until('it waits', () => waits);
  child.kill('SIGUSR1');
  if (aborts > 0) await closed;
  else await until('the signal is there', () => isPending(child.pid as number));
  // Calls that wait have been looked at for it by then.
  for (let i = 0; i < 20; i++) await new Promise((later) => setTimeout(later, 5));
  answer(7);
  await closed;
  expect([output, aborted]).toEqual([`${printed}\n`, aborts]);
  await expectNothingLeft(kernel);
});
