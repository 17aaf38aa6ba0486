/** Caches that devices do not see: what is served, and what is found to have gone wrong. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../../../ioctl/index.js';
import { Shmem } from '../../../src/backing/shmem.js';
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  dmaBufList,
  Kernel,
} from '../../../src/index.js';
import type { StrictCoherency } from '../../../src/mm/cache/cache.js';
import { cacheOf } from '../../../src/mm/cache/cache.js';
import { random } from '../../../src/mm/random.js';
import { native } from '../../../src/native.js';
import { Importer } from '../../importer.js';
import { needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel, until } from '../../run.js';
import { allocateBuffer, importFence, Timeline } from '../../sw_sync.js';

const PAGE = 4096;
const gpu = { name: 'gpu' };
const RW = DMA_BIDIRECTIONAL;

function agree(seen: Buffer, truth: Buffer, seed: number): void {
  // Not toEqual, which takes its time for each byte.
  if (!seen.equals(truth)) throw new Error(`seed ${seed}: what is seen is not what was written`);
}

/** A device that sees memory, and has each buffer in one piece. */
const makeGpu = (kernel: Kernel) =>
  new Importer(kernel, {
    name: 'gpu',
    max_segment_size: 2 ** 31,
    flags: uapi.DMA_IMPORTER_NONCOHERENT | uapi.DMA_IMPORTER_IOMMU,
  });

/** A buffer of the CPU's and a device's, and what they and the driver do with it. */
class Shared {
  readonly kernel: Kernel;
  readonly cache: StrictCoherency;
  readonly memory: Shmem;
  readonly cpu: Buffer;

  constructor(size = 4 * PAGE, coherencySeed = 1) {
    this.kernel = testKernel({ coherency: 'strict', coherencySeed });
    this.cache = cacheOf(this.kernel) as StrictCoherency;
    this.memory = new Shmem('shared', size);
    onTestFinished(() => this.memory.close());
    this.memory.describe = () => 'dmabuf 17 (test)';
    // As a program has it: a mapping that is not the kernel's own.
    const map = native.mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, this.memory.fd, 0);
    this.cpu = Buffer.from(map as ArrayBuffer);
    this.cache.noteOwnMapping(map as ArrayBuffer);
  }

  map(dir: 0 | 1 | 2 = RW, sync = true): this {
    this.cache.map(gpu, this.memory);
    if (sync && dir !== DMA_FROM_DEVICE) this.end();
    return this;
  }

  /** SYNC START as a heap and the core make it of it. */
  start(dir: 0 | 1 | 2, who = { pid: process.pid }): void {
    this.cache.syncForCpu(gpu, this.memory, 0, this.memory.size, dir);
    this.cache.begin(this.memory, dir, who);
  }

  end(dir: 0 | 1 | 2 = RW, who = { pid: process.pid }): void {
    this.cache.end(this.memory, dir, who);
    this.cache.syncForDevice(gpu, this.memory, 0, this.memory.size);
  }

  unmap(sync = true): void {
    if (sync) this.cache.syncForCpu(gpu, this.memory, 0, this.memory.size, RW);
    this.cache.unmap(gpu, this.memory);
  }

  /** What the device reads. */
  fetch(start = 0, end = this.memory.size): Buffer {
    const bytes = Buffer.alloc(end - start);
    this.cache.read(gpu, this.memory, start, bytes);
    return bytes;
  }

  store(value: number, start = 0, end = this.memory.size): void {
    this.cache.write(gpu, this.memory, start, new Uint8Array(end - start).fill(value));
  }

  /** What was reported, without what differs from run to run. */
  get found() {
    return this.kernel.staleAccesses.map(({ kind, reader, writers, byLuck, ranges }) => ({
      kind,
      ...(reader && { reader }),
      writers,
      ranges: ranges.map(({ start, end }) => `${start}-${end}`).join(),
      ...(byLuck && { byLuck }),
    }));
  }
}

const self = `${readFileSync('/proc/self/comm', 'utf8').trim()}[${process.pid}]`;

