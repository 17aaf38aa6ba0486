/** Programs that wait for fences and buffers, alone and among other things. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { O_CLOEXEC, O_RDWR, SYNC_IOC_FILE_INFO } from '../../../ioctl/index.js';
import {
  DMA_RESV_USAGE_WRITE,
  DmaFence,
  dmaBufExport,
  dmaBufFd,
  dmaFenceContextAlloc,
  dmaFenceSetError,
  dmaFenceSignal,
  errno,
  type Kernel,
  miscRegister,
  syncFileCreate,
} from '../../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel, until } from '../../run.js';
import { syncInfo } from '../../sw_sync.js';

beforeEach(needsCompiler);

interface Waiter {
  child: ChildProcess;
  /** Says something to the program. */
  say(text: string): void;
  said(): string;
  /** Its last line, when it has ended. */
  end(): Promise<string>;
}

/** A program that prints "waiting", and then what came of it. */
async function start(kernel: Kernel, command: string, args: readonly string[]): Promise<Waiter> {
  const child = kernel.spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let stdout = '';
  child.stdin?.on('error', () => {});
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const closed = once(child, 'close');
  await until('it waits', () => stdout.startsWith('waiting\n') || child.exitCode !== null);
  return {
    child,
    say: (text) => child.stdin?.write(text),
    said: () => stdout,
    async end() {
      await closed;
      return stdout.trimEnd().split('\n').at(-1) ?? '';
    },
  };
}

const waits = (kernel: Kernel, ...args: string[]) => start(kernel, program('waits'), args);

/** "fence  after 1234, signal 0": what was ready, and milliseconds. */
function outcome(line: string) {
  const [, ready, took, signal] = /^(.*) after (\d+), signal ([01])$/.exec(line) ?? [];
  return { ready: ready?.trim(), ms: Number(took) / 1000, signal: signal === '1' };
}

const WAYS = ['poll', 'ppoll', 'select', 'pselect6', 'epoll'];
const THINGS = ['sync_file', 'buffer'];

describe.each(THINGS)('a %s', (what) => {
  describe.each(WAYS)('in %s', (way) => {
    test.each([
      ['fence', 'f'],
      ['pipe', 'p'],
      ['socket', 's'],
      ['eventfd', 'e'],
      ['timerfd', 't'],
    ])('beside others: the %s wakes, and it alone', async (name, command) => {
      const kernel = testKernel();
      const waiter = await waits(kernel, way, what, '-1');
      waiter.say(command);
      expect(outcome(await waiter.end())).toMatchObject({ ready: name, signal: false });
      await expectNothingLeft(kernel);
    });

    test('the time that was given is waited, and then it is over', async () => {
      const kernel = testKernel();
      for (const timeout of [0, 1, 70]) {
        const { ready, ms } = outcome(
          await (await waits(kernel, way, what, String(timeout))).end(),
        );
        expect(ready).toBe('nothing');
        expect(ms).toBeGreaterThanOrEqual(timeout);
      }
    });

    test('a signal ends it with EINTR, whatever SA_RESTART says', async () => {
      const kernel = testKernel();
      for (const restart of [[], ['restart']]) {
        const waiter = await waits(kernel, way, what, '-1', ...restart);
        // One that comes before the call begins is handled, and forgotten.
        const signals = setInterval(() => waiter.child.kill('SIGUSR1'), 5);
        const { ready, signal } = outcome(await waiter.end());
        clearInterval(signals);
        expect({ ready, signal }).toEqual({ ready: 'EINTR', signal: true });
      }
      await expectNothingLeft(kernel);
    });
  });

  test.each(LINKAGES)(
    'in epoll is told by level, by edge, once, and not at all (%s)',
    async (linkage) => {
      const { stdout } = await run({}, program('epolls', linkage), [what]);
      expect(stdout.trimEnd().split('\n')).toEqual([
        'pending: 0 0',
        'level: 1 1',
        'edge: 1 0',
        'one shot: 1 0',
        'one shot, armed again: 1 0',
        'level again: 1 1',
        'taken out: 0 0',
      ]);
    },
  );
});

