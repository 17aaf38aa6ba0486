/** Events of a device, by kernel.sys and in programs: how many are kept, in what order, and what becomes of them. */
import { readdirSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  ioctls,
  iow,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  requests,
  struct,
  u32,
  u64,
} from '../../ioctl/index.js';
import { EventSocket } from '../../src/backing/event_socket.js';
import { defineDevice, type Kernel } from '../../src/index.js';
import * as posix from '../../src/posix.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, run, testKernel, until } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });
const event = struct('tick_event', { number: u32, zero: u32, big: u64 });
const tick_ioctls = ioctls({ TICK: iow('\xba', 1, u32) });
const { TICK } = requests(tick_ioctls);
const tick = defineDevice({
  name: 'tick',
  ioctls: tick_ioctls,
  events: event,
  ioctl: {
    TICK(file, { value }) {
      for (let i = 0; i < value; i++) file.queueEvent({ number: i });
    },
  },
});

function withTick(): Kernel {
  const kernel = testKernel();
  kernel.addDevice(tick);
  return kernel;
}

const ticks = (value: number) => u32.create(value);
const numbersOf = (bytes: Uint8Array) =>
  Array.from(
    { length: bytes.length / event.size },
    (_, i) => event.view(bytes, i * event.size).number,
  );

describe('through kernel.sys', () => {
  function opened(flags = O_RDWR | O_NONBLOCK) {
    const { sys } = withTick();
    const fd = sys.open('/dev/tick', flags);
    const read = (size: number) => {
      const bytes = new Uint8Array(size);
      return numbersOf(bytes.subarray(0, sys.read(fd, bytes)));
    };
    const ready = () => {
      const entry = { fd, events: POLLIN | POLLOUT, revents: 0 };
      sys.poll([entry], 0);
      return entry.revents;
    };
    return { sys, fd, read, ready, post: (count: number) => sys.ioctl(fd, TICK, ticks(count)) };
  }

  test('whole events are read, in order, and nothing else', () => {
    const { read, ready, post } = opened();
    expect(ready()).toBe(0);
    expect(() => read(64)).toThrow(code('EAGAIN'));
    post(5);
    expect(ready()).toBe(POLLIN);
    expect(read(0)).toEqual([]);
    expect(() => read(15)).toThrow(code('EINVAL'));
    expect(read(47)).toEqual([0, 1]);
    expect(read(16)).toEqual([2]);
    expect(ready()).toBe(POLLIN);
    expect(read(1000)).toEqual([3, 4]);
    expect(ready()).toBe(0);
  });

  test('4096 are kept for who does not read; for each more one goes, and the first and the newest stay', () => {
    const { read, post } = opened();
    post(5000);
    const numbers = read(16 * 10_000);
    expect(numbers).toHaveLength(4096);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(numbers[0]).toBe(0);
    expect(numbers.slice(-3000)).toEqual(Array.from({ length: 3000 }, (_, i) => 2000 + i));
    expect(() => read(16)).toThrow(code('EAGAIN'));
  });

  test('who reads in small pieces gets all, as they come', () => {
    const { read, post } = opened();
    post(2000);
    const all: number[] = [];
    while (all.length < 2000) all.push(...read(16 * 7));
    expect(all).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  test('a read that is awaited ends with the next event; one that is not would keep the thread', async () => {
    const { sys, fd, post } = opened(O_RDONLY);
    expect(() => sys.read(fd, new Uint8Array(16))).toThrow(code('EDEADLK'));
    const bytes = new Uint8Array(32);
    const reading = sys.promises.read(fd, bytes);
    post(1);
    expect(await reading).toBe(16);
    const waiting = [{ fd, events: POLLIN, revents: 0 }];
    setTimeout(() => post(2), 5);
    expect(await sys.promises.poll(waiting, -1)).toBe(1);
    expect(waiting[0]?.revents).toBe(POLLIN);
  });

  test('the last close releases it; when the kernel ends, who has it open sees its end', () => {
    const kernel = withTick();
    const { sys } = kernel;
    const before = readdirSync('/proc/self/fd').length;
    sys.close(sys.open('/dev/tick', O_RDWR));
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    expect(kernel.files.size).toBe(0);
    const fd = sys.open('/dev/tick', O_RDWR);
    sys.ioctl(fd, TICK, ticks(1));
    kernel.close();
    const entry = { fd, events: POLLIN, revents: 0 };
    posix.poll([entry], 0);
    expect(entry.revents).toBe(POLLIN | POLLERR | POLLHUP);
    expect(posix.read(fd, new Uint8Array(64))).toBe(16);
    expect(() => posix.read(fd, new Uint8Array(64))).toThrow(code('ECONNRESET'));
    posix.close(fd);
  });
});

test('how much nobody has read yet is known, whoever reads', () => {
  const socket = new EventSocket();
  const fd = posix.dup(socket.fd);
  for (let i = 0; i < 1000; i++) socket.push(new Uint8Array(i % 2 ? 24 : 400));
  expect(socket).toMatchObject({ length: 1000, unread: 500 * 424 });
  expect(posix.read(fd, new Uint8Array(424))).toBe(424);
  expect(socket).toMatchObject({ length: 998, unread: 499 * 424 });
  // Part of one is not read yet.
  expect(posix.read(fd, new Uint8Array(100))).toBe(100);
  expect(socket.length).toBe(998);
  expect(posix.read(fd, new Uint8Array(300))).toBe(300);
  expect(socket).toMatchObject({ length: 997, unread: 498 * 424 + 24 });
  posix.close(fd);
  socket.close();
  socket.end();
});

describe.each(LINKAGES)('in a program (%s)', (linkage) => {
  beforeEach(needsCompiler);

  test('all events come, also those that the machine has no room for at once, by its own read', async () => {
    const kernel = withTick();
    const { stdout } = await run(kernel, program('ticks', linkage), ['/dev/tick']);
    expect(stdout.trim().split('\n')).toEqual([
      'read, none -> -1 EAGAIN',
      'poll 0x0',
      'poll 0x1',
      'all in order: 4000',
      'poll 0x0',
      'to nowhere -> -1 EFAULT',
      'still there: 3',
      'blocking read -> 16',
      'a child reads: 2',
      'passed on: 1',
      'write, blocking: not taken',
      'a signal -> -1 EINTR',
    ]);
    expect(kernel.dmesg()).toEqual([]);
    await expectNothingLeft(kernel);
    await until('it is released', () => kernel.files.size === 0);
  });
});
