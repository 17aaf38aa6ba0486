/** Faults on demand: calls that fail, lie, or take their time. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import * as uapi from '../../ioctl/index.js';
import { faultsOf } from '../../src/fault/faults.js';
import {
  DMA_RESV_USAGE_READ,
  defineDevice,
  dmaBufList,
  dmaFenceSignal,
  Errno,
  type FaultRule,
  type Kernel,
} from '../../src/index.js';
import { cli } from '../cli.js';
import { LINKAGES, needs, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, liveBuffers, run, testKernel, until } from '../run.js';

/** What `calls` printed, without the times: `s EIO`. */
function results(stdout: string): string[] {
  const lines = stdout.trimEnd().split('\n');
  return lines.map((line) => line.split(' ').slice(0, 2).join(' '));
}

/** The faults in the log, without process and time. */
function faults(kernel: Kernel): string[] {
  const texts = kernel.log.records.map(({ text }) => text);
  return texts
    .filter((text) => text.startsWith('fault: '))
    .map((text) => text.replace(/ of [^:]*:/, ':').replace('fault: ', ''));
}

describe('a rule', () => {
  test.each([
    ['', 'begins with the names'],
    ['lseek', 'error=, retval=, delay= or delay_exit= is missing'],
    ['lseek:when=2', 'is missing'],
    ['lseek,,mmap:error=EIO', 'begins with the names'],
    ['lseek:error=EIO:signal=SEGV', 'no option signal; there are error, retval, delay'],
    ['lseek:error=ENOPE', 'no errno ENOPE'],
    ['lseek:error=0', 'no errno 0'],
    ['lseek:error=4096', 'no errno 4096'],
    ['lseek:error=ERESTARTSYS', 'no errno ERESTARTSYS'],
    ['lseek:error', 'no errno '],
    ['lseek:error=EIO:retval=3', 'retval= is one too many'],
    ['lseek:error=EIO:error=EIO', 'error= is one too many'],
    ['lseek:delay=5ms:delay_enter=5ms', 'delay_enter= is one too many'],
    ['lseek:retval=-1', 'retval=-1 is not a number from 0 on'],
    ['lseek:retval=99999999999999999', 'is not a number'],
    ['lseek:delay=5m', 'delay=5m is no time, such as 20ms'],
    ['lseek:delay=-1', 'is no time'],
    ['lseek:delay_exit=', 'is no time'],
    ['mmap:delay_exit=1ms', 'what mmap gives cannot be held back: use delay='],
    ['close:error=EIO', 'no system call that is answered here has the name close'],
    ['nosuchcall:error=EIO', 'has the name nosuchcall'],
    ['DMA_HEAP_IOCTL_ALOC:error=ENOMEM', 'no ioctl has the name DMA_HEAP_IOCTL_ALOC'],
  ])('that makes no sense is refused in one line: %s', (rule, why) => {
    const kernel = testKernel();
    expect(() => kernel.inject(rule)).toThrow(RangeError);
    expect(() => kernel.inject(rule)).toThrow(why);
    expect(() => kernel.inject(rule)).not.toThrow(/\n/);
    expect(faultsOf(kernel)).toBeUndefined();
  });

  test.each<[string, FaultRule]>([
    ['lseek:error=EIO:when=2', { call: 'lseek', error: 'EIO', when: 2 }],
    ['lseek,mmap:error=5', { call: ['lseek', 'mmap'], error: 5 }],
    ['lseek:retval=0x10:when=3+2', { call: 'lseek', retval: 16, when: '3+2' }],
    ['lseek:delay=1.5ms:error=eio', { call: 'lseek', delay_enter: '1500us', error: 'EIO' }],
    ['lseek:delay_exit=2', { call: 'lseek', delay_exit: '2e3ns' }],
    ['lseek:retval=010', { call: 'lseek', retval: 8 }],
  ])('is the same as a line and as an object: %s', (line, object) => {
    const [kernel, other] = [testKernel(), testKernel()];
    kernel.inject(line);
    other.inject(object);
    const rule = (of: Kernel) => {
      const { text: _, when, ...rest } = faultsOf(of)?.rules[0]?.parsed ?? {};
      return { ...rest, when: [1, 2, 3, 4, 5, 6].map((n) => when?.(n)) };
    };
    expect(rule(kernel)).toEqual(rule(other));
    expect(rule(kernel).names).toContain('lseek');
  });

  test('of a device of one’s own is known when the device is there', () => {
    const kernel = testKernel();
    expect(() => kernel.inject('SLOW_IOC_WORK:error=EIO')).toThrow('no ioctl has the name');
    kernel.addDevice(slow());
    kernel.inject('SLOW_IOC_WORK:error=EIO');
  });

  test('means an ioctl whatever size its struct has', () => {
    const { kernel, sys, heap } = withBuffer();
    kernel.inject('DMA_HEAP_IOCTL_ALLOC:error=ENOMEM');
    const longer = uapi._IOC(uapi._IOC_READ | uapi._IOC_WRITE, uapi.DMA_HEAP_IOC_MAGIC, 0, 32);
    expect(() => sys.ioctl(heap, longer, Buffer.alloc(32))).toThrow('ENOMEM');
  });

  test('knows the name that C has for a request', () => {
    const { sys, buffer, kernel } = withBuffer();
    kernel.inject('DMA_BUF_SET_NAME:error=ENOMEM');
    const name = Buffer.from('x\0');
    expect(() => sys.ioctl(buffer, uapi.DMA_BUF_SET_NAME_B, name)).toThrow('ENOMEM');
    sys.ioctl(buffer, uapi.DMA_BUF_SET_NAME_A, name);
  });
});

