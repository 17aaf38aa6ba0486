/** What a driver says that its file is ready for, in programs: each event by each call. */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  io,
  ioctls,
  O_RDWR,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  requests,
} from '../../../ioctl/index.js';
import { defineDevice } from '../../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel } from '../../run.js';

beforeEach(needsCompiler);

const told_ioctls = ioctls({ READY: io('\xbd', 1) });
const { READY } = requests(told_ioctls);
const told = defineDevice({
  name: 'told',
  ioctls: told_ioctls,
  open: () => ({ ready: 0 }),
  poll: ({ state }) => state.ready,
  ioctl: {
    READY(file, ready) {
      file.state.ready = ready;
      file.wake();
    },
  },
});

describe.each(LINKAGES)('what a file is ready for (%s)', (linkage) => {
  test('is told by poll, select and epoll, by level, by edge, and once', async () => {
    const kernel = testKernel();
    kernel.addDevice(told);
    const { stdout } = await run(kernel, program('told', linkage), ['/dev/told']);
    expect(stdout.trim().split('\n')).toEqual([
      'nothing: poll 0, select 0 000, epoll level 0 0 edge 0 0 once 0 0',
      'IN: poll 1, select 1 100, epoll level 1 1 edge 1 0 once 1 0',
      'OUT: poll 4, select 1 010, epoll level 4 4 edge 4 0 once 4 0',
      'PRI: poll 2, select 1 001, epoll level 2 2 edge 2 0 once 2 0',
      'PRI again: poll 2, select 1 001, epoll level 2 2 edge 2 0 once 0 0',
      'ERR: poll 8, select 2 110, epoll level 8 8 edge 8 0 once 8 0',
      'ERR again: poll 8, select 2 110, epoll level 8 8 edge 8 0 once 0 0',
      'HUP: poll 10, select 1 100, epoll level 10 10 edge 10 0 once 10 0',
      'HUP again: poll 10, select 1 100, epoll level 10 10 edge 10 0 once 0 0',
      'IN PRI: poll 3, select 2 101, epoll level 3 3 edge 3 0 once 3 0',
      'OUT ERR: poll c, select 2 110, epoll level c c edge c 0 once c 0',
      'all: poll 1f, select 3 111, epoll level 1f 1f edge 1f 0 once 1f 0',
      '- asked for IN alone',
      'nothing: poll 0, select 0 000, epoll level 0 0 edge 0 0 once 0 0',
      'IN: poll 1, select 1 100, epoll level 1 1 edge 1 0 once 1 0',
      'OUT: poll 0, select 1 010, epoll level 0 0 edge 0 0 once 0 0',
      'PRI: poll 0, select 1 001, epoll level 0 0 edge 0 0 once 0 0',
      'PRI again: poll 0, select 1 001, epoll level 0 0 edge 0 0 once 0 0',
      'ERR: poll 8, select 2 110, epoll level 8 8 edge 8 0 once 8 0',
      'ERR again: poll 8, select 2 110, epoll level 8 8 edge 8 0 once 0 0',
      'HUP: poll 10, select 1 100, epoll level 10 10 edge 10 0 once 10 0',
      'HUP again: poll 10, select 1 100, epoll level 10 10 edge 10 0 once 0 0',
      'IN PRI: poll 1, select 2 101, epoll level 1 1 edge 1 0 once 1 0',
      'OUT ERR: poll 8, select 2 110, epoll level 8 8 edge 8 0 once 8 0',
      'all: poll 19, select 3 111, epoll level 19 19 edge 19 0 once 19 0',
      '- changed while it is ready',
      'all: poll 1b, select 3 111, epoll level 1b 1b edge 1b 0 once 1b 0',
      '- taken out',
      'all: poll 18, select 3 111, epoll level 0 0 edge 0 0 once 0 0',
    ]);
    await expectNothingLeft(kernel);
  });
});

test.for(LINKAGES)('is told at whatever number it comes to (%s)', async (linkage) => {
  const kernel = testKernel();
  kernel.addDevice(told);
  const { stdout } = await run(kernel, program('anywhere', linkage), ['/dev/told']);
  const where = {
    high: ['open', 'dup', 'F_DUPFD', 'dup2 upwards'],
    low: ['dup2', 'dup3', 'dup of a low one', 'SCM_RIGHTS', 'pidfd_getfd'],
  };
  const line = (at: string) => (way: string) => `${way}, ${at}: 0, then 1 2`;
  expect(stdout.trim().split('\n').sort()).toEqual(
    [...where.high.map(line('high')), ...where.low.map(line('low'))].sort(),
  );
  await expectNothingLeft(kernel);
});

test('is told by kernel.sys.poll, at once and to who waits', async () => {
  const kernel = testKernel();
  kernel.addDevice(told);
  const { sys } = kernel;
  const fd = sys.open('/dev/told', O_RDWR);
  const ready = (events: number) => {
    const entry = { fd, events, revents: 0 };
    sys.poll([entry], 0);
    return entry.revents;
  };
  for (const events of [0, POLLIN, POLLOUT, POLLPRI, POLLERR, POLLHUP, POLLPRI | POLLERR]) {
    sys.ioctl(fd, READY, events);
    expect(ready(POLLIN | POLLOUT | POLLPRI)).toBe(events);
    expect(ready(0)).toBe(events & (POLLERR | POLLHUP));
  }
  for (const events of [POLLPRI, POLLERR, POLLHUP]) {
    sys.ioctl(fd, READY, 0);
    const entry = { fd, events: POLLPRI, revents: 0 };
    const waiting = sys.promises.poll([entry], -1);
    sys.ioctl(fd, READY, events);
    expect(await waiting).toBe(1);
    expect(entry.revents).toBe(events);
  }
});
