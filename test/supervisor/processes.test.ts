/** Programs of many threads and processes, and programs that are killed or interrupted in their calls. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Kernel } from '../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, liveBuffers, run, testKernel, until } from '../run.js';

beforeEach(needsCompiler);

const ROUNDS = 100;

describe.each(['heap', 'udmabuf'])('%s buffers, with nothing lost and nothing left', (kind) => {
  test.each([
    ['threads', 8],
    ['processes', 6],
  ])(`in %s × %i, ${ROUNDS} rounds each`, async (what, count) => {
    const args = [kind, what, String(count), String(ROUNDS)];
    const { kernel, ...ended } = await run({}, program('rounds'), args);
    expect(ended).toEqual({
      status: 0,
      signal: null,
      stdout: '0 failed, 0 new descriptors\n',
      stderr: '',
    });
    await expectNothingLeft(kernel);
  });
});

test('a signal that the supervisor gets in the middle of an answer changes nothing', async () => {
  let signals = 0;
  const count = () => signals++;
  process.on('SIGUSR2', count);
  const flood = spawn('sh', ['-c', `while kill -USR2 ${process.pid}; do :; done`]);
  onTestFinished(async () => {
    flood.kill();
    await once(flood, 'exit');
    process.off('SIGUSR2', count);
  });
  await once(flood, 'spawn');
  const ended = await run({}, program('rounds'), ['heap', 'processes', '4', '500']);
  expect(ended).toMatchObject({ status: 0, stdout: '0 failed, 0 new descriptors\n', stderr: '' });
  expect(signals).toBeGreaterThan(100);
});

const descriptors = () => readdirSync('/proc/self/fd').length;

/** That the supervisor has as many descriptors, and about as much memory, as before; and serves on. */
async function expectUnchanged(kernel: Kernel, before: { descriptors: number; rss: number }) {
  await expectNothingLeft(kernel);
  await until('descriptors are back', () => descriptors() <= before.descriptors);
  expect(process.memoryUsage.rss() - before.rss).toBeLessThan(64 * 2 ** 20);
  expect(kernel.dmesg().filter((line) => line.includes('BUG'))).toEqual([]);
  expect((await run(kernel, 'ls', ['/dev/dma_heap'])).stdout).toBe('system\n');
}

describe('killed in the middle of a call', () => {
  test.each([
    ['a thousand programs', 1000, 1],
    ['three hundred programs of four threads', 300, 4],
  ])('%s leave the supervisor as it was', async (_what, times, threads) => {
    const kernel = testKernel();
    const killed = program('killed');
    await run(kernel, killed, ['50', String(threads)]);
    await until('all buffers go', () => liveBuffers(kernel) === 0);
    const before = { descriptors: descriptors(), rss: process.memoryUsage.rss() };

    const ended = await run(kernel, killed, [String(times), String(threads)]);

    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(ended.stdout).toBe(`${times} killed, 0 new descriptors\n`);
    await expectUnchanged(kernel, before);
  });

  test('a hundred programs, each alone behind its own filter, leave it so too', async () => {
    const kernel = testKernel();
    await run(kernel, 'true');
    const before = { descriptors: descriptors(), rss: process.memoryUsage.rss() };
    for (let i = 0; i < 100; i++) {
      const child = kernel.spawn(program('killed'), [], { stdio: 'ignore' });
      const calls = i % 7;
      await until('it is at work', () => kernel.memory.used > 0 || liveBuffers(kernel) > 0);
      for (let turn = 0; turn < calls; turn++) await setImmediate();
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await expectUnchanged(kernel, before);
  });
});

/** A program that stands still, reading its standard input, after it has printed its first line. */
async function pausing(kernel: Kernel, name: string, args: string[]) {
  const child = kernel.spawn(program(name), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  await until(
    `${name} says something`,
    () => stdout.includes('\n') || child.exitCode !== null,
    30_000,
  );
  return {
    said: () => stdout,
    async goOn(): Promise<number | null> {
      child.stdin?.end();
      if (child.exitCode === null) await once(child, 'close');
      return child.exitCode;
    },
  };
}

test('300 children of one program, all alive, each with its own buffer', async () => {
  const kernel = testKernel();
  const children = await pausing(kernel, 'children', ['300']);
  expect(liveBuffers(kernel)).toBe(300);
  expect(await children.goOn()).toBe(0);
  expect(children.said()).toBe('ready\n0 failed\n');
  await expectNothingLeft(kernel);
});

test('a signal every millisecond makes no allocation happen twice', async () => {
  const kernel = testKernel();
  const signals = await pausing(kernel, 'signals', ['1000']);
  expect(signals.said()).toBe('0 failed, 1000 new descriptors, interrupted\n');
  await until('a thousand live', () => liveBuffers(kernel) === 1000);
  expect(await signals.goOn()).toBe(0);
  await expectNothingLeft(kernel);
});

test.each(LINKAGES)(
  'threads, fork, vfork, exec, posix_spawn, clone, clone3 (%s)',
  async (linkage) => {
    const { kernel, ...ended } = await run({}, program('ways', linkage));
    expect(ended.stdout).toBe(
      [
        'itself: fine',
        'fork: fine',
        'fork and exec: fine',
        'vfork and exec: fine',
        'posix_spawn: fine',
        'thread: fine',
        'clone with shared memory and descriptors: fine',
        'clone with shared memory: fine',
        'clone without a signal: fine',
        'clone3: fine',
        '',
      ].join('\n'),
    );
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    await expectNothingLeft(kernel);
  },
);

test('several programs under one kernel, one buffer each, side by side', async () => {
  const kernel = testKernel();
  const runs = ['heap', 'udmabuf', 'heap', 'udmabuf'].map((kind, i) =>
    run(kernel, program('rounds', LINKAGES[i % 2]), [kind, 'processes', '2', '50']),
  );
  for (const ended of await Promise.all(runs)) {
    expect(ended).toMatchObject({ status: 0, stderr: '' });
  }
  await expectNothingLeft(kernel);
});

test('programs under two kernels of one process do not see each other’s buffers', async () => {
  const [one, other] = [testKernel(), testKernel()];
  const first = await pausing(one, 'children', ['3']);
  const second = await pausing(other, 'children', ['5']);
  expect([liveBuffers(one), liveBuffers(other)]).toEqual([3, 5]);
  expect(await first.goOn()).toBe(0);
  await expectNothingLeft(one);
  expect(liveBuffers(other)).toBe(5);
  expect(await second.goOn()).toBe(0);
  await expectNothingLeft(other);
});