describe.each(LINKAGES)('a %s program', (linkage) => {
  beforeEach(needsCompiler);

  test('is refused memory when it is said, and gets nothing then', async () => {
    const kernel = testKernel();
    kernel.inject('DMA_HEAP_IOCTL_ALLOC:error=ENOMEM:when=3+2');
    // Its own buffer is the first that it allocates. A descriptor of 0 in the struct is none.
    const { stdout } = await run(kernel, program('calls', linkage), ['buffer', 'aaaaaa']);
    expect(results(stdout)).toEqual(['a 0', 'a ENOMEM', 'a 0', 'a ENOMEM', 'a 0', 'a ENOMEM']);
    expect(faults(kernel)).toEqual([
      'DMA_HEAP_IOCTL_ALLOC: ENOMEM (call 3)',
      'DMA_HEAP_IOCTL_ALLOC: ENOMEM (call 5)',
      'DMA_HEAP_IOCTL_ALLOC: ENOMEM (call 7)',
    ]);
    await expectNothingLeft(kernel);
  });

  test('meets no fault in a call that has begun without', async () => {
    const kernel = testKernel();
    const child = kernel.spawn(program('waits', linkage), ['sync', 'buffer', '-1']);
    let said = '';
    child.stdout?.on('data', (text) => {
      said += text;
    });
    const fence = await until('the call waits', () => {
      const [buffer] = dmaBufList(kernel);
      const [fence] = buffer?.resv.fences(DMA_RESV_USAGE_READ) ?? [];
      return fence && kernel.waitersOn(fence).length > 0 && fence;
    });
    kernel.inject('ioctl:error=EIO');
    dmaFenceSignal(fence);
    await until('it has ended', () => said.includes(' after '));
    child.stdin?.end();
    await kernel.idle();
    expect(said).toContain('fence');
    expect(faults(kernel)).toEqual([]);
  });

  test('is told of an allocation that was not made', async () => {
    const kernel = testKernel();
    kernel.inject({ call: 'DMA_HEAP_IOCTL_ALLOC', retval: 0, when: '2+' });
    const { stdout } = await run(kernel, program('calls', linkage), ['buffer', 'a']);
    expect(results(stdout)).toEqual(['a 1000']);
    await expectNothingLeft(kernel);
  });

  test.each([
    ['openat', 'oO', ['o EIO', 'O 0']],
    ['lseek', 'sS', ['s EIO', 'S 0']],
    ['poll', 'pP', ['p EIO', 'P 1']],
    ['newfstatat,stat,fstat', 'ftT', ['f EIO', 't EIO', 'T 0']],
    ['mmap', 'm', ['m EIO']],
    ['epoll_ctl', 'e', ['e EIO']],
    ['ioctl', 'yna', ['y EIO', 'n EIO', 'a EIO']],
    ['read', 'rR', ['r EIO', 'R 1']],
  ])('has %s fail on files of ours, and on them alone', async (call, letters, expected) => {
    const kernel = testKernel();
    // openat and ioctl are needed once, for the buffer.
    kernel.inject(`${call}:error=EIO${/openat|ioctl/.test(call) ? ':when=2+' : ''}`);
    const { stdout } = await run(kernel, program('calls', linkage), ['buffer', letters]);
    expect(results(stdout)).toEqual(expected);
  });

  test('has each name of a set counted by itself', async () => {
    const kernel = testKernel();
    kernel.inject('lseek,mmap:error=EIO:when=2');
    const { stdout } = await run(kernel, program('calls', linkage), ['buffer', 'smsmsm']);
    expect(results(stdout)).toEqual(['s 4096', 'm 0', 's EIO', 'm EIO', 's 4096', 'm 0']);
  });

  test('has its calls counted with those of all others, as long as the rule lasts', async () => {
    const kernel = testKernel();
    const undo = kernel.inject('lseek:error=EIO:when=3+');
    const seek = async () =>
      results((await run(kernel, program('calls', linkage), ['buffer', 'ss'])).stdout);
    expect(await seek()).toEqual(['s 4096', 's 4096']);
    expect(await seek()).toEqual(['s EIO', 's EIO']);
    undo();
    expect(faultsOf(kernel)).toBeUndefined();
    expect(await seek()).toEqual(['s 4096', 's 4096']);
  });

  test('waits before a call, and after one', async () => {
    const kernel = testKernel();
    kernel.inject('lseek:delay=30ms');
    kernel.inject('DMA_BUF_SET_NAME:delay_exit=40000');
    kernel.inject('poll:delay=10ms:delay_exit=20ms:error=ENOMEM');
    const { stdout } = await run(kernel, program('calls', linkage), ['buffer', 'snpy']);
    const lines = stdout.trimEnd().split('\n');
    expect(results(stdout)).toEqual(['s 4096', 'n 0', 'p ENOMEM', 'y 0']);
    const ms = lines.map((line) => Number(line.split(' ')[2]) + 1);
    expect(ms[0]).toBeGreaterThanOrEqual(30);
    expect(ms[1]).toBeGreaterThanOrEqual(40);
    expect(ms[2]).toBeGreaterThanOrEqual(30);
    expect(faults(kernel)).toEqual([
      'lseek: delayed by 30 ms (call 1)',
      'DMA_BUF_SET_NAME_B: answered 40 ms later (call 1)',
      'poll: delayed by 10 ms, ENOMEM, answered 20 ms later (call 1)',
    ]);
  });
});

