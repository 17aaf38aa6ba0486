/** Every request of /dev/dma_importer with what is wrong. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import { Kernel } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { Importer } from '../../importer.js';
import { expectNothingLeft } from '../../run.js';

const PAGE = 4096;
const kernel = new Kernel({ devices: ['+dma_importer'] });
const { sys } = kernel;
const code = (name: string) => expect.objectContaining({ code: name });

let importer: Importer;
let handle = 0;
let address = 0n;
const fds = { buffer: -1, memfd: -1, closed: -1, fresh: -1 };

beforeAll(() => {
  const heap = sys.open('/dev/dma_heap/system', uapi.O_RDWR);
  const fd_flags = uapi.O_RDWR | uapi.O_CLOEXEC;
  const data = uapi.dma_heap_allocation_data.create({ len: BigInt(PAGE), fd_flags });
  sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  sys.close(heap);
  fds.buffer = data.fd;
  fds.memfd = native.memfdCreate('other', 1);
  fds.closed = native.fcntl(fds.memfd, 1030, 900);
  sys.close(fds.closed);
  fds.fresh = sys.open('/dev/dma_importer', uapi.O_RDWR);
  importer = new Importer(kernel, { flags: uapi.DMA_IMPORTER_IOMMU });
  handle = importer.attach(fds.buffer);
  importer.on(uapi.DMA_IMPORTER_IOCTL_VMAP, handle);
  address = BigInt(importer.map(handle)[0]?.address as number);
});

afterAll(async () => {
  for (const fd of [fds.buffer, fds.memfd, fds.fresh, importer.fd]) sys.close(fd);
  await expectNothingLeft(kernel);
  kernel.close();
});

const table: uapi.IoctlTable = uapi.dma_importer_ioctls;
/** What makes each request a good one, where zeros do not. */
const good: Partial<Record<string, () => object>> = {
  DMA_IMPORTER_IOCTL_ATTACH: () => ({ fd: fds.buffer }),
  DMA_IMPORTER_IOCTL_TRANSFER: () => ({
    op: uapi.DMA_IMPORTER_OP_FILL,
    destination: address,
    length: 1n,
  }),
};

function argument({ name, arg }: uapi.IoctlDef, change: object = {}): uapi.IoctlArg | null {
  if (!arg) return null;
  const view = (arg as uapi.StructType).create() as uapi.IoctlArg & Record<string, unknown>;
  if ('handle' in view && name !== 'DMA_IMPORTER_IOCTL_ATTACH') view.handle = handle;
  return Object.assign(view, good[name]?.(), change);
}

const def = (name: string) => table[name] as uapi.IoctlDef;
const names = Object.keys(table);
const withArgument = names.filter((name) => def(name).arg);
const having = (field: string) =>
  withArgument.filter((name) =>
    (def(name).arg as uapi.StructType).fields.some((each) => each.name === field),
  );

describe.each(names)('%s', (name) => {
  const { request } = def(name);

  test.each([
    ['on a closed descriptor', 'closed', 'EBADF'],
    ['on a dma-buf', 'buffer', 'ENOTTY'],
    ['on a memfd', 'memfd', 'ENOTTY'],
  ] as const)('%s', (_what, which, error) => {
    expect(() => sys.ioctl(fds[which], request, argument(def(name)))).toThrow(code(error));
  });

  test('before SETUP', () => {
    if (name === 'DMA_IMPORTER_IOCTL_SETUP') return;
    expect(() => sys.ioctl(fds.fresh, request, argument(def(name)))).toThrow(code('ENODEV'));
  });

  test.each([-8, -1, 1, 8])('of another size: %i', (more) => {
    const size = uapi._IOC_SIZE(request) + more;
    if (size < 0) return;
    const other = uapi._IOC(
      uapi._IOC_DIR(request),
      uapi._IOC_TYPE(request),
      uapi._IOC_NR(request),
      size,
    );
    const bytes = new Uint8Array(4096);
    expect(() => sys.ioctl(importer.fd, other, bytes)).toThrow(code('ENOTTY'));
  });
});

describe.each(withArgument)('%s', (name) => {
  test.each([null, 1, PAGE, -1])('pointer %s', (pointer) => {
    const call = () => sys.ioctl(importer.fd, def(name).request, pointer);
    expect(call).toThrow(code('EFAULT'));
  });
});

test.each(having('pad'))('%s: a pad that is not 0', (name) => {
  const field = (def(name).arg as uapi.StructType).fields.find(({ name }) => name === 'pad');
  const bytes = (argument(def(name)) as uapi.IoctlArg).bytes;
  for (let i = 0; i < (field?.type.size ?? 0); i++) {
    const changed = bytes.slice();
    changed[(field?.offset ?? 0) + i] = 1;
    const call = () => sys.ioctl(importer.fd, def(name).request, changed);
    expect(call).toThrow(code('EINVAL'));
  }
});

test.each(having('flags').filter((name) => !name.endsWith('INFO')))(
  '%s: flags that nobody knows',
  (name) => {
    for (const bit of [3, 15, 31]) {
      const changed = argument(def(name), { flags: (1 << bit) >>> 0 });
      const call = () => sys.ioctl(importer.fd, def(name).request, changed);
      expect(call).toThrow(code('EINVAL'));
    }
  },
);

