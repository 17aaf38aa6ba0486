/** Calls through `kernel.sys`, and drivers: what a report says of what they leave, and of what they do wrong. */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import {
  Device,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  DmaFence,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufGet,
  dmaBufMapAttachmentUnlocked,
  dmaBufPut,
  dmaBufUnmapAttachmentUnlocked,
  dmaFenceContextAlloc,
  dmaFenceSignal,
  type Finding,
  getDmaBuf,
  Kernel,
  miscRegister,
  type Task,
} from '../../../src/index.js';
import { Importer } from '../../importer.js';

const SIZE = 8192;
const START = uapi.DMA_BUF_SYNC_START;
const END = uapi.DMA_BUF_SYNC_END;
const { O_RDWR, DMA_BUF_SYNC_READ: READ, DMA_BUF_SYNC_WRITE: WRITE, DMA_BUF_SYNC_RW: RW } = uapi;

/** A kernel with a report on it, and short ways to do things by `kernel.sys`. */
class Bench {
  readonly kernel: Kernel;
  readonly sys: Kernel['sys'];

  constructor(coherency: 'coherent' | 'strict') {
    this.kernel = new Kernel({ devices: ['+dma_importer'], coherency, coherencySeed: 1 });
    this.kernel.report();
    this.sys = this.kernel.sys;
  }

  /** Does it in an ioctl of a device, as its driver. */
  drive<T>(name: string, action: (task: Task) => T): T {
    let result: { value: T } | undefined;
    const ioctl = (_file: unknown, _request: number, _arg: number, task: Task) => {
      result = { value: action(task) };
      return 0;
    };
    miscRegister(this.kernel, name, { ioctl });
    const fd = this.sys.open(`/dev/${name}`, O_RDWR);
    this.sys.ioctl(fd, uapi._IO('t', 1));
    this.sys.close(fd);
    return (result as { value: T }).value;
  }

  allocate(): number {
    const heap = this.sys.open('/dev/dma_heap/system', O_RDWR);
    const data = uapi.dma_heap_allocation_data.create({ len: BigInt(SIZE), fd_flags: O_RDWR });
    this.sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
    this.sys.close(heap);
    return data.fd;
  }

  map(fd: number): { mapping: ArrayBuffer; text: Buffer } {
    const prot = uapi.PROT_READ | uapi.PROT_WRITE;
    const mapping = this.sys.mmap(SIZE, prot, uapi.MAP_SHARED, fd);
    return { mapping, text: Buffer.from(mapping) };
  }

  sync(fd: number, flags: number): void {
    const argument = uapi.dma_buf_sync.create({ flags: BigInt(flags) });
    this.sys.ioctl(fd, uapi.DMA_BUF_IOCTL_SYNC, argument);
  }

  /** A timeline of sw_sync, and a sync_file of its fence 1. */
  timeline(): { line: number; fence: number; signal(): void } {
    const line = this.sys.open('/sys/kernel/debug/sync/sw_sync', O_RDWR);
    const data = uapi.sw_sync_create_fence_data.create({ value: 1 });
    this.sys.ioctl(line, uapi.SW_SYNC_IOC_CREATE_FENCE, data);
    const signal = () => this.sys.ioctl(line, uapi.SW_SYNC_IOC_INC, Uint32Array.of(1));
    return { line, fence: data.fence, signal };
  }

  /** A device of /dev/dma_importer that has the buffer mapped. */
  importer(fd: number, flags: number = uapi.DMA_IMPORTER_IOMMU) {
    const importer = new Importer(this.kernel, { name: 'gpu', flags, max_segment_size: 2 ** 31 });
    const handle = importer.attach(fd);
    const address = importer.map(handle)[0]?.address ?? 0;
    const close = () => {
      importer.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, handle);
      importer.on(uapi.DMA_IMPORTER_IOCTL_DETACH, handle);
      importer.close();
    };
    return { importer, address, close };
  }

  /** A driver's attachment of a buffer. */
  attach(fd: number) {
    return this.drive('attach', (task) => {
      const dmabuf = dmaBufGet(task, fd);
      const attachment = dmaBufAttach(dmabuf, new Device(this.kernel, { name: 'camera' }));
      const detach = () => {
        dmaBufDetach(dmabuf, attachment);
        dmaBufPut(dmabuf);
      };
      return { attachment, detach };
    });
  }

  fence(): DmaFence {
    const ops = { getDriverName: () => 'test', getTimelineName: () => 'line' };
    const context = dmaFenceContextAlloc(this.kernel);
    return this.drive('fence', () => new DmaFence(this.kernel, { ops, context, seqno: 1 }));
  }
}