const NEVER = 'delay=1000s';

describe('a delayed call', () => {
  beforeEach(needsCompiler);

  test('holds nobody else up, and dies with its program', async () => {
    const kernel = testKernel();
    kernel.inject(`lseek:${NEVER}:when=1`);
    const first = kernel.spawn(program('calls'), ['buffer', 's'], { stdio: 'ignore' });
    await until('it is delayed', () => faults(kernel).length === 1);
    const { stdout } = await run(kernel, program('calls'), ['buffer', 's']);
    expect(results(stdout)).toEqual(['s 4096']);
    expect(first.exitCode).toBe(null);
    first.kill('SIGKILL');
    await kernel.idle();
    await expectNothingLeft(kernel);
  });

  test('has been made when its answer is held back', async () => {
    const kernel = testKernel();
    kernel.inject('DMA_BUF_SET_NAME:delay_exit=1000s');
    const child = kernel.spawn(program('calls'), ['buffer', 'n']);
    let said = '';
    child.stdout?.on('data', (text) => {
      said += text;
    });
    await until('the buffer has its name', () => [...dmaBufList(kernel)][0]?.name === 'calls');
    expect(said).toBe('');
    child.kill('SIGKILL');
    await kernel.idle();
  });

  test('is interrupted by a signal', async () => {
    const kernel = testKernel();
    kernel.inject(`poll,DMA_BUF_IOCTL_SYNC:${NEVER}`);
    const { stdout } = await run(kernel, program('calls'), ['-i', 'buffer', 'py']);
    expect(results(stdout)).toEqual(['p EINTR', 'y EINTR']);
  });

  test('goes on after a signal with SA_RESTART, with what is left of its delay, as one call', async () => {
    const kernel = testKernel();
    kernel.inject('DMA_BUF_IOCTL_SYNC:delay=150ms');
    const { stdout } = await run(kernel, program('calls'), ['-r', 'buffer', 'y']);
    expect(results(stdout)).toEqual(['y 0']);
    expect(faults(kernel)).toEqual(['DMA_BUF_IOCTL_SYNC: delayed by 150 ms (call 1)']);
  });

  test('is not interrupted where Linux’s call cannot be', async () => {
    const kernel = testKernel();
    kernel.inject('lseek:delay=100ms');
    kernel.inject('DMA_BUF_SET_NAME:delay_exit=100ms');
    const { stdout } = await run(kernel, program('calls'), ['-i', 'buffer', 'sn']);
    expect(results(stdout)).toEqual(['s 4096', 'n 0']);
  });
});