describe('DMA_BUF_SYNC_START', () => {
  test('waits for the fence', async () => {
    const waiter = await waits(testKernel(), 'sync', 'buffer', '-1');
    waiter.say('f');
    expect(outcome(await waiter.end()).ready).toBe('fence');
  });

  test('is interrupted by a signal', async () => {
    const waiter = await waits(testKernel(), 'sync', 'buffer', '-1');
    const signals = setInterval(() => waiter.child.kill('SIGUSR1'), 5);
    const { ready, signal } = outcome(await waiter.end());
    clearInterval(signals);
    expect({ ready, signal }).toEqual({ ready: 'EINTR', signal: true });
  });

  test('goes on after a signal whose handler has SA_RESTART', async () => {
    const waiter = await waits(testKernel(), 'sync', 'buffer', '-1', 'restart');
    let sent = 0;
    const signals = setInterval(() => {
      waiter.child.kill('SIGUSR1');
      sent++;
    }, 5);
    await until('signals were sent', () => sent >= 20);
    expect(waiter.said()).toBe('waiting\n');
    waiter.say('f');
    const { ready, signal } = outcome(await waiter.end());
    clearInterval(signals);
    expect({ ready, signal }).toEqual({ ready: 'fence', signal: true });
  });
});

/** /dev/frame gives, for ioctl 1, a buffer that the fence is on; /dev/frame-fence gives its sync_file. */
function frameDriver(kernel: Kernel, release = () => {}) {
  const fence = new DmaFence(kernel, {
    ops: { getDriverName: () => 'frame', getTimelineName: () => 'frames', release },
    context: dmaFenceContextAlloc(kernel),
    seqno: 1,
  });
  miscRegister(kernel, 'frame', {
    ioctl(_file, _request, _arg, task) {
      const dmabuf = dmaBufExport(kernel, {
        exp_name: 'frame',
        ops: {
          mapDmaBuf: () => {
            throw errno('ENODEV');
          },
          unmapDmaBuf: () => {},
          release: () => {},
        },
        size: 4096,
        flags: O_RDWR,
      });
      dmabuf.resv.lock();
      dmabuf.resv.reserveFences(1);
      dmabuf.resv.addFence(fence, DMA_RESV_USAGE_WRITE);
      dmabuf.resv.unlock();
      return dmaBufFd(task, dmabuf, O_CLOEXEC);
    },
  });
  miscRegister(kernel, 'frame-fence', {
    ioctl(_file, _request, _arg, task) {
      const { file } = syncFileCreate(kernel, fence);
      const fd = task.installFd(file, O_CLOEXEC);
      file.put();
      return fd;
    },
  });
  return fence;
}

