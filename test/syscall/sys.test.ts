/** `kernel.sys`, the way in for the process that the kernel runs in: a buffer's life, told in calls. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME_B,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_sync,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  UDMABUF_CREATE,
  UDMABUF_CREATE_LIST,
  udmabuf_create,
  udmabuf_create_list,
} from '../../ioctl/index.js';
import {
  type Kernel,
  MAP_PRIVATE,
  MAP_SHARED,
  miscRegister,
  PROT_READ,
  PROT_WRITE,
  SEEK_END,
  SystemError,
  Wait,
  WaitQueue,
} from '../../src/index.js';
import { native } from '../../src/native.js';
import * as posix from '../../src/posix.js';
import { liveBuffers, testKernel, until } from '../run.js';

const RW = PROT_READ | PROT_WRITE;
const code = (name: string) => expect.objectContaining({ code: name });

function allocate(kernel: Kernel, length: number, fd_flags = O_RDWR | O_CLOEXEC): number {
  const heap = kernel.sys.open('/dev/dma_heap/system', O_RDONLY);
  const data = dma_heap_allocation_data.create({ len: BigInt(length), fd_flags });
  expect(kernel.sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data)).toBe(0);
  kernel.sys.close(heap);
  return data.fd;
}

/** A memfd of `size` bytes that udmabuf takes. */
function memfd(size: number): number {
  const fd = native.memfdCreate('test', 0x3);
  native.ftruncate(fd, size);
  native.fcntl(fd, 1033, 0x2);
  return fd;
}

describe('a buffer of the heap', () => {
  test('is allocated, mapped twice, bracketed, named, and gone with its last holder', () => {
    const kernel = testKernel();
    const { sys } = kernel;
    const fd = allocate(kernel, 5000);
    expect(sys.lseek(fd, 0, SEEK_END)).toBe(8192);

    const [one, two] = [
      sys.mmap(8192, RW, MAP_SHARED, fd),
      sys.mmap(4096, RW, MAP_SHARED, fd, 4096),
    ];
    new Uint8Array(one)[4096] = 7;
    expect(new Uint8Array(two)[0]).toBe(7);

    expect(sys.ioctl(fd, DMA_BUF_IOCTL_SYNC, dma_buf_sync.create({ flags: 3n }))).toBe(0);
    expect(sys.ioctl(fd, DMA_BUF_SET_NAME_B, Buffer.from('frame\0'))).toBe(0);
    expect(fs.readlinkSync(`/proc/self/fd/${fd}`)).toContain('dmabuf');

    sys.close(fd);
    expect(liveBuffers(kernel)).toBe(1);
    sys.munmap(one);
    expect(liveBuffers(kernel)).toBe(1);
    sys.munmap(two);
    expect(liveBuffers(kernel)).toBe(0);
  });

  test('takes its ioctl argument as a struct, a Buffer, a typed array, a number or null', () => {
    const { sys } = testKernel();
    const heap = sys.open('/dev/dma_heap/system', O_RDWR);
    const { bytes } = dma_heap_allocation_data.create({ len: 4096n, fd_flags: O_RDWR });
    const words = new Uint32Array(bytes.slice().buffer);
    const buffer = Buffer.from(bytes);
    for (const argument of [buffer, words]) {
      expect(sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, argument)).toBe(0);
    }
    expect([buffer.readUInt32LE(8), words[2]].every((fd) => (fd ?? 0) > 2)).toBe(true);
    for (const fd of [buffer.readUInt32LE(8), words[2] as number, heap]) sys.close(fd);
    expect(() => sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, null)).toThrow(code('EBADF'));
  });

  test('a pointer within a struct, or given as a number, is an address in this process', () => {
    const { sys } = testKernel();
    const fd = sys.open('/dev/dma_heap/system', O_RDWR);
    const data = dma_heap_allocation_data.create({ len: 4096n, fd_flags: O_RDWR });
    expect(sys.ioctl(fd, DMA_HEAP_IOCTL_ALLOC, native.addressOf(data.bytes))).toBe(0);
    expect(data.fd).toBeGreaterThan(2);
    expect(() => sys.ioctl(fd, DMA_HEAP_IOCTL_ALLOC, 0xdead0000)).toThrow(code('EFAULT'));
    sys.close(data.fd);
    sys.close(fd);
  });

  test('has a real descriptor: fs and child processes know it, and a close behind our back is noticed', async () => {
    const kernel = testKernel();
    const fd = allocate(kernel, 4096);
    expect(fs.fstatSync(fd).size).toBe(4096);
    new Uint8Array(kernel.sys.mmap(4096, RW, MAP_SHARED, fd)).set(Buffer.from('to the child'));
    const { stdout } = spawnSync('head', ['-c', '12'], { stdio: [fd, 'pipe', 'inherit'] });
    expect(stdout.toString()).toBe('to the child');
    fs.closeSync(fd);
    expect(liveBuffers(kernel)).toBe(1); // the mapping has it
    const other = allocate(kernel, 4096);
    fs.closeSync(other);
    await until('the close is noticed', () => liveBuffers(kernel) === 1);
  });

  test('munmap detaches: a stale view has nothing, and unmapping again fails', () => {
    const kernel = testKernel();
    const { sys } = kernel;
    const fd = allocate(kernel, 4096);
    const mapping = sys.mmap(4096, RW, MAP_SHARED, fd);
    const stale = new Uint8Array(mapping);
    sys.munmap(mapping);
    expect([stale.length, mapping.byteLength]).toEqual([0, 0]);
    expect(() => sys.munmap(mapping)).toThrow(code('EINVAL'));
    sys.close(fd);
  });

  test('failures are Errors with code, errno and syscall, as Node’s own', () => {
    const { sys } = testKernel();
    const attempt = () => sys.ioctl(-1, DMA_HEAP_IOCTL_ALLOC, null);
    expect(attempt).toThrow(SystemError);
    expect(attempt).toThrow(
      expect.objectContaining({ code: 'EBADF', errno: -9, syscall: 'ioctl' }),
    );
    expect(() => sys.open('/dev/dma_heap/none', O_RDWR)).toThrow(code('ENOENT'));
  });

  test('that is read-only cannot be mapped for writing', () => {
    const kernel = testKernel();
    const fd = allocate(kernel, 4096, O_RDONLY | O_CLOEXEC);
    expect(() => kernel.sys.mmap(4096, RW, MAP_SHARED, fd)).toThrow(code('EACCES'));
    kernel.sys.close(fd);
  });

  test('mappings beyond its end are EINVAL', () => {
    const kernel = testKernel();
    const fd = allocate(kernel, 8192);
    for (const [length, offset] of [
      [12288, 0],
      [4096, 8192],
      [8192, 4096],
      [4096, 100],
      [0, 0],
    ] as const) {
      expect(() => kernel.sys.mmap(length, PROT_READ, MAP_SHARED, fd, offset)).toThrow(
        code('EINVAL'),
      );
    }
    kernel.sys.close(fd);
  });
});

