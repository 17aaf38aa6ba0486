/** defineDevice: what programs point at, read, write and wait for, in the cases where it is easy to be wrong. */
import { readdirSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  array,
  io,
  ioctls,
  iow,
  O_APPEND,
  O_NONBLOCK,
  O_RDWR,
  POLLIN,
  POLLOUT,
  ptr,
  requests,
  struct,
  u8,
  u32,
  u64,
} from '../../ioctl/index.js';
import { defineDevice } from '../../src/index.js';
import { addressOf } from '../../src/posix.js';
import { pipe } from '../gadget.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { cpuTime, expectNothingLeft, run, testKernel } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });

describe('copyFromUser of as many bytes as the program says', () => {
  const blob_put = struct('blob_put', { address: ptr, length: u64 });
  const blob_ioctls = ioctls({ BLOB_PUT: iow('\xbe', 2, blob_put) });
  const { BLOB_PUT } = requests(blob_ioctls);
  const blob = defineDevice({
    name: 'blob',
    ioctls: blob_ioctls,
    ioctl: {
      BLOB_PUT: (_file, { address, length }, call) =>
        call.copyFromUser(address, array(u8, Number(length)))[Number(length) - 1],
    },
  });
  function opened() {
    const kernel = testKernel();
    kernel.addDevice(blob);
    const { sys } = kernel;
    const fd = sys.open('/dev/blob', O_RDWR);
    return (address: bigint, length: number) =>
      sys.ioctl(fd, BLOB_PUT, blob_put.create({ address, length: BigInt(length) }));
  }

  test('gives them, soon, however many they are', () => {
    const put = opened();
    const bytes = new Uint8Array(2 ** 26);
    bytes[2 ** 26 - 1] = 9;
    const took = cpuTime(() => expect(put(addressOf(bytes), bytes.length)).toBe(9));
    expect(took).toBeLessThan(10_000);
  });

  test('is EFAULT before there is memory for what is not there, ENOMEM for what Linux would not copy', () => {
    const put = opened();
    const address = addressOf(new Uint8Array(16));
    for (const length of [2 ** 30, 2 ** 31 - 4096]) {
      expect(() => put(1n, length)).toThrow(code('EFAULT'));
    }
    for (const length of [2 ** 31 - 4095, 2 ** 32, 2 ** 53 - 1]) {
      expect(() => put(address, length)).toThrow(code('ENOMEM'));
    }
  });
});

describe.each(LINKAGES)('in an epoll instance (%s)', (linkage) => {
  beforeEach(needsCompiler);
  const edge_ioctls = ioctls({
    EDGES_READY: io('\xbd', 1),
    EDGES_LOOK: io('\xbd', 2),
    EDGES_POST: io('\xbd', 3),
  });
  const state = { ready: 0, descriptors: [] as number[] };
  const edges = defineDevice({
    name: 'edges',
    ioctls: edge_ioctls,
    events: struct('edges_event', { number: u32 }),
    open: () => ({ ready: 0 }),
    poll: ({ state }) => state.ready,
    ioctl: {
      EDGES_READY(file, ready) {
        file.state.ready = ready;
        file.wake();
      },
      EDGES_LOOK: () => {
        state.descriptors.push(readdirSync('/proc/self/fd').length);
      },
      EDGES_POST: (file) => file.queueEvent({}),
    },
  });

  test('each wake-up is an edge, and nothing else is; what is taken out leaves nothing', async () => {
    const kernel = testKernel();
    kernel.addDevice(edges);
    state.descriptors = [];
    const { stdout } = await run(kernel, program('edges', linkage), ['/dev/edges']);
    expect(stdout.trim().split('\n')).toEqual([
      'at first: 0/0 0/0 0/0',
      'woken for nothing: 0/0 0/0 0/0',
      'input: 1/0 0/0 1/0',
      'input again: 1/0 0/0 1/0',
      'three times at once: 1/0 0/0 1/0',
      'no wake-up: 0/0 0/0 0/0',
      'output too: 1/0 4/0 5/0',
      'both again: 1/0 4/0 5/0',
      'output: 0/0 4/0 4/0',
      'output again: 0/0 4/0 4/0',
      'nothing: 0/0 0/0 0/0',
      'an event: 1/0 0/0 1/0',
      'an event: 1/0 0/0 1/0',
      'an event: 1/0 0/0 1/0',
      'read -> 4',
      'not the last: 0/0 0/0 0/0',
      'read -> 4',
      'read -> 4',
      'the last: 0/0 4/0 4/0',
      'made and taken out: 0',
      'twice -> -1 EEXIST',
      'out -> 0',
      'out twice -> -1 ENOENT',
      'in what is none -> -1 EINVAL',
      'done -> 0',
    ]);
    const [before, after] = state.descriptors as [number, number];
    expect(after).toBeLessThanOrEqual(before);
    await expectNothingLeft(kernel);
  });
});

