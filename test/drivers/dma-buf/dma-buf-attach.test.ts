/** Attachments as drivers use them: who is asked what, when, and what is against the rules. */
import { describe, expect, test } from 'vitest';
import { O_RDWR } from '../../../ioctl/index.js';
import {
  Device,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaBuf,
  type DmaBufOps,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufDynamicAttach,
  dmaBufExport,
  dmaBufMapAttachment,
  dmaBufMapAttachmentUnlocked,
  dmaBufMoveNotify,
  dmaBufPin,
  dmaBufPut,
  dmaBufUnmapAttachment,
  dmaBufUnmapAttachmentUnlocked,
  dmaBufUnpin,
  dmaBufVmap,
  dmaBufVmapUnlocked,
  dmaBufVunmapUnlocked,
  errno,
  type Kernel,
  type KernelOptions,
  sgAllocTable,
} from '../../../src/index.js';
import { testKernel } from '../../run.js';

const SIZE = 8192;
const code = (name: string) => expect.objectContaining({ code: name });

/** An exporter that writes down what it is asked, and fails where `failing` says. */
function setUp(more: Partial<DmaBufOps> = {}, options: KernelOptions = {}) {
  const kernel = testKernel(options);
  const calls: string[] = [];
  const failing = new Set<string>();
  const asked = (call: string) => {
    calls.push(call);
    if (failing.has(call)) throw errno('ENOMEM');
  };
  const ops: DmaBufOps = {
    attach: (_dmabuf, { dev }) => asked(`attach ${dev.name}`),
    detach: (_dmabuf, { dev }) => asked(`detach ${dev.name}`),
    mapDmaBuf({ dev }, direction) {
      asked(`map ${dev.name} ${direction}`);
      return sgAllocTable(1);
    },
    unmapDmaBuf: ({ dev }, _table, direction) => asked(`unmap ${dev.name} ${direction}`),
    release: () => asked('release'),
    ...more,
  };
  const make = () => dmaBufExport(kernel, { exp_name: 'test', ops, size: SIZE, flags: O_RDWR });
  const device = (name: string) => new Device(kernel, { name });
  return { kernel, calls, failing, make, device, dmabuf: make() };
}

const pinnable = (calls: string[]): Partial<DmaBufOps> => ({
  pin: ({ dev }) => void calls.push(`pin ${dev.name}`),
  unpin: ({ dev }) => void calls.push(`unpin ${dev.name}`),
});

const warnings = (kernel: Kernel) =>
  kernel
    .dmesg()
    .filter((line) => line.includes('WARNING'))
    .map((line) => line.replace(/.*WARNING: /, '').replace(/dmabuf \d+/, 'dmabuf N'));

const map = (dmabuf: DmaBuf, dev: Device) => {
  const attachment = dmaBufAttach(dmabuf, dev);
  return { attachment, table: dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE) };
};

test('attach, map, unmap, detach: the exporter is asked each, in order', () => {
  const { kernel, calls, dmabuf, device } = setUp();
  const dev = device('a');
  const { attachment, table } = map(dmabuf, dev);
  expect(dmabuf.attachments.size).toBe(1);
  expect(attachment.mapped.length).toBe(1);
  dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_TO_DEVICE);
  dmaBufDetach(dmabuf, attachment);
  dmaBufPut(dmabuf);
  expect(calls).toEqual(['attach a', 'map a 1', 'unmap a 1', 'detach a', 'release']);
  expect([dmabuf.attachments.size, attachment.mapped.length]).toEqual([0, 0]);
  expect(kernel.dmesg()).toEqual([]);
});

test('a mapping is made anew each time, for any direction', () => {
  const { calls, dmabuf, device } = setUp();
  const { attachment, table } = map(dmabuf, device('a'));
  const second = dmaBufMapAttachmentUnlocked(attachment, DMA_FROM_DEVICE);
  expect(second).not.toBe(table);
  dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_TO_DEVICE);
  dmaBufUnmapAttachmentUnlocked(attachment, second, DMA_FROM_DEVICE);
  expect(calls).toEqual(['attach a', 'map a 1', 'map a 2', 'unmap a 1', 'unmap a 2']);
  dmaBufDetach(dmabuf, attachment);
});

test('with cache_sgt_mapping it is kept until the detaching; another direction is EBUSY', () => {
  const { calls, dmabuf, device } = setUp({ cache_sgt_mapping: true });
  const { attachment, table } = map(dmabuf, device('a'));
  dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_TO_DEVICE);
  expect(dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE)).toBe(table);
  expect(() => dmaBufMapAttachmentUnlocked(attachment, DMA_FROM_DEVICE)).toThrow(code('EBUSY'));
  expect(dmabuf.resv.locked(() => 1)).toBe(1);
  dmaBufDetach(dmabuf, attachment);
  expect(calls).toEqual(['attach a', 'map a 1', 'unmap a 1', 'detach a']);
});

