/** Fences in this process: the model that drivers are written with, and its descriptors. */
import { describe, expect, test } from 'vitest';
import {
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SYNC_READ,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_START,
  DMA_BUF_SYNC_WRITE,
  dma_buf_sync,
  POLLIN,
  POLLOUT,
  SYNC_IOC_SET_DEADLINE,
  sync_set_deadline,
} from '../../../ioctl/index.js';
import {
  DMA_RESV_USAGE_BOOKKEEP,
  DMA_RESV_USAGE_KERNEL,
  DMA_RESV_USAGE_READ,
  DMA_RESV_USAGE_WRITE,
  DmaFence,
  DmaFenceArray,
  DmaFenceChain,
  type DmaFenceInit,
  type DmaFenceOps,
  DmaResv,
  type DmaResvUsage,
  dmaFenceAddCallback,
  dmaFenceChainFindSeqno,
  dmaFenceContextAlloc,
  dmaFenceGetStatus,
  dmaFenceGetStub,
  dmaFenceIsLater,
  dmaFenceIsSignaled,
  dmaFenceRemoveCallback,
  dmaFenceSetDeadline,
  dmaFenceSetError,
  dmaFenceSignal,
  dmaFenceUnwrap,
  dmaFenceUnwrapMerge,
  dmaFenceWait,
  type Kernel,
  ktimeGet,
} from '../../../src/index.js';
import { liveBuffers, testKernel, until } from '../../run.js';
import {
  allocateBuffer,
  exportFence,
  fileInfo,
  importFence,
  merge,
  syncInfo,
  Timeline,
} from '../../sw_sync.js';

const code = (name: string) => expect.objectContaining({ code: name });
const EIO = 5;
const ENOENT = 2;

const names: Pick<DmaFenceOps, 'getDriverName' | 'getTimelineName'> = {
  getDriverName: () => 'camera',
  getTimelineName: () => 'frames',
};

function makeFence(
  kernel: Kernel,
  { ops, ...init }: Partial<Omit<DmaFenceInit, 'ops'>> & { ops?: Partial<DmaFenceOps> } = {},
): DmaFence {
  return new DmaFence(kernel, {
    context: dmaFenceContextAlloc(kernel),
    seqno: 1,
    ...init,
    ops: { ...names, ...ops },
  });
}

/** Fences, one of each of so many contexts, and how many of them were released. */
function makeFences(kernel: Kernel, count: number) {
  let released = 0;
  const ops = { release: () => released++ };
  const fences = Array.from({ length: count }, () => makeFence(kernel, { ops }));
  return { fences, released: () => released };
}

const statuses = (fences: Iterable<DmaFence>) => [...fences].map(dmaFenceGetStatus);

