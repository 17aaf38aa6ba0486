/** poll(2) of more descriptors than a machine's kernel watches in one go. */
import { readdirSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel } from '../../run.js';

beforeEach(needsCompiler);

const descriptors = () => readdirSync('/proc/self/fd').length;

test.each([
  ['the same pipe', 'same', 2000],
  ['duplicates of one pipe', 'duplicates', 700],
  ['a pipe each', 'others', 300],
])('of %s: a buffer among them, and a pipe, wake', async (_, what, count) => {
  const kernel = testKernel();
  const before = descriptors();
  const { stdout, stderr } = await run(kernel, program('many'), [what, String(count)]);
  const ready = what === 'others' ? 1 : count;
  expect(stdout.trim().split('\n')).toEqual([
    'nothing: 0',
    'the buffer: 1 0x4',
    `the pipe: ${ready} 0x1`,
    'one that is closed: 0x20',
  ]);
  expect(stderr).toBe('');
  expect(kernel.dmesg()).toEqual([]);
  await expectNothingLeft(kernel);
  await kernel.idle();
  expect(descriptors()).toBeLessThanOrEqual(before + 3);
});
