/** Buffers of memory that an exporter has: a card's objects, a camera's frames. */
import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { DMA_BUF_SET_NAME } from '../../../ioctl/index.js';
import {
  Device,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  dmaBufAttach,
  dmaBufBeginCpuAccess,
  dmaBufDetach,
  dmaBufEndCpuAccess,
  dmaBufExport,
  dmaBufFd,
  dmaBufList,
  dmaBufMapAttachmentUnlocked,
  dmaBufPut,
  dmaBufUnmapAttachmentUnlocked,
  dmaBufVmapUnlocked,
  dmaBufVunmapUnlocked,
  dmaMapSgtable,
  dmaSyncSgtableForCpu,
  dmaSyncSgtableForDevice,
  dmaUnmapSgtable,
  errno,
  type Kernel,
  MAP_SHARED,
  makeShmem,
  miscRegister,
  O_RDWR,
  PROT_READ,
  PROT_WRITE,
  sgAllocTableFromPages,
} from '../../../src/index.js';
import { type BufferObject, exporter, GEM, offsetOf } from '../../exporter.js';
import { needsCompiler } from '../../programs.js';
import { liveBuffers, testKernel, until } from '../../run.js';
import { Steps } from '../../steps.js';

const PAGE = 4096;

beforeEach(needsCompiler);

interface World {
  kernel: Kernel;
  objects: Set<BufferObject>;
  steps: Steps;
  /** The handle of an object of four pages. */
  handle: number;
}

async function world(): Promise<World> {
  const kernel = testKernel();
  const objects = exporter(kernel);
  const steps = new Steps(kernel);
  await steps.do('open n');
  const handle = await steps.do(`ioctl - n 4 ${GEM.CREATE}`);
  return { kernel, objects, steps, handle };
}

async function nothingLeft({ kernel, objects }: World): Promise<void> {
  await until('all buffers go', () => liveBuffers(kernel) === 0);
  await until('all objects go', () => {
    kernel.settle();
    return objects.size === 0;
  });
}

describe('a dma-buf of a buffer object', () => {
  test('is its memory: what is written through the one is read through the other', async () => {
    const it = await world();
    const { steps, handle } = it;
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await steps.do('map p a 4 0');
    await steps.do('put o - 11 3');
    expect(await steps.do('get p - 0 3')).toBe(11);
    expect(await steps.do('read a - 0 3')).toBe(11);
    await steps.do('write a - 12 2');
    expect(await steps.do('get o - 0 2')).toBe(12);
    await steps.do('put p - 13 1');
    expect(await steps.do('get o - 0 1')).toBe(13);
    await steps.end();
    await nothingLeft(it);
  });

  test('is mapped by a program outside, which keeps it', async () => {
    const kernel = testKernel();
    const objects = exporter(kernel);
    const [here, there] = kernel.sys.socketpair();
    const steps = new Steps(kernel, there);
    kernel.sys.close(there);
    await steps.do('open n');
    const handle = await steps.do(`ioctl - n 4 ${GEM.CREATE}`);
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await steps.do('put o - 7 2');
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    await steps.do('outside a');
    const fd = kernel.sys.recvmsg(here, 1).fds[0] as number;
    kernel.sys.close(here);
    await steps.end();
    const outside = spawnSync(
      'python3',
      ['-c', `import mmap; m = mmap.mmap(3, ${4 * PAGE}); print(m[${2 * PAGE}]); m[0] = 9`],
      { stdio: ['ignore', 'pipe', 'inherit', fd], encoding: 'utf8' },
    );
    expect(outside.stdout).toBe('7\n');
    expect([liveBuffers(kernel), [...objects][0]?.memory.bytes()[0]]).toEqual([1, 9]);
    kernel.sys.close(fd);
    await nothingLeft({ kernel, objects, steps, handle });
  });

  test('is the same again as long as it lives, and another one afterwards', async () => {
    const it = await world();
    const { kernel, steps, handle } = it;
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    const [first] = dmaBufList(kernel);
    await steps.do(`export b n ${handle} ${GEM.EXPORT}`);
    await steps.do('close a');
    expect([...dmaBufList(kernel)]).toEqual([first]);
    await steps.do('close b');
    await until('it goes', () => liveBuffers(kernel) === 0);
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    expect(liveBuffers(kernel)).toBe(1);
    expect([...dmaBufList(kernel)]).not.toEqual([first]);
    await steps.end();
    await nothingLeft(it);
  });

  test('goes with a program that crashes, and so does its object', async () => {
    const it = await world();
    await it.steps.do(`export a n ${it.handle} ${GEM.EXPORT}`);
    await it.steps.do('map p a 4 0');
    await it.steps.do(`map o n 4 ${offsetOf(it.handle)}`);
    await it.steps.do(`ioctl - n ${it.handle} ${GEM.CLOSE}`);
    expect([liveBuffers(it.kernel), it.objects.size]).toEqual([1, 1]);
    await it.steps.die();
    await nothingLeft(it);
  });

  test('counts its own descriptors and mappings, not those of the object', async () => {
    const it = await world();
    const { steps, handle } = it;
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    expect(await steps.do('count a')).toBe(1);
    await steps.do('map p a 4 0');
    await steps.do('dup b a');
    expect(await steps.do('count a')).toBe(3);
    await steps.do('unmap o - 1 1');
    expect(await steps.do('count a')).toBe(3);
    await steps.do('unmap p - 4');
    await steps.do('close b');
    expect(await steps.do('count a')).toBe(1);
    await steps.end();
    await nothingLeft(it);
  });
});