interface Fault {
  kinds: Finding['kind'][];
  /** The call that made the first; or, if it was in none, in which it went wrong. */
  place: RegExp;
  act(bench: Bench, mended: boolean): void;
  coherency?: 'strict';
}

const ALLOC = /^ioctl\(\d+, DMA_HEAP_IOCTL_ALLOC, \{len=8192, .*=> \{fd=\d+\}\) = 0$/;
const DRIVER = /^ioctl\(\d+, _IOC\(_IOC_NONE, 0x74, 0x1, 0\), NULL\) = 0$/;
const synced = (flags: string) => new RegExp(`DMA_BUF_IOCTL_SYNC, \\{flags=${flags}\\}\\) = 0$`);

const FAULTS: Record<string, Fault> = {
  'a descriptor of a buffer': {
    kinds: ['descriptor-left'],
    place: ALLOC,
    act(bench, mended) {
      const fd = bench.allocate();
      if (mended) bench.sys.close(fd);
    },
  },
  'a duplicate of a descriptor': {
    kinds: ['descriptor-left'],
    place: ALLOC,
    act(bench, mended) {
      const fd = bench.allocate();
      const copy = bench.sys.dup(fd);
      bench.sys.close(fd);
      if (mended) bench.sys.close(copy);
    },
  },
  'a descriptor that came with a message': {
    kinds: ['descriptor-left'],
    place: ALLOC,
    act(bench, mended) {
      const { sys } = bench;
      const fd = bench.allocate();
      const [here, there] = sys.socketpair();
      sys.sendmsg(there, Buffer.from('x'), [fd]);
      sys.close(fd);
      const { fds } = sys.recvmsg(here, 1);
      for (const end of [here, there]) sys.close(end);
      if (mended) for (const each of fds) sys.close(each);
    },
  },
  'a descriptor of a node': {
    kinds: ['descriptor-left'],
    place: /^open\("\/dev\/udmabuf", O_RDWR\) = \d+$/,
    act(bench, mended) {
      const fd = bench.sys.open('/dev/udmabuf', O_RDWR);
      if (mended) bench.sys.close(fd);
    },
  },
  'a sync_file': {
    kinds: ['descriptor-left'],
    place: /SW_SYNC_IOC_CREATE_FENCE, \{value=1, .*=> \{fence=\d+\}/,
    act(bench, mended) {
      const { line, fence, signal } = bench.timeline();
      signal();
      bench.sys.close(line);
      if (mended) bench.sys.close(fence);
    },
  },
  'a mapping': {
    kinds: ['mapping-left'],
    place: /^mmap\(NULL, 8192, PROT_READ\|PROT_WRITE, MAP_SHARED, \d+, 0\) = 0x/,
    act(bench, mended) {
      const fd = bench.allocate();
      const { mapping } = bench.map(fd);
      bench.sys.close(fd);
      if (mended) bench.sys.munmap(mapping);
    },
  },
  'a handle': {
    kinds: ['descriptor-left', 'handle-left'],
    place: /^open\("\/dev\/dma_importer", /,
    act(bench, mended) {
      const fd = bench.allocate();
      const { close } = bench.importer(fd);
      bench.sys.close(fd);
      if (mended) close();
    },
  },
  'START without END': {
    kinds: ['start-without-end'],
    place: synced('DMA_BUF_SYNC_START\\|DMA_BUF_SYNC_READ'),
    act(bench, mended) {
      const fd = bench.allocate();
      bench.sync(fd, START | READ);
      if (mended) bench.sync(fd, END | READ);
      bench.sys.close(fd);
    },
  },
  'END without START': {
    kinds: ['end-without-start'],
    place: synced('DMA_BUF_SYNC_END\\|DMA_BUF_SYNC_WRITE'),
    act(bench, mended) {
      const fd = bench.allocate();
      if (mended) bench.sync(fd, START | WRITE);
      bench.sync(fd, END | WRITE);
      bench.sys.close(fd);
    },
  },
  'another direction': {
    kinds: ['direction-differs'],
    place: synced('DMA_BUF_SYNC_START\\|DMA_BUF_SYNC_RW'),
    act(bench, mended) {
      const fd = bench.allocate();
      bench.sync(fd, START | RW);
      bench.sync(fd, END | (mended ? RW : READ));
      bench.sys.close(fd);
    },
  },
  'a write after END': {
    kinds: ['write-outside-bracket'],
    place: synced('DMA_BUF_SYNC_END\\|DMA_BUF_SYNC_WRITE'),
    act(bench, mended) {
      const fd = bench.allocate();
      const { mapping, text } = bench.map(fd);
      bench.sync(fd, START | WRITE);
      text.write('in time');
      bench.sync(fd, END | WRITE);
      if (!mended) text.write('too late');
      bench.sys.munmap(mapping);
      bench.sys.close(fd);
    },
  },
  'a write before the device comes': {
    kinds: ['write-outside-bracket'],
    place: synced('DMA_BUF_SYNC_END\\|DMA_BUF_SYNC_WRITE'),
    act(bench, mended) {
      const fd = bench.allocate();
      const { importer, address, close } = bench.importer(fd);
      const { mapping, text } = bench.map(fd);
      bench.sync(fd, START | WRITE);
      bench.sync(fd, END | WRITE);
      if (!mended) text.write('too late');
      importer.fill(address, SIZE, 35);
      bench.sys.munmap(mapping);
      bench.sys.close(fd);
      close();
    },
  },
  'a fence of a timeline that is closed': {
    kinds: ['fence-abandoned'],
    place: /SW_SYNC_IOC_CREATE_FENCE/,
    act(bench, mended) {
      const { line, fence, signal } = bench.timeline();
      if (mended) signal();
      bench.sys.close(line);
      bench.sys.close(fence);
    },
  },
  'a fault': {
    kinds: ['dma-fault'],
    place: /DMA_IMPORTER_IOCTL_TRANSFER, .* = -1 EIO$/,
    act(bench, mended) {
      const fd = bench.allocate();
      const { importer, address, close } = bench.importer(fd);
      const fill = () => importer.fill(address, mended ? SIZE : SIZE + 1, 35);
      if (mended) fill();
      else expect(fill).toThrow('EIO');
      bench.sys.close(fd);
      close();
    },
  },
  'what is not written back': {
    kinds: ['stale-access'],
    place: /DMA_IMPORTER_IOCTL_TRANSFER/,
    coherency: 'strict',
    act(bench, mended) {
      const fd = bench.allocate();
      const noncoherent = uapi.DMA_IMPORTER_NONCOHERENT | uapi.DMA_IMPORTER_IOMMU;
      const { importer, address, close } = bench.importer(fd, noncoherent);
      const { mapping, text } = bench.map(fd);
      if (mended) bench.sync(fd, START | WRITE);
      text.write('drawn');
      if (mended) bench.sync(fd, END | WRITE);
      importer.read(address, 8);
      if (!mended) {
        bench.sync(fd, START | WRITE);
        bench.sync(fd, END | WRITE);
      }
      bench.sys.munmap(mapping);
      close();
      bench.sys.close(fd);
    },
  },
  "a driver's reference": {
    kinds: ['buffer-left'],
    place: ALLOC,
    act(bench, mended) {
      const fd = bench.allocate();
      const dmabuf = bench.drive('get', (task) => dmaBufGet(task, fd));
      bench.sys.close(fd);
      if (mended) dmaBufPut(dmabuf);
    },
  },
  "a driver's attachment": {
    kinds: ['attachment-left'],
    place: DRIVER,
    act(bench, mended) {
      const fd = bench.allocate();
      const { detach } = bench.attach(fd);
      bench.sys.close(fd);
      if (mended) detach();
    },
  },
  "a driver's mapping": {
    kinds: ['dma-mapping-left', 'attachment-left'],
    place: DRIVER,
    act(bench, mended) {
      const fd = bench.allocate();
      const { attachment, detach } = bench.attach(fd);
      const map = () => dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE);
      const table = bench.drive('map', map);
      bench.sys.close(fd);
      if (!mended) return;
      dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_TO_DEVICE);
      detach();
    },
  },
  'a fence that is never signalled': {
    kinds: ['fence-not-signaled'],
    place: DRIVER,
    act(bench, mended) {
      const fence = bench.fence();
      if (!mended) return;
      dmaFenceSignal(fence);
      fence.put();
    },
  },
  'a fence that is never put': {
    kinds: ['fence-left'],
    place: DRIVER,
    act(bench, mended) {
      const fence = bench.fence();
      dmaFenceSignal(fence);
      if (mended) fence.put();
    },
  },
  'a rule that a driver breaks': {
    kinds: ['warning'],
    place: DRIVER,
    act(bench, mended) {
      const fd = bench.allocate();
      const { attachment, detach } = bench.attach(fd);
      const table = dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE);
      const direction = mended ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
      bench.drive('unmap', () => dmaBufUnmapAttachmentUnlocked(attachment, table, direction));
      detach();
      bench.sys.close(fd);
    },
  },
};

