/** /dev/dma_importer: what devices make of buffers, as programs see it. */
import { describe, expect, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import {
  dmaBufList,
  type Kernel,
  type KernelOptions,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { Importer } from '../../importer.js';
import { expectNothingLeft, testKernel } from '../../run.js';

const PAGE = 4096;
const MiB = 2 ** 20;
const RW = PROT_READ | PROT_WRITE;
const code = (name: string) => expect.objectContaining({ code: name });
const devices = ['+dma_importer', '+dma_heap/reserved', '+dma_heap/movable'];
const kernelWith = (memory: KernelOptions['memory'] = {}) => testKernel({ devices, memory });

function allocate(kernel: Kernel, length: number, heap = 'system'): number {
  const node = kernel.sys.open(`/dev/dma_heap/${heap}`, uapi.O_RDWR);
  const fd_flags = uapi.O_RDWR | uapi.O_CLOEXEC;
  const data = uapi.dma_heap_allocation_data.create({ len: BigInt(length), fd_flags });
  try {
    kernel.sys.ioctl(node, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  } finally {
    kernel.sys.close(node);
  }
  return data.fd;
}

const map = (kernel: Kernel, fd: number, length: number) =>
  Buffer.from(kernel.sys.mmap(length, RW, MAP_SHARED, fd));
const sum = (segments: { length: number }[]) => segments.reduce((n, { length }) => n + length, 0);

test('from attachment to transfer and back: the device and the program share the bytes', async () => {
  const kernel = kernelWith();
  const fd = allocate(kernel, 2 * PAGE);
  const bytes = map(kernel, fd, 2 * PAGE);
  const device = new Importer(kernel, { name: 'blitter', dma_mask: 2n ** 48n - 1n });
  const handle = device.attach(fd);
  const [segment] = device.map(handle);
  const address = segment?.address as number;

  bytes.write('from the program');
  expect(Buffer.from(device.read(address, 16)).toString()).toBe('from the program');
  device.write(address + PAGE, 'from the device');
  expect(bytes.toString('latin1', PAGE, PAGE + 15)).toBe('from the device');
  device.fill(address, 4, 0x2e);
  expect(bytes.toString('latin1', 0, 16)).toBe('.... the program');
  device.copy(address, address + PAGE, 15);
  expect(bytes.toString('latin1', 0, 15)).toBe('from the device');

  device.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, handle);
  device.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle);
  kernel.sys.munmap(bytes.buffer as ArrayBuffer);
  kernel.sys.close(fd);
  device.close();
  await expectNothingLeft(kernel);
  expect(kernel.dmesg()).toEqual([]);
});

test('memory that the device cannot reach is bounced: what is written after MAP takes a SYNC', () => {
  // More than is below 4 GiB: what is above is given first.
  const kernel = kernelWith({ size: 8192 * MiB });
  const fd = allocate(kernel, PAGE);
  const bytes = map(kernel, fd, PAGE);
  const device = new Importer(kernel, { dma_mask: 2n ** 32n - 1n });
  const handle = device.attach(fd);
  bytes.write('one');
  const address = device.map(handle)[0]?.address as number;
  expect(address).toBeLessThan(2 ** 32);
  bytes.write('two');
  expect(Buffer.from(device.read(address, 3)).toString()).toBe('one');
  const sync = (flags: number) =>
    kernel.sys.ioctl(
      fd,
      uapi.DMA_BUF_IOCTL_SYNC,
      uapi.dma_buf_sync.create({ flags: BigInt(flags) }),
    );
  sync(uapi.DMA_BUF_SYNC_END | uapi.DMA_BUF_SYNC_WRITE);
  expect(Buffer.from(device.read(address, 3)).toString()).toBe('two');
  device.write(address, 'six');
  expect(bytes.toString('latin1', 0, 3)).toBe('two');
  sync(uapi.DMA_BUF_SYNC_START | uapi.DMA_BUF_SYNC_READ);
  expect(bytes.toString('latin1', 0, 3)).toBe('six');
});

describe('scatterlists', () => {
  test('a heap gives its blocks, an IOMMU makes one segment of them, a limit cuts it', () => {
    const kernel = kernelWith({ fragmentation: 1, seed: 7 });
    const fd = allocate(kernel, 64 * PAGE);
    const pages = Array.from({ length: 64 }, () => PAGE);
    const plain = new Importer(kernel, { dma_mask: 2n ** 48n - 1n });
    const scattered = plain.map(plain.attach(fd));
    expect(scattered.map(({ length }) => length)).toEqual(pages);

    const behind = new Importer(kernel, {
      flags: uapi.DMA_IMPORTER_IOMMU,
      max_segment_size: 2 ** 20,
    });
    const handle = behind.attach(fd);
    expect(behind.map(handle).map(({ length }) => length)).toEqual([64 * PAGE]);
    expect(behind.segments(handle, uapi.DMA_IMPORTER_PAGES)).toEqual(
      plain.segments(1, uapi.DMA_IMPORTER_PAGES),
    );

    const limited = new Importer(kernel, { flags: uapi.DMA_IMPORTER_IOMMU });
    const cut = limited.map(limited.attach(fd));
    expect(cut.map(({ length }) => length)).toEqual([16, 16, 16, 16].map((n) => n * PAGE));
  });

  test('the reserved heap is contiguous; there is as much as its area has', () => {
    const kernel = kernelWith({ cma: 8 * MiB, fragmentation: 1 });
    const fd = allocate(kernel, 3 * MiB, 'reserved');
    const device = new Importer(kernel, { max_segments: 1 });
    expect(sum(device.map(device.attach(fd)))).toBe(3 * MiB);
    expect(() => allocate(kernel, 6 * MiB, 'reserved')).toThrow(code('ENOMEM'));
    kernel.sys.close(fd);
    device.close();
    kernel.sys.close(allocate(kernel, 6 * MiB, 'reserved'));
  });

  test('a udmabuf’s neighbours are one segment, whatever program memory they are of', () => {
    const kernel = kernelWith();
    const memfd = native.memfdCreate('test', 3);
    native.ftruncate(memfd, 8 * PAGE);
    native.fcntl(memfd, 1033, 2);
    const node = kernel.sys.open('/dev/udmabuf', uapi.O_RDWR);
    const items = [0, 1, 2, 3, 6, 2].map((page) => ({
      memfd,
      offset: BigInt(page * PAGE),
      size: BigInt(PAGE),
    }));
    const list = uapi.udmabuf_create_list.create({ count: items.length, list: items });
    const fd = kernel.sys.ioctl(node, uapi.UDMABUF_CREATE_LIST, list);
    const device = new Importer(kernel, { dma_mask: 2n ** 48n - 1n });
    const segments = device.map(device.attach(fd));
    expect(sum(segments)).toBe(6 * PAGE);
    const [first] = segments;
    device.write((first?.address as number) + 2 * PAGE, 'page two');
    const whole = Buffer.from(native.mmap(8 * PAGE, RW, MAP_SHARED, memfd, 0) as ArrayBuffer);
    expect(whole.toString('latin1', 2 * PAGE, 2 * PAGE + 8)).toBe('page two');
    // The sixth item is the third page once more.
    const last = segments.at(-1);
    const end = (last?.address as number) + (last?.length as number);
    expect(Buffer.from(device.read(end - PAGE, 8)).toString()).toBe('page two');
    device.close();
    for (const each of [fd, node, memfd]) kernel.sys.close(each);
    kernel.settle();
    expect(kernel.memory.used).toBe(0);
  });
});

describe('faults', () => {
  test('outside, after unmap, and against the direction: EIO, nothing changed, one line each', () => {
    const kernel = kernelWith();
    const fd = allocate(kernel, PAGE);
    const bytes = map(kernel, fd, PAGE);
    bytes.fill('.');
    const device = new Importer(kernel, { name: 'gpu', flags: uapi.DMA_IMPORTER_IOMMU });
    const handle = device.attach(fd);
    const address = device.map(handle, uapi.DMA_IMPORTER_TO_DEVICE)[0]?.address as number;
    expect(() => device.fill(address, 1, 0)).toThrow(code('EIO'));
    expect(() => device.read(address + PAGE - 1, 2)).toThrow(code('EIO'));
    device.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, handle);
    expect(() => device.read(address, 1)).toThrow(code('EIO'));
    expect(device.fault()).toMatchObject({ count: 3, address: BigInt(address), write: 0 });
    expect(bytes.every((byte) => byte === 0x2e)).toBe(true);
    const log = kernel.dmesg();
    expect(log).toHaveLength(3);
    for (const line of log) expect(line).toMatch(/gpu/);
    expect(log[2]).toMatch(/dmabuf \d+ \(system\)/);
    device.ioctl(uapi.DMA_IMPORTER_IOCTL_RESET, null);
    expect(device.fault().count).toBe(0);
  });
});