describe('beside strace', () => {
  beforeEach(needs(['strace', 'strace'], ['gcc', 'gcc libc6-dev']));

  test.each([
    'error=EIO:when=3',
    'error=EIO:when=3+',
    'error=EIO:when=3+2',
    'error=EIO:when=2..5',
    'error=EIO:when=2..9+3',
    'error=EIO:when=2..5+',
    'error=EIO:when=5..5',
    'error=EIO',
    'error=EIO:when=1:when=12',
    'retval=0x10:when=2..4',
    'error=enomem:when=1+4',
    'error=75:when=2+5',
    'delay_enter=1ms:when=2',
  ])('the same calls meet the same: %s', async (what) => {
    const folder = mkdtempSync(join(tmpdir(), 'fault-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'file');
    writeFileSync(file, Buffer.alloc(4096));
    const letters = 's'.repeat(12);
    const traced = spawnSync(
      'strace',
      ['-o', '/dev/null', '-e', `inject=lseek:${what}`, program('calls'), file, letters],
      { encoding: 'utf8' },
    );
    expect(traced.status).toBe(0);
    const kernel = testKernel();
    kernel.inject(`lseek:${what}`);
    const { stdout } = await run(kernel, program('calls'), ['buffer', letters]);
    expect(results(stdout)).toEqual(results(traced.stdout));
    expect(results(stdout).length).toBe(12);
  });

  test.each(['when=0', 'when=5..2', 'when=3+0', 'when=3..', 'when=3++', 'when=', 'when=x'])(
    'both refuse %s',
    (when) => {
      const inject = `inject=lseek:error=EIO:${when}`;
      expect(spawnSync('strace', ['-e', inject, 'true']).status).not.toBe(0);
      const kernel = testKernel();
      expect(() => kernel.inject(`lseek:error=EIO:${when}`)).toThrow(
        'is not FIRST[..LAST][+[STEP]]',
      );
    },
  );
});

function withBuffer() {
  const kernel = testKernel();
  const { sys } = kernel;
  const heap = sys.open('/dev/dma_heap/system', uapi.O_RDWR);
  const data = uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR });
  sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  const buffer = data.fd;
  onTestFinished(() => {
    for (const fd of [heap, buffer]) sys.close(fd);
  });
  return { kernel, sys, heap, buffer };
}

const syncOf = (flags: number) => uapi.dma_buf_sync.create({ flags: BigInt(flags) });

