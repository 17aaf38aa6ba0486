/** Where buffers are: /sys/kernel/debug/dmabuf-shim/layout, its drawing, and `dmabuf-shim bufinfo`. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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
  drawLayout,
  type Kernel,
  type KernelOptions,
  type PageRun,
  sgAllocTableFromPages,
} from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { Importer } from '../../importer.js';
import { run, testKernel } from '../../run.js';

const PAGE = 4096;
const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));
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

/** A buffer of single frames, every other one (no multiple of 7 of them), with a device that has it in one piece and one in many. */
function scattered(count: number, more: Partial<BufferLayout> = {}): BufferLayout {
  const pages = Array.from(
    { length: count },
    (_, i): PageRun => [0x1000 + ((i * 7) % count) * 2, 1, 'DMA32'],
  );
  const attachment = (device: string, iommu: boolean, segments: [number, number][]) => ({
    ...{ device, iommu, coherent: true, dma_mask: 2 ** 32 - 1, max_segment_size: 65536 },
    ...{ segment_boundary_mask: 2 ** 32 - 1, max_segments: null, dynamic: false, pins: 0 },
    mappings: [{ direction: 'DMA_TO_DEVICE', orig_nents: count, nents: segments.length, segments }],
  });
  const plain = pages.map(([pfn]): [number, number] => [pfn * PAGE, PAGE]);
  return {
    ...{ ino: 17, exp_name: 'system', name: null, size: count * PAGE, references: 1, pages },
    attachments: [
      attachment('behind', true, [[0xfff00000, count * PAGE]]),
      attachment('plain', false, plain),
    ],
    ...more,
  };
}

/** Text of a drawing: what it says, and the parallelogram that it is in, as far as can be known. */
function texts(svg: string) {
  const sizes: Record<string, number> = { title: 15, head: 12, note: 11, label: 10, number: 10 };
  return [...svg.matchAll(/<text class="(\w+)" x="([\d.-]+)" y="([\d.-]+)"([^>]*)>([^<]*)</g)].map(
    ([, kind = '', x, y, more = '', content = '']) => {
      const decoded = content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
      const advance = kind === 'label' || kind === 'number' ? 0.6 : 0.5;
      const width = decoded.length * advance * (sizes[kind] as number);
      const [, tx, ty] = /translate\(([\d.]+) ([\d.]+)\)/.exec(more) ?? [];
      const anchor = kind === 'number' ? width / 2 : 0;
      const shift = more.includes('"end"') ? width : more.includes('"middle"') ? width / 2 : anchor;
      return {
        ...{ content: decoded, slanted: tx !== undefined, width, height: sizes[kind] as number },
        x: tx === undefined ? Number(x) - shift : Number(tx),
        y: Number(ty ?? y),
      };
    },
  );
}

