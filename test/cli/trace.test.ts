/** `--trace`: what programs ask of devices of one's own, and how the lines are written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { cli, main } from '../cli.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';

const twist = fileURLToPath(new URL('../programs/twist.ts', import.meta.url));

beforeEach(needsCompiler);

function traceFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-trace-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'trace');
}

test('a device of one’s own is decoded by its table: nested, extensible, in its own time', () => {
  const file = traceFile();
  const { status, stdout, stderr } = cli(
    ...['run', '--device', twist, `--trace=${file}`, '--', program('twist')],
  );
  expect([status, stdout, stderr]).toEqual([0, 'done\n', '']);
  const lines = readFileSync(file, 'utf8')
    .replace(/0x7f\w+/g, 'ADDRESS')
    .split('\n')
    .filter((line) => /TWIST|STRETCH|_IOC\(/.test(line));
  expect(lines).toEqual([
    // Its handler waits: what it changes is shown beside what it was given first.
    'ioctl(3, TWIST_IOC_TURN, {from={x=1, y=2}, to=[{x=3, y=4}, {x=5, y=6}], name="before", ' +
      'word=131073, halves=[1, 2], count=0} => {to=[{x=3, y=4}, {x=5, y=7}], name="a, b={c}", count=1}) = 0',
    // What the program had in a struct that the kernel fills is of no interest.
    'ioctl(3, TWIST_IOC_STATE, {turns=1, flags=TWIST_TURNED}) = 0',
    'ioctl(3, TWIST_IOC_STATE, NULL) = -1 EFAULT',
    'ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0xc2, 0x1, 0x10), ADDRESS) = -1 ENOTTY',
    'ioctl(4, STRETCH_IOC_SET, {a=7} => {a=8}) = 0',
    'ioctl(4, STRETCH_IOC_SET, {a=8, b=8, c=9} => {a=9}) = 0',
    'ioctl(4, STRETCH_IOC_SET, {a=9, ...} => {a=10}) = 0',
    'ioctl(4, STRETCH_IOC_SET, {a=10, b=8, c=9, /* bytes 16..23 */ ' +
      '"\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00"}) = -1 E2BIG',
    'ioctl(3, TWIST_IOC_DRAW, {buffer=6, fence=0} => {fence=7}) = 0',
  ]);
});

test('a call that a signal ends is a line, as it does not come back', async () => {
  const file = traceFile();
  const args = [main, 'run', '--trace', file, '--', program('waits'), 'sync', 'buffer', '-1'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  expect(String(await once(child.stdout, 'data'))).toBe('waiting\n');
  // It has a handler for this one, which may come before it waits.
  const again = setInterval(() => child.kill('SIGUSR1'), 100);
  expect(String(await once(child.stdout, 'data'))).toMatch(/EINTR/);
  clearInterval(again);
  await once(child, 'exit');
  const lines = readFileSync(file, 'utf8').split('\n');
  const sync = lines.filter((line) => line.includes('DMA_BUF_IOCTL_SYNC'));
  expect(sync.at(-1)).toMatch(/^ioctl\(\d+, DMA_BUF_IOCTL_SYNC, \{flags=.*\}\) = \? ERESTARTSYS$/);
});

test('lines that are not in the file yet are, when a signal ends the run', async () => {
  const file = traceFile();
  const script = 'cat /dev/udmabuf 2>/dev/null; echo ready; exec sleep 20';
  const child = spawn(process.execPath, [main, 'run', '--trace', file, '--', 'sh', '-c', script]);
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
  expect(readFileSync(file, 'utf8')).toMatch(/^\[?.*"\/dev\/udmabuf".*\) = \d+\n/m);
});

test.each(LINKAGES)(
  'what a program maps, lists behind a struct, and waits for is shown (%s)',
  (linkage) => {
    const file = traceFile();
    const args = ['--devices', '+sw_sync', `--trace=${file}`, '--', program('traced', linkage)];
    const { stdout, stderr } = cli('run', ...args);
    expect(stderr).toBe('');
    const map = stdout.trim();
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => /^(mmap|p?poll|p?select|ioctl\(\d+, UDMABUF)/.test(line));
    const [buffer, memfd, fence] = [6, 7, 9];
    const item = (offset: number) => `{memfd=${memfd}, __pad=0, offset=${offset}, size=4096}`;
    const asked = `[{fd=0, events=POLLPRI}, {fd=${fence}, events=POLLIN}], 2`;
    const mapped = (length: number, prot: string) =>
      `mmap(NULL, ${length}, ${prot}, MAP_SHARED, ${buffer}, 0)`;
    expect(lines).toEqual([
      `${mapped(8192, 'PROT_READ|PROT_WRITE')} = ${map}`,
      `${mapped(12288, 'PROT_READ')} = -1 EINVAL`,
      `ioctl(4, UDMABUF_CREATE_LIST, {flags=0, count=2, list=[${item(0)}, ${item(4096)}]}) = 8`,
      expect.stringContaining(`poll(${asked}, `),
      expect.stringContaining(`poll(${asked}, `),
      expect.stringMatching(/^p?select6?\(10, 0x\w+, NULL, NULL, NULL.*\) = 1$/),
    ]);
    expect(lines.slice(3).map((line) => line.split(' = ')[1])).toEqual([
      '0',
      `1 ([{fd=${fence}, revents=POLLIN}])`,
      '1',
    ]);
  },
);
