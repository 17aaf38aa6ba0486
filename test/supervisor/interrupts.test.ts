/** Signals for calls that wait in the supervisor, and unusual arguments of these calls: all as on Linux. */
import { beforeEach, describe, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, run } from '../run.js';

beforeEach(needsCompiler);

describe.each(LINKAGES)('%s', (linkage) => {
  test.each([
    [
      'masked',
      [
        'ppoll: EINTR, handled 1, same 1',
        'its array is left alone: 1',
        'pselect: EINTR, handled 2, same 1',
        'blocked again: 1',
        'ppoll, ignored signal: 0',
      ],
    ],
    ['threads', ['handled 10', 'strange 0, woken 6']],
    ['masked-threads', ['handled 10', 'strange 0, woken 6']],
    ['each', ['threads 16', 'processes 16']],
    ['become', ['another program']],
    ['stopped', ['poll: 0, in time 1']],
    [
      'arguments',
      [
        'select, more microseconds than a second has: 0, 1',
        'select, negative microseconds: EINVAL',
        'select, a set at the end of its page: 0',
        'select of INT_MAX: 0',
        'ppoll, a mask of three bytes: EINVAL',
        'poll of more than may be open: EINVAL',
        'ppoll for a month: ready',
      ],
    ],
    ['leader', ['epoll_ctl: 0', '/dev has dma_heap: 1']],
  ])('%s', async (what, lines) => {
    const { kernel, ...ended } = await run({}, program('interrupts', linkage), [what]);
    expect(ended.stdout.trimEnd().split('\n')).toEqual(lines);
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    await expectNothingLeft(kernel);
  });
});