function bench(coherency: 'coherent' | 'strict' = 'coherent'): Bench {
  const made = new Bench(coherency);
  onTestFinished(() => made.kernel.close());
  return made;
}

describe.each(Object.entries(FAULTS))('%s', (_name, { kinds, place, act, coherency }) => {
  test('is found, with the call', () => {
    const one = bench(coherency);
    act(one, false);
    const findings = one.kernel.report().findings();
    expect(findings.map(({ kind }) => kind).sort()).toEqual([...kinds].sort());
    const first = findings.find(({ kind }) => kind === kinds[0]);
    const where = first?.made ?? first?.seen;
    expect(where?.text).toMatch(place);
    expect(where?.call).toBeGreaterThan(0);
    expect(where?.process?.pid).toBe(process.pid);
  });

  test('and nothing is when it is put right', () => {
    const one = bench(coherency);
    act(one, true);
    expect(String(one.kernel.report())).toBe('report: nothing left, nothing wrong');
  });
});

test('what a driver makes in no call is told by its place in the source', () => {
  const { kernel } = bench();
  const ops = { getDriverName: () => 'test', getTimelineName: () => 'line' };
  new DmaFence(kernel, { ops, context: dmaFenceContextAlloc(kernel), seqno: 1 });
  const [finding] = kernel.report().findings();
  expect(finding?.made).toEqual({ text: expect.stringMatching(/in_process\.test\.ts:\d+$/) });
});