describe('the ring', () => {
  const { size } = uapi.dma_importer_descriptor;

  function ring(kernel: Kernel, entries: number) {
    const device = new Importer(kernel, { flags: uapi.DMA_IMPORTER_IOMMU, max_segment_size: MiB });
    const fds = [allocate(kernel, PAGE), allocate(kernel, 16 * PAGE)];
    const [descriptors, data] = fds.map((fd, i) => map(kernel, fd, i === 0 ? PAGE : 16 * PAGE));
    const [at, from] = fds.map((fd) => device.map(device.attach(fd))[0]?.address as number);
    const setRing = uapi.dma_importer_ring.create({ address: BigInt(at as number), entries });
    device.ioctl(uapi.DMA_IMPORTER_IOCTL_SET_RING, setRing);
    const slot = (i: number) => uapi.dma_importer_descriptor.view(descriptors as Buffer, i * size);
    const kick = () => {
      const argument = uapi.dma_importer_kick.create();
      device.ioctl(uapi.DMA_IMPORTER_IOCTL_KICK, argument);
      return argument.done;
    };
    return { device, slot, kick, data: data as Buffer, from: from as number };
  }

  test('the engine takes what is its own, hands it back, and goes round', () => {
    const { slot, kick, data, from } = ring(kernelWith(), 4);
    const put = (i: number, control: number, init: object) => {
      Object.assign(slot(i), init, { control: (control | uapi.DMA_IMPORTER_DESC_OWN) >>> 0 });
    };
    put(0, uapi.DMA_IMPORTER_OP_FILL, { destination: BigInt(from), length: 8, value: 0x61 });
    put(1, uapi.DMA_IMPORTER_OP_COPY, {
      source: BigInt(from),
      destination: BigInt(from + PAGE),
      length: 8,
    });
    expect(kick()).toBe(2);
    expect(data.toString('latin1', PAGE, PAGE + 8)).toBe('aaaaaaaa');
    expect([0, 1].map((i) => [slot(i).control >>> 31, slot(i).status])).toEqual([
      [0, uapi.DMA_IMPORTER_DESC_DONE],
      [0, uapi.DMA_IMPORTER_DESC_DONE],
    ]);
    expect(kick()).toBe(0);
    for (const i of [2, 3, 0]) {
      put(i, uapi.DMA_IMPORTER_OP_FILL, {
        destination: BigInt(from + i),
        length: 1,
        value: 0x30 + i,
      });
    }
    expect(kick()).toBe(3);
    expect(data.toString('latin1', 0, 4)).toBe('0a23');
  });

  test('a fault stops it, and the descriptor says so', () => {
    const { device, slot, kick, from } = ring(kernelWith(), 2);
    Object.assign(slot(0), { destination: BigInt(from) - 1n, length: 2, value: 1 });
    slot(0).control = (uapi.DMA_IMPORTER_DESC_OWN | uapi.DMA_IMPORTER_OP_FILL) >>> 0;
    expect(kick).toThrow(code('EIO'));
    expect(slot(0)).toMatchObject({ status: uapi.DMA_IMPORTER_DESC_FAULT });
    expect(device.fault()).toMatchObject({ count: 1, write: 1 });
    slot(1).control = (uapi.DMA_IMPORTER_DESC_OWN | 9) >>> 0;
    expect(kick).toThrow(code('EIO'));
    expect(slot(1)).toMatchObject({ status: uapi.DMA_IMPORTER_DESC_INVALID });
  });
});