describe('a fence', () => {
  test('is signalled once, with a time, and calls back in the order of asking, in the same turn', () => {
    const fence = makeFence(testKernel());
    const calls: string[] = [];
    dmaFenceAddCallback(fence, () => calls.push('first'));
    dmaFenceAddCallback(fence, (which) => calls.push(which === fence ? 'second' : 'another'));
    expect([dmaFenceIsSignaled(fence), dmaFenceGetStatus(fence), fence.timestamp]).toEqual([
      false,
      0,
      undefined,
    ]);
    const before = ktimeGet();
    dmaFenceSignal(fence);
    expect(calls).toEqual(['first', 'second']);
    expect([dmaFenceIsSignaled(fence), dmaFenceGetStatus(fence)]).toEqual([true, 1]);
    const { timestamp } = fence;
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual(ktimeGet());

    dmaFenceSignal(fence);
    expect(calls).toHaveLength(2);
    expect(fence.timestamp).toBe(timestamp);
    expect(() => dmaFenceAddCallback(fence, () => {})).toThrow(code('ENOENT'));
  });

  test('does not call back whoever has thought better of it', () => {
    const fence = makeFence(testKernel());
    const calls: number[] = [];
    const [one, two] = [() => calls.push(1), () => calls.push(2)];
    dmaFenceAddCallback(fence, one);
    dmaFenceAddCallback(fence, two);
    dmaFenceRemoveCallback(fence, one);
    dmaFenceSignal(fence);
    expect(calls).toEqual([2]);
  });

  test('keeps the error that was set before, and one that comes later is a BUG in the log', () => {
    const kernel = testKernel();
    const fence = makeFence(kernel);
    dmaFenceSetError(fence, -EIO);
    expect(dmaFenceGetStatus(fence)).toBe(0);
    dmaFenceSignal(fence);
    expect(dmaFenceGetStatus(fence)).toBe(-EIO);
    expect(kernel.dmesg()).toEqual([]);
    dmaFenceSetError(fence, -EIO);
    expect(kernel.dmesg().join()).toContain('BUG: error of a signalled fence');
  });

  test('asks its driver to report once, when the first one waits', () => {
    const kernel = testKernel();
    let enabled = 0;
    const fence = makeFence(kernel, { ops: { enableSignaling: () => ++enabled > 0 } });
    expect(enabled).toBe(0);
    for (let i = 0; i < 3; i++) dmaFenceAddCallback(fence, () => {});
    expect(enabled).toBe(1);

    const over = makeFence(kernel, { ops: { enableSignaling: () => false } });
    expect(() => dmaFenceAddCallback(over, () => {})).toThrow(code('ENOENT'));
    expect(dmaFenceIsSignaled(over)).toBe(true);
  });

  test('is signalled when its driver, asked, says that the work is over', () => {
    let done = false;
    const fence = makeFence(testKernel(), { ops: { signaled: () => done } });
    expect(dmaFenceIsSignaled(fence)).toBe(false);
    done = true;
    expect(dmaFenceIsSignaled(fence)).toBe(true);
    expect(fence.timestamp).toBeDefined();
  });

  test('is waited for without end, or until a time is over, and not less', async () => {
    const fence = makeFence(testKernel());
    const start = performance.now();
    expect(await dmaFenceWait(fence, 30)).toBe(false);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    const waiting = [dmaFenceWait(fence), dmaFenceWait(fence, 10_000)];
    setImmediate(() => dmaFenceSignal(fence));
    expect(await Promise.all(waiting)).toEqual([true, true]);
    expect(await dmaFenceWait(fence, 0)).toBe(true);
  });

  test('tells its driver when it is wanted by, as long as that matters', () => {
    const deadlines: bigint[] = [];
    const ops = { setDeadline: (_: DmaFence, deadline: bigint) => deadlines.push(deadline) };
    const fence = makeFence(testKernel(), { ops });
    dmaFenceSetDeadline(fence, 5n);
    dmaFenceSetDeadline(fence, 3n);
    dmaFenceSignal(fence);
    dmaFenceSetDeadline(fence, 1n);
    expect(deadlines).toEqual([5n, 3n]);
  });

  test('is later than another by its number, which wraps around unless it has 64 bits', () => {
    const kernel = testKernel();
    const context = dmaFenceContextAlloc(kernel);
    const at = (seqno: number, use64BitSeqno = false) =>
      makeFence(kernel, { context, seqno, use64BitSeqno });
    expect(dmaFenceIsLater(at(2), at(1))).toBe(true);
    expect(dmaFenceIsLater(at(1), at(1))).toBe(false);
    expect(dmaFenceIsLater(at(1), at(0xffffffff))).toBe(true);
    expect(dmaFenceIsLater(at(1, true), at(0xffffffff, true))).toBe(false);
  });

  test('is released with its last reference, and an unsignalled one that others wait for is reported', () => {
    const kernel = testKernel();
    const { fences, released } = makeFences(kernel, 2);
    const [one, other] = fences as [DmaFence, DmaFence];
    one.get();
    one.put();
    expect(released()).toBe(0);
    one.put();
    expect(released()).toBe(1);
    expect(kernel.dmesg()).toEqual([]);

    let called = 0;
    dmaFenceAddCallback(other, () => called++);
    other.put();
    expect([released(), called]).toEqual([2, 1]);
    expect(kernel.dmesg().join()).toMatch(
      /Fence camera-frames\d+-1 released with pending signals!/,
    );
  });

  test('that stands for nothing is signalled from the start, and is one for all', () => {
    const kernel = testKernel();
    expect(dmaFenceGetStub(kernel)).toBe(dmaFenceGetStub(kernel));
    expect(dmaFenceGetStatus(dmaFenceGetStub(kernel))).toBe(1);
    expect(dmaFenceGetStub(testKernel())).not.toBe(dmaFenceGetStub(kernel));
  });

  test('contexts have numbers of their own, in a row if several are asked for', () => {
    const kernel = testKernel();
    const first = dmaFenceContextAlloc(kernel, 10);
    expect(dmaFenceContextAlloc(kernel)).toBe(first + 10);
  });
});

