/** Sockets of NETLINK_KOBJECT_UEVENT, as programs without a library use them. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  BaseDevice,
  classRegister,
  deviceAdd,
  type Kernel,
  kobjectUevent,
} from '../../src/index.js';
import { recording } from '../conformance.js';
import { LINKAGES, needsCompiler, probe, program } from '../programs.js';
import { expectNothingLeft, RECORDED_VERSIONS, run, testKernel, until } from '../run.js';

beforeEach(needsCompiler);

const descriptors = () => readdirSync('/proc/self/fd').length;

/** A program that hears of a group until it is told to say what it has heard. */
function listener(kernel: Kernel, group: number) {
  const child = kernel.spawn(program('uevents'), [String(group)]);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const ends = once(child, 'close');
  return {
    listening: () => until('it listens', () => text === 'listening\n'),
    async heard() {
      child.stdin?.end('\n');
      await ends;
      return text.replace('listening\n', '').trim();
    },
  };
}

function deviceOf(kernel: Kernel) {
  const dev = new BaseDevice(kernel, {
    name: 'thing',
    class: classRegister(kernel, { name: 'things' }),
  });
  deviceAdd(dev);
  return dev;
}

describe.each(LINKAGES)('%s', (linkage) => {
  test('names, numbers and groups are those of netlink; other sockets’ are their own', async () => {
    const kernel = testKernel();
    const { stdout } = await run(kernel, program('uevents', linkage), ['names']);
    expect(stdout.trim().split('\n')).toEqual([
      // AF_NETLINK, the process's number, the group, the length.
      '0 16 1 1 12',
      // The second socket of a process has a number that is no process's.
      '0 1 2',
      // SO_DOMAIN, SO_PROTOCOL, SO_TYPE.
      '16 15 3',
      '1 1',
      '0 3',
    ]);
  });

  test('it and its duplicates answer what a socket of the machine’s answers', async ({ skip }) => {
    const file = program('uevents', linkage);
    const { stdout: machine, status } = spawnSync(file, ['calls'], { encoding: 'utf8' });
    if (status !== 0) skip('there are no sockets of netlink here');
    expect(machine).toContain('connect to a path EINVAL');
    expect((await run({}, file, ['calls'])).stdout).toBe(machine);
  });

  test('nothing is left of sockets, closed by themselves or with their program', async () => {
    const kernel = testKernel();
    await run(kernel, program('uevents', linkage), ['names']);
    await expectNothingLeft(kernel);
    const before = descriptors();
    const { stdout } = await run(kernel, program('uevents', linkage), ['many']);
    expect(stdout).toBe('opened\n');
    await until('all are gone', () => {
      kernel.releases.drain();
      return descriptors() <= before;
    });
  });
});

test('each group has its own messages; who is in both has both', async () => {
  const kernel = testKernel();
  const dev = deviceOf(kernel);
  const all = [0, 1, 2, 3].map((group) => listener(kernel, group));
  for (const each of all) await each.listening();
  kobjectUevent(dev, 'change');
  const heard = await Promise.all(all.map((each) => each.heard()));
  const path = '/devices/virtual/things/thing';
  expect(heard).toEqual(['0', `1 change@${path}`, '1 libudev', '2 libudev']);
});

test('who does not read loses events, and holds nobody up; the log says so', async () => {
  const kernel = testKernel();
  const dev = deviceOf(kernel);
  const slow = listener(kernel, 1);
  await slow.listening();
  const sent = 30_000;
  for (let i = 0; i < sent; i++) kobjectUevent(dev, 'change');
  // Somebody else misses nothing.
  const quick = listener(kernel, 1);
  await quick.listening();
  kobjectUevent(dev, 'change');
  const count = Number.parseInt(await slow.heard(), 10);
  expect(count).toBeGreaterThan(50);
  expect(count).toBeLessThan(sent);
  expect(await quick.heard()).toMatch(/^1 change@/);
  const lost = kernel.dmesg().filter((line) => line.includes('has lost uevents'));
  expect(lost).toHaveLength(1);
});

test('the machine’s own events come through', async ({ skip }) => {
  if (process.getuid?.() !== 0) skip('only root makes the machine send an event');
  const kernel = testKernel();
  const dev = deviceOf(kernel);
  const hears = listener(kernel, 1);
  await hears.listening();
  const real = '/sys/class/mem/null/uevent';
  const { status } = await run(kernel, 'sh', ['-c', `echo change > ${real}`]);
  if (status !== 0) skip(`${real} cannot be written here`);
  kobjectUevent(dev, 'change');
  // The machine may have had more to say.
  expect(Number.parseInt(await hears.heard(), 10)).toBeGreaterThanOrEqual(2);
});

describe.each(RECORDED_VERSIONS)('as Linux %s', (version) => {
  /** What was sent for what was written to `uevent` files. */
  const messages = (text: string) => {
    const from = text.indexOf('events of the heap');
    const part = text.slice(from, text.indexOf('several sockets', from));
    return part.split('\n').filter((line) => /^(recvmsg after|write| {2}message:)/.test(line));
  };

  test('messages say what the real kernel’s say', async () => {
    const recorded = messages(recording(version, 'uevent'));
    expect(recorded.length).toBeGreaterThan(60);
    const { stdout } = await run({ version }, probe('uevent'), [], { exact: true });
    expect(messages(stdout)).toEqual(recorded);
  });
});
