/** What a udmabuf does not show of a memfd is out of reach for who has got the udmabuf alone. */
import { beforeEach, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel } from '../../run.js';

beforeEach(needsCompiler);

test.for(LINKAGES)('a part of a memfd is all that a receiver gets (%s)', async (linkage) => {
  const kernel = testKernel();
  const { stdout } = await run(kernel, program('thief', linkage), ['1000']);
  expect(stdout.trim().split('\n')).toEqual([
    'the window: public',
    'mremap to two pages -> -1 EFAULT',
    'mremap of it once more -> -1 EFAULT',
    'mremap to elsewhere: 1',
    'and then to two pages -> -1 EFAULT',
    'remap_file_pages -> ok',
    'the window still: public',
    'ftruncate -> -1 EINVAL',
    'looked: 1, mapped: 1, caught: 0',
    'threads: 1',
    'the memfd’s mode: 777',
  ]);
  await expectNothingLeft(kernel);
});

test.for(LINKAGES)(
  'a program that is stopped while it maps holds up nobody (%s)',
  async (linkage) => {
    const kernel = testKernel();
    const { stdout } = await run(kernel, program('paused', linkage), ['200']);
    expect(stdout).toBe('mapped: 1, failed: 0, others served: 200\n');
    await expectNothingLeft(kernel);
  },
);