describe('kernel.sys', () => {
  test('fails as programs do, and goes on when the rule is taken back', () => {
    const { kernel, sys, heap } = withBuffer();
    const undo = kernel.inject({ call: 'DMA_HEAP_IOCTL_ALLOC', error: 'ENOMEM', when: '1+2' });
    const used = kernel.memory.used;
    const allocate = () => {
      const data = uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR });
      try {
        sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOMEM', errno: -Errno.ENOMEM, syscall: 'ioctl' });
        expect(data.fd).toBe(0);
        return 'ENOMEM';
      }
      sys.close(data.fd);
      return 'given';
    };
    expect([1, 2, 3, 4].map(allocate)).toEqual(['ENOMEM', 'given', 'ENOMEM', 'given']);
    undo();
    undo();
    expect(allocate()).toBe('given');
    expect(kernel.memory.used).toBe(used);
  });

  test('has each of its calls fail, for files of the kernel alone', async () => {
    const { kernel, sys, buffer } = withBuffer();
    kernel.inject('openat,mmap,lseek,fstat,poll,ioctl:error=EIO');
    const fds = [{ fd: buffer, events: uapi.POLLIN }];
    expect(() => sys.open('/dev/dma_heap/system', uapi.O_RDWR)).toThrow('EIO: open');
    expect(() => sys.mmap(4096, uapi.PROT_READ, uapi.MAP_SHARED, buffer)).toThrow('EIO: mmap');
    expect(() => sys.lseek(buffer, 0, 2)).toThrow('EIO: lseek');
    expect(() => sys.fstat(buffer)).toThrow('EIO: fstat');
    expect(() => sys.poll(fds, 0)).toThrow('EIO: poll');
    await expect(sys.promises.poll(fds, 0)).rejects.toThrow('EIO: poll');
    await expect(
      sys.promises.ioctl(buffer, uapi.DMA_BUF_IOCTL_SYNC, syncOf(uapi.DMA_BUF_SYNC_READ)),
    ).rejects.toMatchObject({ code: 'EIO', syscall: 'ioctl' });
    expect(() => sys.open('/dev/dma_heap/none', uapi.O_RDWR)).toThrow('ENOENT');
    const file = sys.open('/etc/passwd', uapi.O_RDONLY);
    expect(sys.lseek(file, 0, 0)).toBe(0);
    expect(sys.fstat(file).st_size).toBeGreaterThan(0);
    sys.close(file);
  });

  test('is given values, where its result is one', () => {
    const { kernel, sys, buffer } = withBuffer();
    kernel.inject('lseek,fstat:retval=7');
    expect(sys.lseek(buffer, 0, 2)).toBe(7);
    expect(() => sys.fstat(buffer)).toThrow('retval=7 can stand for no result');
  });

  test('takes its time: the thread’s own, or nobody else’s', async () => {
    const { kernel, sys, buffer } = withBuffer();
    kernel.inject('lseek:delay=20ms:delay_exit=10ms');
    kernel.inject('DMA_BUF_IOCTL_SYNC:delay=20ms:delay_exit=10ms');
    const start = performance.now();
    expect(sys.lseek(buffer, 0, 2)).toBe(4096);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    let over = false;
    const sync = sys.promises
      .ioctl(buffer, uapi.DMA_BUF_IOCTL_SYNC, syncOf(uapi.DMA_BUF_SYNC_READ))
      .then(() => {
        over = true;
      });
    await new Promise(setImmediate);
    expect(over).toBe(false);
    await sync;
  });

  test('counts a call that waits once', async () => {
    const { kernel, sys, buffer } = withBuffer();
    const timeline = sys.open('/sys/kernel/debug/sync/sw_sync', uapi.O_RDWR);
    const fence = uapi.sw_sync_create_fence_data.create({ value: 1 });
    sys.ioctl(timeline, uapi.SW_SYNC_IOC_CREATE_FENCE, fence);
    const hold = uapi.dma_buf_import_sync_file.create({
      flags: uapi.DMA_BUF_SYNC_WRITE,
      fd: fence.fence,
    });
    sys.ioctl(buffer, uapi.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, hold);
    kernel.inject('DMA_BUF_IOCTL_SYNC:error=EINTR:when=2');
    const sync = () =>
      sys.promises.ioctl(buffer, uapi.DMA_BUF_IOCTL_SYNC, syncOf(uapi.DMA_BUF_SYNC_READ));
    const waiting = sync();
    sys.ioctl(timeline, uapi.SW_SYNC_IOC_INC, uapi.u32.create(1));
    expect(await waiting).toBe(0);
    await expect(sync()).rejects.toThrow('EINTR');
    expect(await sync()).toBe(0);
    for (const fd of [timeline, fence.fence]) sys.close(fd);
  });
});

/** A device whose one ioctl takes a turn of the event loop. */
function slow(errors?: string[]) {
  const ioctls = uapi.ioctls({ SLOW_IOC_WORK: uapi.io('x', 1, errors && { errors }) });
  return defineDevice({
    name: 'slow',
    ioctls,
    ioctl: {
      async SLOW_IOC_WORK() {
        await new Promise(setImmediate);
        return 5;
      },
    },
  });
}

