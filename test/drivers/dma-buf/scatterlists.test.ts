/**
 * Scatterlists against what real kernels made of the same memory for the same devices: the `sg` recordings,
 * whose lines fixtures/README.md explains. The heaps and udmabuf get the very frames that they got there.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import { type Kernel, SystemError } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { Importer, type Segment } from '../../importer.js';
import { testKernel } from '../../run.js';

const PAGE = 4096;
const BLOCK = 1024;
const DIRECTIONS: Record<string, number> = {
  TO_DEVICE: uapi.DMA_IMPORTER_TO_DEVICE,
  FROM_DEVICE: uapi.DMA_IMPORTER_FROM_DEVICE,
  BIDIRECTIONAL: uapi.DMA_IMPORTER_BIDIRECTIONAL,
};

type Fields = Record<string, string>;

/** A line's `key=value`s. */
const fieldsOf = (line: string): Fields =>
  Object.fromEntries([...line.matchAll(/(\w+)=(\S+)/g)].map(([, key, value]) => [key, value]));

/** `4096*3,512` */
function listOf(text: string): number[] {
  if (text === '-') return [];
  return text.split(',').flatMap((item) => {
    const [value, count = 1] = item.split('*').map(Number);
    return new Array<number>(count).fill(value as number);
  });
}

/** `3+2,7`: runs of frames. */
const runsOf = (text: string) =>
  text.split(',').map((item) => {
    const [start = 0, count = 1] = item.split('+').map(Number);
    return { start, count };
  });

/** A machine whose memory is given out as the recording says. */
class Machine {
  readonly kernel: Kernel;
  readonly #mode: string;
  readonly #fds = new Map<string, number>();
  /** Frames that no buffer has had. */
  #next: number;

  constructor(version: '6.1' | '6.12', mode: string) {
    this.kernel = testKernel({
      version,
      devices: ['+dma_importer', '+dma_heap/reserved'],
      memory: { size: 8 * 2 ** 30 },
    });
    this.#mode = mode;
    // Above 4 GiB where the recording bounces, below where it does not; above 16 MiB anyway.
    this.#next = mode === 'swiotlb' ? 2 ** 20 : 2 ** 15;
    Object.assign(this.kernel.memory, { freePages: () => {}, cmaRelease: () => {} });
  }

  /** Makes the buffer of a line, in those frames. */
  make(fields: Fields): void {
    const first = this.#next;
    this.#next += Math.ceil(Number(fields.size) / PAGE / BLOCK + 2) * BLOCK;
    const { memory, sys } = this.kernel;
    const node = (name: string) => sys.open(`/dev/${name}`, uapi.O_RDWR | uapi.O_CLOEXEC);
    const len = BigInt(fields.size as string);
    const allocate = (heap: string) => {
      const data = uapi.dma_heap_allocation_data.create({ len, fd_flags: uapi.O_RDWR });
      sys.ioctl(node(`dma_heap/${heap}`), uapi.DMA_HEAP_IOCTL_ALLOC, data);
      return data.fd;
    };
    let fd: number;
    switch (fields.exporter) {
      case 'system':
        memory.allocPages = blocksInTurn(listOf(fields.blocks as string), first);
        fd = allocate('system');
        break;
      case 'reserved':
        memory.cmaAlloc = () => first + (runsOf(fields.frames as string)[0]?.start as number);
        fd = allocate('reserved');
        break;
      default: {
        const memfd = native.memfdCreate('recorded', 3);
        native.ftruncate(memfd, BLOCK * PAGE);
        native.fcntl(memfd, 1033, 2);
        const runs = runsOf(fields.frames as string);
        const list = runs.map(({ start, count }) => ({
          memfd,
          offset: BigInt(start * PAGE),
          size: BigInt(count * PAGE),
        }));
        const request = uapi.udmabuf_create_list.create({ count: list.length, list });
        fd = sys.ioctl(node('udmabuf'), uapi.UDMABUF_CREATE_LIST, request);
        // Its pages are looked for one by one when a device comes: page n of the memfd is frame n.
        const frames = new Set(
          runs.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i)),
        );
        const inTurn = frames.values();
        const allocPages = () => first + (inTurn.next().value as number);
        // The first device gets them, and they stay.
        memory.allocPages = allocPages;
        const device = new Importer(this.kernel, { dma_mask: 2n ** 64n - 1n });
        device.attach(fd);
        device.map(1);
        sys.close(memfd);
      }
    }
    this.#fds.set(fields.name as string, fd);
  }

  fd(name: string): number {
    return this.#fds.get(name) as number;
  }

  /** What a device gets for a buffer, in the recording's words. */
  map(name: string, limits: Fields, direction: number): object {
    const hex = (key: string) => BigInt(`0x${limits[key]}`);
    const device = new Importer(this.kernel, {
      dma_mask: 2n ** BigInt(limits.mask as string) - 1n,
      max_segment_size: Number(hex('seg')),
      segment_boundary_mask: hex('boundary'),
      flags:
        this.#mode === 'iommu'
          ? uapi.DMA_IMPORTER_IOMMU
          : this.#mode === 'direct'
            ? uapi.DMA_IMPORTER_NO_SWIOTLB
            : 0,
    });
    try {
      const handle = device.attach(this.fd(name));
      const segments = device.map(handle, direction);
      return describeSegments(segments, device.segments(handle, uapi.DMA_IMPORTER_PAGES));
    } catch (error) {
      if (error instanceof SystemError) return { error: error.code };
      throw error;
    } finally {
      device.close();
    }
  }
}