describe('what the device and the CPU see', () => {
  test('a kernel is coherent unless asked', () => {
    using kernel = new Kernel();
    expect([kernel.coherency, cacheOf(kernel), kernel.staleAccesses]).toEqual([
      'coherent',
      undefined,
      [],
    ]);
    expect(testKernel({ coherency: 'strict' }).coherency).toBe('strict');
  });

  test('a memory that no such device has mapped is what it is', () => {
    const shared = new Shared();
    shared.cpu.fill(1);
    expect(shared.fetch(0, 4)).toEqual(Buffer.of(1, 1, 1, 1));
    shared.store(2, 0, 4);
    expect(shared.cpu.subarray(0, 5)).toEqual(Buffer.of(2, 2, 2, 2, 1));
  });

  test('what the CPU wrote before it was mapped is there; what it writes then, after END', () => {
    const shared = new Shared();
    shared.cpu.fill(1);
    shared.map();
    expect(shared.fetch().every((byte) => byte === 1)).toBe(true);
    shared.start(DMA_TO_DEVICE);
    shared.cpu.fill(2, 0, PAGE);
    shared.end(DMA_TO_DEVICE);
    expect(shared.fetch(0, PAGE + 1)).toEqual(Buffer.concat([Buffer.alloc(PAGE, 2), Buffer.of(1)]));
    expect(shared.found).toEqual([]);
  });

  test('what the device wrote is there after START|READ, or when it is unmapped', () => {
    const shared = new Shared().map();
    shared.store(3, 0, 100);
    expect(shared.cpu[0]).toBe(0);
    expect(shared.fetch(0, 1)[0]).toBe(3);
    shared.start(DMA_FROM_DEVICE);
    expect(shared.cpu.subarray(98, 102)).toEqual(Buffer.of(3, 3, 0, 0));
    shared.end(DMA_FROM_DEVICE);
    shared.store(4, 0, 100);
    shared.unmap();
    expect(shared.cpu[0]).toBe(4);
    expect(shared.found).toEqual([]);
  });

  test('a device that reads without END gets what was there, and that is reported', () => {
    const shared = new Shared(4 * PAGE, 3).map();
    shared.cpu.fill(1, 100, 5000);
    const seen = shared.fetch();
    expect(seen[0]).toBe(0);
    expect(seen.subarray(100, 5000).includes(0)).toBe(true);
    expect(shared.found).toEqual([
      { kind: 'device-read', reader: 'dma gpu', writers: [self], ranges: '100-5000' },
    ]);
    expect(shared.kernel.dmesg().at(-1)).toContain(
      `coherency: dma gpu read bytes 0x64-0x1387 of dmabuf 17 (test), written by ${self}, ` +
        'from memory: stale; missing: DMA_BUF_IOCTL_SYNC END|WRITE',
    );
  });

  test('only what the device reads counts; a case is logged once, and counted', () => {
    const shared = new Shared().map();
    shared.cpu.fill(1, PAGE, PAGE + 10);
    shared.cpu.fill(1, 2 * PAGE, 2 * PAGE + 10);
    shared.fetch(0, PAGE);
    expect(shared.found).toEqual([]);
    shared.fetch(PAGE, 2 * PAGE);
    shared.fetch(2 * PAGE, 3 * PAGE);
    expect(shared.found).toMatchObject([{ ranges: `${PAGE}-${PAGE + 10}` }]);
    expect(shared.kernel.staleAccesses[0]?.count).toBe(2);
    expect(shared.kernel.dmesg()).toHaveLength(1);
  });

  test('a program that starts to write sees what the device wrote, so that its bytes replace it', () => {
    const shared = new Shared().map();
    shared.store(0xff);
    shared.start(DMA_TO_DEVICE);
    // What it writes is what it had in its cache.
    shared.cpu.fill(0, 0, PAGE);
    shared.end(DMA_TO_DEVICE);
    expect(shared.fetch(PAGE - 1, PAGE + 1)).toEqual(Buffer.of(0, 0xff));
    expect(shared.found).toEqual([]);
  });

  test('what a device writes while START waits for it is in no cache yet', () => {
    const shared = new Shared().map();
    shared.start(DMA_FROM_DEVICE);
    shared.store(5);
    shared.cache.waited(shared.memory);
    expect(shared.cpu[0]).toBe(5);
  });

  test('what a device that sees the caches wrote is in memory, too', () => {
    const shared = new Shared().map();
    shared.cpu.fill(1, 10, 20);
    shared.cache.snoop(shared.memory, 10, 10);
    expect(shared.fetch(9, 11)).toEqual(Buffer.of(0, 1));
    expect(shared.found).toEqual([]);
  });

  test('an unmapping that skips the sync leaves the CPU with what it had, until START|READ', () => {
    const shared = new Shared().map();
    shared.store(6);
    shared.unmap(false);
    expect(shared.cpu[0]).toBe(0);
    shared.cache.begin(shared.memory, DMA_TO_DEVICE, undefined);
    expect(shared.cpu[0]).toBe(0);
    shared.cache.begin(shared.memory, DMA_FROM_DEVICE, undefined);
    expect(shared.cpu[0]).toBe(6);
  });

  test('what the CPU writes while no device has it mapped needs no bracket', () => {
    const shared = new Shared().map();
    shared.store(6, 0, PAGE);
    shared.unmap(false);
    shared.cpu.fill(7, PAGE, 2 * PAGE);
    shared.map(RW, false);
    expect(shared.fetch(PAGE - 1, PAGE + 1)).toEqual(Buffer.of(6, 7));
    expect(shared.found).toEqual([]);
  });
});