describe('a driver in TypeScript', () => {
  test.each([...WAYS, 'sync'])('wakes a program that waits for its buffer in %s', async (way) => {
    const kernel = testKernel();
    const fence = frameDriver(kernel);
    const waiter = await waits(kernel, way, '/dev/frame', '-1');
    dmaFenceSignal(fence);
    expect(outcome(await waiter.end()).ready).toBe('fence');
    await expectNothingLeft(kernel);
  });

  test('wakes a program in Python that it gave a fence that fails', async () => {
    const kernel = testKernel();
    const fence = frameDriver(kernel);
    const script = [
      'import fcntl, select, struct',
      'fd = fcntl.ioctl(open("/dev/frame-fence"), 1)',
      'p = select.poll(); p.register(fd, select.POLLIN)',
      'print("waiting", flush=True)',
      'ready = p.poll()',
      `info = bytearray(56); fcntl.ioctl(fd, ${SYNC_IOC_FILE_INFO}, info)`,
      'print(ready == [(fd, select.POLLIN)], struct.unpack_from("<i", info, 32)[0])',
    ].join('\n');
    const waiter = await start(kernel, 'python3', ['-c', script]);
    dmaFenceSetError(fence, -5);
    dmaFenceSignal(fence);
    expect(await waiter.end()).toBe('True -5');
  });

  test.each([
    ['/dev/frame', 'poll'],
    ['/dev/frame', 'sync'],
    ['/dev/frame-fence', 'poll'],
    ['/dev/frame-fence', 'epoll'],
  ])('wakes a hundred programs that wait for %s in %s', async (device, way) => {
    const kernel = testKernel();
    const fence = frameDriver(kernel);
    const waiters = await Promise.all(
      Array.from({ length: 100 }, () => waits(kernel, way, device, '-1')),
    );
    dmaFenceSignal(fence);
    const lines = await Promise.all(waiters.map((waiter) => waiter.end()));
    expect(lines.map((line) => outcome(line).ready)).toEqual(Array(100).fill('fence'));
    await expectNothingLeft(kernel);
  });

  test.each(['/dev/frame', '/dev/frame-fence'])(
    'resolves fenceSignaled of dmabuf-shim/posix, in a Node program, for %s',
    async (device) => {
      const kernel = testKernel();
      const fence = frameDriver(kernel);
      const posix = fileURLToPath(new URL('../../../dist/src/posix.js', import.meta.url));
      const script = [
        `import { open, ioctl, fenceSignaled } from '${posix}';`,
        `const fd = ioctl(open('${device}', 2), 1);`,
        `let over = false;`,
        `fenceSignaled(fd).then(() => { over = true; console.log('signalled'); });`,
        `setImmediate(() => console.log(over ? 'too soon' : 'waiting'));`,
      ].join('\n');
      const waiter = await start(kernel, process.execPath, [
        ...['--input-type=module', '-e', script],
      ]);
      expect(waiter.said()).toBe('waiting\n');
      dmaFenceSignal(fence);
      expect(await waiter.end()).toBe('signalled');
      expect(waiter.child.exitCode).toBe(0);
    },
  );
});

const descriptors = () => readdirSync('/proc/self/fd').length;

describe('killed while it waits', () => {
  test.each([...WAYS, 'sync'])('a program in %s leaves nothing', async (way) => {
    const kernel = testKernel();
    const round = async (count: number) => {
      const waiters = await Promise.all(
        Array.from({ length: count }, () => waits(kernel, way, 'buffer', '-1')),
      );
      for (const { child } of waiters) child.kill('SIGKILL');
      for (const waiter of waiters) await waiter.end();
      await kernel.idle();
      await expectNothingLeft(kernel);
      await until('no file is left', () => {
        kernel.settle();
        return kernel.files.size === 0;
      });
    };
    await round(1);
    const before = { descriptors: descriptors(), rss: process.memoryUsage.rss() };
    for (let i = 0; i < 5; i++) await round(10);
    await until('descriptors are back', () => descriptors() <= before.descriptors);
    expect(process.memoryUsage.rss() - before.rss).toBeLessThan(64 * 2 ** 20);
    expect(syncInfo(kernel)).toEqual([]);
    expect(kernel.dmesg()).toEqual([]);
  });

  test.each([
    ['sync', 'by itself'],
    ['poll', 'when it is signalled, as Linux does'],
  ])('a program in %s lets go of a driver’s fence, %s', async (way) => {
    const kernel = testKernel();
    let released = 0;
    const fence = frameDriver(kernel, () => released++);
    const waiter = await waits(kernel, way, '/dev/frame', '-1');
    waiter.child.kill('SIGKILL');
    await waiter.end();
    await kernel.idle();
    if (way === 'poll') dmaFenceSignal(fence);
    await expectNothingLeft(kernel);
    fence.put();
    await until('the fence goes', () => released === 1);
    expect(kernel.dmesg()).toEqual([]);
  });
});