/** alloc_pages() that gives blocks of these sizes, and no others, in turn. */
function blocksInTurn(sizes: number[], first: number) {
  let next = first;
  return (order: number): number | undefined => {
    const size = sizes[0] as number;
    if (1 << order !== size) return undefined;
    sizes.shift();
    // Naturally aligned, and not next to the one before.
    const pfn = Math.ceil((next + 1) / size) * size;
    next = pfn + size;
    return pfn;
  };
}

function describeSegments(dma: Segment[], pages: Segment[]): object {
  const gaps = dma.slice(1).map(({ address }, i) => {
    const before = dma[i] as Segment;
    return address - before.address - before.length;
  });
  const [first, last] = [dma[0], dma.at(-1)] as [Segment, Segment];
  const span = last.address + last.length - first.address;
  return {
    orig_nents: pages.length,
    nents: dma.length,
    cpu: pages.map(({ length }) => length),
    dma: dma.map(({ length }) => length),
    gaps,
    modulo: first.address % 2 ** Math.ceil(Math.log2(span)),
    physical: dma.every(({ address }, i) => address === pages[i]?.address),
  };
}

/** What a map line says. */
function recorded(line: string, fields: Fields): object {
  const failure = /-> -1 (\w+)/.exec(line)?.[1];
  if (failure) return { error: failure };
  const known = {
    orig_nents: Number(fields.orig_nents),
    nents: Number(fields.nents),
    cpu: listOf(fields.cpu as string),
    dma: listOf(fields.dma as string),
  };
  if (fields.gaps === undefined) {
    const physical = fields.at === 'phys';
    return { ...known, gaps: expect.any(Array), modulo: expect.any(Number), physical };
  }
  const modulo = Number.parseInt(fields.at as string, 16);
  return { ...known, gaps: listOf(fields.gaps), modulo, physical: expect.any(Boolean) };
}

const SYNC: Record<string, number> = {
  start: uapi.DMA_BUF_SYNC_START,
  end: uapi.DMA_BUF_SYNC_END,
  RW: uapi.DMA_BUF_SYNC_RW,
  READ: uapi.DMA_BUF_SYNC_READ,
  WRITE: uapi.DMA_BUF_SYNC_WRITE,
};