describe('an array', () => {
  const makeArray = (kernel: Kernel, fences: DmaFence[]) =>
    new DmaFenceArray(kernel, fences, dmaFenceContextAlloc(kernel), 1);

  test.each([
    ['first to last', [0, 1, 2]],
    ['last to first', [2, 1, 0]],
    ['in the middle first', [1, 2, 0]],
  ])('is signalled when all of its fences are: %s', (_what, order) => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 3);
    const array = makeArray(kernel, fences);
    let called = 0;
    dmaFenceAddCallback(array, () => called++);
    for (const i of order) {
      expect([called, dmaFenceIsSignaled(array)]).toEqual([0, false]);
      dmaFenceSignal(fences[i] as DmaFence);
    }
    expect([called, dmaFenceGetStatus(array)]).toEqual([1, 1]);
  });

  test('has the error of one that failed, and waits for the others all the same', () => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 3);
    const array = makeArray(kernel, fences);
    dmaFenceAddCallback(array, () => {});
    dmaFenceSetError(fences[0] as DmaFence, -EIO);
    for (const [i, fence] of fences.entries()) {
      dmaFenceSignal(fence);
      expect(dmaFenceGetStatus(array)).toBe(i < 2 ? 0 : -EIO);
    }
  });

  test('lets go of its fences when it goes itself, whether it was waited for or not', () => {
    const kernel = testKernel();
    const { fences, released } = makeFences(kernel, 4);
    makeArray(kernel, fences.slice(0, 2)).put();
    expect(released()).toBe(2);
    const waited = makeArray(kernel, fences.slice(2));
    const wake = () => {};
    waited.add(wake);
    waited.remove(wake);
    waited.put();
    expect(released()).toBe(4);
    expect(kernel.dmesg()).toEqual([]);
  });
});

