/** What a driver of one's own does in its calls, beyond what test/kit/device.test.ts asks of each: epoll, waits with an end. */
import { describe, expect, test } from 'vitest';
import {
  io,
  ioctls,
  iow,
  O_NONBLOCK,
  O_RDWR,
  POLLIN,
  requests,
  struct,
  u32,
  u64,
} from '../../ioctl/index.js';
import { defineDevice, ktimeGet } from '../../src/index.js';
import { needs } from '../programs.js';
import { run, testKernel } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });

const bell_event = struct('bell_event', { number: u32, zero: u32 });
const bell_ioctls = ioctls({
  BELL_RING: io('\xba', 1),
  BELL_WAIT: iow('\xba', 2, u64),
  BELL_HUSH: io('\xba', 3),
});
const { BELL_RING, BELL_WAIT } = requests(bell_ioctls);

/** Rings make events; BELL_WAIT waits for a ring until a point in time. */
const bell = defineDevice({
  name: 'bell',
  ioctls: bell_ioctls,
  events: bell_event,
  open: () => ({ rings: 0 }),
  ioctl: {
    BELL_RING(file) {
      file.queueEvent({ number: ++file.state.rings });
    },
    BELL_WAIT: (file, arg, call) => call.waitEvent(() => file.state.rings > 0, arg.value),
    BELL_HUSH() {},
  },
});

/** The same with read and poll of its own, which do not say when a ring is gone. */
const chime = defineDevice({
  name: 'chime',
  ioctls: bell_ioctls,
  open: () => ({ rings: 0 }),
  ioctl: {
    BELL_RING(file) {
      file.state.rings++;
      file.wake();
    },
    BELL_WAIT() {},
    BELL_HUSH(file) {
      file.state.rings = 0;
    },
  },
  read(file) {
    file.state.rings = 0;
    return new Uint8Array(8);
  },
  poll: (file) => (file.state.rings > 0 ? POLLIN : 0),
});

describe('a program', () => {
  const PROGRAM = `
import fcntl, os, select, sys
fd = os.open(sys.argv[1], os.O_RDWR)
epoll = select.epoll()
epoll.register(fd, select.EPOLLIN)
def ring():
    fcntl.ioctl(fd, 0xba01)
ready = lambda: len(epoll.poll(0))
print(ready()); ring(); print(ready(), ready())
os.read(fd, 8); print(ready())
ring(); ring(); os.read(fd, 4096); print(ready()); ring(); print(ready())
fcntl.ioctl(fd, 0xba03); print(ready())
`;
  test.for([
    ['bell', '0\n1 1\n0\n0\n1\n1\n'],
    ['chime', '0\n1 1\n0\n0\n1\n0\n'],
  ] as const)(
    'epoll sees that the last event of /dev/%s is taken',
    async ([name, output], context) => {
      needs(['python3', 'python3'])(context);
      const kernel = testKernel();
      kernel.addDevice(name === 'bell' ? bell : chime);
      const { stdout } = await run(kernel, 'python3', ['-c', PROGRAM, `/dev/${name}`]);
      expect(stdout).toBe(output);
    },
  );
});

describe('waitEvent with a deadline', () => {
  function opened(flags = O_RDWR) {
    const kernel = testKernel();
    kernel.addDevice(bell);
    const fd = kernel.sys.open('/dev/bell', flags);
    const wait = (deadline: bigint) =>
      kernel.sys.promises.ioctl(fd, BELL_WAIT, u64.create(deadline));
    return { kernel, fd, wait };
  }

  test('ETIME when it has passed, also at once, also with O_NONBLOCK', async () => {
    const { kernel, wait } = opened();
    const deadline = ktimeGet() + 5_000_000n;
    await expect(wait(deadline)).rejects.toThrow(code('ETIME'));
    expect(ktimeGet()).toBeGreaterThanOrEqual(deadline);
    await expect(wait(0n)).rejects.toThrow(code('ETIME'));
    kernel.close();
    const other = opened(O_RDWR | O_NONBLOCK);
    await expect(other.wait(0n)).rejects.toThrow(code('ETIME'));
    await expect(other.wait(2n ** 63n)).rejects.toThrow(code('EAGAIN'));
  });

  test('0 when what it waits for comes before, however far the deadline is', async () => {
    const { kernel, fd, wait } = opened();
    const waits = wait(2n ** 64n - 1n);
    kernel.sys.ioctl(fd, BELL_RING);
    expect(await waits).toBe(0);
    expect(await wait(0n)).toBe(0);
  });

  test('without await there is EDEADLK, which says what to do', () => {
    const { kernel, fd } = opened();
    const call = () => kernel.sys.ioctl(fd, BELL_WAIT, u64.create(2n ** 63n));
    expect(call).toThrow(/^EDEADLK: ioctl: .*await kernel\.sys\.promises\.ioctl\(\)$/);
  });
});
