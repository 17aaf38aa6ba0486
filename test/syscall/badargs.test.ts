/**
 * Every ioctl with what is wrong, through `kernel.sys`: what comes back is what the badargs probe got
 * from a real kernel, looked up in the recording by the probe's own name for the case.
 */

import { constants, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  _IOC,
  _IOC_DIR,
  _IOC_NR,
  _IOC_SIZE,
  _IOC_TYPE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_SYNC_RW,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_sync,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDWR,
  UDMABUF_CREATE,
  UDMABUF_CREATE_LIST,
  udmabuf_create,
  udmabuf_create_list,
} from '../../ioctl/index.js';
import { type Argument, Kernel, SystemError } from '../../src/index.js';
import { native } from '../../src/native.js';
import { withRoom } from '../bad_arguments.js';
import { expectNothingLeft } from '../run.js';

const PAGE = 4096;
const VERSION = '6.12';
const MFD_ALLOW_SEALING = 0x2;
const F_ADD_SEALS = 1033;
const F_SEAL_SHRINK = 0x2;
const F_DUPFD_CLOEXEC = 1030;

/** What came back in each case: "-1 EINVAL, new descriptors 0". */
const recorded = new Map<string, string[]>();
const recording = new URL(`../../fixtures/recordings/${VERSION}/badargs.txt`, import.meta.url);
for (const line of readFileSync(fileURLToPath(recording), 'latin1').split('\n')) {
  const [, label, result] = /^(.*?) -> (.*)$/.exec(line) ?? [];
  if (!label || !result) continue;
  recorded.set(label, [...(recorded.get(label) ?? []), result.replace('errno 77', 'EBADFD')]);
}

const kernel = new Kernel({ version: VERSION });
const { sys } = kernel;

/** What stands for each kind of descriptor. */
const fds = { heap: -1, udmabuf: -1, buffer: -1, memfd: -1, pipe: -1, closed: -1 };
beforeAll(() => {
  fds.heap = sys.open('/dev/dma_heap/system', O_RDWR);
  fds.udmabuf = sys.open('/dev/udmabuf', O_RDWR);
  fds.memfd = native.memfdCreate('badargs', MFD_ALLOW_SEALING);
  native.ftruncate(fds.memfd, 4 * PAGE);
  native.fcntl(fds.memfd, F_ADD_SEALS, F_SEAL_SHRINK);
  fds.pipe = sys.socketpair()[0];
  const data = good.ALLOC();
  sys.ioctl(fds.heap, DMA_HEAP_IOCTL_ALLOC, data);
  fds.buffer = data.fd;
  fds.closed = native.fcntl(fds.memfd, F_DUPFD_CLOEXEC, 900);
  sys.close(fds.closed);
});
afterAll(async () => {
  for (const fd of [fds.heap, fds.udmabuf, fds.memfd, fds.buffer]) sys.close(fd);
  await expectNothingLeft(kernel);
  kernel.close();
});

const name = () => Buffer.from('frame\0');
const good = {
  ALLOC: () => dma_heap_allocation_data.create({ len: BigInt(PAGE), fd_flags: O_RDWR | O_CLOEXEC }),
  SYNC: () => dma_buf_sync.create({ flags: BigInt(DMA_BUF_SYNC_RW) }),
  SET_NAME_A: name,
  SET_NAME_B: name,
  CREATE: () => udmabuf_create.create({ memfd: fds.memfd, size: BigInt(PAGE) }),
  CREATE_LIST: () => items([{}, { offset: BigInt(PAGE) }]),
};
type Name = keyof typeof good;
type Item = { memfd?: number; offset?: bigint; size?: bigint; __pad?: number };

function items(list: Item[], init: { count?: number; flags?: number } = {}) {
  return udmabuf_create_list.create({
    count: list.length,
    ...init,
    list: list.map((item) => ({ memfd: fds.memfd, size: BigInt(PAGE), ...item })),
  });
}

const requests: Record<Name, number> = {
  ALLOC: DMA_HEAP_IOCTL_ALLOC,
  SYNC: DMA_BUF_IOCTL_SYNC,
  SET_NAME_A: DMA_BUF_SET_NAME_A,
  SET_NAME_B: DMA_BUF_SET_NAME_B,
  CREATE: UDMABUF_CREATE,
  CREATE_LIST: UDMABUF_CREATE_LIST,
};
const home: Record<Name, keyof typeof fds> = {
  ALLOC: 'heap',
  SYNC: 'buffer',
  SET_NAME_A: 'buffer',
  SET_NAME_B: 'buffer',
  CREATE: 'udmabuf',
  CREATE_LIST: 'udmabuf',
};

