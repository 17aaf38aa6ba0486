/** A buffer goes exactly when its last descriptor and its last mapping are gone, in any process. */
import { beforeEach, describe, expect, test } from 'vitest';
import { needsCompiler, program } from '../programs.js';
import { expectNothingLeft, liveBuffers, run, testKernel, until } from '../run.js';
import { Steps } from '../steps.js';

const PAGE = 4096;

/** What is done, and how many buffers live afterwards. */
type Story = [step: string, live: number][];

async function tell(story: Story): Promise<void> {
  const kernel = testKernel();
  const steps = new Steps(kernel);
  for (const [step, live] of story) {
    await steps.do(step);
    await until(`${live} after "${step}"`, () => liveBuffers(kernel) === live);
  }
  await steps.end();
  await expectNothingLeft(kernel);
}

beforeEach(needsCompiler);

/** The same stories are told of both kinds: `a` is a buffer of four pages. */
const heap: Story = [['alloc a - 4', 1]];
const udmabuf: Story = [
  ['memfd m - 8', 0],
  ['udmabuf a m 4 2', 1],
  ['close m', 1],
];

describe.each([
  ['heap buffer', heap],
  ['udmabuf', udmabuf],
])('a %s', (_kind, made) => {
  test('goes with its only descriptor', () => tell([...made, ['close a', 0]]));

  test('lives on in a duplicate', () =>
    tell([...made, ['dup b a', 1], ['close a', 1], ['close b', 0]]));

  test('goes when something else is duplicated over its descriptor', () =>
    tell([...made, ['memfd n - 1', 1], ['dup2 a n', 0]]));

  test('lives on in a mapping that outlives the descriptor', () =>
    tell([
      ...made,
      ['map p a 4 0', 1],
      ['close a', 1],
      ['put p - 7 3', 1],
      ['get p - 0 3', 1],
      ['unmap p - 4', 0],
    ]));

  test('lives on while half of a mapping is left, whichever half', () =>
    tell([
      ...made,
      ['map p a 4 0', 1],
      ['map q a 4 0', 1],
      ['close a', 1],
      ['unmap p - 2 0', 1],
      ['unmap q - 2 2', 1],
      ['unmap p - 2 2', 1],
      ['unmap q - 2 0', 0],
    ]));

  test('lives on in the pieces around a hole', () =>
    tell([
      ...made,
      ['map p a 4 0', 1],
      ['close a', 1],
      ['unmap p - 2 1', 1],
      ['unmap p - 1 0', 1],
      ['unmap p - 1 3', 0],
    ]));

  test('goes by the descriptor when the mapping went first', () =>
    tell([...made, ['map p a 4 0', 1], ['unmap p - 4', 1], ['close a', 0]]));

  test('lives on in a forked child, and goes when that is killed', () =>
    tell([...made, ['fork -', 1], ['close a', 1], ['kill -', 0]]));

  test('lives on in the mapping of a forked child, and goes when that is killed', () =>
    tell([
      ...made,
      ['map p a 4 0', 1],
      ['close a', 1],
      ['fork -', 1],
      ['unmap p - 4', 1],
      ['kill -', 0],
    ]));

  test('does not live on in a child that executes a program, if close-on-exec', () =>
    tell([...made, ['exec -', 1], ['close a', 0], ['kill -', 0]]));

  test('a mapping does not pass through exec', () =>
    tell([
      ...made,
      ['map p a 4 0', 1],
      ['close a', 1],
      ['exec -', 1],
      ['unmap p - 4', 0],
      ['kill -', 0],
    ]));

  test('lives on in a child that executes a program, if not close-on-exec', () =>
    tell([...made, ['dup b a', 1], ['close a', 1], ['exec -', 1], ['close b', 1], ['kill -', 0]]));

  test('lives on in flight between two sockets, and arrives', () =>
    tell([
      ...made,
      ['socketpair -', 1],
      ['send a', 1],
      ['close a', 1],
      ['receive b', 1],
      ['hangup -', 1],
      ['map p b 4 0', 1],
      ['close b', 1],
      ['unmap p - 4', 0],
    ]));

  test('goes when it is dropped in flight', () =>
    tell([...made, ['socketpair -', 1], ['send a', 1], ['close a', 1], ['hangup -', 0]]));

  test('goes with a program that crashes', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (const [step] of [...made, ['map p a 4 0', 1], ['dup b a', 1]] as Story)
      await steps.do(step);
    expect(liveBuffers(kernel)).toBe(1);
    await steps.die();
    expect(steps.child.signalCode).toBe('SIGABRT');
    await expectNothingLeft(kernel);
  });
});

describe('a udmabuf and its memfd', () => {
  test('the memfd lives on without the buffer, and the buffer without the memfd', () =>
    tell([
      ['memfd m - 8', 0],
      ['map m m 8 0', 0],
      ['udmabuf a m 4 2', 1],
      ['udmabuf b m 4 2', 2],
      ['close m', 2],
      ['map p a 4 0', 2],
      ['close a', 2],
      ['close b', 1],
      ['unmap m - 8', 1],
      ['unmap p - 4', 0],
    ]));

  test('aliasing is live in both directions', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (const step of ['memfd m - 8', 'map m m 8 0', 'udmabuf a m 4 2', 'map p a 4 0']) {
      await steps.do(step);
    }
    await steps.do('put m - 11 3');
    expect(await steps.do('get p - 0 1')).toBe(11);
    await steps.do('put p - 12 0');
    expect(await steps.do('get m - 0 2')).toBe(12);
    expect(await steps.do('read m - 0 2')).toBe(12);
    await steps.do('write m - 13 5');
    expect(await steps.do('get p - 0 3')).toBe(13);
    await steps.end();
    await expectNothingLeft(kernel);
  });

  test('a mapping that is partly replaced is one still, beside the new one', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (const step of ['memfd m - 8', 'udmabuf a m 4 2', 'map p a 4 0']) await steps.do(step);
    expect(await steps.do('count a')).toBe(2);
    await steps.do('at p a 1');
    // The machine makes one of neighbours that are alike.
    await steps.do('protect p - 1 1');
    expect(await steps.do('count a')).toBe(3);
    await steps.do('unmap p - 1');
    expect(await steps.do('count a')).toBe(2);
    await steps.end();
    await expectNothingLeft(kernel);
  });
});

describe('numbers', () => {
  test('200 buffers that are opened and closed leave none', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (let i = 0; i < 200; i++) {
      await steps.do('alloc a - 1');
      await steps.do('close a');
    }
    await until('none are left', () => liveBuffers(kernel) === 0);
    await steps.end();
    await expectNothingLeft(kernel);
  });

  test('200 buffers at once live, and go with their program', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (let i = 0; i < 200; i++) await steps.do('alloc a - 1');
    expect(liveBuffers(kernel)).toBe(200);
    expect(kernel.memory.used).toBe(200 * PAGE);
    await steps.end();
    await expectNothingLeft(kernel);
  });
});

test('a buffer that a program gave to another under the same kernel outlives the giver', async () => {
  const kernel = testKernel();
  const ended = await run(kernel, program('relay'));
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(ended.stdout).toBe('the receiver reads what the giver wrote\n');
  await expectNothingLeft(kernel);
});
