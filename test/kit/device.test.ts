/** defineDevice: every path that a call on a device of one's own can take, of programs and of kernel.sys. */
import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  _IOC,
  _IOC_READ,
  _IOC_WRITE,
  io,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLIN,
} from '../../ioctl/index.js';
import { readinessOf } from '../../src/fs/readiness.js';
import {
  defineDevice,
  type Kernel,
  makeShmem,
  PROT_READ,
  PROT_WRITE,
  TrackedMemory,
} from '../../src/index.js';
import * as g from '../gadget.js';
import { CALLS, EVENTS, FDS, TRANSFERS } from '../gadget_lines.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, run, testKernel, until } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });
const MAP_SHARED = 1;

/** A kernel with /dev/gadget, and what it notes. */
function kernelWith(kind: Partial<Parameters<typeof g.gadget>[0]> = {}) {
  const kernel = testKernel();
  const gadgets: g.Gadget[] = [];
  const device = kernel.addDevice(g.gadget({ name: 'gadget', gadgets, ...kind }));
  return { kernel, device, gadgets, made: gadgets[0] as g.Gadget };
}

/** Files, waits, memory: nothing is left of programs that have ended. */
async function expectAllClosed(kernel: Kernel, gadget?: g.Gadget): Promise<void> {
  await expectNothingLeft(kernel);
  await until('all files go', () => kernel.files.size === 0);
  expect(readinessOf(kernel)).toMatchObject({ anyBusy: false, untrue: 0 });
  expect(gadget?.open ?? 0).toBe(0);
}

const lines = (text: string) => text.trim().split('\n');