/** The open descriptors, without that of the listing itself, and what the kernel has of the memfd. */
function descriptors(): number[] {
  const { st_ino } = sys.fstat(fds.memfd);
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => attempt(() => sys.fstat(fd)) !== '-1 EBADF' && sys.fstat(fd).st_ino !== st_ino);
}

/** What came back, in the probe's words; descriptors that were made are closed again. */
function outcome(fd: number, request: number, argument: Argument): string {
  const given = withRoom(argument);
  const before = new Set(descriptors());
  const result = attempt(() => sys.ioctl(fd, request, given));
  const made = descriptors().filter((n) => !before.has(n));
  for (const n of made) sys.close(n);
  return `${result}, new descriptors ${made.length}`;
}

function attempt(call: () => unknown): string {
  try {
    const result = call();
    return typeof result === 'number' && result > 2 ? 'ok' : String(result);
  } catch (error) {
    if (error instanceof SystemError) return `-1 ${error.code}`;
    throw error;
  }
}

/** A case as the probe names it, and the call. */
type Case = [label: string, call: (ioctl: Name) => string, which?: number];

const onIts =
  (argument: (ioctl: Name) => Argument): Case[1] =>
  (ioctl) =>
    outcome(fds[home[ioctl]], requests[ioctl], argument(ioctl));
const on =
  (kind: keyof typeof fds): Case[1] =>
  (ioctl) =>
    outcome(fds[kind], requests[ioctl], good[ioctl]());
const asked =
  (change: (request: number) => number): Case[1] =>
  (ioctl) =>
    outcome(fds[home[ioctl]], change(requests[ioctl]), good[ioctl]());
const withParts = (parts: { dir?: number; nr?: number; size?: number }) =>
  asked((request) =>
    _IOC(
      parts.dir ?? _IOC_DIR(request),
      _IOC_TYPE(request),
      parts.nr ?? _IOC_NR(request),
      parts.size ?? _IOC_SIZE(request),
    ),
  );

const SIZES = [0, 1, 4, 7, 8, 12, 16, 20, 23, 24, 25, 32, 40, 128, 129, 256, 4096, 16383];
const common: Case[] = [
  ['on a closed descriptor', on('closed')],
  ['on descriptor -1', (ioctl) => outcome(-1, requests[ioctl], good[ioctl]())],
  ['on a socket', on('pipe')],
  ['on a memfd', on('memfd')],
  ['on the heap node', on('heap')],
  ['on the udmabuf node', on('udmabuf')],
  ['on a dma-buf', on('buffer')],
  ['NULL', onIts(() => null)],
  ['pointer 1', onIts(() => 1)],
  ['pointer -1', onIts(() => -1)],
  ['unmapped', onIts(() => PAGE)],
  ...SIZES.map((size): Case => [`size ${size}`, withParts({ size }), 0]),
  ['direction none', withParts({ dir: 0 })],
  ['direction write', withParts({ dir: 1 })],
  ['direction read', withParts({ dir: 2 })],
  ['direction read and write', withParts({ dir: 3 })],
  ['number 0x7e', withParts({ nr: 0x7e })],
];

const alloc = (
  label: string,
  init: Parameters<typeof dma_heap_allocation_data.create>[0],
): Case => [
  label,
  onIts(() => dma_heap_allocation_data.create({ len: 4096n, fd_flags: O_RDWR, ...init })),
];
const sync = (label: string, flags: bigint): Case => [
  label,
  onIts(() => dma_buf_sync.create({ flags })),
];
const create = (label: string, init: () => Parameters<typeof udmabuf_create.create>[0]): Case => [
  label,
  onIts(() => udmabuf_create.create({ memfd: fds.memfd, size: 4096n, ...init() })),
  -1,
];
const list = (label: string, argument: () => ReturnType<typeof items>): Case => [
  label,
  onIts(argument),
  -1,
];