describe('a device of one’s own', () => {
  beforeEach(needsCompiler);

  test('has its ioctls fail by their names, each call counted once though it waits', async () => {
    const kernel = testKernel();
    kernel.addDevice(slow());
    kernel.inject('SLOW_IOC_WORK:error=EBUSY:when=2');
    kernel.inject('SLOW_IOC_WORK:delay=5ms:delay_exit=5ms:when=3');
    const { stdout } = await run(kernel, program('calls'), ['/dev/slow', 'iiii']);
    expect(results(stdout)).toEqual(['i 5', 'i EBUSY', 'i 5', 'i 5']);
    const fd = kernel.sys.open('/dev/slow', uapi.O_RDWR);
    kernel.inject('SLOW_IOC_WORK:delay=5ms:delay_exit=5ms:when=1');
    kernel.inject('SLOW_IOC_WORK:error=EBUSY:when=2');
    const ioctl = () => kernel.sys.promises.ioctl(fd, uapi._IO('x', 1));
    expect(await ioctl()).toBe(5);
    await expect(ioctl()).rejects.toThrow('EBUSY');
    expect(await ioctl()).toBe(5);
    kernel.sys.close(fd);
  });

  test('meets, of its errors, those that a correct program sees', async () => {
    const kernel = testKernel();
    kernel.addDevice(slow(['EINVAL', 'ENOMEM', 'EFAULT', 'EBADF', 'ENOTTY', 'NONSENSE']));
    const fd = kernel.sys.open('/dev/slow', uapi.O_RDWR);
    kernel.chaos({ seed: 1, rate: 1 });
    for (let i = 0; i < 20; i++) {
      await expect(kernel.sys.promises.ioctl(fd, uapi._IO('x', 1))).rejects.toThrow('ENOMEM');
    }
    kernel.sys.close(fd);
  });

  test('that says nothing of its errors is left in peace', async () => {
    const kernel = testKernel();
    kernel.addDevice(slow());
    const fd = kernel.sys.open('/dev/slow', uapi.O_RDWR);
    kernel.chaos({ seed: 1, rate: 1 });
    expect(await kernel.sys.promises.ioctl(fd, uapi._IO('x', 1))).toBe(5);
    kernel.sys.close(fd);
  });
});

/** Those that Linux's drivers, and ours, answer. */
const HEADERS = {
  ...uapi.dma_buf_ioctls,
  ...uapi.dma_heap_ioctls,
  ...uapi.udmabuf_ioctls,
  ...uapi.sync_file_ioctls,
  ...uapi.sw_sync_ioctls,
  ...uapi.dma_importer_ioctls,
};

describe('chaos', () => {
  test.each(Object.values(HEADERS).map((def) => [def.name, def] as const))(
    'knows what may befall a correct caller of %s',
    (_, { errors }) => {
      expect(errors).toBeDefined();
      for (const error of errors ?? []) expect(Object.keys(Errno)).toContain(error);
      const wrong = ['EINVAL', 'EFAULT', 'EBADF', 'EBADFD', 'ENOTTY', 'E2BIG'];
      expect(errors?.filter((error) => wrong.includes(error))).toEqual([]);
    },
  );

  test.each([
    [{ seed: 1.5 }, 'the seed is an integer'],
    [{ seed: 1, rate: 2 }, 'the rate is a number from 0 to 1'],
    [{ seed: 1, rate: Number.NaN }, 'the rate'],
  ])('is refused %o', (options, why) => {
    expect(() => testKernel().chaos(options)).toThrow(why);
  });

  test('does all that it may, and nothing else', () => {
    const { kernel, sys, heap } = withBuffer();
    const undo = kernel.chaos({ seed: 3, rate: 0.5 });
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const data = uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR });
      try {
        sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
        sys.close(data.fd);
        seen.add('given');
      } catch (error) {
        seen.add((error as NodeJS.ErrnoException).code as string);
      }
    }
    expect([...seen].sort()).toEqual(['EMFILE', 'ENFILE', 'ENOMEM', 'given']);
    undo();
    expect(faultsOf(kernel)).toBeUndefined();
  });
});