describe('vmap and pins', () => {
  test('kernel code sees the same bytes; calls nest', () => {
    const kernel = kernelWith();
    const fd = allocate(kernel, PAGE);
    const bytes = map(kernel, fd, PAGE);
    const device = new Importer(kernel);
    const handle = device.attach(fd);
    expect(() => device.peek(handle, 4)).toThrow(code('EINVAL'));
    for (let i = 0; i < 2; i++) device.on(uapi.DMA_IMPORTER_IOCTL_VMAP, handle);
    bytes.write('seen');
    device.on(uapi.DMA_IMPORTER_IOCTL_VUNMAP, handle);
    expect(Buffer.from(device.peek(handle, 4)).toString()).toBe('seen');
    expect(() => device.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle)).toThrow(code('EBUSY'));
    device.on(uapi.DMA_IMPORTER_IOCTL_VUNMAP, handle);
    expect(() => device.on(uapi.DMA_IMPORTER_IOCTL_VUNMAP, handle)).toThrow(code('EINVAL'));
    device.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle);
    expect(() => device.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle)).toThrow(code('ENOENT'));
  });

  test('only a dynamic importer pins', () => {
    const kernel = kernelWith();
    const fd = allocate(kernel, PAGE, 'movable');
    const device = new Importer(kernel);
    const fixed = device.attach(fd);
    expect(() => device.on(uapi.DMA_IMPORTER_IOCTL_PIN, fixed)).toThrow(code('EINVAL'));
    const dynamic = device.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);
    device.on(uapi.DMA_IMPORTER_IOCTL_PIN, dynamic);
    expect(device.info(dynamic)).toMatchObject({ pins: 1, size: BigInt(PAGE), moves: 0 });
    device.on(uapi.DMA_IMPORTER_IOCTL_UNPIN, dynamic);
    expect(() => device.on(uapi.DMA_IMPORTER_IOCTL_UNPIN, dynamic)).toThrow(code('EINVAL'));
  });
});