describe('a udmabuf', () => {
  test('is a window into a memfd, live in both directions', () => {
    const kernel = testKernel();
    const { sys } = kernel;
    const device = sys.open('/dev/udmabuf', O_RDWR);
    const memory = memfd(65536);
    const create = udmabuf_create.create({ memfd: memory, offset: 8192n, size: 16384n });
    const fd = sys.ioctl(device, UDMABUF_CREATE, create);
    const whole = new Uint8Array(posix.mmap(65536, RW, MAP_SHARED, memory));
    const mapping = sys.mmap(16384, RW, MAP_SHARED, fd);
    const window = new Uint8Array(mapping);
    whole[8192] = 1;
    window[16383] = 2;
    expect([window[0], whole[24575]]).toEqual([1, 2]);
    expect(() => sys.mmap(4096, RW, MAP_PRIVATE, fd)).toThrow(code('EINVAL'));

    // The mapping outlives all descriptors, and holds the buffer.
    for (const each of [fd, memory, device]) sys.close(each);
    expect(liveBuffers(kernel)).toBe(1);
    whole[8193] = 3;
    expect(window[1]).toBe(3);
    sys.munmap(mapping);
    expect(liveBuffers(kernel)).toBe(0);
  });

  test('of a list lies side by side what was scattered, from any offset', () => {
    const kernel = testKernel();
    const { sys } = kernel;
    const device = sys.open('/dev/udmabuf', O_RDWR);
    const [a, b] = [memfd(16384), memfd(16384)];
    const list = udmabuf_create_list.create({
      count: 3,
      list: [
        { memfd: a, offset: 12288n, size: 4096n },
        { memfd: b, offset: 0n, size: 8192n },
        { memfd: a, offset: 0n, size: 4096n },
      ],
    });
    const fd = sys.ioctl(device, UDMABUF_CREATE_LIST, list);
    const [first, second] = [a, b].map((m) => new Uint8Array(posix.mmap(16384, RW, MAP_SHARED, m)));
    if (!first || !second) throw new Error('unmapped');
    [first[12288], second[0], second[4096], first[0]] = [1, 2, 3, 4];
    const all = new Uint8Array(sys.mmap(16384, RW, MAP_SHARED, fd));
    expect([all[0], all[4096], all[8192], all[12288]]).toEqual([1, 2, 3, 4]);
    const part = new Uint8Array(sys.mmap(8192, RW, MAP_SHARED, fd, 8192));
    expect([part[0], part[4096]]).toEqual([3, 4]);
    part[4097] = 5;
    expect(first[1]).toBe(5);
    for (const each of [fd, a, b, device]) sys.close(each);
  });
});