/** All orders of a list. */
function orders<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((first, i) =>
    orders(list.filter((_, j) => j !== i)).map((rest) => [first, ...rest]),
  );
}

test('object and buffer live as long as anything of them, whatever is let go of first', async () => {
  const it = await world();
  const { kernel, objects, steps } = it;
  await steps.do(`ioctl - n ${it.handle} ${GEM.CLOSE}`);
  for (const order of orders(['handle', 'object mapped', 'descriptor', 'buffer mapped'])) {
    const handle = await steps.do(`ioctl - n 4 ${GEM.CREATE}`);
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await steps.do(`export a n ${handle} ${GEM.EXPORT}`);
    await steps.do('map p a 4 0');
    const steps_of: Record<string, string> = {
      handle: `ioctl - n ${handle} ${GEM.CLOSE}`,
      'object mapped': 'unmap o - 4',
      descriptor: 'close a',
      'buffer mapped': 'unmap p - 4',
    };
    for (const [i, what] of order.entries()) {
      await steps.do(steps_of[what] as string);
      const left = order.slice(i + 1);
      const buffer = left.includes('descriptor') || left.includes('buffer mapped');
      const state = () => [liveBuffers(kernel), objects.size].join();
      const expected = [Number(buffer), Number(left.length > 0)].join();
      await until(`${expected} when ${left} is left of ${order}`, () => state() === expected);
    }
  }
  await steps.end();
});