describe.each([false, true])('the flags of an open file, exact %s', (exact) => {
  beforeEach(needsCompiler);

  test('are for a driver what they are for fcntl(2)', async () => {
    const kernel = testKernel();
    kernel.addDevice(
      defineDevice({
        name: 'flags',
        read: (file, _size, call) => {
          const names = { O_NONBLOCK, O_APPEND };
          const on = Object.entries(names).filter(([, flag]) => file.flags & flag);
          expect(call.nonblocking).toBe((file.flags & O_NONBLOCK) !== 0);
          return Buffer.from(on.map(([name]) => name).join(' ') || 'none');
        },
      }),
    );
    const { stdout } = await run(kernel, program('flags'), ['/dev/flags'], { exact });
    expect(stdout.trimEnd().split('\n')).toEqual([
      'opened: none, 0',
      'opened to append: O_APPEND, 2000',
      'set to append: O_APPEND, 2000',
      'set not to block: O_NONBLOCK, 4000',
      'the other: O_APPEND, 2000',
      'set back: none, 0',
      'FIONBIO: O_NONBLOCK, 4000',
      'by its duplicate: O_NONBLOCK, 4000',
      'set by a child: O_APPEND, 2000',
    ]);
  });
});

describe('with O_NONBLOCK', () => {
  const wait_ioctls = ioctls({ WAITS: io('\xbf', 1), DOES_NOT: io('\xbf', 2), GO: io('\xbf', 3) });
  const { WAITS, DOES_NOT, GO } = requests(wait_ioctls);
  const log: string[] = [];
  const waiter = (blocking?: true | readonly ('WAITS' | 'DOES_NOT' | 'GO')[]) =>
    defineDevice({
      name: 'waiter',
      ioctls: wait_ioctls,
      ...(blocking && { blocking }),
      open: () => ({ go: false }),
      ioctl: {
        async WAITS(file, _arg, call) {
          await call.waitEvent(() => file.state.go);
          log.push(`waits ${call.nonblocking}`);
          return 1;
        },
        async DOES_NOT(file, _arg, call) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          await call.waitEvent(() => file.state.go);
          log.push(`does not ${call.nonblocking}`);
          return 2;
        },
        GO(file) {
          file.state.go = true;
          file.wake();
        },
      },
    });
  function opened(...args: Parameters<typeof waiter>) {
    const kernel = testKernel();
    log.length = 0;
    kernel.addDevice(waiter(...args));
    const { sys } = kernel;
    return { sys, fd: sys.open('/dev/waiter', O_RDWR | O_NONBLOCK) };
  }

  test('an ioctl that would wait is EAGAIN', async () => {
    const { sys, fd } = opened();
    for (const request of [WAITS, DOES_NOT]) {
      await expect(sys.promises.ioctl(fd, request)).rejects.toThrow(code('EAGAIN'));
    }
    sys.ioctl(fd, GO);
    expect(await sys.promises.ioctl(fd, WAITS)).toBe(1);
    expect(log).toEqual(['waits true']);
  });

  test('one that is said to be blocking waits', async () => {
    const { sys, fd } = opened(['WAITS']);
    const waits = sys.promises.ioctl(fd, WAITS);
    await expect(sys.promises.ioctl(fd, DOES_NOT)).rejects.toThrow(code('EAGAIN'));
    sys.ioctl(fd, GO);
    expect(await waits).toBe(1);
    expect(log).toEqual(['waits false']);
  });

  test('all do that are said to be', async () => {
    const { sys, fd } = opened(true);
    const both = [sys.promises.ioctl(fd, WAITS), sys.promises.ioctl(fd, DOES_NOT)];
    sys.ioctl(fd, GO);
    expect(await Promise.all(both)).toEqual([1, 2]);
  });

  test('what is no ioctl cannot be', () => {
    expect(() => waiter(['WAIT'] as never)).toThrow('waiter: no ioctl WAIT');
  });
});