describe('what gets lost', () => {
  test('what the CPU wrote, when START comes without END', () => {
    const shared = new Shared().map();
    shared.cpu.fill(1, 0, 1000);
    shared.start(DMA_FROM_DEVICE);
    expect(shared.cpu.subarray(0, 1000).includes(0)).toBe(true);
    expect(shared.found).toEqual([{ kind: 'lost-cpu-write', writers: [self], ranges: '0-1000' }]);
  });

  test('not while a program is between START|WRITE and END, be it this one or another', () => {
    for (const who of [{ pid: process.pid }, { pid: 1 }]) {
      const shared = new Shared().map();
      shared.start(DMA_TO_DEVICE, who);
      shared.cpu.fill(1, 0, 1000);
      shared.start(DMA_FROM_DEVICE);
      expect(shared.cpu[999]).toBe(1);
      expect(shared.found).toEqual([]);
    }
  });

  test('a program that is gone has no bracket open any more', () => {
    const shared = new Shared().map();
    const gone = spawnSync('true').pid;
    shared.start(DMA_TO_DEVICE, { pid: gone });
    shared.cpu.fill(1, 0, 1000);
    shared.start(DMA_FROM_DEVICE);
    expect(shared.found).toMatchObject([{ kind: 'lost-cpu-write' }]);
  });

  test('what a device wrote, when the CPU writes a part of the same line', () => {
    const shared = new Shared().map();
    shared.start(DMA_TO_DEVICE);
    shared.store(9, 0, 128);
    shared.cpu.fill(1, 60, 68);
    shared.end(DMA_TO_DEVICE);
    expect(shared.fetch(0, 128).includes(9)).toBe(false);
    expect(shared.found).toEqual([
      { kind: 'lost-device-write', writers: ['dma gpu'], ranges: '0-60,68-128' },
    ]);
    expect(shared.kernel.staleAccesses[0]?.missing).toMatch(/START\|RW before the CPU writes/);
  });

  test('not when it writes another line', () => {
    const shared = new Shared().map();
    shared.start(DMA_TO_DEVICE);
    shared.store(9, 0, 64);
    shared.cpu.fill(1, 64, 128);
    shared.end(DMA_TO_DEVICE);
    expect(shared.fetch(63, 65)).toEqual(Buffer.of(9, 1));
    expect(shared.found).toEqual([]);
  });

  test('what a device wrote over lines that were not written back before', () => {
    let lost = 0;
    for (let seed = 0; seed < 16; seed++) {
      const shared = new Shared(PAGE, seed).map();
      shared.cpu.fill(1, 0, 64);
      shared.store(9, 0, 64);
      shared.end(DMA_TO_DEVICE);
      // Written back in time by luck, the device's bytes are the later ones.
      if (shared.fetch(0, 1)[0] === 9) continue;
      lost++;
      expect(shared.found, `seed ${seed}`).toEqual([
        { kind: 'lost-device-write', writers: ['dma gpu'], ranges: '0-64' },
      ]);
      expect(shared.kernel.staleAccesses[0]?.missing).toMatch(/END\|WRITE before the device/);
    }
    expect(lost).toBeGreaterThan(8);
  });
});