test('kept for both directions it serves any', () => {
  const { dmabuf, device } = setUp({ cache_sgt_mapping: true });
  const attachment = dmaBufAttach(dmabuf, device('a'));
  const table = dmaBufMapAttachmentUnlocked(attachment, DMA_BIDIRECTIONAL);
  expect(dmaBufMapAttachmentUnlocked(attachment, DMA_FROM_DEVICE)).toBe(table);
  dmaBufDetach(dmabuf, attachment);
});

describe('dynamic importers and exporters', () => {
  test('a static importer has a dynamic exporter pin and map for as long as it is attached', () => {
    const calls: string[] = [];
    const { dmabuf, device, calls: more } = setUp(pinnable(calls));
    const attachment = dmaBufAttach(dmabuf, device('a'));
    expect([calls, more]).toEqual([['pin a'], ['attach a', 'map a 0']]);
    const table = dmaBufMapAttachmentUnlocked(attachment, DMA_FROM_DEVICE);
    dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_FROM_DEVICE);
    expect(more).toEqual(['attach a', 'map a 0']);
    dmaBufDetach(dmabuf, attachment);
    expect([calls, more]).toEqual([
      ['pin a', 'unpin a'],
      ['attach a', 'map a 0', 'unmap a 0', 'detach a'],
    ]);
  });

  test('a dynamic importer of a static exporter has it mapped all the time, too', () => {
    const { dmabuf, device, calls } = setUp();
    const attachment = dmaBufDynamicAttach(dmabuf, device('a'), { moveNotify() {} });
    expect(calls).toEqual(['attach a', 'map a 0']);
    dmaBufDetach(dmabuf, attachment);
    expect(calls).toEqual(['attach a', 'map a 0', 'unmap a 0', 'detach a']);
  });

  test('where both are, it is mapped when it is asked for, and the importer told of a move', () => {
    const calls: string[] = [];
    const { dmabuf, device, calls: more, kernel } = setUp(pinnable(calls));
    const priv = { of: 'importer' };
    const moved: unknown[] = [];
    const moveNotify = ({ importer_priv }: { importer_priv: unknown }) => moved.push(importer_priv);
    const attachment = dmaBufDynamicAttach(dmabuf, device('a'), { moveNotify }, priv);
    expect(more).toEqual(['attach a']);
    dmabuf.resv.locked(() => {
      dmaBufPin(attachment);
      dmaBufUnpin(attachment);
      dmaBufMoveNotify(dmabuf);
    });
    expect(calls).toEqual(['pin a', 'unpin a']);
    expect(moved).toEqual([priv]);
    dmaBufDetach(dmabuf, attachment);
    expect(kernel.dmesg()).toEqual([]);
  });
});

describe('failures leave nothing', () => {
  test('of attach', () => {
    const { dmabuf, device, failing, calls } = setUp();
    failing.add('attach a');
    expect(() => dmaBufAttach(dmabuf, device('a'))).toThrow(code('ENOMEM'));
    expect(dmabuf.attachments.size).toBe(0);
    expect(calls).toEqual(['attach a']);
  });

  test('of the mapping that comes with it', () => {
    const calls: string[] = [];
    const { dmabuf, device, failing, calls: more, kernel } = setUp(pinnable(calls));
    failing.add('map a 0');
    expect(() => dmaBufAttach(dmabuf, device('a'))).toThrow(code('ENOMEM'));
    expect([calls, more]).toEqual([
      ['pin a', 'unpin a'],
      ['attach a', 'map a 0', 'detach a'],
    ]);
    expect(dmabuf.attachments.size).toBe(0);
    expect(kernel.dmesg()).toEqual([]);
    dmabuf.resv.locked(() => {});
    expect(kernel.dmesg()).toEqual([]);
  });

  test('of a mapping, of vmap', () => {
    const { dmabuf, device, failing, kernel } = setUp({
      vmap() {
        throw errno('ENOMEM');
      },
    });
    const attachment = dmaBufAttach(dmabuf, device('a'));
    failing.add('map a 1');
    expect(() => dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE)).toThrow(code('ENOMEM'));
    expect(attachment.mapped.length).toBe(0);
    expect(() => dmaBufVmapUnlocked(dmabuf)).toThrow(code('ENOMEM'));
    expect(dmabuf.vmapping_counter).toBe(0);
    dmabuf.resv.locked(() => {});
    dmaBufDetach(dmabuf, attachment);
    expect(kernel.dmesg()).toEqual([]);
  });
});

