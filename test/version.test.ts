/** Linux releases: what came later than the release that a kernel behaves as fails as it did before. */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_START,
  DMA_BUF_SYNC_WRITE,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_export_sync_file,
  dma_buf_import_sync_file,
  dma_buf_sync,
  O_RDONLY,
  O_RDWR,
  SW_SYNC_GET_DEADLINE,
  SYNC_IOC_FILE_INFO,
  SYNC_IOC_SET_DEADLINE,
  sw_sync_get_deadline,
  sync_file_info,
  sync_set_deadline,
  UDMABUF_CREATE,
  UDMABUF_CREATE_LIST,
  udmabuf_create,
  udmabuf_create_list,
} from '../ioctl/index.js';
import {
  Device,
  DMA_BIDIRECTIONAL,
  DMA_RESV_USAGE_WRITE,
  type DmaBufAttachment,
  DmaFence,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufGet,
  dmaBufList,
  dmaBufMapAttachmentUnlocked,
  dmaBufPut,
  dmaBufUnmapAttachmentUnlocked,
  dmaFenceContextAlloc,
  dmaFenceSignal,
  FEATURES,
  type Feature,
  type FeatureInfo,
  KERNEL_VERSIONS,
  Kernel,
  type KernelVersion,
  MAP_SHARED,
  miscRegister,
  POLLIN,
  PROT_READ,
  SEEK_END,
  SystemError,
} from '../src/index.js';
import { native } from '../src/native.js';
import { needs } from './programs.js';
import { run, testKernel } from './run.js';
import { allocateBuffer, Timeline } from './sw_sync.js';

const PAGE = 4096;
const previous = (version: KernelVersion) =>
  KERNEL_VERSIONS[KERNEL_VERSIONS.indexOf(version) - 1] as KernelVersion;

describe('releases', () => {
  test('are those from 3.3 to 6.18', () => {
    expect(KERNEL_VERSIONS).toHaveLength(17 + 21 + 20 + 19);
    expect(KERNEL_VERSIONS.slice(0, 2)).toEqual(['3.3', '3.4']);
    expect(KERNEL_VERSIONS.slice(-2)).toEqual(['6.17', '6.18']);
    expect(previous('4.0')).toBe('3.19');
    expect(previous('5.0')).toBe('4.20');
    expect(previous('6.0')).toBe('5.19');
  });

  test.each(['3.2', '3.20', '4.21', '6.19', '6.012', '7.0', ''])('“%s” is none', (version) => {
    expect(() => new Kernel({ version: version as KernelVersion })).toThrow(
      `no kernel version ${version}; there are 3.3 to 6.18`,
    );
  });

  test('a kernel behaves as 6.12 unless it is told otherwise', () => {
    expect(testKernel().version).toBe('6.12');
  });
});

