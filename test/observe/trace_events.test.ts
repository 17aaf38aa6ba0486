/** `--trace-events` and `kernel.traceEvents()`: what happens over time, for Perfetto and chrome://tracing. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_RW,
  dma_buf_sync,
  MAP_SHARED,
  O_RDWR,
  PROT_READ,
} from '../../ioctl/index.js';
import {
  allocateScattered,
  Device,
  DMA_BIDIRECTIONAL,
  DMA_TO_DEVICE,
  DmaFence,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufList,
  dmaBufMapAttachmentUnlocked,
  dmaBufPut,
  dmaBufUnmapAttachmentUnlocked,
  dmaFenceContextAlloc,
  dmaFenceSetError,
  dmaFenceSignal,
  Engine,
  exportHeapBuffer,
  heapBufOps,
  type Kernel,
} from '../../src/index.js';
import { cli, main } from '../cli.js';
import { needsCompiler, program } from '../programs.js';
import { testKernel, until } from '../run.js';
import { allocateBuffer, importFence, Timeline } from '../sw_sync.js';
import { readTrace, type Slice, type Trace } from '../trace_events.js';

const twist = fileURLToPath(new URL('../programs/twist.ts', import.meta.url));

/** Traces what is done to a kernel. */
async function traced(action: (kernel: Kernel) => unknown): Promise<Trace> {
  const kernel = testKernel();
  const trace = startTrace(kernel);
  await action(kernel);
  return readTrace(trace.stop());
}

function startTrace(kernel: Kernel) {
  const trace = {
    text: '',
    /** All of it. */
    stop(): string {
      end();
      return trace.text;
    },
  };
  const end = kernel.traceEvents({
    write: (part) => {
      trace.text += part;
    },
  });
  return trace;
}

const callOf = ({ args }: Slice) => String(args.call);

describe('calls', () => {
  test('of kernel.sys are slices of this thread, decoded, with their results', async () => {
    const { slices, lineOf } = await traced(({ sys }) => {
      sys.open('/dev/dma_heap/system', O_RDWR);
      expect(() => sys.ioctl(sys.open('/dev/udmabuf', O_RDWR), 0, 0)).toThrow('ENOTTY');
    });
    expect(slices.map((slice) => [slice.name, slice.cat, slice.args.result])).toEqual([
      ['open', 'call', expect.stringMatching(/^\d+$/)],
      ['open', 'call', expect.stringMatching(/^\d+$/)],
      ['ioctl', 'call', '-1 ENOTTY'],
    ]);
    expect(callOf(slices[0] as Slice)).toMatch(/^open\("\/dev\/dma_heap\/system", O_RDWR\) = \d+$/);
    expect(slices.every((slice) => slice.pid === process.pid && slice.tid === process.pid)).toBe(
      true,
    );
    expect(lineOf(slices[0] as Slice)).toMatch(/^(.+)\/\1$/);
  });

  test('that wait side by side are on lines of their own', async () => {
    const { slices } = await traced(async (kernel) => {
      const timelines = [new Timeline(kernel), new Timeline(kernel)];
      const buffers = timelines.map((timeline) => {
        const buffer = allocateBuffer(kernel);
        importFence(kernel, buffer, timeline.fence(1), DMA_BUF_SYNC_RW);
        return buffer;
      });
      const sync = dma_buf_sync.create({ flags: BigInt(DMA_BUF_SYNC_RW) });
      const waits = buffers.map((fd) => kernel.sys.promises.ioctl(fd, DMA_BUF_IOCTL_SYNC, sync));
      for (const timeline of timelines) timeline.advance();
      await Promise.all(waits);
    });
    const waiting = slices.filter(({ cat }) => cat === 'waiting');
    expect(waiting.map(({ name }) => name)).toEqual(['DMA_BUF_IOCTL_SYNC', 'DMA_BUF_IOCTL_SYNC']);
    expect(new Set(waiting.map(({ tid }) => tid)).size).toBe(2);
    const [one, other] = waiting as [Slice, Slice];
    expect(one.start < other.start && other.start < one.end).toBe(true);
  });
});

interface Mapped {
  attachment: ReturnType<typeof dmaBufAttach>;
  direction: typeof DMA_BIDIRECTIONAL | typeof DMA_TO_DEVICE;
  table: ReturnType<typeof dmaBufMapAttachmentUnlocked>;
}

