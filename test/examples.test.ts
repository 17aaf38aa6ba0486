/** The programs in examples/ do what examples/README.md says of them; filter.c is in demo.test.ts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { GCC, missing } from './programs.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = (name: string) => join(root, 'examples', name);

/** What a program prints; it must end well, and say nothing on stderr. */
function output(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

const ALLOCATED = '8192 bytes: "written between START and END"\n';

test('allocate.mjs', () => {
  expect(output(process.execPath, example('allocate.mjs'))).toBe(ALLOCATED);
});

test('allocate.c', ({ skip }) => {
  const why = missing(GCC);
  if (why) skip(why);
  const program = join(inject('programs'), 'allocate');
  output('gcc', '-Wall', '-Werror', '-o', program, example('allocate.c'));
  const main = join(root, 'dist/src/cli/main.js');
  expect(output(process.execPath, main, 'run', '--', program)).toBe(ALLOCATED);
});

test('driver.mjs: the ioctl is back before the work is done, which succeeds once', () => {
  expect(output(process.execPath, example('driver.mjs')).split('\n')).toEqual([
    'the ioctl is back: "pencil"',
    'the buffer is readable: "in ink", status 1',
    'the ioctl is back: "chalk."',
    'the buffer is readable: "chalk.", status -28',
    '',
  ]);
});
