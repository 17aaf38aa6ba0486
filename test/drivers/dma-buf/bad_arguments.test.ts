/** Every ioctl of every table here with what is wrong: what it answers is what is said of it, or an exception below. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import { Kernel } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { type Answers, refusals, tryBadly } from '../../bad_arguments.js';
import { expectNothingLeft } from '../../run.js';

const PAGE = 4096;
const MFD_ALLOW_SEALING = 0x2;
const F_ADD_SEALS = 1033;
const F_SEAL_SHRINK = 0x2;

const kernel = new Kernel({ devices: ['+sw_sync'] });
const { sys } = kernel;
const fds = { heap: -1, udmabuf: -1, buffer: -1, timeline: -1, fence: -1, memfd: -1 };

beforeAll(() => {
  fds.heap = sys.open('/dev/dma_heap/system', uapi.O_RDWR);
  fds.udmabuf = sys.open('/dev/udmabuf', uapi.O_RDWR);
  fds.timeline = sys.open('/sys/kernel/debug/sync/sw_sync', uapi.O_RDWR);
  fds.memfd = native.memfdCreate('badly', MFD_ALLOW_SEALING);
  native.ftruncate(fds.memfd, PAGE);
  native.fcntl(fds.memfd, F_ADD_SEALS, F_SEAL_SHRINK);
  const buffer = uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR });
  sys.ioctl(fds.heap, uapi.DMA_HEAP_IOCTL_ALLOC, buffer);
  fds.buffer = buffer.fd;
  const fence = uapi.sw_sync_create_fence_data.create({ value: 1 });
  sys.ioctl(fds.timeline, uapi.SW_SYNC_IOC_CREATE_FENCE, fence);
  fds.fence = fence.fence;
  sys.ioctl(
    fds.fence,
    uapi.SYNC_IOC_SET_DEADLINE,
    uapi.sync_set_deadline.create({ deadline_ns: 5n }),
  );
});

afterAll(async () => {
  for (const fd of Object.values(fds)) sys.close(fd);
  await expectNothingLeft(kernel);
  kernel.close();
});

interface Case {
  table: uapi.IoctlTable;
  on: keyof typeof fds;
  good: () => uapi.IoctlArg;
  /** What is answered otherwise than by most. */
  but?: Answers;
}

const window = () => ({ memfd: fds.memfd, size: BigInt(PAGE) });
const { dma_buf_ioctls, dma_heap_ioctls, sw_sync_ioctls, sync_file_ioctls, udmabuf_ioctls } = uapi;

const cases: Record<string, Case> = {
  DMA_HEAP_IOCTL_ALLOC: {
    table: dma_heap_ioctls,
    on: 'heap',
    good: () => uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR }),
    // The number alone counts.
    but: { shorter: 'ok', longer: 'ok' },
  },
  UDMABUF_CREATE: {
    table: udmabuf_ioctls,
    on: 'udmabuf',
    good: () => uapi.udmabuf_create.create(window()),
    but: { 'flags: unknown bit': 'ok' },
  },
  UDMABUF_CREATE_LIST: {
    table: udmabuf_ioctls,
    on: 'udmabuf',
    good: () => uapi.udmabuf_create_list.create({ count: 1, list: [window()] }),
    but: { 'flags: unknown bit': 'ok' },
  },
  DMA_BUF_IOCTL_SYNC: {
    table: dma_buf_ioctls,
    on: 'buffer',
    good: () => uapi.dma_buf_sync.create({ flags: 1n }),
  },
  DMA_BUF_SET_NAME_A: { table: dma_buf_ioctls, on: 'buffer', good: () => uapi.cstring.create('a') },
  DMA_BUF_SET_NAME_B: { table: dma_buf_ioctls, on: 'buffer', good: () => uapi.cstring.create('b') },
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE: {
    table: dma_buf_ioctls,
    on: 'buffer',
    good: () => uapi.dma_buf_export_sync_file.create({ flags: 1 }),
  },
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE: {
    table: dma_buf_ioctls,
    on: 'buffer',
    good: () => uapi.dma_buf_import_sync_file.create({ flags: 1, fd: fds.fence }),
  },
  SYNC_IOC_MERGE: {
    table: sync_file_ioctls,
    on: 'fence',
    good: () => uapi.sync_merge_data.create({ fd2: fds.fence }),
  },
  SYNC_IOC_FILE_INFO: {
    table: sync_file_ioctls,
    on: 'fence',
    good: () => uapi.sync_file_info.create(),
  },
  SYNC_IOC_SET_DEADLINE: {
    table: sync_file_ioctls,
    on: 'fence',
    good: () => uapi.sync_set_deadline.create({ deadline_ns: 9n }),
  },
  SW_SYNC_IOC_CREATE_FENCE: {
    table: sw_sync_ioctls,
    on: 'timeline',
    good: () => uapi.sw_sync_create_fence_data.create({ value: 9 }),
  },
  SW_SYNC_IOC_INC: { table: sw_sync_ioctls, on: 'timeline', good: () => uapi.u32.create(0) },
  SW_SYNC_GET_DEADLINE: {
    table: sw_sync_ioctls,
    on: 'timeline',
    good: () => uapi.sw_sync_get_deadline.create({ fence_fd: fds.fence }),
  },
};

test('no ioctl is left out', () => {
  const tables = [
    dma_heap_ioctls,
    udmabuf_ioctls,
    dma_buf_ioctls,
    sync_file_ioctls,
    sw_sync_ioctls,
  ];
  expect(Object.keys(cases)).toEqual(tables.flatMap((table) => Object.keys(table)));
});

test.each(Object.entries(cases))('%s', (name, { table, on, good, but }) => {
  const subject = { sys, fd: fds[on], def: table[name] as uapi.IoctlDef, good };
  expect(tryBadly(subject)).toEqual({ ...refusals(subject), ...but });
});