describe('buffers', () => {
  test('live from the call that made them to their release, under their inode', async () => {
    let ino = 0;
    const { spans, process: processOf } = await traced((kernel) => {
      const { sys } = kernel;
      const fd = allocateBuffer(kernel);
      for (const dmabuf of dmaBufList(kernel)) ino = dmabuf.ino;
      sys.ioctl(fd, DMA_BUF_SET_NAME, Buffer.from('frame\0'));
      for (const flags of [DMA_BUF_SYNC_RW, DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END]) {
        sys.ioctl(fd, DMA_BUF_IOCTL_SYNC, dma_buf_sync.create({ flags: BigInt(flags) }));
      }
      const mapping = sys.mmap(4096, PROT_READ, MAP_SHARED, fd);
      sys.munmap(mapping);
      sys.close(fd);
    });
    const [life, mapping] = spans;
    expect(life).toMatchObject({
      cat: 'buffer',
      id: String(ino),
      name: 'system, 4 KiB',
      args: { inode: ino, size: 4096, exporter: 'system', name: 'frame' },
    });
    const me = `${readFileSync('/proc/self/comm', 'utf8').trim()}[${process.pid}]`;
    expect(life?.args['made by']).toEqual(me);
    expect(life?.notes.map(({ name, args }) => [name, args])).toEqual([
      ['named frame', { by: me }],
      ['START|RW', { by: me }],
      ['END|RW', { by: me }],
    ]);
    expect(mapping).toMatchObject({
      cat: 'mapping',
      id: String(ino),
      name: expect.stringContaining(`[${process.pid}]`),
      args: { length: 4096, offset: 0, prot: 'PROT_READ' },
    });
    expect((life?.start ?? 0) < (mapping?.start ?? 0)).toBe(true);
    expect((mapping?.end ?? 0) < (life?.end ?? 0)).toBe(true);
    expect(processOf(life?.pid ?? 0)).toBe('buffers');
  });

  test('have attachments and mappings of devices, which may overlap', async () => {
    const { spans } = await traced((kernel) => {
      const dmabuf = exportHeapBuffer(kernel, allocateScattered(kernel.memory, 4096), {
        exp_name: 'test',
        ops: heapBufOps,
        size: 4096,
        flags: O_RDWR,
      });
      const [gpu, display] = ['gpu', 'display'].map((name) => {
        const attachment = dmaBufAttach(dmabuf, new Device(kernel, { name }));
        const direction = name === 'gpu' ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
        return { attachment, direction, table: dmaBufMapAttachmentUnlocked(attachment, direction) };
      }) as [Mapped, Mapped];
      for (const { attachment, direction, table } of [gpu, display]) {
        dmaBufUnmapAttachmentUnlocked(attachment, table, direction);
        dmaBufDetach(dmabuf, attachment);
      }
      dmaBufPut(dmabuf);
    });
    const [life] = spans;
    const ids = (cat: string) =>
      spans.filter((span) => span.cat === cat).map(({ id, name }) => [id, name]);
    expect(ids('attachment')).toEqual([
      [life?.id, 'attached to gpu'],
      [`${life?.id}.1`, 'attached to display'],
    ]);
    expect(ids('dma mapping')).toEqual([
      [life?.id, 'mapped for gpu'],
      [`${life?.id}.1`, 'mapped for display'],
    ]);
    expect(spans.find(({ name }) => name === 'mapped for gpu')?.args.direction).toBe(
      'DMA_BIDIRECTIONAL',
    );
    expect(spans.every(({ end }) => end <= (life?.end ?? 0))).toBe(true);
  });

  test('and what else goes on when the trace ends is shown up to there', async () => {
    const { spans } = await traced((kernel) => {
      const fd = allocateBuffer(kernel);
      importFence(kernel, fd, new Timeline(kernel).fence(1), DMA_BUF_SYNC_RW);
      kernel.sys.mmap(4096, PROT_READ, MAP_SHARED, fd);
    });
    expect(spans.map(({ cat }) => cat)).toEqual(['buffer', 'fence', 'mapping']);
    expect(new Set(spans.map(({ end }) => end)).size).toBeLessThanOrEqual(2);
  });
});

