import { beforeEach, describe, expect, test } from 'vitest';
import {
  DMA_HEAP_IOCTL_ALLOC,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDWR,
} from '../ioctl/index.js';
import {
  allocateScattered,
  type DmaBuf,
  dmaHeapAdd,
  errno,
  exportHeapBuffer,
  heapBufOps,
  KERN_ERR,
  KERN_INFO,
  Kernel,
  miscRegister,
} from '../src/index.js';
import { needsCompiler, program } from './programs.js';
import { expectNothingLeft, liveBuffers, run, testKernel } from './run.js';

function allocate(kernel: Kernel, length = 4096n, heap = 'system'): number {
  const fd = kernel.sys.open(`/dev/dma_heap/${heap}`, O_RDWR);
  const data = dma_heap_allocation_data.create({ len: length, fd_flags: O_RDWR | O_CLOEXEC });
  try {
    kernel.sys.ioctl(fd, DMA_HEAP_IOCTL_ALLOC, data);
  } finally {
    kernel.sys.close(fd);
  }
  return data.fd;
}

describe('options', () => {
  test('a version or a device that there is not is a RangeError that names those that there are', () => {
    expect(() => new Kernel({ version: '2.4' as '6.1' })).toThrow(
      /no kernel version 2\.4; there are 3\.3 to 6\.18/,
    );
    expect(() => new Kernel({ devices: ['dma_heap/cma'] })).toThrow(
      /no device dma_heap\/cma; there are dma_heap\/system, .*udmabuf, .*sw_sync$/,
    );
  });

  test('only the devices that are named are there', () => {
    const kernel = testKernel({ devices: ['udmabuf'] });
    kernel.sys.close(kernel.sys.open('/dev/udmabuf', O_RDWR));
    expect(() => allocate(kernel)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  test('memory.size is all that the heaps give; what is closed can be had again', () => {
    const kernel = testKernel({ memory: { size: 3 * 4096 } });
    const fds = [allocate(kernel), allocate(kernel), allocate(kernel)];
    expect(() => allocate(kernel)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    kernel.sys.close(fds.pop() as number);
    fds.push(allocate(kernel));
    for (const fd of fds) kernel.sys.close(fd);
    expect(kernel.memory.used).toBe(0);
  });
});

test('two kernels in one process do not see each other', () => {
  const [one, other] = [testKernel(), testKernel()];
  const fd = allocate(one);
  expect([liveBuffers(one), liveBuffers(other)]).toEqual([1, 0]);
  // To the other kernel it is a descriptor of the machine's, and no dma-buf.
  expect(() => other.sys.lseek(fd, 1, 1)).not.toThrow();
  expect(() => one.sys.lseek(fd, 1, 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  one.sys.close(fd);
});

test('the kernel log has levels and times, and dmesg shows it as dmesg(1) does', () => {
  const kernel = testKernel();
  const seen: string[] = [];
  kernel.log.console = ({ level, text }) => seen.push(`<${level}>${text}`);
  kernel.printk(KERN_INFO, 'scaler: probed');
  kernel.printk(KERN_ERR, 'scaler: no such clock');
  expect(seen).toEqual(['<6>scaler: probed', '<3>scaler: no such clock']);
  expect(kernel.dmesg()).toHaveLength(2);
  expect(kernel.dmesg()[1]).toMatch(/^\[ +\d+\.\d{6}\] scaler: no such clock$/);
});

describe('drivers of one’s own', () => {
  test('a heap is a few lines: programs allocate from it like from any other', () => {
    const kernel = testKernel();
    const released: DmaBuf[] = [];
    dmaHeapAdd(kernel, {
      name: 'small',
      ops: {
        allocate(_heap, size, flags) {
          if (size > 8192) throw errno('ENOMEM');
          return exportHeapBuffer(kernel, allocateScattered(kernel.memory, size), {
            exp_name: 'small',
            size,
            flags,
            ops: {
              ...heapBufOps,
              release(dmabuf) {
                released.push(dmabuf);
                heapBufOps.release(dmabuf);
              },
            },
          });
        },
      },
    });
    const fd = allocate(kernel, 5000n, 'small');
    expect(kernel.sys.fstat(fd).st_size).toBe(8192);
    expect(() => allocate(kernel, 9000n, 'small')).toThrow(
      expect.objectContaining({ code: 'ENOMEM' }),
    );
    kernel.sys.close(fd);
    expect(released).toHaveLength(1);
  });

  test('what a driver throws that is no errno is EIO for the program, and a BUG in the log', async () => {
    const kernel = testKernel();
    miscRegister(kernel, 'broken', {
      ioctl() {
        throw new TypeError('a driver’s mistake');
      },
    });
    const script =
      'import fcntl; f=open("/dev/broken")\ntry: fcntl.ioctl(f, 0x1234)\nexcept OSError as e: print(e.errno)';
    const { stdout } = await run(kernel, 'python3', ['-c', script]);
    expect(stdout).toBe('5\n');
    expect(kernel.dmesg().join('\n')).toMatch(/BUG: ioctl: TypeError: a driver’s mistake/);
  });
});

describe('programs', () => {
  beforeEach(needsCompiler);

  test('several under one kernel share its buffers’ memory and its log', async () => {
    const kernel = testKernel();
    const results = await Promise.all(
      [1, 2, 3].map(() => run(kernel, program('rounds'), ['heap', 'threads', '2', '10'])),
    );
    expect(results.map(({ status }) => status)).toEqual([0, 0, 0]);
    await expectNothingLeft(kernel);
  });
});