describe('what the cache writes back of its own accord', () => {
  test('does not hide that END is missing, whatever is written back', () => {
    let lucky = 0;
    for (let seed = 0; seed < 64; seed++) {
      const shared = new Shared(PAGE, seed).map();
      shared.cpu.fill(1, 64, 80);
      // Any call is an occasion.
      for (let i = 0; i < 8; i++) shared.fetch(1024, 1025);
      const [byte] = shared.fetch(64, 80);
      const byLuck = byte === 1;
      const reader = 'dma gpu';
      expect(shared.found, `seed ${seed}`).toEqual([
        {
          kind: 'device-read',
          reader,
          writers: [self],
          ranges: '64-80',
          ...(byLuck && { byLuck }),
        },
      ]);
      if (byLuck) {
        lucky++;
        expect(shared.kernel.dmesg()[0]).toMatch(/by luck.*missing: DMA_BUF_IOCTL_SYNC END\|WRITE/);
      }
    }
    expect(lucky).toBeGreaterThan(10);
    expect(lucky).toBeLessThan(54);
  });

  test('nor that it is missing before START', () => {
    for (let seed = 0; seed < 64; seed++) {
      const shared = new Shared(PAGE, seed).map();
      shared.cpu.fill(1, 64, 80);
      for (let i = 0; i < 8; i++) shared.fetch(1024, 1025);
      shared.start(DMA_FROM_DEVICE);
      const byLuck = shared.cpu[64] === 1;
      expect(shared.found, `seed ${seed}`).toEqual([
        { kind: 'lost-cpu-write', writers: [self], ranges: '64-80', ...(byLuck && { byLuck }) },
      ]);
    }
  });

  test('is the same for the same seed', () => {
    const run = (seed: number) => {
      const shared = new Shared(4 * PAGE, seed).map();
      shared.cpu.fill(1);
      return shared.fetch();
    };
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });
});

test('with all brackets both see all that was written, and nothing is reported, whatever they do', () => {
  for (let seed = 0; seed < 200; seed++) {
    const shared = new Shared(3 * PAGE, seed);
    const next = random(seed);
    const int = (below: number) => Math.floor(next() * below);
    const truth = Buffer.alloc(3 * PAGE);
    // Lines are one side's alone while both may write.
    const part = () => {
      const start = int(3 * PAGE);
      return [start, Math.min(3 * PAGE, start + 1 + int(2 * PAGE))] as const;
    };
    shared.map();
    for (let step = 0; step < 40; step++) {
      const [start, end] = part();
      const value = int(3);
      switch (int(6)) {
        case 0:
          shared.store(value, start, end);
          truth.fill(value, start, end);
          break;
        case 1:
          agree(shared.fetch(start, end), truth.subarray(start, end), seed);
          break;
        case 2:
        case 3:
          shared.start(int(2) ? DMA_TO_DEVICE : RW);
          shared.cpu.fill(value, start, end);
          truth.fill(value, start, end);
          shared.end(DMA_TO_DEVICE);
          break;
        case 4:
          shared.start(DMA_FROM_DEVICE);
          agree(shared.cpu, truth, seed);
          shared.end(DMA_FROM_DEVICE);
          break;
        case 5:
          shared.unmap();
          agree(shared.cpu, truth, seed);
          shared.map();
      }
    }
    expect(shared.found, `seed ${seed}`).toEqual([]);
    shared.kernel.close();
  }
});