describe('fences and jobs', () => {
  test('a fence lasts until its signal, on the line of its timeline, with its error', async () => {
    const { spans } = await traced((kernel) => {
      const ops = { getDriverName: () => 'ink', getTimelineName: () => 'pen' };
      const context = dmaFenceContextAlloc(kernel);
      const fences = [1, 2, 3].map((seqno) => new DmaFence(kernel, { ops, context, seqno }));
      const [first, second, third] = fences as [DmaFence, DmaFence, DmaFence];
      dmaFenceSignal(first);
      dmaFenceSetError(second, -28);
      dmaFenceSignal(second);
      third.put();
    });
    expect(spans.map(({ name, id }) => [name, id])).toEqual([
      ['ink-pen3-1', 'ink pen 3'],
      ['ink-pen3-2', 'ink pen 3.1'],
      ['ink-pen3-3', 'ink pen 3.2'],
    ]);
    expect(spans.map(({ args }) => args.error)).toEqual([
      undefined,
      'ENOSPC',
      'released without a signal',
    ]);
  });

  test('jobs wait in the queue, then take the line of their engine; arrows say why they begin', async () => {
    const { slices, spans, arrows, lineOf } = await traced(async (kernel) => {
      const [scaler, encoder] = [new Engine(kernel, 'scaler'), new Engine(kernel, 'encoder')];
      const scaled = scaler.submit({
        name: 'scale',
        run: () => new Promise((r) => setTimeout(r, 5)),
      });
      encoder.submit({ name: 'encode', after: [scaled], run() {} });
      scaler.submit({ name: 'scale more', run() {} });
      await Promise.all([scaler.idle(), encoder.idle()]);
    });
    const jobs = slices.map((slice) => [lineOf(slice), slice.name]);
    expect(jobs.toSorted()).toEqual([
      ['devices/encoder', 'encode'],
      ['devices/scaler', 'scale'],
      ['devices/scaler', 'scale more'],
    ]);
    expect(arrows.map(({ from, to }) => [from.name, to.name])).toEqual([['scale', 'encode']]);
    const queued = spans.filter(({ cat }) => cat === 'queue');
    expect(queued.map(({ name }) => name)).toEqual(['scale', 'encode', 'scale more']);
    for (const { name, end } of queued) {
      expect(slices.find((slice) => slice.name === name)?.start).toBeGreaterThanOrEqual(end);
    }
  });

  test('a job that is not begun, as what it waits for has failed, leaves the queue', async () => {
    const { slices, spans } = await traced(async (kernel) => {
      const engine = new Engine(kernel, 'scaler');
      const ops = { getDriverName: () => 'ink', getTimelineName: () => 'pen' };
      const failed = new DmaFence(kernel, { ops, context: 9, seqno: 1 });
      dmaFenceSetError(failed, -28);
      dmaFenceSignal(failed);
      engine.submit({ name: 'scale', after: [failed], run() {} });
      await engine.idle();
    });
    expect(slices.filter(({ cat }) => cat === 'job')).toEqual([]);
    expect(spans.find(({ cat }) => cat === 'queue')?.args.error).toBe('ENOSPC');
  });
});