describe('events', () => {
  const event = struct('post_event', { number: u32 });
  const post_ioctls = ioctls({ POST: iow('\xc0', 1, event) });
  const { POST } = requests(post_ioctls);
  const post = defineDevice({
    name: 'post',
    ioctls: post_ioctls,
    events: event,
    poll: () => POLLOUT,
    write: () => {},
    ioctl: { POST: (file, { number }) => file.queueEvent({ number }) },
  });

  test.each(LINKAGES)('that did not reach the program are still there (%s)', async (linkage) => {
    const kernel = testKernel();
    kernel.addDevice(post);
    const { stdout } = await run(kernel, program('posted', linkage), ['/dev/post']);
    expect(stdout.trim().split('\n')).toEqual([
      'no memory -> -1 EFAULT',
      'constant -> -1 EFAULT',
      'poll 0x5',
      'read -> 8',
      '1 2',
      'poll 0x4',
      'after a wait -> -1 EFAULT',
      'read -> 4',
      '3',
    ]);
    await expectNothingLeft(kernel);
  });

  test('poll has them, and what the device says besides', () => {
    const kernel = testKernel();
    kernel.addDevice(post);
    const { sys } = kernel;
    const fd = sys.open('/dev/post', O_RDWR);
    const entry = { fd, events: POLLIN | POLLOUT, revents: 0 };
    sys.poll([entry], 0);
    expect(entry.revents).toBe(POLLOUT);
    sys.ioctl(fd, POST, event.create());
    sys.poll([entry], 0);
    expect(entry.revents).toBe(POLLIN | POLLOUT);
  });

  test('each is for one of those who wait', async () => {
    const kernel = testKernel();
    kernel.addDevice(post);
    const { sys } = kernel;
    const fd = sys.open('/dev/post', O_RDWR);
    const got: number[] = [];
    const read = async () => {
      const bytes = new Uint8Array(8);
      expect(await sys.promises.read(fd, bytes)).toBe(4);
      got.push(event.view(bytes).number);
    };
    const readers = [read(), read(), read()];
    for (const number of [1, 2, 3]) {
      sys.ioctl(fd, POST, event.create({ number }));
      await new Promise(setImmediate);
      expect(got).toHaveLength(number);
    }
    await Promise.all(readers);
    expect(got.toSorted()).toEqual([1, 2, 3]);
  });
});

describe.each([false, true])('reads and writes at a position (exact: %s)', (exact) => {
  beforeEach(needsCompiler);

  test('are ESPIPE; where the file is, they are as without', async () => {
    const kernel = testKernel();
    kernel.addDevice(pipe);
    const { stdout } = await run(kernel, program('vectors'), ['/dev/class/pipe0'], { exact });
    expect(stdout.trim().split('\n')).toEqual([
      'pwrite -> -1 ESPIPE',
      'pread -> -1 ESPIPE',
      'pwritev -> -1 ESPIPE',
      'preadv -> -1 ESPIPE',
      'preadv at -1 -> -1 EINVAL',
      'pwritev2 at 0 -> -1 ESPIPE',
      'preadv2 at 0 -> -1 ESPIPE',
      'preadv2 at -2 -> -1 EINVAL',
      'pwritev2 -> 5',
      'preadv2, appending -> -1 EOPNOTSUPP',
      'preadv2, O_WRONLY -> -1 EBADF',
      'pwritev2, O_RDONLY -> -1 EBADF',
      'preadv2 to nowhere -> -1 EFAULT',
      'preadv2 -> 5',
      'ab cde',
    ]);
    await expectNothingLeft(kernel);
  });
});