describe.each(LINKAGES)('a program (%s)', (linkage) => {
  beforeEach(needsCompiler);
  const client = (kernel: Kernel, node: string, section: string, exact = false) =>
    run(kernel, program('device', linkage), [`/dev/${node}`, section], { exact });

  test('its ioctls take and give what their numbers say; what is wrong has Linux’s errno', async () => {
    const { kernel, made } = kernelWith();
    const { stdout } = await client(kernel, 'gadget', 'calls');
    expect(lines(stdout)).toEqual(CALLS);
    await expectAllClosed(kernel, made);
    expect(made.log.at(-1)).toBe('release calls');
    const log = kernel.dmesg().map((line) => line.split('\n')[0]);
    expect(log).toEqual([
      expect.stringMatching(/BUG: ioctl: TypeError: a mistake$/),
      expect.stringMatching(/BUG: ioctl: TypeError: a later mistake$/),
    ]);
  });

  test('sizes of structs: exactly that of the definition, or any', async () => {
    const { kernel } = kernelWith();
    kernel.addDevice(g.gadget({ name: 'growing', extensible: true }));
    const exact = await client(kernel, 'gadget', 'sizes');
    expect(lines(exact.stdout).filter((line) => line.includes('->'))).toEqual(
      [
        'shorter',
        'longer',
        'longer, not zero',
        'longer than memory',
        'nothing at all',
        'no direction',
      ].map((what) => `${what} -> -1 ENOTTY`),
    );
    const { stdout } = await client(kernel, 'growing', 'sizes');
    expect(lines(stdout)).toEqual([
      'shorter -> 0',
      '1 2 10',
      'longer -> 0',
      '13 0',
      'longer, not zero -> -1 E2BIG',
      '13',
      'longer than memory -> -1 EFAULT',
      'nothing at all -> 0',
      'no direction -> -1 ENOTTY',
    ]);
  });

  test('descriptors, in and out: a call that fails leaves none', async () => {
    const { kernel, made } = kernelWith();
    const { stdout } = await client(kernel, 'gadget', 'fds');
    expect(lines(stdout)).toEqual(FDS);
    await expectAllClosed(kernel, made);
    expect(kernel.dmesg()).toEqual([]);
  });

  test('events: read, readv, poll, select, epoll', async () => {
    const { kernel, made } = kernelWith();
    // Reads that end within an event are the machine's otherwise.
    const { stdout } = await client(kernel, 'gadget', 'events', true);
    expect(lines(stdout)).toEqual(EVENTS);
    await expectAllClosed(kernel, made);
  });

  test('read and write, of several pieces, and in part', async () => {
    const kernel = testKernel();
    kernel.addDevice(g.pipe);
    const { stdout } = await client(kernel, 'class/pipe0', 'transfers');
    expect(lines(stdout)).toEqual(TRANSFERS);
    await expectAllClosed(kernel);
  });

  test('maps memory of the driver', async () => {
    const { kernel, made } = kernelWith();
    const { stdout } = await client(kernel, 'gadget', 'map');
    expect(lines(stdout)).toEqual([
      'from the driver, ',
      'from the program',
      'too much -> -1 EINVAL',
      'beyond -> -1 EINVAL',
      'a child sees it: 1',
    ]);
    const bytes = Buffer.from(made.memory.bytes());
    expect(bytes.toString('latin1', g.PAGE, g.PAGE + 16)).toBe('from the program');
    await expectAllClosed(kernel, made);
  });

  describe('waits', () => {
    /** A program in GADGET_WAIT. */
    async function waiting(section: string) {
      const { kernel, made } = kernelWith();
      const args = ['/dev/gadget', section];
      const child = kernel.spawn(program('device', linkage), args, {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      const closed = once(child, 'close');
      const waits = () => made.log.filter((line) => line === 'waits').length;
      await until('it waits', () => waits() === 1);
      const end = async () => {
        await closed;
        await expectAllClosed(kernel, made);
        return lines(stdout);
      };
      const go = () => {
        const fd = kernel.sys.open('/dev/gadget', O_RDWR);
        made.go = true;
        for (const file of kernel.files) file.changed.wakeUp();
        kernel.sys.close(fd);
      };
      return { child, made, waits, go, end };
    }

    test('until the driver is done', async () => {
      const { go, end, made } = await waiting('wait');
      go();
      expect(await end()).toEqual(['waiting', 'WAIT -> 7', 'signal 0']);
      expect(made.log).not.toContain('aborted plain');
    });

    test('until a signal: EINTR, and the driver is told', async () => {
      const { child, end, made } = await waiting('wait');
      child.kill('SIGUSR1');
      expect(await end()).toEqual(['waiting', 'WAIT -> -1 EINTR', 'signal 1']);
      expect(made.log).toContain('aborted plain');
    });

    test('anew after a signal with SA_RESTART', async () => {
      const { child, go, end, made, waits } = await waiting('restart');
      child.kill('SIGUSR1');
      await until('it is made again', () => waits() === 2);
      expect(made.log).toContain('aborted restart');
      go();
      expect(await end()).toEqual(['waiting', 'WAIT -> 7', 'signal 1']);
    });

    test('until it is killed: the driver is told', async () => {
      const { child, end, made } = await waiting('wait');
      child.kill('SIGKILL');
      await end();
      expect(made.log.slice(-2)).toEqual(['aborted plain', 'release plain']);
    });

    test('not at all with O_NONBLOCK', async () => {
      const { kernel, made } = kernelWith();
      expect((await client(kernel, 'gadget', 'nonblock')).stdout).toBe('WAIT -> -1 EAGAIN\n');
      expect(made.log).toContain('aborted ');
      await expectAllClosed(kernel, made);
    });
  });
});

describe('this process, through kernel.sys', () => {
  const opened = (flags = O_RDWR) => {
    const all = kernelWith();
    const { sys } = all.kernel;
    return { ...all, sys, fd: sys.open('/dev/gadget', flags) };
  };

  test('ioctls', async () => {
    const { sys, fd, kernel, made } = opened();
    const sum = g.gadget_sum.create({ a: 1, b: 2, sum: 10n });
    expect(sys.ioctl(fd, g.GADGET_SUM, sum)).toBe(0);
    expect(sum.sum).toBe(13n);
    sys.ioctl(fd, g.GADGET_STORE, sum);
    const loaded = g.gadget_sum.create({ a: 1 });
    sys.ioctl(fd, g.GADGET_LOAD, loaded);
    expect(loaded.toObject()).toEqual({ a: 0, b: 0, sum: 13n });
    expect(sys.ioctl(fd, g.GADGET_NAME, Buffer.from('name\0'))).toBe(4);
    expect(sys.ioctl(fd, g.GADGET_NUMBER, 41)).toBe(20);
    expect(() => sys.ioctl(fd, g.GADGET_SUM, null)).toThrow(code('EFAULT'));
    expect(() => sys.ioctl(fd, g.GADGET_SUM, Buffer.alloc(15))).toThrow(code('EFAULT'));
    expect(() => sys.ioctl(fd, g.GADGET_SUM + 1, sum)).toThrow(code('ENOTTY'));
    expect(() => sys.ioctl(fd, g.GADGET_FAIL, 0)).toThrow(code('ENOSPC'));
    await expect(sys.promises.ioctl(fd, g.GADGET_FAIL, 2)).rejects.toThrow(code('ENOSPC'));
    sys.close(fd);
    await expectAllClosed(kernel, made);
  });

  test('structs that grow', () => {
    const { kernel } = kernelWith({ name: 'growing', extensible: true });
    const fd = kernel.sys.open('/dev/growing', O_RDWR);
    const both = _IOC_READ | _IOC_WRITE;
    const ask = (bytes: Uint8Array) =>
      kernel.sys.ioctl(fd, _IOC(both, 'T', 0xe0, bytes.length), bytes);
    const long = new Uint8Array([1, 0, 0, 0, 2, ...new Array(19).fill(0)]);
    ask(long);
    expect(long[8]).toBe(3);
    long[23] = 1;
    expect(() => ask(long)).toThrow(code('E2BIG'));
    expect(() => ask(new Uint8Array(4))).not.toThrow();
    kernel.sys.close(fd);
  });

  test('descriptors: none is left by a call that fails', async () => {
    const { sys, fd, kernel, made } = opened();
    const fds = g.gadget_fds.create();
    const giveAndTake = () => {
      sys.ioctl(fd, g.GADGET_GIVE, fds);
      expect(sys.ioctl(fd, g.GADGET_TAKE, fds)).toBe(g.PAGE);
      const { buffer, fence } = fds;
      fds.fence = buffer;
      expect(() => sys.ioctl(fd, g.GADGET_TAKE, fds)).toThrow(code('EINVAL'));
      sys.close(buffer);
      sys.close(fence);
    };
    giveAndTake();
    const before = g.openDescriptors();
    giveAndTake();
    expect(g.openDescriptors()).toBe(before);
    const wrong = g.gadget_fds.create({ buffer: 1000, fence: -1 });
    expect(() => sys.ioctl(fd, g.GADGET_TAKE, wrong)).toThrow(code('EBADF'));
    await expect(sys.promises.ioctl(fd, g.GADGET_GIVE_BADLY, fds)).rejects.toThrow(code('ENOSPC'));
    kernel.settle();
    expect(g.openDescriptors()).toBe(before);
    sys.close(fd);
    await expectAllClosed(kernel, made);
  });

  test('what waits is awaited; without await it is EDEADLK, or EAGAIN', async () => {
    const { sys, fd, kernel, made } = opened();
    expect(() => sys.ioctl(fd, g.GADGET_WAIT)).toThrow(code('EDEADLK'));
    const nonblocking = sys.open('/dev/gadget', O_RDWR | O_NONBLOCK);
    expect(() => sys.ioctl(nonblocking, g.GADGET_WAIT)).toThrow(code('EAGAIN'));
    await expect(sys.promises.ioctl(nonblocking, g.GADGET_WAIT)).rejects.toThrow(code('EAGAIN'));
    const done = sys.promises.ioctl(fd, g.GADGET_WAIT);
    sys.ioctl(fd, g.GADGET_GO);
    expect(await done).toBe(7);
    sys.close(fd);
    sys.close(nonblocking);
    await expectAllClosed(kernel, made);
  });

  test('events are read, polled for and awaited', async () => {
    const { sys, fd, kernel, made } = opened();
    const post = (number: number) =>
      sys.ioctl(fd, g.GADGET_POST, g.gadget_event.create({ number }));
    const bytes = new Uint8Array(20);
    const event = g.gadget_event.view(bytes);
    const readable = { fd, events: POLLIN };
    expect(sys.poll([readable], 0)).toBe(0);
    expect(() => sys.read(fd, bytes)).toThrow(code('EDEADLK'));
    const soon = sys.promises.read(fd, bytes);
    const ready = sys.promises.poll([readable], -1);
    post(1);
    expect(await soon).toBe(8);
    expect(event.number).toBe(1);
    post(2);
    expect(await ready).toBe(1);
    for (const number of [3, 4]) post(number);
    expect(sys.read(fd, bytes)).toBe(16);
    expect(sys.read(fd, bytes)).toBe(8);
    expect(event.number).toBe(4);
    expect(() => sys.write(fd, bytes)).toThrow(code('EINVAL'));
    sys.close(fd);
    await expectAllClosed(kernel, made);
  });

  test('memory of the driver', () => {
    const { sys, fd, made } = opened();
    const mapping = sys.mmap(g.PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, g.PAGE);
    Buffer.from(mapping).write('mapped');
    expect(Buffer.from(made.memory.bytes()).toString('latin1', g.PAGE, g.PAGE + 6)).toBe('mapped');
    expect(() => sys.mmap(g.PAGE, PROT_READ, MAP_SHARED, fd, 2 * g.PAGE)).toThrow(code('EINVAL'));
    sys.munmap(mapping);
    sys.close(fd);
  });

  test('memory of the driver, which learns who maps it, and whether it is mapped', () => {
    const kernel = testKernel();
    const memory = makeShmem(kernel, 'registers', g.PAGE);
    const tracked = new TrackedMemory(kernel, memory);
    const who: string[] = [];
    kernel.addDevice(
      defineDevice({
        name: 'registers',
        mmap(_file, { offset, length }, task) {
          who.push(task.process.key);
          return [{ memory: tracked, offset, length }];
        },
      }),
    );
    const { sys } = kernel;
    const fd = sys.open('/dev/registers', O_RDWR);
    expect(tracked.isMapped).toBe(false);
    const mapping = sys.mmap(g.PAGE, PROT_READ, MAP_SHARED, fd);
    sys.close(fd);
    expect([tracked.isMapped, tracked.mappings]).toEqual([true, 1]);
    sys.munmap(mapping);
    expect([tracked.isMapped, tracked.mappings]).toEqual([false, 0]);
    expect(who).toEqual([expect.stringMatching(new RegExp(`^${process.pid}@[1-9]`))]);
    memory.close();
  });
});

describe('in /sys', () => {
  const text = (kernel: Kernel, path: string) => {
    const { sys } = kernel;
    const fd = sys.open(path, O_RDONLY);
    const bytes = Buffer.alloc(4096);
    try {
      return bytes.toString('latin1', 0, sys.read(fd, bytes));
    } finally {
      sys.close(fd);
    }
  };
  const write = (kernel: Kernel, path: string, what: string) => {
    const fd = kernel.sys.open(path, O_WRONLY);
    try {
      kernel.sys.write(fd, Buffer.from(what));
    } finally {
      kernel.sys.close(fd);
    }
  };
  const files = '/sys/class/misc/gadget';

  test('attributes say what they are asked for, and take what is written', async () => {
    const { kernel, made } = kernelWith();
    expect(text(kernel, `${files}/greeting`)).toBe('hello\n');
    expect(text(kernel, `${files}/nothing`)).toBe('');
    expect(() => text(kernel, `${files}/refused`)).toThrow(code('ENODATA'));
    write(kernel, `${files}/power/speed`, '12\n');
    expect(made.speed).toBe(12);
    expect(text(kernel, `${files}/power/speed`)).toBe('12\n');
    expect(() => write(kernel, `${files}/power/speed`, 'fast')).toThrow(code('EINVAL'));
    expect(() => write(kernel, `${files}/greeting`, 'x')).toThrow(code('EACCES'));
    write(kernel, `${files}/reset`, 'now');
    expect(made.log).toContain('reset now');
    expect(() => text(kernel, `${files}/reset`)).toThrow(code('EACCES'));
    await expectAllClosed(kernel);
  });

  test('programs do so with their shell; modes and sizes are those of sysfs', async () => {
    const { kernel, made } = kernelWith();
    const script = `cd ${files}; echo 3 > power/speed && cat power/speed; echo x 2>&- > power/speed || echo no
      cat nothing; cat refused; stat -c '%A %s' greeting power/speed reset; ls power; cat dev`;
    const { stdout, stderr } = await run(kernel, 'sh', ['-c', script]);
    expect(lines(stdout)).toEqual([
      '3',
      'no',
      '-r--r--r-- 4096',
      '-rw-r--r-- 4096',
      '--w------- 4096',
      'speed',
      expect.stringMatching(/^10:12\d$/),
    ]);
    expect(stderr).toMatch(/refused: No data available/);
    expect(made.speed).toBe(3);
    await expectAllClosed(kernel);
  });

  test('a class of its own, a node in a directory, a mode', async () => {
    const kernel = testKernel();
    kernel.addDevice(g.pipe);
    const script = `stat -c '%A' /dev/class/pipe0; cat /sys/class/pipes/pipe0/uevent
      readlink /sys/class/pipes/pipe0`;
    const { stdout } = await run(kernel, 'sh', ['-c', script]);
    expect(lines(stdout)).toEqual([
      'crw-r-----',
      expect.stringMatching(/^MAJOR=25\d$/),
      'MINOR=0',
      'DEVNAME=class/pipe0',
      'DEVMODE=0640',
      '../../devices/virtual/pipes/pipe0',
    ]);
  });
});

describe('a definition', () => {
  test('has options, with defaults and types', () => {
    const gadgets: g.Gadget[] = [];
    const definition = g.gadget({ name: 'gadget', gadgets });
    const add = (options: Record<string, string | number | boolean>) =>
      testKernel().addDevice(definition, options);
    add({ greeting: 'bye', times: 2, loud: true });
    expect(gadgets[0]?.log).toEqual(['probe bye 2 true']);
    expect(() => add({ color: 'red' })).toThrow(/has no option color; .*: greeting, times, loud/);
    expect(() => add({ times: 'two' })).toThrow(/times is a number/);
    expect(() => add({ times: Number.NaN })).toThrow(RangeError);
    expect(gadgets).toHaveLength(1);
  });

  test('is replaced: open files keep theirs, and it goes with the last of them', async () => {
    const { kernel, device, made, gadgets } = kernelWith();
    const { sys } = kernel;
    const old = sys.open(device.path, O_RDWR);
    device.replace(g.gadget({ name: 'gadget', gadgets }));
    const now = sys.open(device.path, O_RDWR);
    expect(gadgets.map(({ open }) => open)).toEqual([1, 1]);
    sys.ioctl(now, g.GADGET_GO);
    expect(gadgets.map(({ go }) => go)).toEqual([false, true]);
    expect(made.log).not.toContain('remove');
    sys.close(old);
    expect(made.log).toContain('remove');
    const other = defineDevice({ name: 'gadget', attributes: { color: () => 'red' } });
    device.replace(other);
    const read = (name: string) => sys.close(sys.open(`/sys/class/misc/gadget/${name}`, O_RDONLY));
    for (const name of ['dev', 'uevent', 'color']) read(name);
    expect(() => read('greeting')).toThrow(code('ENOENT'));
    expect(() => device.replace(defineDevice({ name: 'other' }))).toThrow(TypeError);
    sys.close(now);
    await expectAllClosed(kernel);
  });

  test('is removed: node and files in /sys are gone, open files go on', async () => {
    const { kernel, device, made } = kernelWith();
    const { sys } = kernel;
    const fd = sys.open(device.path, O_RDWR);
    device.remove();
    expect(() => sys.open(device.path, O_RDWR)).toThrow(code('ENOENT'));
    expect(() => sys.open('/sys/class/misc/gadget/dev', O_RDONLY)).toThrow(code('ENOENT'));
    expect(sys.ioctl(fd, g.GADGET_NUMBER, 4)).toBe(2);
    sys.close(fd);
    expect(made.log.slice(-2)).toEqual(['release ', 'remove']);
    kernel.addDevice(g.gadget({ name: 'gadget' }));
    sys.close(sys.open(device.path, O_RDWR));
    await expectAllClosed(kernel, made);
  });

  test('that cannot be is a TypeError', () => {
    const ioctl = {} as never;
    for (const name of ['', '/x', '../etc', 'x/..', './x', 'x/', 'a b']) {
      expect(() => defineDevice({ name }), name).toThrow(/no name below \/dev/);
    }
    for (const name of ['.x', 'x..', 'a/b.c/..d']) expect(defineDevice({ name }).name).toBe(name);
    expect(() => defineDevice({ name: 'x', ioctls: g.gadget_ioctls, ioctl })).toThrow(
      /GADGET_SUM has no handler/,
    );
    for (const ioctls of [{ X_GO: 0x7801 }, { X_GO: io('x', 1) }] as never[])
      expect(() => defineDevice({ name: 'x', ioctls, ioctl: { X_GO: () => 0 } as never })).toThrow(
        'x: X_GO is no ioctl that ioctls() has made',
      );
  });
});