/** A recording's lines about one byte of a buffer that is bounced, followed step by step. */
function bounce(machine: Machine, exporter: string, lines: string[]): void {
  const { kernel } = machine;
  machine.make({ exporter, size: '65536', name: 'b', frames: '0+16', blocks: '16' });
  const fd = machine.fd('b');
  const bytes = new Uint8Array(kernel.sys.mmap(65536, 3, 1, fd));
  const device = new Importer(kernel);
  const handle = device.attach(fd);
  let address = 0;
  bytes[0] = 1;
  const write = (line: string) => {
    const [, who, value] = /: (cpu|device) wrote (\d+)/.exec(line) ?? [];
    if (who === 'cpu') bytes[0] = Number(value);
    if (who === 'device') device.fill(address, 1, Number(value));
  };
  for (const [i, line] of lines.entries()) {
    const [, call = ''] = /^bounce \w+ \w+: (.*?) -> /.exec(line) ?? [];
    const next = lines
      .slice(i + 1)
      .find((later) => later.includes(': cpu ') || / wrote /.test(later));
    // What was written before a call is told behind it.
    if (call && !call.startsWith('detach') && next) write(next.split(',').length > 1 ? next : '');
    if (call.startsWith('map ')) address = device.map(handle)[0]?.address as number;
    if (call.startsWith('unmap ')) device.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, handle);
    if (call.startsWith('detach ')) device.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle);
    if (call.startsWith('SYNC ')) {
      const [, what = '', of = ''] = call.split(' ');
      const flags = BigInt((SYNC[what] as number) | (SYNC[of] as number));
      kernel.sys.ioctl(fd, uapi.DMA_BUF_IOCTL_SYNC, uapi.dma_buf_sync.create({ flags }));
    }
    if (call || line.includes(': table ')) continue;
    if (!line.split(': ')[1]?.includes(',')) write(line);
    const [, cpu] = /cpu (\d+)(?: device \d+)?$/.exec(line) ?? [];
    const [, seen] = /device (\d+)$/.exec(line) ?? [];
    const got = { cpu: String(bytes[0]), device: seen && String(device.read(address, 1)[0]) };
    expect({ line, ...got }).toEqual({ line, cpu, device: seen });
  }
  device.close();
  kernel.sys.close(fd);
}

describe.each(['6.1', '6.12'] as const)('Linux %s', (version) => {
  test.each(['system', 'reserved', 'udmabuf'])('one byte of a bounced buffer: %s', (exporter) => {
    const file = new URL(`../../../fixtures/recordings/${version}/sg-swiotlb.txt`, import.meta.url);
    const mine = readFileSync(fileURLToPath(file), 'latin1')
      .split('\n')
      .filter((line) => line.startsWith(`bounce ${exporter} BIDIRECTIONAL: `));
    expect(mine.length).toBeGreaterThan(15);
    bounce(new Machine(version, 'swiotlb'), exporter, mine);
  });

  test.each(['sg', 'sg-swiotlb', 'sg-iommu'])('%s', (name) => {
    const file = new URL(`../../../fixtures/recordings/${version}/${name}.txt`, import.meta.url);
    const lines = readFileSync(fileURLToPath(file), 'latin1').split('\n');
    const machine = new Machine(version, /^mode (\w+)/.exec(lines[0] as string)?.[1] as string);
    const limits = new Map<string, Fields>();
    let compared = 0;
    for (const line of lines) {
      const fields = fieldsOf(line);
      if (line.startsWith('limits ')) limits.set(line[7] as string, fields);
      if (/^buffer .*(frames|blocks)=/.test(line)) machine.make(fields);
      if (!line.startsWith('map buffer=')) continue;
      const direction = DIRECTIONS[fields.dir as string] as number;
      for (const dev of (fields.dev as string).split(',')) {
        const got = machine.map(fields.buffer as string, limits.get(dev) as Fields, direction);
        expect({ line, dev, got }).toEqual({ line, dev, got: recorded(line, fields) });
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(300);
  });
});