const own: Partial<Record<Name, Case[]>> = {
  ALLOC: [
    alloc('good', {}),
    alloc('fd 1 on the way in', { fd: 1 }),
    alloc('fd -1 on the way in', { fd: 0xffffffff }),
    alloc('len 0', { len: 0n }),
    alloc('fd_flags 0', { fd_flags: 0 }),
    alloc('fd_flags O_WRONLY', { fd_flags: constants.O_WRONLY }),
    alloc('fd_flags O_ACCMODE', { fd_flags: 3 }),
    alloc('fd_flags O_RDWR|O_APPEND', { fd_flags: O_RDWR | constants.O_APPEND }),
    alloc('fd_flags O_RDWR|O_CREAT', { fd_flags: O_RDWR | constants.O_CREAT }),
    alloc('fd_flags O_RDWR|bit 31', { fd_flags: 0x80000002 }),
    alloc('heap_flags 1', { heap_flags: 1n }),
    alloc('heap_flags bit 63', { heap_flags: 1n << 63n }),
    alloc('two wrongs: fd and len 0', { fd: 1, len: 0n }),
  ],
  SYNC: [0, 1, 2, 3, 4, 30, 31, 32, 33, 62, 63].flatMap((bit) => [
    sync(`flags bit ${bit}`, 1n << BigInt(bit)),
    sync(`flags RW and bit ${bit}`, BigInt(DMA_BUF_SYNC_RW) | (1n << BigInt(bit))),
  ]),
  CREATE: [
    create('good', () => ({})),
    create('flags 2', () => ({ flags: 2 })),
    create('flags ~0', () => ({ flags: 0xffffffff })),
    create('size 0', () => ({ size: 0n })),
    create('size 1', () => ({ size: 1n })),
    create('offset 1', () => ({ offset: 1n })),
    create('offset -4096', () => ({ offset: 2n ** 64n - 4096n })),
    create('size -4096', () => ({ size: 2n ** 64n - 4096n })),
    create('offset 1<<63', () => ({ offset: 1n << 63n })),
    create('size 1<<44', () => ({ size: 1n << 44n })),
    create('offset 1<<44', () => ({ offset: 1n << 44n })),
    create('memfd -1', () => ({ memfd: 0xffffffff })),
    create('memfd -1 and offset 1', () => ({ memfd: 0xffffffff, offset: 1n })),
    create('whole memfd', () => ({ size: BigInt(4 * PAGE) })),
    create('one page beyond', () => ({ size: BigInt(5 * PAGE) })),
  ],
  CREATE_LIST: [
    list('good', () => items([{}, {}])),
    list('count 0', () => items([{}], { count: 0 })),
    list('count 1', () => items([{}, {}], { count: 1 })),
    list('count 1025', () => items([{}], { count: 1025 })),
    list('count 0x80000000', () => items([{}], { count: 0x80000000 })),
    list('count 0xffffffff', () => items([{}], { count: 0xffffffff })),
    list('flags 8', () => items([{}], { flags: 8 })),
    list('__pad 7', () => items([{ __pad: 7 }, {}])),
    list('first item size 0', () => items([{ size: 0n }, {}])),
    list('second item size 0', () => items([{}, { size: 0n }])),
    list('both items size 0', () => items([{ size: 0n }, { size: 0n }])),
    list('second item offset 1', () => items([{}, { offset: 1n }])),
    list('second item memfd -1', () => items([{}, { memfd: 0xffffffff }])),
    list('second item a pipe', () => items([{}, { memfd: fds.pipe }])),
    list('second item beyond the end', () => items([{}, { offset: BigInt(4 * PAGE) }])),
    list('the same page twice', () => items([{}, {}])),
    list('overlapping items', () => items([{ size: 8192n }, { offset: 4096n, size: 8192n }])),
  ],
};

describe.each(Object.keys(good) as Name[])('%s', (ioctl) => {
  test.each([...common, ...(own[ioctl] ?? [])])('%s', (label, call, which = 0) => {
    const results = recorded.get(`${ioctl}: ${label}`);
    expect(results, 'the probe has this case').toBeDefined();
    expect(call(ioctl)).toBe(results?.at(which));
  });
});

describe('arguments that only JavaScript can give', () => {
  test.each(Object.keys(good) as Name[])('%s: a buffer that is too short is EFAULT', (ioctl) => {
    const { bytes = good[ioctl]() as Uint8Array } = good[ioctl]() as { bytes?: Uint8Array };
    const short = bytes.subarray(0, bytes.length - 1);
    expect(() => sys.ioctl(fds[home[ioctl]], requests[ioctl], short)).toThrow(
      expect.objectContaining({ code: 'EFAULT', errno: -14, syscall: 'ioctl' }),
    );
  });

  test('what is no argument is a TypeError', () => {
    const nothing = {} as unknown as Argument;
    expect(() => sys.ioctl(fds.heap, DMA_HEAP_IOCTL_ALLOC, nothing)).toThrow(TypeError);
  });
});
