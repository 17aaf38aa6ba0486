/** Where buffers are: /sys/kernel/debug/dmabuf-shim/layout. */
import { describe, expect, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import {
  type AttachmentLayout,
  type BufferLayout,
  Device,
  dmaBufAttach,
  dmaBufExport,
  dmaBufLayout,
  dmaBufMapAttachmentUnlocked,
  dmaMapSgtable,
  dmaUnmapSgtable,
  type Kernel,
  type KernelOptions,
  sgAllocTableFromPages,
} from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { Importer } from '../../importer.js';
import { testKernel } from '../../run.js';

const PAGE = 4096;
const devices = ['+dma_importer', '+dma_heap/movable'];
const kernelWith = (memory: KernelOptions['memory'] = {}) =>
  testKernel({ devices, memory: { size: 2 ** 33, ...memory } });

function allocate(kernel: Kernel, pages: number, heap = 'system'): number {
  const node = kernel.sys.open(`/dev/dma_heap/${heap}`, uapi.O_RDWR);
  const len = BigInt(pages * PAGE);
  const fd_flags = uapi.O_RDWR | uapi.O_CLOEXEC;
  const data = uapi.dma_heap_allocation_data.create({ len, fd_flags });
  kernel.sys.ioctl(node, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  kernel.sys.close(node);
  return data.fd;
}

function only(kernel: Kernel): BufferLayout {
  const layout = dmaBufLayout(kernel);
  expect(layout).toHaveLength(1);
  return layout[0] as BufferLayout;
}
const framesOf = ({ pages }: BufferLayout) =>
  (pages ?? []).flatMap(([pfn, count]) => Array.from({ length: count }, (_, i) => pfn + i));

describe('layout', () => {
  test('has the frames of a buffer, and the segments of its devices', () => {
    const kernel = kernelWith({ fragmentation: 0.9, seed: 3 });
    const fd = allocate(kernel, 24);
    const name = Buffer.from('frame 0\0');
    kernel.sys.ioctl(fd, uapi.DMA_BUF_SET_NAME_B, name);
    const camera = new Importer(kernel, { name: 'camera', flags: uapi.DMA_IMPORTER_IOMMU });
    const handle = camera.attach(fd);
    const segments = camera.map(handle, uapi.DMA_IMPORTER_FROM_DEVICE);
    const gpu = new Importer(kernel, {
      name: 'gpu',
      flags: uapi.DMA_IMPORTER_NONCOHERENT,
      dma_mask: 2n ** 40n - 1n,
      max_segments: 4,
      max_segment_size: 2 ** 16,
      segment_boundary_mask: 2n ** 20n - 1n,
    });
    gpu.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);

    const buffer = only(kernel);
    expect(buffer).toMatchObject({
      ino: Number(kernel.sys.fstat(fd).st_ino),
      exp_name: 'system',
      name: 'frame 0',
      size: 24 * PAGE,
      references: 3,
    });
    const entries = camera.segments(handle, uapi.DMA_IMPORTER_PAGES);
    const frames = entries.flatMap(({ address, length }) =>
      Array.from({ length: length / PAGE }, (_, i) => address / PAGE + i),
    );
    expect(framesOf(buffer)).toEqual(frames);
    expect(
      buffer.pages?.every(([pfn, , area]) => area === (pfn < 2 ** 20 ? 'DMA32' : 'Normal')),
    ).toBe(true);
    // What is in a row is one run.
    const ends = buffer.pages?.map(([pfn, count]) => pfn + count) ?? [];
    expect(buffer.pages?.slice(1).some(([pfn], i) => pfn === ends[i])).toBe(false);

    const [first, second] = buffer.attachments as [AttachmentLayout, AttachmentLayout];
    expect(first).toMatchObject({ device: 'camera', iommu: true, coherent: true, dynamic: false });
    expect(first.mappings).toEqual([
      {
        direction: 'DMA_FROM_DEVICE',
        orig_nents: entries.length,
        nents: segments.length,
        segments: segments.map(({ address, length }) => [address, length]),
      },
    ]);
    expect(second).toEqual({
      device: 'gpu',
      iommu: false,
      coherent: false,
      dma_mask: 2 ** 40 - 1,
      max_segment_size: 2 ** 16,
      segment_boundary_mask: 2 ** 20 - 1,
      max_segments: 4,
      dynamic: true,
      pins: 0,
      // The system heap does not move: a dynamic importer has it mapped from the start.
      mappings: [expect.objectContaining({ direction: 'DMA_BIDIRECTIONAL' })],
    });

    const file = kernel.sys.open('/sys/kernel/debug/dmabuf-shim/layout', uapi.O_RDONLY);
    const bytes = Buffer.alloc(2 ** 16);
    const text = bytes.toString('utf8', 0, native.read(file, bytes));
    expect(JSON.parse(text)).toEqual(dmaBufLayout(kernel));
    camera.close();
    expect(only(kernel).attachments.map(({ device }) => device)).toEqual(['gpu']);
  });

  test('has no frames of a buffer that has none yet, and the pins of one that may not move', () => {
    const kernel = kernelWith({ cma: 2 ** 22 });
    const fd = allocate(kernel, 2, 'movable');
    const display = new Importer(kernel, { max_segments: 1 });
    const handle = display.attach(fd, uapi.DMA_IMPORTER_DYNAMIC);
    expect(only(kernel)).toMatchObject({ pages: null, attachments: [{ pins: 0, mappings: [] }] });
    display.on(uapi.DMA_IMPORTER_IOCTL_PIN, handle);
    expect(only(kernel).attachments).toMatchObject([{ pins: 1, mappings: [] }]);
    expect(framesOf(only(kernel))).toHaveLength(2);
    // One that cannot have it move pins it, too, and has it mapped.
    new Importer(kernel, { max_segments: 1 }).attach(fd);
    expect(only(kernel).attachments[1]).toMatchObject({ pins: 1, mappings: [{ nents: 1 }] });
    const area = kernel.memory.areaOf(only(kernel).pages?.[0]?.[0] as number);
    expect(only(kernel).pages?.[0]?.[2]).toBe(area);
  });

  test('says what is in the area for memory in one piece', () => {
    const kernel = kernelWith({ cma: 2 ** 22 });
    const fd = allocate(kernel, 3, 'reserved');
    expect(only(kernel).pages).toEqual([[expect.any(Number), 3, 'CMA']]);
    kernel.sys.close(fd);
    expect(dmaBufLayout(kernel)).toEqual([]);
  });

  test('has the frames of a udmabuf once a device has asked for them', () => {
    const kernel = kernelWith();
    const memfd = native.memfdCreate('test', 3);
    native.ftruncate(memfd, 4 * PAGE);
    native.fcntl(memfd, 1033, 2);
    const node = kernel.sys.open('/dev/udmabuf', uapi.O_RDWR);
    const create = uapi.udmabuf_create.create({ memfd, size: BigInt(4 * PAGE) });
    const fd = kernel.sys.ioctl(node, uapi.UDMABUF_CREATE, create);
    expect(only(kernel)).toMatchObject({ exp_name: 'udmabuf', pages: null });
    const device = new Importer(kernel, { dma_mask: 2n ** 48n - 1n });
    const [segment] = device.map(device.attach(fd));
    expect(framesOf(only(kernel))).toHaveLength(4);
    expect(framesOf(only(kernel))[0]).toBe((segment?.address as number) / PAGE);
    device.close();
    for (const each of [fd, node, memfd]) kernel.sys.close(each);
  });

  test('of an exporter that does not tell, the frames are those that a device has mapped', () => {
    const kernel = kernelWith();
    const dmabuf = dmaBufExport(kernel, {
      exp_name: 'mine',
      size: 3 * PAGE,
      flags: uapi.O_RDWR,
      ops: {
        mapDmaBuf({ dev }, direction) {
          const table = sgAllocTableFromPages([7000, 7001, 9000], 0, 3 * PAGE);
          dmaMapSgtable(dev, table, direction);
          return table;
        },
        unmapDmaBuf: ({ dev }, table, direction) => dmaUnmapSgtable(dev, table, direction),
        release() {},
      },
    });
    const attachment = dmaBufAttach(dmabuf, new Device(kernel, { name: 'dev' }));
    expect(only(kernel).pages).toBeNull();
    dmaBufMapAttachmentUnlocked(attachment, 1);
    expect(only(kernel).pages).toEqual([
      [7000, 2, 'DMA32'],
      [9000, 1, 'DMA32'],
    ]);
  });
});