describe('drawing', () => {
  test.each([1, 3, 24, 48, 50, 701])(
    'of %i runs: no text is on another one, or outside',
    (count) => {
      const all = texts(drawLayout([scattered(count), scattered(count)]));
      expect(all.length).toBeGreaterThan(10);
      expect(all.filter(({ x, width, slanted }) => x < 0 || (!slanted && x + width > 960))).toEqual(
        [],
      );
      const level = all.filter(({ slanted }) => !slanted).sort((a, b) => a.y - b.y);
      const touching = level.flatMap((a, i) =>
        level
          .slice(i + 1)
          .filter((b) => b.y - a.y < Math.min(a.height, b.height))
          .filter((b) => a.x < b.x + b.width && b.x < a.x + a.width)
          .map((b) => `${a.content} / ${b.content}`),
      );
      expect(touching).toEqual([]);
      // Slanted by 45 degrees, lines are as far apart as their beginnings, by the square root of 2.
      const slanted = all.filter((each) => each.slanted).sort((a, b) => a.y - b.y || a.x - b.x);
      const close = slanted.filter(({ x, y, height }, i) => {
        const next = slanted[i + 1];
        return next?.y === y && next.x - x < height * Math.SQRT2;
      });
      expect(close).toEqual([]);
    },
  );

  test('shows each run where it is in the buffer, in memory, and for each device', () => {
    const svg = drawLayout([scattered(5)]);
    const numbers = texts(svg).filter(({ content }) => /^[1-5]$/.test(content));
    const rows = new Map<number, string>();
    for (const { content, y } of numbers.sort((a, b) => a.x - b.x)) {
      rows.set(y, (rows.get(y) ?? '') + content);
    }
    // The plain device sees them as they are in memory; behind the IOMMU they are in order again.
    expect([...rows].sort(([a], [b]) => a - b).map(([, order]) => order)).toEqual([
      '12345',
      '14253',
      '12345',
      '14253',
    ]);
    const said = texts(svg).map(({ content }) => content);
    expect(said).toEqual(
      expect.arrayContaining([
        'dmabuf 17, system',
        '20 KiB, 1 reference',
        'DMA32: 5 pages',
        'in 5 pieces',
        '0xfff00000, 20 KiB',
        '5 entries → 1 segment',
        '5 entries → 5 segments',
      ]),
    );
  });

  test('of many runs says how many it leaves out', () => {
    expect(drawLayout([scattered(24)])).not.toContain('more</text>');
    const svg = drawLayout([scattered(701)]);
    expect(svg).toMatch(/… 6\d\d more<\/text>/);
    expect(svg).toContain('700 gaps not drawn');
    expect(svg.length).toBeLessThan(2 ** 20);
  });

  test('marks what is bounced, what is attached only, and what is not known', () => {
    const buffer = scattered(2);
    const [behind, plain] = buffer.attachments as [AttachmentLayout, AttachmentLayout];
    const [mapping] = plain.mappings;
    if (mapping) mapping.segments[1] = [0xc0000000, PAGE];
    const svg = drawLayout([{ ...buffer, attachments: [{ ...behind, mappings: [] }, plain] }]);
    expect(svg).toContain('>1 bounced<');
    expect(svg).toContain('>attached, nothing mapped<');
    expect(drawLayout([{ ...buffer, pages: null, attachments: [] }])).toContain('>not known: ');
    expect(drawLayout([])).toContain('There are no buffers.');
  });

  test('is well-formed whatever names are, and the same for the same layout', () => {
    const name = '</text>&"\u0001\ud800<script>';
    const layout = [scattered(3, { name, exp_name: '<b>' })];
    const svg = drawLayout(layout);
    expect(drawLayout(structuredClone(layout))).toBe(svg);
    const bare = svg.replace(/<style>[\s\S]*<\/style>/, '');
    const open: string[] = [];
    for (const [, close, tag, , empty] of bare.matchAll(
      /<(\/?)(\w+)((?: [\w-]+="[^"<]*")*)(\/?)>/g,
    )) {
      if (close) expect(open.pop()).toBe(tag);
      else if (!empty) open.push(tag as string);
    }
    expect(open).toEqual([]);
    expect(bare.replace(/<(\/?)(\w+)((?: [\w-]+="[^"<]*")*)(\/?)>/g, '')).not.toMatch(
      /[<>]|&(?!#\d+;)/,
    );
    expect(svg).not.toMatch(/<script|[^\n -~–—…“”≤→\ufffd]/);
    expect(texts(svg)[0]?.content).toBe('dmabuf 17, <b>, “</text>&"\ufffd\ufffd<script>”');
  });
});

describe('dmabuf-shim bufinfo', () => {
  const bufinfo = (kernel: Kernel, ...args: string[]) =>
    run(kernel, process.execPath, [main, 'bufinfo', ...args]);

  test('prints the table of the kernel that it runs under, and draws its buffers', async () => {
    const kernel = kernelWith();
    const fds = [allocate(kernel, 1), allocate(kernel, 2)];
    const [a, b] = fds.map((fd) => Number(kernel.sys.fstat(fd).st_ino));
    const table = await bufinfo(kernel);
    expect(table).toMatchObject({ status: 0, stderr: '' });
    expect(table.stdout).toMatch(/Total 2 objects, 12288 bytes/);
    const layout = dmaBufLayout(kernel);
    expect((await bufinfo(kernel, '--svg')).stdout).toBe(drawLayout(layout));
    expect((await bufinfo(kernel, '--svg', String(b))).stdout).toBe(drawLayout(layout.slice(1)));
    expect(await bufinfo(kernel, '--svg', '1', String(a))).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `dmabuf-shim bufinfo: no buffer 1; there are: ${a}, ${b}\n`,
    });
  });

  const real = existsSync('/sys/kernel/debug/dma_buf/bufinfo');
  test.skipIf(real)('says what to do where there is no such file', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'bufinfo'], {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^dmabuf-shim bufinfo: no .*, as in dmabuf-shim run -- .*\n$/);
  });

  test.each([
    [['--bogus'], /--bogus/],
    [['17'], /goes with --svg/],
    [['--svg', 'x'], /an inode number is wanted, not "x"/],
  ])('%j is a usage error in one line', async (args, message) => {
    const { status, stderr } = await bufinfo(kernelWith(), ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