describe('features', () => {
  const features = Object.entries(FEATURES) as [Feature, FeatureInfo][];

  test.each(features)('%s is there from its release on', (name, { since, until, source }) => {
    const has = (version: KernelVersion) => {
      using kernel = new Kernel({ version });
      return kernel.has(name);
    };
    expect(has(since)).toBe(true);
    if (since !== '3.3') expect(has(previous(since))).toBe(false);
    expect(has('6.18')).toBe(until === undefined);
    if (until) expect([has(previous(until)), has(until)]).toEqual([true, false]);
    // A commit with its subject, or the subject and where to find it.
    expect(source).toMatch(/^[0-9a-f]{12} \("[^"]+"\)|^"[^"]+",? ./);
  });
});

/** "ok", or the name of the error. */
function attempt(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
}

const SYNC_WRITE = dma_buf_sync.create({
  flags: BigInt(DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE),
});
const SYNC_END = dma_buf_sync.create({ flags: BigInt(DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE) });
const NAME = Buffer.from('frame\0');

/** Puts a fence on the newest buffer. */
function addFence(kernel: Kernel): DmaFence {
  const [dmabuf] = [...dmaBufList(kernel)].reverse();
  if (!dmabuf) throw new Error('no buffer');
  const fence = new DmaFence(kernel, {
    ops: { getDriverName: () => 'test', getTimelineName: () => 'test' },
    context: dmaFenceContextAlloc(kernel),
    seqno: 1,
  });
  dmabuf.resv.lock();
  dmabuf.resv.reserveFences(1);
  dmabuf.resv.addFence(fence, DMA_RESV_USAGE_WRITE);
  dmabuf.resv.unlock();
  return fence;
}

describe('a buffer', () => {
  test.each<
    [
      what: string,
      since: KernelVersion,
      wanted: string,
      call: (kernel: Kernel, buffer: number) => unknown,
    ]
  >([
    ['mmap', '3.5', 'ENODEV', ({ sys }, fd) => sys.mmap(PAGE, PROT_READ, MAP_SHARED, fd)],
    ['lseek', '3.12', 'ESPIPE', ({ sys }, fd) => sys.lseek(fd, 0, SEEK_END)],
    [
      'DMA_BUF_IOCTL_SYNC',
      '4.6',
      'ENOTTY',
      ({ sys }, fd) => sys.ioctl(fd, DMA_BUF_IOCTL_SYNC, SYNC_WRITE),
    ],
    [
      'DMA_BUF_SET_NAME_B, the number of DMA_BUF_SET_NAME',
      '5.3',
      'ENOTTY',
      ({ sys }, fd) => sys.ioctl(fd, DMA_BUF_SET_NAME_B, NAME),
    ],
    [
      'DMA_BUF_SET_NAME_A',
      '5.7',
      'ENOTTY',
      ({ sys }, fd) => sys.ioctl(fd, DMA_BUF_SET_NAME_A, NAME),
    ],
    [
      'DMA_BUF_IOCTL_EXPORT_SYNC_FILE',
      '6.0',
      'ENOTTY',
      ({ sys }, fd) => {
        const data = dma_buf_export_sync_file.create({ flags: DMA_BUF_SYNC_WRITE });
        sys.ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, data);
        sys.close(data.fd);
      },
    ],
    [
      'DMA_BUF_IOCTL_IMPORT_SYNC_FILE',
      '6.0',
      'ENOTTY',
      (kernel, fd) => {
        const timeline = new Timeline(kernel);
        const fence = timeline.fence(0);
        const data = dma_buf_import_sync_file.create({ flags: DMA_BUF_SYNC_WRITE, fd: fence });
        try {
          kernel.sys.ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, data);
        } finally {
          kernel.sys.close(fence);
          timeline.close();
        }
      },
    ],
  ])('%s came with %s, before it is %s', (_what, since, wanted, call) => {
    const outcome = (version: KernelVersion) => {
      const kernel = testKernel({ version, devices: ['dma_heap/system', 'sw_sync'] });
      const buffer = allocateBuffer(kernel);
      const result = attempt(() => call(kernel, buffer));
      kernel.sys.close(buffer);
      return result;
    };
    expect([outcome(previous(since)), outcome(since)]).toEqual([wanted, 'ok']);
  });

  test('has its size in stat from 5.3 on', () => {
    const size = (version: KernelVersion) => {
      const kernel = testKernel({ version, devices: ['dma_heap/system'] });
      const buffer = allocateBuffer(kernel);
      const { st_size } = kernel.sys.fstat(buffer);
      kernel.sys.close(buffer);
      return st_size;
    };
    expect([size('5.2'), size('5.3')]).toEqual([0, PAGE]);
  });

  /** What `use` makes of an attachment of a buffer, as a driver has it. */
  function attached<T>(kernel: Kernel, fd: number, use: (attachment: DmaBufAttachment) => T): T {
    const results: T[] = [];
    miscRegister(kernel, 'scaler', {
      ioctl(_file, _request, arg, task) {
        const dmabuf = dmaBufGet(task, arg);
        const device = new Device(kernel, { name: 'scaler' });
        const attachment = dmaBufAttach(dmabuf, device);
        results.push(use(attachment));
        dmaBufDetach(dmabuf, attachment);
        device.close();
        dmaBufPut(dmabuf);
        return 0;
      },
    });
    const node = kernel.sys.open('/dev/scaler', O_RDWR);
    kernel.sys.ioctl(node, 0, fd);
    kernel.sys.close(node);
    return results[0] as T;
  }

  test('is named while devices are attached from 5.17 on', () => {
    const outcomes = (version: KernelVersion) => {
      const kernel = testKernel({ version });
      const buffer = allocateBuffer(kernel);
      const name = () => attempt(() => kernel.sys.ioctl(buffer, DMA_BUF_SET_NAME_B, NAME));
      const results = [attached(kernel, buffer, name), name()];
      kernel.sys.close(buffer);
      return results;
    };
    expect(outcomes('5.16')).toEqual(['EBUSY', 'ok']);
    expect(outcomes('5.17')).toEqual(['ok', 'ok']);
  });

  test('of the system heap is in blocks of several pages from 5.11 on', () => {
    const entries = (version: KernelVersion) => {
      const kernel = testKernel({ version });
      const buffer = allocateBuffer(kernel, 17 * PAGE);
      const count = attached(kernel, buffer, (attachment) => {
        const table = dmaBufMapAttachmentUnlocked(attachment, DMA_BIDIRECTIONAL);
        dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_BIDIRECTIONAL);
        return table.orig_nents;
      });
      kernel.sys.close(buffer);
      return count;
    };
    expect([entries('5.10'), entries('5.11')]).toEqual([17, 2]);
  });

  test('waits for its fences in poll from 3.17 on, in SYNC from 4.9 on', () => {
    const outcomes = (version: KernelVersion) => {
      const kernel = testKernel({ version, devices: ['dma_heap/system'] });
      const buffer = allocateBuffer(kernel);
      const fence = addFence(kernel);
      const ready = kernel.sys.poll([{ fd: buffer, events: POLLIN }], 0);
      // An ioctl that has to wait cannot, where it would keep the only thread.
      const sync = attempt(() => kernel.sys.ioctl(buffer, DMA_BUF_IOCTL_SYNC, SYNC_WRITE));
      dmaFenceSignal(fence);
      fence.put();
      kernel.sys.close(buffer);
      return [ready, sync];
    };
    expect(outcomes('3.16')).toEqual([1, 'ENOTTY']);
    expect(outcomes('3.17')).toEqual([0, 'ENOTTY']);
    expect(outcomes('4.8')).toEqual([0, 'ok']);
    expect(outcomes('4.9')).toEqual([0, 'EDEADLK']);
  });
});