describe('what can block', () => {
  function waitingDevice(kernel: Kernel) {
    const queue = new WaitQueue();
    let ready = 0;
    miscRegister(kernel, 'waits', {
      ioctl: () => (ready > 0 ? ready : new Wait([queue])),
    });
    return (value: number) => {
      ready = value;
      queue.wakeUp();
    };
  }

  test('is awaited in kernel.sys.promises, and a deadlock in kernel.sys', async () => {
    const kernel = testKernel();
    const wake = waitingDevice(kernel);
    const fd = kernel.sys.open('/dev/waits', O_RDWR);
    expect(() => kernel.sys.ioctl(fd, 1)).toThrow(code('EDEADLK'));
    expect(kernel.dmesg().join()).toContain('kernel.sys.promises.ioctl');
    const waiting = kernel.sys.promises.ioctl(fd, 1);
    setImmediate(() => wake(42));
    expect(await waiting).toBe(42);
    kernel.sys.close(fd);
  });

  test('parks a program, which is answered later or interrupted by a signal', async () => {
    const kernel = testKernel();
    const wake = waitingDevice(kernel);
    const start = (script: string) =>
      kernel.spawn('python3', ['-uc', `import fcntl,signal,os\n${script}`]);
    /** What it prints; `then` is called once, a while after it has printed its first line. */
    const output = async (child: ReturnType<typeof start>, then?: () => void) => {
      let text = '';
      for await (const chunk of child.stdout ?? []) {
        if (text === '' && then) setTimeout(then, 50);
        text += chunk;
      }
      return text;
    };
    const waiter = start('f=open("/dev/waits"); print("go"); print(fcntl.ioctl(f, 1))');
    expect(await output(waiter, () => wake(7))).toBe('go\n7\n');

    wake(0);
    const interrupted = start(
      'signal.signal(signal.SIGALRM, lambda *a: print("signal") or exit())\nf=open("/dev/waits"); print("go"); signal.setitimer(signal.ITIMER_REAL, 0.05); fcntl.ioctl(f, 1)',
    );
    expect(await output(interrupted)).toBe('go\nsignal\n');

    const killed = start('f=open("/dev/waits"); print("go"); fcntl.ioctl(f, 1)');
    await output(killed, () => killed.kill('SIGKILL'));
    await kernel.idle();
  });
});

test('descriptors travel over a socket, with posix alone on the other side', () => {
  const kernel = testKernel();
  const [here, there] = kernel.sys.socketpair();
  const fd = allocate(kernel, 4096);
  new Uint8Array(kernel.sys.mmap(4096, RW, MAP_SHARED, fd))[0] = 9;
  posix.sendmsg(here, Buffer.from('f'), [fd]);
  posix.close(fd);
  const { data, fds } = posix.recvmsg(there, 16);
  expect([data.length, fds.length]).toEqual([1, 1]);
  const got = fds[0] as number;
  expect(new Uint8Array(posix.mmap(4096, PROT_READ, MAP_SHARED, got))[0]).toBe(9);
  expect(kernel.sys.lseek(got, 0, SEEK_END)).toBe(4096);
  for (const each of [got, here, there]) posix.close(each);
});

test('posix.promises.poll does not hold up the event loop', async () => {
  const [here, there] = posix.socketpair();
  const fds = [{ fd: here, events: posix.POLLIN, revents: 0 }];
  const ready = posix.promises.poll(fds, 5000);
  setImmediate(() => posix.sendmsg(there, Buffer.from('x')));
  expect(await ready).toBe(1);
  expect(fds[0]?.revents).toBe(posix.POLLIN);
  for (const fd of [here, there]) posix.close(fd);
});