describe('what programs have read', () => {
  beforeEach(needsCompiler);

  const KINDS = { devices: ['+dma_importer'], coherency: 'strict' } as const;
  const runProgram = async (script: string) => {
    const { status, stdout, stderr, kernel } = await run(
      KINDS,
      program('coherency'),
      script.split(' '),
    );
    expect([status, stderr]).toEqual([0, '']);
    await expectNothingLeft(kernel);
    const { staleAccesses } = kernel;
    return { stdout, staleAccesses, kinds: staleAccesses.map(({ kind }) => kind) };
  };
  const SETUP = 'alloc 64 map 0,64 device';
  /** All pages are in the page table. */
  const WRITTEN = `${SETUP} start rw put 0,64 1 end rw`;
  /** Only read from here on. */
  const READ_ONLY = `${SETUP} start rw put 0,64 1 end rw unmap mapro 0,64 start r get 0,64 end r`;

  /** The device writes the pages that are odd, or even; the program reads those that are not. */
  const everyOther = (parity: 0 | 1) => {
    const pages = Array.from({ length: 64 }, (_, page) => page);
    const fills = pages.filter((page) => page % 2 === parity).map((page) => `fill ${page},1 7`);
    const gets = pages.filter((page) => page % 2 !== parity).map((page) => `get ${page},1`);
    return [...fills, ...gets].join(' ');
  };

  test.each([
    ['a page that it had not accessed before', `${SETUP} fill 0,64 7 get 5,1`],
    ['a page that it had', `${WRITTEN} fill 0,64 7 get 5,1`],
    ['through a mapping that it only reads', `${READ_ONLY} fill 0,64 7 get 5,1`],
    ['through a mapping that is new', `${WRITTEN} unmap fill 0,64 7 map 0,64 get 5,1`],
    ['and unmaps', `${WRITTEN} fill 0,64 7 get 5,1 unmap`],
    ['and moves', `${WRITTEN} fill 0,64 7 get 5,1 move`],
    ['and drops', `${WRITTEN} fill 0,64 7 get 5,1 drop`],
    ['and then comes START', `${WRITTEN} fill 0,64 7 get 5,1 start r get 0,64`],
    ['and then the device writes again', `${WRITTEN} fill 0,64 7 get 5,1 fill 0,64 8`],
    ['and then the device goes', `${WRITTEN} fill 0,64 7 get 5,1 undevice`],
    ['by write(2)', `${WRITTEN} fill 0,64 7 write 5,1`],
    ['of a part that the device wrote, all of it', `${WRITTEN} fill 8,16 7 get 0,64`],
    ['of a part that was all that it had accessed', `${SETUP} fill 16,32 7 get 32,1`],
    ['after the device wrote it in two parts', `${WRITTEN} fill 0,1 7 fill 1,63 7 get 60,1`],
    ['that it wrote without END before', `${SETUP} put 0,64 1 fill 0,64 7 get 5,1`],
    ['in a child', `${SETUP} fork get 0,1 fill 0,64 7 get 5,1`],
  ])('is found: %s', async (_how, script) => {
    const { staleAccesses, stdout } = await runProgram(script);
    const found = staleAccesses.filter(({ kind }) => kind === 'cpu-read');
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      reader: expect.stringMatching(/^coherency\[\d+\]$/),
      writers: ['dma gpu'],
      buffer: expect.stringMatching(/^dmabuf \d+ \(system\)$/),
      missing: expect.stringMatching(/^DMA_BUF_IOCTL_SYNC START\|READ/),
    });
    if (!script.includes('8,16')) return;
    expect(found[0]?.ranges).toEqual([{ start: 8 * PAGE, end: 24 * PAGE }]);
    expect(stdout).not.toContain('7');
  });

  test.each([
    ['all brackets', `${WRITTEN} fill 0,64 7 start r get 0,64 end r`],
    ['nothing is read', `${WRITTEN} fill 0,64 7`],
    ['what the device did not write is read', `${WRITTEN} fill 8,16 7 get 0,8 get 24,40`],
    ['the same, where a fault maps what is around', `${SETUP} fill 8,4 7 get 0,8 get 12,52`],
    ['the device writes every other page, and the others are read', `${SETUP} ${everyOther(0)}`],
    ['or the other way round', `${SETUP} ${everyOther(1)}`],
    ['it writes what it had, while the device writes', `${WRITTEN} start w fill 0,64 7 put 0,64 1`],
    ['the same bytes are written', `${WRITTEN} fill 0,64 7 start w put 0,64 1 end w`],
    ['the pages are mapped beforehand', `${WRITTEN} unmap fill 0,64 7 populate 0,64`],
    ['or on advice', `${READ_ONLY} drop fill 0,64 7 advise`],
    ['pages are dropped, and come back', `${READ_ONLY} fill 8,4 7 drop get 0,8 get 12,52`],
    ['the mapping is made anew', `${READ_ONLY} fill 8,4 7 again get 0,8 get 12,52`],
    ['the mapping has been moved', `${READ_ONLY} fill 8,4 7 move get 0,8`],
    ['it is unmapped', `${WRITTEN} fill 0,64 7 unmap`],
    ['the device writes what was there', `${WRITTEN} fill 0,64 1 get 5,1`],
  ])('nothing is found when %s', async (_what, script) => {
    expect((await runProgram(script)).kinds).toEqual([]);
  });

  test.each([
    ['device-read', 'start rw end rw put 0,64 1 fetch 0,64'],
    ['cpu-read', 'start rw put 0,64 1 end rw fill 0,64 7 get 5,1'],
    [undefined, 'start rw put 0,64 1 end rw fetch 0,1 fill 0,64 7 start r get 5,1 end r'],
  ])('a udmabuf is a buffer like others: %s', async (kind, script) => {
    const { kinds } = await runProgram(`udmabuf 64 map 0,64 device ${script}`);
    expect(kinds).toEqual(kind ? [kind] : []);
  });

  test('nobody is blamed for what another process has read', async () => {
    // Its accessed bits, when it ends, become marks that smaps shows of everybody.
    const { staleAccesses } = await runProgram(`${WRITTEN} fill 0,64 7 child 0,64 nap 100`);
    expect(staleAccesses.map(({ reader }) => reader)).toEqual([]);
  });

  test('while the program runs, too', async () => {
    const kernel = testKernel(KINDS);
    const child = kernel.spawn(
      program('coherency'),
      `${WRITTEN} fill 0,64 7 get 5,1 nap 20000`.split(' '),
    );
    await until('it is found', () => kernel.staleAccesses.length > 0);
    expect(kernel.staleAccesses).toMatchObject([{ reader: `coherency[${child.pid}]`, count: 1 }]);
    expect(child.exitCode).toBe(null);
    child.kill();
  });

  test('START that waits for a fence sees what the device wrote until then', async () => {
    const kernel = testKernel(KINDS);
    const { sys } = kernel;
    const fd = allocateBuffer(kernel, 16 * PAGE);
    const bytes = Buffer.from(sys.mmap(16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd));
    expect(bytes[0]).toBe(0);
    const device = makeGpu(kernel);
    const [segment] = device.map(device.attach(fd));
    const timeline = new Timeline(kernel);
    const fence = timeline.fence(1);
    importFence(kernel, fd, fence, uapi.DMA_BUF_SYNC_WRITE);
    const flags = BigInt(uapi.DMA_BUF_SYNC_START | uapi.DMA_BUF_SYNC_READ);
    const started = sys.promises.ioctl(
      fd,
      uapi.DMA_BUF_IOCTL_SYNC,
      uapi.dma_buf_sync.create({ flags }),
    );
    device.fill(segment?.address as number, 16 * PAGE, 7);
    timeline.advance();
    await started;
    expect(bytes.every((byte) => byte === 7)).toBe(true);
    sys.munmap(bytes.buffer as ArrayBuffer);
    expect(kernel.staleAccesses).toEqual([]);
    device.close();
    timeline.close();
    sys.close(fence);
    sys.close(fd);
  });

  test.each([
    ['without START', false],
    ['with it', true],
  ])('this process is one, too: it reads %s', (_how, correct) => {
    const kernel = testKernel(KINDS);
    const { sys } = kernel;
    const fd = allocateBuffer(kernel, 16 * PAGE);
    const map = sys.mmap(16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    const bytes = Buffer.from(map);
    bytes.fill(1);
    const device = makeGpu(kernel);
    const [segment] = device.map(device.attach(fd));
    expect(device.read(segment?.address as number, 1)[0]).toBe(1);
    const [dmabuf] = dmaBufList(kernel);
    const uses = dmabuf?.fileCount;
    device.fill(segment?.address as number, 16 * PAGE, 7);
    // What is mapped here to look for accesses is nobody's use.
    expect(dmabuf?.fileCount).toBe(uses);
    const sync = (flags: number) =>
      sys.ioctl(fd, uapi.DMA_BUF_IOCTL_SYNC, uapi.dma_buf_sync.create({ flags: BigInt(flags) }));
    if (correct) sync(uapi.DMA_BUF_SYNC_START | uapi.DMA_BUF_SYNC_READ);
    expect(bytes[5 * PAGE]).toBe(correct ? 7 : 1);
    if (correct) sync(uapi.DMA_BUF_SYNC_END | uapi.DMA_BUF_SYNC_READ);
    sys.munmap(map);
    device.close();
    sys.close(fd);
    const found = correct ? [] : [{ kind: 'cpu-read', reader: self, writers: ['dma gpu'] }];
    expect(kernel.staleAccesses).toMatchObject(found);
    expect(kernel.staleAccesses).toHaveLength(found.length);
  });
});