describe('fences as files', () => {
  test('have their requests from 4.7 on, deadlines from 6.6 on', () => {
    const outcomes = (version: KernelVersion) => {
      const kernel = testKernel({ version, devices: ['sw_sync'] });
      const { sys } = kernel;
      const timeline = new Timeline(kernel);
      const fence = timeline.fence(1);
      const get = sw_sync_get_deadline.create({ fence_fd: fence });
      const results = [
        attempt(() => sys.ioctl(fence, SYNC_IOC_FILE_INFO, sync_file_info.create())),
        attempt(() => sys.ioctl(fence, SYNC_IOC_SET_DEADLINE, sync_set_deadline.create())),
        attempt(() => sys.ioctl(timeline.fd, SW_SYNC_GET_DEADLINE, get)),
      ];
      sys.close(fence);
      timeline.close();
      return results;
    };
    expect(outcomes('4.6')).toEqual(['ENOTTY', 'ENOTTY', 'ENOTTY']);
    expect(outcomes('4.7')).toEqual(['ok', 'ENOTTY', 'ENOTTY']);
    expect(outcomes('6.5')).toEqual(['ok', 'ENOTTY', 'ENOTTY']);
    expect(outcomes('6.6')).toEqual(['ok', 'ok', 'ok']);
  });
});