describe('a chain', () => {
  /** Points 1, 2, 3 … of one timeline, each with a fence of its own context. */
  function makeChain(kernel: Kernel, length: number) {
    const { fences, released } = makeFences(kernel, length);
    let head: DmaFenceChain | undefined;
    const links = fences.map((fence, i) => {
      head = new DmaFenceChain(kernel, head?.get(), fence, i + 1);
      return head;
    });
    return { fences, links, released, head: links.at(-1) as DmaFenceChain };
  }

  /** The same with the last link alone held from outside. */
  function makeBareChain(kernel: Kernel, length: number) {
    const { fences, released } = makeFences(kernel, length);
    let head: DmaFenceChain | undefined;
    for (const [i, fence] of fences.entries())
      head = new DmaFenceChain(kernel, head, fence.get(), i + 1);
    return { fences, released, head: head as DmaFenceChain };
  }

  test('a point is signalled when it and all before it are', () => {
    const kernel = testKernel();
    const { fences, links } = makeChain(kernel, 3);
    const called: number[] = [];
    for (const [i, link] of links.entries()) dmaFenceAddCallback(link, () => called.push(i + 1));
    dmaFenceSignal(fences[2] as DmaFence);
    expect(called).toEqual([]);
    dmaFenceSignal(fences[0] as DmaFence);
    expect(called).toEqual([1]);
    dmaFenceSignal(fences[1] as DmaFence);
    expect(called.sort()).toEqual([1, 2, 3]);
    expect(statuses(links)).toEqual([1, 1, 1]);
  });

  test('leaves out for good the links that are signalled', () => {
    const kernel = testKernel();
    const { fences, released, head } = makeBareChain(kernel, 5);
    for (const i of [1, 2]) dmaFenceSignal(fences[i] as DmaFence);
    for (const fence of fences) fence.put();
    expect(released()).toBe(0);
    expect(head.previous()).toMatchObject({ seqno: 4 });
    expect([...head.pending()]).toEqual([fences[4], fences[3], fences[0]]);
    expect(released()).toBe(2);
    head.put();
    expect(released()).toBe(5);
    expect(kernel.dmesg()).toEqual([]);
  });

  test('finds the point that stands for a number', () => {
    const kernel = testKernel();
    const { fences, links, head } = makeChain(kernel, 4);
    for (const seqno of [1, 2, 3, 4])
      expect(dmaFenceChainFindSeqno(head, seqno)).toBe(links[seqno - 1]);
    expect(dmaFenceChainFindSeqno(head, 0)).toBe(head);
    expect(() => dmaFenceChainFindSeqno(head, 5)).toThrow(code('EINVAL'));
    expect(() => dmaFenceChainFindSeqno(fences[0] as DmaFence, 1)).toThrow(code('EINVAL'));

    // Of a number in between the next point counts; what is over needs none.
    const later = new DmaFenceChain(kernel, head.get(), makeFence(kernel), 10);
    expect(dmaFenceChainFindSeqno(later, 7)).toBe(later);
    for (const i of [0, 1]) dmaFenceSignal(fences[i] as DmaFence);
    expect(dmaFenceChainFindSeqno(later, 1)).toBeUndefined();
    expect(dmaFenceChainFindSeqno(later, 3)).toBe(links[2]);
  });

  test('a point that comes no later than the one before begins a timeline there', () => {
    const kernel = testKernel();
    const { head } = makeChain(kernel, 4);
    const next = new DmaFenceChain(kernel, head.get(), makeFence(kernel), 5);
    const back = new DmaFenceChain(kernel, head.get(), makeFence(kernel), 2);
    expect([next.context === head.context, next.seqno, next.prevSeqno]).toEqual([true, 5, 4]);
    expect([back.context === head.context, back.seqno, back.prevSeqno]).toEqual([false, 4, 0]);
  });

  const LONG = 100_000;

  test('of 100,000 links is signalled, walked and let go of, and not link by link all over again', () => {
    const kernel = testKernel({ fenceTimeout: 0 });
    for (const order of ['first to last', 'last to first', 'never'] as const) {
      const { fences, released, head } = makeBareChain(kernel, LONG);
      let called = 0;
      const wake = () => called++;
      head.add(wake);
      if (order === 'last to first') fences.reverse();
      // A walk from the start for each of them would be five thousand million steps.
      if (order !== 'never') for (const fence of fences) dmaFenceSignal(fence);
      expect(called, order).toBe(order === 'never' ? 0 : 1);
      for (const fence of fences) fence.put();
      head.remove(wake);
      head.put();
      expect(released(), order).toBe(LONG);
    }
    expect(kernel.dmesg()).toEqual([]);
  });
});

describe('taken apart and merged', () => {
  test('arrays and chains, and arrays in chains, give the fences that are in them', () => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 4);
    const [a, b, c, d] = fences as [DmaFence, DmaFence, DmaFence, DmaFence];
    const array = new DmaFenceArray(kernel, [a, b], dmaFenceContextAlloc(kernel), 1);
    const first = new DmaFenceChain(kernel, undefined, array, 1);
    const second = new DmaFenceChain(kernel, first, c, 2);
    expect([...dmaFenceUnwrap(second)]).toEqual([c, a, b]);
    expect([...dmaFenceUnwrap(d)]).toEqual([d]);
  });

  test('keeps the latest of each context, and nothing that is signalled', () => {
    const kernel = testKernel();
    const [x, y, z] = [1, 2, 3].map(() => dmaFenceContextAlloc(kernel));
    const at = (context: number | undefined, seqno: number) =>
      makeFence(kernel, { context: context as number, seqno });
    const [x1, x2, y1, z1] = [at(x, 1), at(x, 2), at(y, 1), at(z, 1)] as const;
    dmaFenceSignal(z1);
    const left = new DmaFenceArray(kernel, [y1.get(), x1.get()], dmaFenceContextAlloc(kernel), 1);
    const merged = dmaFenceUnwrapMerge(kernel, left, x2, z1);
    expect(merged).toBeInstanceOf(DmaFenceArray);
    expect([...dmaFenceUnwrap(merged)]).toEqual([x2, y1]);
  });

  test('gives the fence itself when only one is left, and a signalled one when none is', () => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 2);
    const [a, b] = fences as [DmaFence, DmaFence];
    dmaFenceSignal(a, 77n);
    expect(dmaFenceUnwrapMerge(kernel, a, b)).toBe(b);
    expect(dmaFenceUnwrapMerge(kernel, b, b)).toBe(b);
    dmaFenceSignal(b, 99n);
    const none = dmaFenceUnwrapMerge(kernel, a, b);
    expect(dmaFenceGetStatus(none)).toBe(1);
    expect(none.timestamp).toBe(99n);
  });
});