describe('the movable heap', () => {
  const fragmented = { cma: 4 * MiB, fragmentation: 1, seed: 3 };
  const contiguous = { max_segments: 1 };

  test('memory is chosen at the first map, for all that are attached by then', () => {
    const kernel = kernelWith(fragmented);
    const fd = allocate(kernel, 16 * PAGE, 'movable');
    expect(kernel.memory.used).toBe(0);
    const [any, picky] = [new Importer(kernel), new Importer(kernel, contiguous)];
    const [first, second] = [any, picky].map((each) => each.attach(fd, uapi.DMA_IMPORTER_DYNAMIC));
    const before = kernel.memory.meminfo().CmaFree;
    expect(any.map(first as number)).toEqual([{ address: expect.any(Number), length: 16 * PAGE }]);
    expect(before - kernel.memory.meminfo().CmaFree).toBe(16 * PAGE);
    expect(picky.map(second as number)).toEqual(any.segments(first as number));
  });

  test('it moves for a device that needs it elsewhere; contents and mappings stay', async () => {
    const kernel = kernelWith(fragmented);
    const fd = allocate(kernel, 16 * PAGE, 'movable');
    const bytes = map(kernel, fd, 16 * PAGE);
    bytes.write('kept');
    const any = new Importer(kernel);
    const handle = any.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);
    const scattered = any.map(handle);
    expect(scattered).toHaveLength(16);
    const picky = new Importer(kernel, contiguous);
    const other = picky.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);
    const [segment] = picky.map(other);
    expect(any.info(handle)).toMatchObject({ moves: 1, flags: uapi.DMA_IMPORTER_MOVED });
    expect(() => any.read(scattered[0]?.address as number, 4)).toThrow(code('EIO'));
    expect(Buffer.from(picky.read(segment?.address as number, 4)).toString()).toBe('kept');
    picky.write((segment?.address as number) + 8, 'new');
    expect(bytes.toString('latin1', 8, 11)).toBe('new');
    expect(any.map(handle)).toEqual([segment]);
    kernel.sys.munmap(bytes.buffer as ArrayBuffer);
    for (const each of [any.fd, picky.fd, fd]) kernel.sys.close(each);
    await expectNothingLeft(kernel);
    expect(kernel.memory.meminfo().CmaFree).toBe(4 * MiB);
  });

  test('pinned, it stays: EBUSY for who needs it elsewhere', () => {
    const kernel = kernelWith(fragmented);
    const fd = allocate(kernel, 16 * PAGE, 'movable');
    const any = new Importer(kernel);
    const handle = any.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);
    any.on(uapi.DMA_IMPORTER_IOCTL_PIN, handle);
    const picky = new Importer(kernel, contiguous);
    expect(() => picky.attach(fd)).toThrow(code('EBUSY'));
    any.on(uapi.DMA_IMPORTER_IOCTL_UNPIN, handle);
    picky.attach(fd);
    expect(any.info(handle).moves).toBe(1);
  });

  test('what is mapped through an IOMMU is kept from use to use, until the buffer moves', () => {
    const kernel = kernelWith(fragmented);
    const fd = allocate(kernel, 16 * PAGE, 'movable');
    const [behind, plain] = [
      new Importer(kernel, { flags: uapi.DMA_IMPORTER_IOMMU }),
      new Importer(kernel, { dma_mask: 2n ** 48n - 1n }),
    ];
    const use = (device: Importer, handle: number) => {
      const address = device.map(handle)[0]?.address as number;
      device.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, handle);
      return address;
    };
    const handles = [behind, plain].map((each) => each.attach(fd, uapi.DMA_IMPORTER_DYNAMIC));
    const [kept, given] = handles as [number, number];
    const address = use(behind, kept);
    expect(use(behind, kept)).toBe(address);
    behind.fill(address, 1, 1);
    const elsewhere = use(plain, given);
    expect(() => plain.fill(elsewhere, 1, 1)).toThrow(code('EIO'));
    new Importer(kernel, contiguous).attach(fd);
    expect(() => behind.fill(address, 1, 1)).toThrow(code('EIO'));
    expect(behind.info(kept)).toMatchObject({ moves: 1, flags: 0 });
  });

  test('what cannot be met is refused at once', () => {
    const kernel = kernelWith({ cma: MiB, fragmentation: 1 });
    const fd = allocate(kernel, 2 * MiB, 'movable');
    expect(() => new Importer(kernel, contiguous).attach(fd)).toThrow(code('ENOMEM'));
    const nearsighted = new Importer(kernel, {
      dma_mask: 0xffffn,
      flags: uapi.DMA_IMPORTER_NO_SWIOTLB,
    });
    const small = allocate(kernel, PAGE, 'movable');
    expect(() => nearsighted.attach(small)).toThrow(code('EINVAL'));
    expect([...dmaBufList(kernel)].every(({ attachments }) => attachments.size === 0)).toBe(true);
  });
});

test('bufinfo lists who is attached', () => {
  const kernel = kernelWith();
  const fd = allocate(kernel, PAGE);
  const devices = ['camera', 'gpu'].map((name) => new Importer(kernel, { name }));
  for (const device of devices) device.attach(fd);
  const info = kernel.sys.open('/sys/kernel/debug/dma_buf/bufinfo', uapi.O_RDONLY);
  const text = Buffer.alloc(4096);
  const length = native.read(info, text);
  expect(text.toString('latin1', 0, length)).toContain(
    '\tAttached Devices:\n\tgpu\n\tcamera\nTotal 2 devices attached\n\n',
  );
  kernel.sys.close(info);
});