describe('udmabuf', () => {
  const MFD_ALLOW_SEALING = 0x2;
  const F_ADD_SEALS = 1033;
  const F_SEAL_SHRINK = 0x2;

  /** What `call` comes to with /dev/udmabuf and a memfd of two pages. */
  function outcome(
    version: KernelVersion,
    call: (kernel: Kernel, node: number, memfd: number) => void,
  ) {
    const kernel = testKernel({ version, devices: ['udmabuf'] });
    const node = kernel.sys.open('/dev/udmabuf', O_RDWR);
    const memfd = native.memfdCreate('version', MFD_ALLOW_SEALING);
    native.ftruncate(memfd, 2 * PAGE);
    native.fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK);
    const result = attempt(() => call(kernel, node, memfd));
    kernel.sys.close(memfd);
    kernel.sys.close(node);
    return result;
  }

  test('END before START is EINVAL from 5.6 on', () => {
    const end = ({ sys }: Kernel, node: number, memfd: number) => {
      const buffer = sys.ioctl(node, UDMABUF_CREATE, udmabuf_create.create({ memfd, size: 4096n }));
      try {
        sys.ioctl(buffer, DMA_BUF_IOCTL_SYNC, SYNC_END);
      } finally {
        sys.close(buffer);
      }
    };
    expect([outcome('5.5', end), outcome('5.6', end)]).toEqual(['ok', 'EINVAL']);
  });

  test('an item of no size is EINVAL from 6.11 on', () => {
    const list = ({ sys }: Kernel, node: number, memfd: number) => {
      const items = [
        { memfd, offset: 0n, size: 4096n },
        { memfd, offset: 0n, size: 0n },
      ];
      const argument = udmabuf_create_list.create({ count: 2, list: items });
      sys.close(sys.ioctl(node, UDMABUF_CREATE_LIST, argument));
    };
    expect([outcome('6.10', list), outcome('6.11', list)]).toEqual(['ok', 'EINVAL']);
  });
});

describe('what there is', () => {
  const open = ({ sys }: Kernel, path: string) =>
    attempt(() => sys.close(sys.open(path, O_RDONLY)));

  test.each<[path: string, since: KernelVersion]>([
    ['/dev/dma_heap/system', '5.6'],
    ['/dev/udmabuf', '4.20'],
    ['/sys/class/misc/udmabuf/dev', '4.20'],
    ['/sys/module/udmabuf/parameters/list_limit', '5.15'],
    ['/sys/kernel/debug/dma_buf/bufinfo', '3.10'],
    ['/sys/kernel/debug/sync/sw_sync', '4.9'],
    ['/sys/kernel/debug/sync/info', '4.9'],
  ])('%s came with %s', (path, since) => {
    const found = (version: KernelVersion) => open(testKernel({ version }), path);
    expect([found(previous(since)), found(since)]).toEqual(['ENOENT', 'ok']);
  });

  test('/sys/kernel/dmabuf/buffers came with 5.15', () => {
    const found = (version: KernelVersion) => {
      const kernel = testKernel({ version });
      const buffer = allocateBuffer(kernel);
      const { st_ino } = kernel.sys.fstat(buffer);
      const result = open(kernel, `/sys/kernel/dmabuf/buffers/${st_ino}/size`);
      kernel.sys.close(buffer);
      return result;
    };
    expect([found('5.14'), found('5.15')]).toEqual(['ENOENT', 'ok']);
  });

  test('a node that is named is there before its time; others are not', () => {
    const kernel = testKernel({ version: '3.3', devices: ['dma_heap/system', 'sw_sync'] });
    expect(open(kernel, '/dev/dma_heap/system')).toBe('ok');
    expect(open(kernel, '/sys/kernel/debug/sync/sw_sync')).toBe('ok');
    expect(open(kernel, '/dev/udmabuf')).toBe('ENOENT');
  });
});