describe('a reservation object', () => {
  function makeResv(kernel: Kernel) {
    const resv = new DmaResv(kernel);
    const add = (fence: DmaFence, usage: DmaResvUsage) => {
      resv.lock();
      resv.reserveFences(1);
      resv.addFence(fence, usage);
      resv.unlock();
    };
    return { resv, add };
  }
  const all = (resv: DmaResv, usage: DmaResvUsage) => [...resv.fences(usage)];

  test('gives with a usage what is of it and of those before it', () => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 4);
    const [moved, written, read, kept] = fences as [DmaFence, DmaFence, DmaFence, DmaFence];
    const { resv, add } = makeResv(kernel);
    add(moved, DMA_RESV_USAGE_KERNEL);
    add(written, DMA_RESV_USAGE_WRITE);
    add(read, DMA_RESV_USAGE_READ);
    add(kept, DMA_RESV_USAGE_BOOKKEEP);
    expect(all(resv, DMA_RESV_USAGE_KERNEL)).toEqual([moved]);
    expect(all(resv, DMA_RESV_USAGE_WRITE)).toEqual([moved, written]);
    expect(all(resv, DMA_RESV_USAGE_READ)).toEqual([moved, written, read]);
    expect(all(resv, DMA_RESV_USAGE_BOOKKEEP)).toEqual(fences);
    for (const fence of [moved, written]) dmaFenceSignal(fence);
    expect(resv.testSignaled(DMA_RESV_USAGE_WRITE)).toBe(true);
    expect(resv.testSignaled(DMA_RESV_USAGE_READ)).toBe(false);
  });

  test('is waited for, all of a usage, and not longer than one will', async () => {
    const kernel = testKernel();
    const [written, read] = [makeFence(kernel), makeFence(kernel)];
    const { resv, add } = makeResv(kernel);
    add(written, DMA_RESV_USAGE_WRITE);
    add(read, DMA_RESV_USAGE_READ);
    expect(await resv.wait(DMA_RESV_USAGE_READ, 1)).toBe(false);
    const writers = resv.wait(DMA_RESV_USAGE_WRITE);
    const everybody = resv.wait(DMA_RESV_USAGE_READ, 10_000);
    dmaFenceSignal(written);
    expect(await writers).toBe(true);
    setImmediate(() => dmaFenceSignal(read));
    expect(await everybody).toBe(true);
    expect(await resv.wait(DMA_RESV_USAGE_READ, 0)).toBe(true);
  });

  test('keeps one fence of a context: the later, unless it is for less', () => {
    const kernel = testKernel();
    const context = dmaFenceContextAlloc(kernel);
    const [one, two] = [1, 2].map((seqno) => makeFence(kernel, { context, seqno })) as [
      DmaFence,
      DmaFence,
    ];
    const kept = (...steps: [DmaFence, DmaResvUsage][]) => {
      const { resv, add } = makeResv(kernel);
      for (const [fence, usage] of steps) add(fence, usage);
      return all(resv, DMA_RESV_USAGE_READ);
    };
    expect(kept([one, DMA_RESV_USAGE_READ], [two, DMA_RESV_USAGE_READ])).toEqual([two]);
    expect(kept([one, DMA_RESV_USAGE_READ], [two, DMA_RESV_USAGE_WRITE])).toEqual([two]);
    expect(kept([one, DMA_RESV_USAGE_WRITE], [two, DMA_RESV_USAGE_READ])).toEqual([one, two]);
  });

  test('gives one fence for all: none for none, the only one, or an array', () => {
    const kernel = testKernel();
    const { fences } = makeFences(kernel, 2);
    const [a, b] = fences as [DmaFence, DmaFence];
    const { resv, add } = makeResv(kernel);
    expect(resv.getSingleton(DMA_RESV_USAGE_READ)).toBeUndefined();
    add(a, DMA_RESV_USAGE_READ);
    expect(resv.getSingleton(DMA_RESV_USAGE_READ)).toBe(a);
    add(b, DMA_RESV_USAGE_READ);
    const array = resv.getSingleton(DMA_RESV_USAGE_READ);
    expect(array).toBeInstanceOf(DmaFenceArray);
    expect((array as DmaFenceArray).fences).toEqual([a, b]);
  });

  test('copies another’s fences, and replaces those of a context', () => {
    const kernel = testKernel();
    const { fences, released } = makeFences(kernel, 3);
    const [a, b, preempted] = fences as [DmaFence, DmaFence, DmaFence];
    const [source, copy] = [makeResv(kernel), makeResv(kernel)];
    source.add(a, DMA_RESV_USAGE_WRITE);
    source.add(b, DMA_RESV_USAGE_READ);
    copy.resv.lock();
    copy.resv.copyFences(source.resv);
    copy.resv.replaceFences(b.context, preempted, DMA_RESV_USAGE_WRITE);
    copy.resv.unlock();
    expect(all(source.resv, DMA_RESV_USAGE_READ)).toEqual([a, b]);
    expect(all(copy.resv, DMA_RESV_USAGE_WRITE)).toEqual([a, preempted]);
    for (const { resv } of [source, copy]) resv.fini();
    for (const fence of fences) fence.put();
    expect(released()).toBe(3);
    expect(kernel.dmesg()).toEqual([]);
  });

  test.each<[string, (resv: DmaResv, fence: DmaFence) => void, RegExp]>([
    [
      'a fence added without the lock',
      (resv, fence) => resv.addFence(fence, DMA_RESV_USAGE_READ),
      /WARNING: dma_resv: a fence added without the lock.*fences\.test/,
    ],
    [
      'a fence added without a reservation',
      (resv, fence) => {
        resv.lock();
        resv.addFence(fence, DMA_RESV_USAGE_READ);
      },
      /WARNING: dma_resv: a fence added without a reservation/,
    ],
    ['a reservation without the lock', (resv) => resv.reserveFences(1), /reserve without the lock/],
    [
      'a lock taken twice',
      (resv) => {
        resv.lock();
        resv.lock();
      },
      /locked twice/,
    ],
    ['an unlock of what is not locked', (resv) => resv.unlock(), /unlocked, and was not locked/],
  ])('%s is a line in the kernel log', (_what, mistake, line) => {
    const kernel = testKernel();
    mistake(new DmaResv(kernel), makeFence(kernel));
    expect(kernel.dmesg().join('\n')).toMatch(line);
  });
});