test('operations that do not go together cannot be exported', () => {
  expect(() => setUp({ pin() {} })).toThrow(code('EINVAL'));
  expect(() => setUp({ unpin() {} })).toThrow(code('EINVAL'));
  expect(() => setUp({ pin() {}, unpin() {}, cache_sgt_mapping: true })).toThrow(code('EINVAL'));
});

describe('what is against the rules is in the log', () => {
  test('detached while mapped, and gone with somebody attached', () => {
    const { kernel, dmabuf, device } = setUp();
    const { attachment } = map(dmabuf, device('a'));
    dmaBufDetach(dmabuf, attachment);
    dmaBufAttach(dmabuf, device('b'));
    dmaBufPut(dmabuf);
    expect(warnings(kernel)).toEqual([
      'dma_buf_detach: dmabuf N (test): a is detached while it has it mapped',
      'dma_buf_release: dmabuf N (test): released with b attached',
    ]);
  });

  test('unmapped twice, detached twice, mapped afterwards', () => {
    const { kernel, dmabuf, device, calls } = setUp();
    const { attachment, table } = map(dmabuf, device('a'));
    for (let i = 0; i < 2; i++) dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_TO_DEVICE);
    for (let i = 0; i < 2; i++) dmaBufDetach(dmabuf, attachment);
    expect(() => dmaBufMapAttachmentUnlocked(attachment, DMA_TO_DEVICE)).toThrow(code('EINVAL'));
    expect(calls).toEqual(['attach a', 'map a 1', 'unmap a 1', 'detach a']);
    expect(warnings(kernel)).toEqual([
      'dma_buf_unmap_attachment: dmabuf N (test): a has not mapped it',
      'dma_buf_detach: dmabuf N (test): a is not attached',
      'dma_buf_map_attachment: dmabuf N (test): a is not attached',
    ]);
  });

  test.each([
    ['6.12', 2],
    ['6.1', 0],
  ] as const)('without the lock, from 6.2 on: %s', (version, count) => {
    const { kernel, dmabuf, device } = setUp({}, { version });
    const attachment = dmaBufAttach(dmabuf, device('a'));
    const table = dmaBufMapAttachment(attachment, DMA_TO_DEVICE);
    dmaBufUnmapAttachment(attachment, table, DMA_TO_DEVICE);
    dmaBufDetach(dmabuf, attachment);
    expect(warnings(kernel)).toHaveLength(count);
  });

  test('pinned by who is not dynamic', () => {
    const { kernel, dmabuf, device } = setUp();
    const attachment = dmaBufAttach(dmabuf, device('a'));
    dmabuf.resv.locked(() => dmaBufPin(attachment));
    dmabuf.resv.locked(() => dmaBufUnpin(attachment));
    expect(warnings(kernel)).toEqual([
      'dma_buf_pin: dmabuf N (test): the importer a is not dynamic',
      'dma_buf_unpin: dmabuf N (test): the importer a is not dynamic',
    ]);
    dmaBufDetach(dmabuf, attachment);
  });
});

describe('vmap', () => {
  test('nests: one mapping, one array, undone with the last', () => {
    const calls: string[] = [];
    const { dmabuf, kernel } = setUp({
      vmap: (buffer) => {
        calls.push('vmap');
        return buffer.memory.bytes();
      },
      vunmap: () => void calls.push('vunmap'),
    });
    const [first, second] = [dmaBufVmapUnlocked(dmabuf), dmaBufVmapUnlocked(dmabuf)];
    expect(second).toBe(first);
    expect(first).toHaveLength(SIZE);
    dmaBufVunmapUnlocked(dmabuf, first);
    first[0] = 1;
    dmaBufVunmapUnlocked(dmabuf, second);
    expect(calls).toEqual(['vmap', 'vunmap']);
    dmaBufVunmapUnlocked(dmabuf, second);
    expect(warnings(kernel)).toEqual(['dma_buf_vunmap: dmabuf N (test): this is not mapped']);
    dmaBufPut(dmabuf);
    // The memory is not the kernel's any more.
    expect(first).toHaveLength(0);
  });

  test('without the operation it is EINVAL; without the lock a warning', () => {
    const { dmabuf, kernel } = setUp();
    expect(() => dmaBufVmap(dmabuf)).toThrow(code('EINVAL'));
    expect(warnings(kernel)[0]).toMatch(/used without the lock/);
  });
});