describe('programs', () => {
  beforeEach(needs(['python3', 'python3']));

  /** Prints what becomes of a buffer: a line each. */
  const SURVEY = `
import fcntl, mmap, os, select, struct, sys
alloc, sync = int(sys.argv[1]), int(sys.argv[2])
def attempt(what, call):
    try: print(what, call())
    except OSError as e: print(what, os.strerror(e.errno))
heap = os.open('/dev/dma_heap/system', os.O_RDWR)
data = bytearray(struct.pack('=QIIQ', 4096, 0, os.O_RDWR | os.O_CLOEXEC, 0))
fcntl.ioctl(heap, alloc, data)
fd = struct.unpack('=QIIQ', data)[1]
attempt('mmap:', lambda: len(mmap.mmap(fd, 4096)))
attempt('lseek:', lambda: os.lseek(fd, 0, os.SEEK_END))
attempt('SYNC:', lambda: len(fcntl.ioctl(fd, sync, struct.pack('=Q', 1))))
attempt('size:', lambda: os.fstat(fd).st_size)
attempt('link:', lambda: os.readlink('/proc/self/fd/%d' % fd))
poll = select.poll()
poll.register(fd, select.POLLIN | select.POLLOUT)
attempt('poll:', lambda: poll.poll(0)[0][1])
epoll = select.epoll()
attempt('epoll:', lambda: epoll.register(fd, select.EPOLLIN))
lines = open('/proc/self/fdinfo/%d' % fd).read().splitlines()
print('fdinfo:', *[line.split(':')[0] for line in lines if line.split(':')[0] in ('ino', 'size', 'count', 'exp_name')])
`;

  async function survey(version: KernelVersion): Promise<string[]> {
    const numbers = [DMA_HEAP_IOCTL_ALLOC, DMA_BUF_IOCTL_SYNC].map(String);
    const options = { version, devices: ['dma_heap/system'] };
    const { stdout, stderr } = await run(options, 'python3', ['-c', SURVEY, ...numbers]);
    expect(stderr).toBe('');
    return stdout.trimEnd().split('\n');
  }

  test('have buffers that behave as those of 3.3', async () => {
    expect(await survey('3.3')).toEqual([
      'mmap: No such device',
      'lseek: Illegal seek',
      'SYNC: Inappropriate ioctl for device',
      'size: 0',
      'link: anon_inode:dmabuf',
      'poll: 5',
      'epoll: Operation not permitted',
      'fdinfo:',
    ]);
  });

  test('… as those of 4.9', async () => {
    expect(await survey('4.9')).toEqual([
      'mmap: 4096',
      'lseek: 4096',
      'SYNC: 8',
      'size: 0',
      'link: anon_inode:dmabuf',
      'poll: 5',
      'epoll: None',
      'fdinfo:',
    ]);
  });

  test('… as those of 6.18', async () => {
    expect(await survey('6.18')).toEqual([
      'mmap: 4096',
      'lseek: 4096',
      'SYNC: 8',
      'size: 4096',
      'link: /dmabuf:',
      'poll: 5',
      'epoll: None',
      'fdinfo: ino size count exp_name',
    ]);
  });

  test('see no node that came later', async () => {
    const script = 'ls -d /dev/dma_heap /dev/udmabuf /sys/kernel/debug/sync 2>/dev/null';
    const list = async (version: KernelVersion) =>
      (await run({ version }, 'sh', ['-c', script])).stdout.split('\n').slice(0, -1);
    expect(await list('5.6')).toEqual(['/dev/dma_heap', '/dev/udmabuf', '/sys/kernel/debug/sync']);
    expect(await list('5.5')).toEqual(['/dev/udmabuf', '/sys/kernel/debug/sync']);
    expect(await list('4.8')).toEqual([]);
  });
});