test('a large buffer is compared piece by piece, and what changed is told in one', () => {
  using kernel = new Kernel({ coherency: 'coherent' });
  const report = kernel.report();
  const { sys } = kernel;
  const [size, middle] = [40 * 2 ** 20, 16 * 2 ** 20];
  const heap = sys.open('/dev/dma_heap/system', O_RDWR);
  const data = uapi.dma_heap_allocation_data.create({ len: BigInt(size), fd_flags: O_RDWR });
  sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  const mapping = sys.mmap(size, uapi.PROT_READ | uapi.PROT_WRITE, uapi.MAP_SHARED, data.fd);
  for (const flags of [START | WRITE, END | WRITE]) {
    const sync = uapi.dma_buf_sync.create({ flags: BigInt(flags) });
    sys.ioctl(data.fd, uapi.DMA_BUF_IOCTL_SYNC, sync);
  }
  Buffer.from(mapping).fill(1, middle - 1, middle + 1);
  sys.munmap(mapping);
  for (const fd of [heap, data.fd]) sys.close(fd);
  expect(report.findings().map(({ text }) => text)).toEqual([
    expect.stringMatching(/written after END, in bytes 0xfff000-0x1000fff$/),
  ]);
});

test('the report is of now: what is let go of is in it no more', () => {
  const one = bench();
  const report = one.kernel.report();
  const fd = one.allocate();
  const dmabuf = one.drive('get', (task) => getDmaBuf(dmaBufGet(task, fd)));
  expect(report.findings().map(({ kind }) => kind)).toEqual(['descriptor-left', 'buffer-left']);
  dmaBufPut(dmabuf);
  dmaBufPut(dmabuf);
  one.sys.close(fd);
  expect(report.findings()).toEqual([]);
});