describe('dmabuf-shim run --strict-coherency', () => {
  beforeEach(needsCompiler);

  const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));
  const shim = (options: string, script: string) => {
    const args = ['run', '--devices', '+dma_importer', ...options.split(' ')];
    const command = [...args, '--', program('coherency'), ...script.split(' ')];
    return spawnSync(process.execPath, [main, ...command], { encoding: 'utf8' });
  };
  const WRONG = 'alloc 4 map 0,4 device put 0,4 1 fetch 0,4 fetch 0,4';

  test('shows each case once, and how often it was, without the rest of the log', () => {
    const { status, stderr } = shim('--strict-coherency=3', WRONG);
    expect(status).toBe(0);
    const [line, summary, ...rest] = stderr.trimEnd().split('\n');
    expect(line).toMatch(
      /^\[ +\d+\.\d+\] coherency: dma gpu read bytes .* written by coherency\[\d+\], from memory/,
    );
    expect(summary).toBe(
      'dmabuf-shim run: missing cache maintenance: 1 case, 2 times in all (see above)',
    );
    expect(rest).toEqual([]);
  });

  test('says nothing about a program that is right, and nothing without it', () => {
    const right = 'alloc 4 map 0,4 device start w put 0,4 1 end w fetch 0,4';
    expect(shim('--strict-coherency', right)).toMatchObject({ status: 0, stderr: '' });
    expect(shim('--devices +dma_importer', WRONG)).toMatchObject({
      status: 0,
      stdout: 'fetch 1 1 1 1\nfetch 1 1 1 1\n',
      stderr: '',
    });
  });

  test('a seed that is none is a usage error', () => {
    const { status, stderr } = shim('--strict-coherency=often', WRONG);
    expect([status, stderr]).toEqual([
      2,
      'dmabuf-shim run: --strict-coherency takes an integer, not "often"\n',
    ]);
  });
});