describe('descriptors of fences, in kernel.sys', () => {
  /** What is there at the end of a test: nothing. */
  async function expectNoFenceLeft(kernel: Kernel): Promise<void> {
    await until('all files go', () => {
      liveBuffers(kernel);
      return kernel.files.size === 0;
    });
    expect(syncInfo(kernel)).toEqual([]);
  }

  test('a timeline makes fences, passes them, and is listed as long as anybody needs it', async () => {
    const kernel = testKernel();
    const timeline = new Timeline(kernel);
    const [one, two] = [timeline.fence(1), timeline.fence(2)];
    expect(syncInfo(kernel)).toHaveLength(3);
    expect(fileInfo(kernel, one)).toMatchObject({ status: 0, num_fences: 1 });
    timeline.advance();
    expect([one, two].map((fd) => fileInfo(kernel, fd).status)).toEqual([1, 0]);
    timeline.close();
    expect(fileInfo(kernel, two).status).toBe(-ENOENT);
    for (const fd of [one, two]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  test('a merge waits for both, and is named', async () => {
    const kernel = testKernel();
    const [one, other] = [new Timeline(kernel), new Timeline(kernel)];
    const [a, b] = [one.fence(1), other.fence(1)];
    const both = merge(kernel, a, b, 'both');
    expect(fileInfo(kernel, both)).toEqual({ name: 'both', status: 0, num_fences: 2 });
    let signaled = false;
    const waiting = kernel.sys.fenceSignaled(both).then(() => {
      signaled = true;
    });
    one.advance();
    await kernel.sys.fenceSignaled(a);
    expect(signaled).toBe(false);
    other.advance();
    await waiting;
    expect(fileInfo(kernel, both).status).toBe(1);
    for (const fd of [one.fd, other.fd, a, b, both]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  test('wrong descriptors, fields and pointers are refused, and leave nothing open', async () => {
    const kernel = testKernel();
    const timeline = new Timeline(kernel);
    const fence = timeline.fence(1);
    expect(() => merge(kernel, fence, -1)).toThrow(code('ENOENT'));
    expect(() => merge(kernel, fence, timeline.fd)).toThrow(code('ENOENT'));
    expect(() => merge(kernel, timeline.fd, fence)).toThrow(code('ENOTTY'));
    expect(() => fileInfo(kernel, timeline.fd)).toThrow(code('ENOTTY'));
    const deadline = sync_set_deadline.create({ deadline_ns: 1n, pad: 1n });
    expect(() => kernel.sys.ioctl(fence, SYNC_IOC_SET_DEADLINE, deadline)).toThrow(code('EINVAL'));
    expect(() => kernel.sys.ioctl(fence, SYNC_IOC_SET_DEADLINE, null)).toThrow(code('EFAULT'));
    const old = testKernel({ version: '6.1' });
    const of61 = new Timeline(old);
    const fence61 = of61.fence(1);
    expect(() => old.sys.ioctl(fence61, SYNC_IOC_SET_DEADLINE, deadline)).toThrow(code('ENOTTY'));
    for (const fd of [timeline.fd, fence, of61.fd, fence61]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
    await expectNoFenceLeft(old);
  });

  test('a buffer takes fences and gives them', async () => {
    const kernel = testKernel();
    const timeline = new Timeline(kernel);
    const [written, read, buffer] = [timeline.fence(1), timeline.fence(2), allocateBuffer(kernel)];
    importFence(kernel, buffer, written, DMA_BUF_SYNC_WRITE);
    importFence(kernel, buffer, read, DMA_BUF_SYNC_READ);
    const [toRead, toWrite] = [DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE].map((flags) =>
      exportFence(kernel, buffer, flags),
    ) as [number, number];
    timeline.advance();
    expect([toRead, toWrite].map((fd) => fileInfo(kernel, fd).status)).toEqual([1, 0]);
    timeline.advance();
    expect(fileInfo(kernel, toWrite).status).toBe(1);
    expect(() => exportFence(kernel, buffer, 0)).toThrow(code('EINVAL'));
    expect(() => importFence(kernel, buffer, buffer, DMA_BUF_SYNC_RW)).toThrow(code('EINVAL'));
    for (const fd of [timeline.fd, written, read, buffer, toRead, toWrite]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  /** A buffer that something writes to. */
  function busyBuffer(kernel: Kernel) {
    const timeline = new Timeline(kernel);
    const fence = timeline.fence(1);
    const buffer = allocateBuffer(kernel);
    importFence(kernel, buffer, fence, DMA_BUF_SYNC_WRITE);
    kernel.sys.close(fence);
    return { buffer, timeline };
  }
  const polled = (fd: number) => ({ fd, events: POLLIN | POLLOUT, revents: -1 });

  test('poll without waiting tells that a buffer is busy, and that a pipe beside it is not', async () => {
    const kernel = testKernel();
    const { buffer, timeline } = busyBuffer(kernel);
    const [here, there] = kernel.sys.socketpair();
    const fds = [polled(buffer), polled(here)];
    expect(kernel.sys.poll(fds, 0)).toBe(1);
    expect(fds.map(({ revents }) => revents)).toEqual([0, POLLOUT]);
    expect(kernel.sys.poll(fds.slice(0, 1), 0)).toBe(0);
    timeline.advance();
    expect(kernel.sys.poll(fds, 0)).toBe(2);
    expect(fds[0]?.revents).toBe(POLLIN | POLLOUT);
    for (const fd of [buffer, timeline.fd, here, there]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  test('promises.poll waits for a buffer or for what is beside it, and no longer than it is told', async () => {
    const kernel = testKernel();
    const { buffer, timeline } = busyBuffer(kernel);
    const [here, there] = kernel.sys.socketpair();
    const entries = () => [polled(buffer), { fd: here, events: POLLIN, revents: -1 }];
    const start = performance.now();
    expect(await kernel.sys.promises.poll(entries(), 40)).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(40);

    const forSocket = entries();
    const socketReady = kernel.sys.promises.poll(forSocket, -1);
    setImmediate(() => kernel.sys.sendmsg(there, Buffer.from('x')));
    expect(await socketReady).toBe(1);
    expect(forSocket.map(({ revents }) => revents)).toEqual([0, POLLIN]);
    kernel.sys.recvmsg(here, 1);

    const forBuffer = entries();
    const bufferReady = kernel.sys.promises.poll(forBuffer, -1);
    setImmediate(() => timeline.advance());
    expect(await bufferReady).toBe(1);
    expect(forBuffer.map(({ revents }) => revents)).toEqual([POLLIN | POLLOUT, 0]);
    for (const fd of [buffer, timeline.fd, here, there]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  test('SYNC is awaited in promises.ioctl, and refused as a deadlock in ioctl', async () => {
    const kernel = testKernel();
    const { buffer, timeline } = busyBuffer(kernel);
    const start = dma_buf_sync.create({ flags: BigInt(DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) });
    expect(() => kernel.sys.ioctl(buffer, DMA_BUF_IOCTL_SYNC, start)).toThrow(code('EDEADLK'));
    let over = false;
    const waiting = kernel.sys.promises.ioctl(buffer, DMA_BUF_IOCTL_SYNC, start).then((result) => {
      over = true;
      return result;
    });
    const [here, there] = kernel.sys.socketpair();
    kernel.sys.sendmsg(there, Buffer.from('x'));
    await kernel.sys.promises.poll([{ fd: here, events: POLLIN }], -1);
    expect(over).toBe(false);
    timeline.advance();
    expect(await waiting).toBe(0);
    expect(kernel.sys.ioctl(buffer, DMA_BUF_IOCTL_SYNC, start)).toBe(0);
    for (const fd of [buffer, timeline.fd, here, there]) kernel.sys.close(fd);
    await expectNoFenceLeft(kernel);
  });

  test('fenceSignaled waits for all that is on a buffer; what is closed meanwhile goes', async () => {
    const kernel = testKernel();
    const { buffer, timeline } = busyBuffer(kernel);
    const waiting = kernel.sys.fenceSignaled(buffer);
    setImmediate(() => timeline.close());
    await waiting;
    kernel.sys.close(buffer);
    await expectNoFenceLeft(kernel);
  });

  test('fences that nobody has any more are gone, though nothing ever signalled them', async () => {
    const kernel = testKernel();
    const [one, other] = [new Timeline(kernel), new Timeline(kernel)];
    const [a, b] = [one.fence(1), other.fence(1)];
    const both = merge(kernel, a, b);
    const buffer = allocateBuffer(kernel);
    importFence(kernel, buffer, both, DMA_BUF_SYNC_WRITE);
    kernel.sys.poll([polled(both)], 0);
    for (const fd of [a, b, both]) kernel.sys.close(fd);
    expect(syncInfo(kernel).filter((line) => line.includes('fence'))).toHaveLength(2);
    kernel.sys.close(buffer);
    await until('no fence is listed', () => {
      liveBuffers(kernel);
      return syncInfo(kernel).every((line) => !line.includes('fence'));
    });
    for (const timeline of [one, other]) timeline.close();
    await expectNoFenceLeft(kernel);
    expect(kernel.dmesg()).toEqual([]);
  });

  test('a poll that found a buffer busy has it until the fence is signalled, as in Linux', async () => {
    const kernel = testKernel();
    const { buffer, timeline } = busyBuffer(kernel);
    kernel.sys.poll([polled(buffer)], 0);
    kernel.sys.close(buffer);
    expect(liveBuffers(kernel)).toBe(1);
    timeline.advance();
    await until('the buffer goes', () => liveBuffers(kernel) === 0);
    timeline.close();
    await expectNoFenceLeft(kernel);
  });

  test('a thousand fences at once take their descriptors with them', async () => {
    const kernel = testKernel();
    const timeline = new Timeline(kernel);
    const fences = Array.from({ length: 1000 }, (_, i) => timeline.fence(i + 1));
    expect(syncInfo(kernel)).toHaveLength(1001);
    timeline.advance(500);
    expect(syncInfo(kernel)).toHaveLength(501);
    for (const fd of fences) kernel.sys.close(fd);
    timeline.close();
    await expectNoFenceLeft(kernel);
  });
});