describe('two buffers of one object', () => {
  test('are told apart by their descriptors, and end one by one', async () => {
    const it = await world();
    const { kernel, steps, handle } = it;
    await steps.do(`export a n ${handle} ${GEM.EXPBUF}`);
    await steps.do(`export b n ${handle} ${GEM.EXPBUF}`);
    const [first, second] = dmaBufList(kernel);
    expect(first?.ino).toBe(second?.ino);
    await steps.do('map q b 4 0');
    await steps.do('close a');
    await until('the first goes', () => liveBuffers(kernel) === 1);
    expect([...dmaBufList(kernel)]).toEqual([second]);
    await steps.do('close b');
    expect(liveBuffers(kernel)).toBe(1);
    await steps.do('unmap q - 4');
    await until('the second goes', () => liveBuffers(kernel) === 0);
    await steps.end();
    await nothingLeft(it);
  });

  test('have a name each', () => {
    const kernel = testKernel();
    const objects = exporter(kernel);
    const { sys } = kernel;
    const node = sys.open('/dev/gem', O_RDWR);
    const handle = sys.ioctl(node, GEM.CREATE, 1);
    const fds = [sys.ioctl(node, GEM.EXPBUF, handle), sys.ioctl(node, GEM.EXPBUF, handle)];
    for (const [i, fd] of fds.entries()) {
      sys.ioctl(fd, DMA_BUF_SET_NAME, Buffer.from(`frame ${i}\0`));
    }
    expect([...dmaBufList(kernel)].map(({ name }) => name)).toEqual(['frame 0', 'frame 1']);
    // Through a mapping that this process makes: no two pages of memory.
    const maps = fds.map((fd) => sys.mmap(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd));
    new Uint8Array(maps[0] as ArrayBuffer)[5] = 17;
    expect(new Uint8Array(maps[1] as ArrayBuffer)[5]).toBe(17);
    for (const map of maps) sys.munmap(map);
    for (const fd of fds) sys.close(fd);
    sys.ioctl(node, GEM.CLOSE, handle);
    sys.close(node);
    expect([liveBuffers(kernel), objects.size]).toEqual([0, 0]);
  });
});

describe('memory that is mapped through a node', () => {
  test.each([
    ['whole', [], ['unmap o - 4']],
    ['in parts', ['unmap o - 2 1', 'unmap o - 1 0'], ['unmap o - 1 3']],
    ['moved', ['move o - 4'], ['unmap o - 4']],
    ['twice', ['map p n 2 @', 'unmap o - 4'], ['unmap p - 2']],
    ['in a forked child', ['fork -', 'unmap o - 4'], ['kill -']],
  ])('is busy while it is mapped: %s', async (_how, kept, gone) => {
    const it = await world();
    const { steps, handle } = it;
    const free = () => steps.do(`ioctl - n ${handle} ${GEM.FREE}`);
    expect(await free()).toBe(0);
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await expect(free()).rejects.toThrow('EBUSY');
    for (const step of kept) {
      await steps.do(step.replace('@', String(offsetOf(handle))));
      await expect(free()).rejects.toThrow('EBUSY');
    }
    for (const step of gone) await steps.do(step);
    expect(await free()).toBe(0);
    await steps.end();
    await nothingLeft(it);
  });

  test('is not busy after exec, nor by a mapping that was refused', async () => {
    const it = await world();
    const { steps, handle } = it;
    await expect(steps.do(`map o n 5 ${offsetOf(handle)}`)).rejects.toThrow('EINVAL');
    expect(await steps.do(`ioctl - n ${handle} ${GEM.FREE}`)).toBe(0);
    await steps.do(`map o n 4 ${offsetOf(handle)}`);
    await steps.do('exec -');
    await steps.do('unmap o - 4');
    expect(await steps.do(`ioctl - n ${handle} ${GEM.FREE}`)).toBe(0);
    await steps.do('kill -');
    await steps.end();
    await nothingLeft(it);
  });
});

describe('a buffer that is a window of a larger memory', () => {
  test('is held by what is mapped of it, though its descriptor is closed', async () => {
    const kernel = testKernel();
    const pool = makeShmem(kernel, 'pool', 16 * PAGE);
    onTestFinished(() => pool.close());
    miscRegister(kernel, 'gem', {
      ioctl(_file, _request, first, task) {
        const dmabuf = dmaBufExport(kernel, {
          ...{ exp_name: 'pool', size: 2 * PAGE, flags: O_RDWR },
          ops: {
            mapDmaBuf() {
              throw errno('EINVAL');
            },
            unmapDmaBuf() {},
            mmap: (_, { offset, length }) => [
              { memory: pool, offset: first * PAGE + offset, length },
            ],
            release() {},
          },
        });
        return dmaBufFd(task, dmabuf, 0);
      },
    });
    const steps = new Steps(kernel);
    await steps.do('open n');
    await steps.do('export a n 4 1');
    await steps.do('export b n 4 1');
    await steps.do('map p a 2 0');
    await steps.do('map q b 1 1');
    expect(await steps.do('count a')).toBe(2);
    await steps.do('put p - 21 1');
    expect([await steps.do('get q - 0 0'), pool.bytes()[5 * PAGE]]).toEqual([21, 21]);
    await steps.do('close a');
    await steps.do('close b');
    expect(liveBuffers(kernel)).toBe(2);
    await steps.do('unmap p - 2');
    await until('one is left', () => liveBuffers(kernel) === 1);
    await steps.end();
    await until('none is left', () => liveBuffers(kernel) === 0);
  });
});