test.each(having('handle').filter((name) => !name.endsWith('ATTACH')))(
  '%s: no such attachment',
  (name) => {
    for (const wrong of [0, handle + 1, 0xffffffff]) {
      const call = () =>
        sys.ioctl(importer.fd, def(name).request, argument(def(name), { handle: wrong }));
      expect(call).toThrow(code('ENOENT'));
    }
  },
);

const fails = (name: string, change: object, error: string) => () => {
  const call = () => sys.ioctl(importer.fd, def(name).request, argument(def(name), change));
  expect(call).toThrow(code(error));
};

describe('fields out of their ranges', () => {
  const setup = (init: Parameters<typeof uapi.dma_importer_setup.create>[0]) => () =>
    new Importer(kernel, init);
  test.each([
    ['a mask with a hole', { dma_mask: 0xf0ffn }],
    ['a mask below a page', { dma_mask: 0x7ffn }],
    ['a boundary that is none', { segment_boundary_mask: 0x1000n }],
    ['a segment below a page', { max_segment_size: 4095 }],
  ])('SETUP: %s', (_what, init) => {
    expect(setup(init)).toThrow(code('EINVAL'));
  });

  test('SETUP: twice', fails('DMA_IMPORTER_IOCTL_SETUP', {}, 'EBUSY'));
  test('ATTACH: no dma-buf', () => {
    fails('DMA_IMPORTER_IOCTL_ATTACH', { fd: fds.memfd }, 'EINVAL')();
    fails('DMA_IMPORTER_IOCTL_ATTACH', { fd: fds.closed }, 'EBADF')();
    fails('DMA_IMPORTER_IOCTL_ATTACH', { fd: -1 }, 'EBADF')();
  });
  test('MAP: no direction', fails('DMA_IMPORTER_IOCTL_MAP', { direction: 3 }, 'EINVAL'));
  test('MAP: mapped', fails('DMA_IMPORTER_IOCTL_MAP', {}, 'EBUSY'));
  test('PIN: not dynamic', fails('DMA_IMPORTER_IOCTL_PIN', {}, 'EINVAL'));
  test('UNPIN: not pinned', fails('DMA_IMPORTER_IOCTL_UNPIN', {}, 'EINVAL'));
  test.each([
    ['no operation', { op: 4 }, 'EINVAL'],
    ['a source for FILL', { source: 1n }, 'EINVAL'],
    ['data for FILL', { data: 1n }, 'EINVAL'],
    ['no byte', { value: 256 }, 'EINVAL'],
    ['too much', { length: 2n ** 40n }, 'EINVAL'],
    ['nothing', { length: 0n, destination: 1n }, ''],
    ['beyond all addresses', { destination: 2n ** 64n - 1n }, 'EIO'],
    ['beyond the segment', { length: 4097n }, 'EIO'],
  ])('TRANSFER: %s', (_what, change, error) => {
    if (error) fails('DMA_IMPORTER_IOCTL_TRANSFER', change, error)();
    else
      importer.ioctl(
        uapi.DMA_IMPORTER_IOCTL_TRANSFER,
        argument(def('DMA_IMPORTER_IOCTL_TRANSFER'), change),
      );
  });
  test('TRANSFER: data that is not there', () => {
    for (const op of [uapi.DMA_IMPORTER_OP_READ, uapi.DMA_IMPORTER_OP_WRITE]) {
      const place = op === uapi.DMA_IMPORTER_OP_READ ? { source: address } : {};
      const transfer = uapi.dma_importer_transfer.create({
        op,
        ...place,
        ...(op === uapi.DMA_IMPORTER_OP_WRITE && { destination: address }),
        data: 1n,
        length: 1n,
      });
      expect(() => importer.ioctl(uapi.DMA_IMPORTER_IOCTL_TRANSFER, transfer)).toThrow(
        code('EFAULT'),
      );
    }
  });
  test.each([
    ['too many', { entries: 65537 }],
    ['not aligned', { entries: 1, address: 4n }],
  ])('SET_RING: %s', (_what, change) => {
    fails('DMA_IMPORTER_IOCTL_SET_RING', change, 'EINVAL')();
  });
  test('KICK: no ring, and one that is not mapped', () => {
    fails('DMA_IMPORTER_IOCTL_KICK', {}, 'EINVAL')();
    const ring = uapi.dma_importer_ring.create({ entries: 4, address: address + 8192n });
    importer.ioctl(uapi.DMA_IMPORTER_IOCTL_SET_RING, ring);
    fails('DMA_IMPORTER_IOCTL_KICK', {}, 'EIO')();
    importer.ioctl(uapi.DMA_IMPORTER_IOCTL_SET_RING, uapi.dma_importer_ring.create());
  });
  test.each([
    ['beyond the end', { offset: 4095n, length: 2n }],
    ['wrapping around', { offset: 2n ** 64n - 1n, length: 2n }],
  ])('CPU_ACCESS: %s', (_what, change) => {
    fails('DMA_IMPORTER_IOCTL_CPU_ACCESS', change, 'EINVAL')();
  });
  test('CPU_ACCESS: data that is not there', () => {
    fails('DMA_IMPORTER_IOCTL_CPU_ACCESS', { data: 1n, length: 1n }, 'EFAULT')();
    fails('DMA_IMPORTER_IOCTL_CPU_ACCESS', { data: 1n, length: 1n, flags: 1 }, 'EFAULT')();
  });
  test('GET_SEGMENTS: no place for them', () => {
    fails('DMA_IMPORTER_IOCTL_GET_SEGMENTS', { segments: 1n, count: 9 }, 'EFAULT')();
  });
});
