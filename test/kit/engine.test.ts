/** What the engine of a device promises: order, fences, memory as it is when a job runs. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  DMA_HEAP_IOCTL_ALLOC,
  dma_heap_allocation_data,
  ioctls,
  iow,
  MAP_SHARED,
  O_RDWR,
  PROT_READ,
  PROT_WRITE,
  requests,
  s32,
  struct,
  type View,
} from '../../ioctl/index.js';
import {
  type DeviceCall,
  type DmaFence,
  defineDevice,
  dmaFenceGetStatus,
  dmaFenceWait,
  Engine,
  errno,
  type Kernel,
} from '../../src/index.js';
import { testKernel } from '../run.js';

const SIZE = 4096;
const copy_job = struct('copy_job', { from: s32, to: s32 });
type copy_job = View<typeof copy_job>;
const copy_ioctls = ioctls({
  COPY_IOC_ADD_ONE: iow('\xb9', 1, copy_job),
  /** The same, but fails when the job is submitted already: EMFILE at once, or EIO later. */
  COPY_IOC_FAIL: iow('\xb9', 2, copy_job),
  COPY_IOC_FAIL_LATER: iow('\xb9', 3, copy_job),
});
const { COPY_IOC_ADD_ONE, COPY_IOC_FAIL, COPY_IOC_FAIL_LATER } = requests(copy_ioctls);

/** A device that copies the first byte of a buffer, one added; 100 fails with ENOSPC, and 200 is a mistake. */
function copier() {
  const fences: DmaFence[] = [];
  const log: string[] = [];
  function copy(engine: Engine, arg: copy_job, call: DeviceCall): void {
    const [from, to] = [call.getDmaBuf(arg.from), call.getDmaBuf(arg.to)];
    const fence: DmaFence = engine.submit({
      name: 'copy',
      reads: [from],
      writes: [to],
      call,
      async run(memory) {
        await new Promise(setImmediate);
        const [byte = 0] = memory.read(from, 0, 1);
        if (byte === 100) throw errno('ENOSPC');
        if (byte === 200) throw new Error('a mistake');
        memory.write(to, Uint8Array.of(byte + 1));
      },
      done: (status) => log.push(`${status}, signalled: ${dmaFenceGetStatus(fence) !== 0}`),
    });
    fences.push(fence.get());
  }
  const device = defineDevice({
    name: 'copier',
    ioctls: copy_ioctls,
    probe: (kernel) => new Engine(kernel, 'copier'),
    ioctl: {
      COPY_IOC_ADD_ONE: (file, arg, call) => copy(file.device, arg, call),
      COPY_IOC_FAIL(file, arg, call) {
        copy(file.device, arg, call);
        throw errno('EMFILE');
      },
      async COPY_IOC_FAIL_LATER(file, arg, call) {
        copy(file.device, arg, call);
        await new Promise(setImmediate);
        throw errno('EIO');
      },
    },
  });
  return { device, fences, log };
}

describe('an engine', () => {
  let kernel: Kernel;
  let made: ReturnType<typeof copier>;
  let heap: number;
  let device: number;

  beforeEach(() => {
    kernel = testKernel();
    made = copier();
    kernel.addDevice(made.device);
    heap = kernel.sys.open('/dev/dma_heap/system', O_RDWR);
    device = kernel.sys.open('/dev/copier', O_RDWR);
  });
  afterEach(() => {
    for (const fence of made.fences) fence.put();
    for (const fd of [heap, device]) kernel.sys.close(fd);
  });

  function buffer(): { fd: number; bytes: Uint8Array } {
    const { sys } = kernel;
    const data = dma_heap_allocation_data.create({ len: BigInt(SIZE), fd_flags: O_RDWR });
    sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data);
    onTestFinished(() => sys.close(data.fd));
    return {
      fd: data.fd,
      bytes: new Uint8Array(sys.mmap(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd)),
    };
  }

  const submit = (from: { fd: number }, to: { fd: number }) =>
    kernel.sys.ioctl(device, COPY_IOC_ADD_ONE, copy_job.create({ from: from.fd, to: to.fd }));

  test('a job sees what those before it wrote, though all were submitted at once', async () => {
    // The device reaches 32 bits: what lies above is bounced, and has to be so when the job runs.
    const buffers = Array.from({ length: 16 }, buffer);
    for (const [i, from] of buffers.slice(0, -1).entries()) {
      submit(from, buffers[i + 1] as { fd: number });
    }
    for (const fence of made.fences) await dmaFenceWait(fence);
    expect(buffers.map(({ bytes }) => bytes[0])).toEqual(buffers.map((_, i) => i));
  });

  test.each([
    [1, 1, '0'],
    [100, -28, '-28'],
    [200, -5, '-5'],
  ])(
    'a job with %d has status %d, of which `done` is told before its fence is signalled',
    async (byte, status, told) => {
      const [from, to] = [buffer(), buffer()];
      from.bytes[0] = byte;
      submit(from, to);
      const [fence] = made.fences as [DmaFence];
      await dmaFenceWait(fence);
      expect(dmaFenceGetStatus(fence)).toBe(status);
      expect(made.log).toEqual([`${told}, signalled: false`]);
      expect(kernel.log.records.filter(({ text }) => text.startsWith('BUG'))).toHaveLength(
        byte === 200 ? 1 : 0,
      );
    },
  );

  test('a job for a call that fails after all is not run: ECANCELED', async () => {
    const [from, to] = [buffer(), buffer()];
    const { ioctl, promises } = kernel.sys;
    const job = copy_job.create({ from: from.fd, to: to.fd });
    expect(() => ioctl.call(kernel.sys, device, COPY_IOC_FAIL, job)).toThrow(/EMFILE/);
    await expect(promises.ioctl(device, COPY_IOC_FAIL_LATER, job)).rejects.toThrow(/EIO/);
    for (const fence of made.fences) await dmaFenceWait(fence);
    expect(made.fences.map(dmaFenceGetStatus)).toEqual([-125, -125]);
    expect(to.bytes[0]).toBe(0);
    submit(from, to);
    await dmaFenceWait(made.fences[2] as DmaFence);
    expect(to.bytes[0]).toBe(1);
  });

  test('jobs that are left when the kernel is closed are dropped without a word', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const [from, to] = [buffer(), buffer()];
    submit(from, to);
    submit(to, from);
    await Promise.resolve();
    kernel.close();
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
    expect(made.log).toEqual([]);
    expect([from.bytes[0], to.bytes[0]]).toEqual([0, 0]);
  });
});