test('a window of a larger memory is brought in step with a device that does not see the caches', () => {
  const kernel = testKernel({ coherency: 'strict' });
  const { memory, memMap } = kernel;
  const pool = makeShmem(kernel, 'pool', 4 * PAGE);
  const frame = memory.allocPages(0) as number;
  memMap.set(frame, 1, pool, 2 * PAGE);
  const device = new Device(kernel, {
    ...{ name: 'gpu', dma_mask: 2 ** 48 - 1, dma_coherent: false },
  });
  const dmabuf = dmaBufExport(kernel, {
    ...{ exp_name: 'pool', size: PAGE, flags: O_RDWR },
    ops: {
      mapDmaBuf({ dev }, direction) {
        const table = sgAllocTableFromPages([frame], 0, PAGE);
        dmaMapSgtable(dev, table, direction);
        return table;
      },
      unmapDmaBuf: ({ dev }, table, direction) => dmaUnmapSgtable(dev, table, direction),
      beginCpuAccess({ attachments }, direction) {
        for (const { dev, mapped } of attachments) {
          for (const { table } of mapped) dmaSyncSgtableForCpu(dev, table, direction);
        }
      },
      endCpuAccess({ attachments }, direction) {
        for (const { dev, mapped } of attachments) {
          for (const { table } of mapped) dmaSyncSgtableForDevice(dev, table, direction);
        }
      },
      mmap: (_, { offset, length }) => [{ memory: pool, offset: 2 * PAGE + offset, length }],
      vmap: () => pool.bytes().subarray(2 * PAGE, 3 * PAGE),
      release() {},
    },
  });
  const attachment = dmaBufAttach(dmabuf, device);
  const table = dmaBufMapAttachmentUnlocked(attachment, DMA_BIDIRECTIONAL);
  const read = () => {
    const byte = new Uint8Array(1);
    device.read(table.dma_address[0] as number, byte);
    return byte[0];
  };
  dmaBufBeginCpuAccess(dmabuf, DMA_BIDIRECTIONAL);
  const map = dmaBufVmapUnlocked(dmabuf);
  map[0] = 77;
  // Somebody else begins to read: what is being written is not thrown away by that.
  dmaBufBeginCpuAccess(dmabuf, DMA_FROM_DEVICE);
  dmaBufEndCpuAccess(dmabuf, DMA_FROM_DEVICE);
  expect(map[0]).toBe(77);
  dmaBufVunmapUnlocked(dmabuf, map);
  dmaBufEndCpuAccess(dmabuf, DMA_BIDIRECTIONAL);
  expect(read()).toBe(77);
  expect(kernel.staleAccesses).toEqual([]);
  dmaBufUnmapAttachmentUnlocked(attachment, table, DMA_BIDIRECTIONAL);
  dmaBufDetach(dmabuf, attachment);
  dmaBufPut(dmabuf);
  device.close();
  memMap.clear(frame, 1);
  memory.freePages(frame, 0);
  pool.close();
  expect([liveBuffers(kernel), memory.used]).toEqual([0, 0]);
});

test('memory of another size than the buffer’s is EINVAL', () => {
  const kernel = testKernel();
  const memory = makeShmem(kernel, 'gem', PAGE);
  onTestFinished(() => memory.close());
  expect(() =>
    dmaBufExport(kernel, {
      ...{ exp_name: 'gem', size: 2 * PAGE, flags: O_RDWR, memory },
      ops: { mapDmaBuf: () => expect.fail(), unmapDmaBuf() {}, release() {} },
    }),
  ).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});