describe('a program that is ready for chaos', () => {
  beforeEach(needsCompiler);

  test('goes the same way for the same seed', async () => {
    const faultsOf = async (seed: number) => {
      const kernel = testKernel();
      kernel.chaos({ seed });
      const { stdout } = await run(kernel, program('robust'), ['3']);
      expect(stdout).toMatch(/^ok, /);
      return faults(kernel);
    };
    const first = await faultsOf(7);
    expect(first.length).toBeGreaterThan(5);
    expect(await faultsOf(7)).toEqual(first);
    expect(await faultsOf(8)).not.toEqual(first);
  });

  test.each(LINKAGES)('survives 200 seeds, half of them as a %s one', async (linkage) => {
    const kernel = testKernel();
    const path = program('robust', linkage);
    const survives = async (seed: number) => {
      const undo = kernel.chaos({ seed, rate: 0.1 + (seed % 4) / 10 });
      const { status, stdout } = await run(kernel, path, ['1']);
      undo();
      expect({ seed, status, stdout }).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^ok, /),
      });
    };
    for (let seed = 0; seed < 100; seed++) await survives(linkage === 'static' ? seed : 100 + seed);
    expect(faults(kernel).length).toBeGreaterThan(1000);
    expect(kernel.log.records.filter(({ text }) => text.startsWith('BUG'))).toEqual([]);
    await expectNothingLeft(kernel);
    expect(liveBuffers(kernel)).toBe(0);
    await until('no file is left', () => {
      kernel.settle();
      return kernel.files.size === 0;
    });
  });
});

describe('dmabuf-shim run', () => {
  beforeEach(needsCompiler);

  test.each([
    [['--fault', 'DMA_HEAP_IOCTL_ALOC:error=EIO'], /: no ioctl has the name DMA_HEAP_IOCTL_ALOC$/],
    [['--fault', 'close:error=EIO'], /no system call that is answered here has the name close$/],
    [['--fault', 'lseek:signal=INT'], /no option signal; there are /],
    [['--fault'], /--fault takes a value: CALLS:WHAT/],
    [['--chaos', 'x'], /--chaos takes SEED\[:rate=0\.1\], not "x"$/],
    [['--chaos', '1:rate=7'], /chaos: the rate is a number from 0 to 1$/],
  ])('refuses %j in one line', (args, line) => {
    const { status, stderr } = cli('run', ...args, '--', 'true');
    expect(status).toBe(2);
    expect(stderr.trimEnd()).toMatch(line);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  test('shows what it injected, in the trace and in the log', () => {
    const { stdout, stderr } = cli(
      ...['run', '--trace', '--verbose'],
      ...['--fault', 'lseek:error=EIO:when=2', '--fault', 'DMA_BUF_IOCTL_SYNC:delay=1ms'],
      ...['--', program('calls'), 'buffer', 'ssy'],
    );
    expect(results(stdout)).toEqual(['s 4096', 's EIO', 'y 0']);
    expect(stderr).toMatch(/^lseek\(5, 0, SEEK_END\) = 4096$/m);
    expect(stderr).toMatch(/^lseek\(5, 0, SEEK_END\) = -1 EIO \(INJECTED\)$/m);
    expect(stderr).toMatch(/^ioctl\(5, DMA_BUF_IOCTL_SYNC, .*\) = 0 \(DELAYED\)$/m);
    expect(stderr).toMatch(/\] fault: lseek of calls\[\d+\]: EIO \(call 2\)$/m);
  });

  test('says in the end which rule has hit nothing', () => {
    const { status, stderr } = cli(
      ...['run', '--fault', 'lseek:error=EIO:when=9', '--', program('calls'), 'buffer', 'sS'],
    );
    expect(status).toBe(0);
    expect(stderr).toBe(
      'dmabuf-shim run: fault "lseek:error=EIO:when=9" was never injected: calls: 1\n',
    );
  });

  test('brings chaos', () => {
    const args = ['run', '--chaos', '7:rate=0.3', '--verbose', '--', program('robust'), '2'];
    const { stdout, stderr } = cli(...args);
    expect(stdout).toMatch(/^ok, \d+ failed\n$/);
    expect(stderr).toMatch(
      /fault: DMA_HEAP_IOCTL_ALLOC of robust\[\d+\]: \w+ \(call \d+, chaos 7\)/,
    );
  });

  test('knows the ioctls of a device in a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fault-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'slow.ts');
    writeFileSync(
      file,
      `import { defineDevice } from 'dmabuf-shim';
       import { io, ioctls } from 'dmabuf-shim/ioctl';
       const table = ioctls({ SLOW_IOC_WORK: io('x', 1) });
       export default defineDevice({ name: 'slow', ioctls: table, ioctl: { SLOW_IOC_WORK: () => 5 } });`,
    );
    const { stdout } = cli(
      ...['run', '--device', file, '--fault', 'SLOW_IOC_WORK:error=EBUSY:when=2'],
      ...['--', program('calls'), '/dev/slow', 'iii'],
    );
    expect(results(stdout)).toEqual(['i 5', 'i EBUSY', 'i 5']);
  });
});