describe('programs', () => {
  beforeEach(needsCompiler);

  test('a call that waits is one slice, with an arrow from the call that ended its wait', async () => {
    const kernel = testKernel();
    const trace = startTrace(kernel);
    const child = kernel.spawn(program('waits'), ['sync', 'buffer', '-1'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    await new Promise<unknown>((parked) => kernel.observers.add({ callParked: parked }));
    child.stdin?.write('f');
    expect(await once(child, 'exit')).toEqual([0, null]);
    const { slices, spans, arrows, lineOf } = readTrace(trace.stop());
    const wake = arrows.find(({ to }) => to.cat === 'waiting');
    expect(wake?.from.name).toBe('SW_SYNC_IOC_INC');
    expect(wake?.to.name).toBe('DMA_BUF_IOCTL_SYNC');
    expect(wake?.from.pid).not.toBe(wake?.to.pid);
    expect(slices.filter(({ cat }) => cat === 'waiting')).toHaveLength(1);
    const imported = arrows.find(({ to }) => to.name === 'DMA_BUF_IOCTL_IMPORT_SYNC_FILE');
    expect(imported?.from.name).toBe('SW_SYNC_IOC_CREATE_FENCE');
    expect(lineOf(imported?.from as Slice)).toBe('waits/waits');
    expect(spans.map(({ cat }) => cat).toSorted()).toEqual(['buffer', 'fence']);
  });

  test('a mapping ends with its process, also if others keep the buffer', async () => {
    const kernel = testKernel();
    const trace = startTrace(kernel);
    const fd = allocateBuffer(kernel);
    const child = kernel.spawn('python3', ['-c', 'import mmap; mmap.mmap(3, 4096)'], {
      stdio: ['ignore', 'inherit', 'inherit', fd],
    });
    await once(child, 'exit');
    await until('the end of the mapping', () => /"ph":"e",.*"mapping"/.test(trace.text));
    const { spans } = readTrace(trace.stop());
    expect(spans.find(({ cat }) => cat === 'mapping')?.name).toMatch(
      /^mapped by python3\S*\[\d+\]$/,
    );
  });

  test('from a call to the engine, and from there to the call that waits, there are arrows', () => {
    const folder = temporary();
    const file = join(folder, 'trace.json');
    const { status, stderr } = cli(
      ...['run', '--device', twist, '--trace-events', file, '--', program('twist')],
    );
    expect([status, stderr]).toEqual([0, '']);
    const { arrows, slices, lineOf } = readTrace(readFileSync(file, 'utf8'));
    expect(arrows.map(({ from, to }) => [lineOf(from), from.name, lineOf(to), to.name])).toEqual([
      ['twist/twist', 'TWIST_IOC_DRAW', 'devices/twister', 'draw'],
      ['devices/twister', 'draw', 'twist/twist', 'DMA_BUF_IOCTL_SYNC'],
    ]);
    const turn = slices.find(({ name }) => name === 'TWIST_IOC_TURN');
    expect(turn?.cat).toBe('waiting');
    expect(callOf(turn as Slice)).toContain('=> {to=[{x=3, y=4}, {x=5, y=7}], name="a, b={c}"');
  });

  test('the file is whole after a signal', async () => {
    const file = join(temporary(), 'trace.json');
    const script = 'cat /dev/udmabuf 2>/dev/null; echo ready; exec sleep 20';
    const child = spawn(process.execPath, [
      main,
      'run',
      '--trace-events',
      file,
      'sh',
      '-c',
      script,
    ]);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
    const { slices } = readTrace(readFileSync(file, 'utf8'));
    expect(slices.map(callOf).join('\n')).toContain('"/dev/udmabuf"');
  });
});

describe('the reader of these tests', () => {
  const event = (members: object) => ({ pid: 1, tid: 1, cat: 'c', name: 'n', ...members });
  const names = ['process_name', 'thread_name'].map((name) => {
    return { ph: 'M', pid: 1, tid: 1, name, args: { name: 'program' } };
  });
  const slice = (ts: number, dur: number) => event({ ph: 'X', ts, dur });
  const read = (...events: object[]) =>
    readTrace(`[\n${[...names, ...events].map((each) => JSON.stringify(each)).join(',\n')}\n]\n`);

  test.each([
    ['slices that overlap', [slice(1, 2), slice(2, 2)]],
    ['a slice of nobody', [event({ ph: 'X', pid: 2, ts: 1, dur: 1 })]],
    ['what does not end', [event({ ph: 'b', ts: 1, id: '1' })]],
    ['what has not begun', [event({ ph: 'e', ts: 1, id: '1' })]],
    ['an arrow from nowhere', [slice(1, 1), event({ ph: 's', ts: 3, id: 1 })]],
    ['an arrow to nowhere', [slice(1, 1), event({ ph: 's', ts: 1.5, id: 1 })]],
    ['a time that is none', [event({ ph: 'X', ts: -1, dur: 1 })]],
  ])('does not take %s', (_what, events) => {
    expect(() => read(...events)).toThrow();
  });

  test('takes what is right', () => {
    const arrow = [event({ ph: 's', ts: 1.5, id: 1 }), event({ ph: 'f', ts: 2.5, bp: 'e', id: 1 })];
    expect(read(slice(1, 0.9), slice(2, 1), ...arrow).arrows).toHaveLength(1);
  });
});

describe('the file', () => {
  test('is written as it grows, in whole events: only its end may be missing', () => {
    const kernel = testKernel();
    const parts: string[] = [];
    const stop = kernel.traceEvents({ write: (part) => parts.push(part) });
    for (let i = 0; i < 1000; i++) kernel.sys.close(allocateBuffer(kernel));
    expect(parts.length).toBeGreaterThan(1);
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024);
    expect(JSON.parse(`${parts.join('')}]`).length).toBeGreaterThan(1000);
    stop();
    expect(readTrace(parts.join('')).spans).toHaveLength(1000);
    // Nobody is told any more.
    const before = parts.length;
    kernel.sys.close(allocateBuffer(kernel));
    stop();
    expect(parts).toHaveLength(before);
  });

  test('that cannot be written is a line, and the program goes on', () => {
    expect(cli('run', '--trace-events=/no/such/dir/x', 'true')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/cannot write the trace of events: ENOENT/),
    });
    const full = cli('run', '--trace-events=/dev/full', '--', 'ls', '/dev/dma_heap');
    expect([full.status, full.stdout]).toEqual([0, 'system\n']);
    expect(full.stderr).toBe(
      'dmabuf-shim run: the trace of events cannot be written any more: /dev/full\n',
    );
  });
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-events-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}
