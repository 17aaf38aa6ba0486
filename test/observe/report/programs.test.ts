/** Programs that leave things behind or break rules, and the same put right: what a report says of them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Finding, KernelOptions, ReportJson } from '../../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel } from '../../run.js';

interface Expected {
  kind: Finding['kind'];
  /** What the text has in it. */
  text: RegExp;
  /** The call that made it. */
  made?: RegExp;
  /** The call in which it went wrong, or was found. */
  seen?: RegExp;
}

const ALLOC = /^ioctl\(\d+, DMA_HEAP_IOCTL_ALLOC, \{len=8192, .*=> \{fd=\d+\}\) = 0$/;
const synced = (flags: string) =>
  new RegExp(`^ioctl\\(\\d+, DMA_BUF_IOCTL_SYNC, \\{flags=${flags}\\}\\) = 0$`);
const START_READ = 'DMA_BUF_SYNC_START\\|DMA_BUF_SYNC_READ';
const START_RW = 'DMA_BUF_SYNC_START\\|DMA_BUF_SYNC_RW';
const END_WRITE = 'DMA_BUF_SYNC_END\\|DMA_BUF_SYNC_WRITE';

/** By fault of test/programs/faulty.c. */
const FAULTS: Record<string, Expected[]> = {
  descriptor: [{ kind: 'descriptor-left', text: /^descriptor \d+ left: dmabuf/, made: ALLOC }],
  duplicate: [{ kind: 'descriptor-left', text: /a duplicate of \d+$/, made: ALLOC }],
  node: [
    {
      kind: 'descriptor-left',
      text: /left: \/dev\/dma_heap\/system$/,
      made: /^open(at)?\(.*"\/dev\/dma_heap\/system", O_RDWR\) = \d+$/,
    },
  ],
  sync_file: [
    {
      kind: 'descriptor-left',
      text: /left: sync_file sw_sync-/,
      made: /SW_SYNC_IOC_CREATE_FENCE, \{value=1, /,
    },
  ],
  mapping: [
    {
      kind: 'mapping-left',
      text: /^mapping of 8192 bytes left: .*\(system\)/,
      made: /^mmap\(NULL, 8192, PROT_READ\|PROT_WRITE, MAP_SHARED, \d+, 0\) = \?$/,
    },
  ],
  'udmabuf-mapping': [
    {
      kind: 'mapping-left',
      text: /^mapping of 8192 bytes left: .*\(udmabuf\)/,
      made: /^mmap\(NULL, 8192, .*\) = 0x/,
    },
  ],
  handle: [
    {
      kind: 'handle-left',
      text: /^attachment 1 of \/dev\/dma_importer left$/,
      made: /DMA_IMPORTER_IOCTL_ATTACH, .*=> \{handle=1\}/,
    },
    { kind: 'descriptor-left', text: /left: \/dev\/dma_importer$/, made: /"\/dev\/dma_importer"/ },
  ],
  received: [{ kind: 'descriptor-left', text: /received from another process$/, made: ALLOC }],
  'no-end': [
    { kind: 'start-without-end', text: /^START\|READ without END/, made: synced(START_READ) },
  ],
  'no-start': [
    { kind: 'end-without-start', text: /^END\|WRITE without START/, seen: synced(END_WRITE) },
  ],
  direction: [
    {
      kind: 'direction-differs',
      text: /^END\|WRITE after START\|RW/,
      made: synced(START_RW),
      seen: synced(END_WRITE),
    },
  ],
  'late-write': [
    {
      kind: 'write-outside-bracket',
      text: /written after END, in bytes 0x1000-0x1fff$/,
      made: synced(END_WRITE),
      seen: synced(START_READ),
    },
  ],
  'late-write-unmapped': [
    {
      kind: 'write-outside-bracket',
      text: /in bytes 0x1000-0x1fff$/,
      made: synced(END_WRITE),
      seen: /^munmap\(0x[0-9a-f]+, 8192\) = \?$/,
    },
  ],
  'late-write-exit': [
    {
      kind: 'write-outside-bracket',
      text: /in bytes 0x1000-0x1fff$/,
      made: synced(END_WRITE),
      seen: /^exit_group\(0\) = \?$/,
    },
    { kind: 'mapping-left', text: /^mapping of/, made: /^mmap\(/ },
  ],
  'late-write-device': [
    {
      kind: 'write-outside-bracket',
      text: /in bytes 0x1000-0x1fff$/,
      made: synced(END_WRITE),
      seen: /DMA_IMPORTER_IOCTL_MAP/,
    },
  ],
  'late-write-udmabuf': [
    {
      kind: 'write-outside-bracket',
      text: /\(udmabuf\).* in bytes 0x0-0xfff$/,
      made: synced(END_WRITE),
      seen: /^munmap\(/,
    },
  ],
  abandoned: [
    {
      kind: 'fence-abandoned',
      text: /^fence sw_sync-faulty\d+-1 abandoned/,
      made: /SW_SYNC_IOC_CREATE_FENCE/,
    },
  ],
  fault: [
    {
      kind: 'dma-fault',
      text: /^iommu: gpu: write of 12288 bytes .*past the end of dmabuf/,
      seen: /DMA_IMPORTER_IOCTL_TRANSFER, .*\) = -1 EIO$/,
    },
  ],
};

/** With strict coherency. */
const STALE: Expected[] = [
  {
    kind: 'stale-access',
    text: /^device read: bytes 0x0-0x4/,
    seen: /DMA_IMPORTER_IOCTL_TRANSFER/,
  },
];

async function findingsOf(fault: string, command: string, options: KernelOptions = {}) {
  const kernel = testKernel({ coherency: 'coherent', devices: ['+dma_importer'], ...options });
  const report = kernel.report();
  const { status, stderr } = await run(kernel, command, [fault]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  await kernel.idle();
  return { report, findings: report.findings() };
}

function check(findings: readonly Finding[], expected: Expected[]): void {
  expect(findings.map(({ kind }) => kind).sort()).toEqual(expected.map(({ kind }) => kind).sort());
  for (const { kind, text, made, seen } of expected) {
    const finding = findings.find((each) => each.kind === kind);
    expect(finding?.text).toMatch(text);
    if (made) expect(finding?.made?.text).toMatch(made);
    if (seen) expect(finding?.seen?.text).toMatch(seen);
    expect(finding?.process).toEqual({ pid: expect.any(Number), comm: 'faulty' });
    expect((finding?.made ?? finding?.seen)?.call).toBeGreaterThan(0);
  }
}

describe.each(LINKAGES)('a C program, %s', (linkage) => {
  beforeEach(needsCompiler);

  test.each(Object.entries(FAULTS))('%s: found, where it was made', async (fault, expected) => {
    const { findings } = await findingsOf(fault, program('faulty', linkage));
    check(findings, expected);
  });

  test('stale: found, with the call', async () => {
    const options: KernelOptions = { coherency: 'strict', coherencySeed: 1 };
    const { findings } = await findingsOf('stale', program('faulty', linkage), options);
    check(
      findings.filter(({ text }) => text.startsWith('device read')),
      STALE,
    );
  });

  test.each([...Object.keys(FAULTS), 'stale'])('%s-mended: nothing', async (fault) => {
    const coherency = fault === 'stale' ? 'strict' : 'coherent';
    const command = program('faulty', linkage);
    const { report } = await findingsOf(`${fault}-mended`, command, { coherency });
    expect(String(report)).toBe('report: nothing left, nothing wrong');
  });
});

describe('who is to blame', () => {
  beforeEach(needsCompiler);

  test('the receiver of a descriptor, and not who made it or has inherited one', async () => {
    const { findings } = await findingsOf('received', program('faulty'));
    const [finding] = findings;
    expect(finding?.process?.pid).not.toBe(finding?.made?.process?.pid);
  });

  test('nobody who was killed', async () => {
    const kernel = testKernel({ devices: ['+dma_importer'] });
    const report = kernel.report();
    const { signal } = await run(kernel, program('faulty'), ['killed']);
    expect(signal).toBe('SIGKILL');
    await kernel.idle();
    expect(String(report)).toBe('report: nothing left, nothing wrong');
  });
});

describe('run --report', () => {
  beforeEach(needsCompiler);
  const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));
  const runCli = (...args: string[]) =>
    spawnSync(process.execPath, [main, 'run', ...args], { encoding: 'utf8' });

  test('numbers calls in the trace as in the report, by process, and keeps the exit status', () => {
    const { status, stderr } = runCli('--report', '--trace', '--', program('faulty'), 'descriptor');
    expect(status).toBe(0);
    expect(stderr.replace(/dmabuf \d+/g, 'dmabuf N').replace(/\[\d+\]/g, '[PID]')).toBe(`\
#1 openat(AT_FDCWD, "/dev/dma_heap/system", O_RDWR|O_CLOEXEC) = 3
#2 ioctl(3, DMA_HEAP_IOCTL_ALLOC, {len=8192, fd=0, fd_flags=O_RDWR|O_CLOEXEC, heap_flags=0} => {fd=4}) = 0
dmabuf-shim run: report: 1 finding

faulty[PID]
  descriptor 4 left: dmabuf N (system) of 8192 bytes
    made: #2 ioctl(3, DMA_HEAP_IOCTL_ALLOC, {len=8192, fd=0, fd_flags=O_RDWR|O_CLOEXEC, heap_flags=0} => {fd=4}) = 0
    close it when it is of no more use
`);
  });

  test('--strict: the exit status is 3 if there is anything', () => {
    expect(runCli('--strict', '--', program('faulty'), 'no-end').status).toBe(3);
    const { status, stderr } = runCli('--strict', '--', program('faulty'), 'no-end-mended');
    expect(status).toBe(0);
    expect(stderr).toBe('dmabuf-shim run: report: nothing left, nothing wrong\n');
  });

  test('--report-json: the same as data', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-report-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'report.json');
    const { stderr } = runCli('--report-json', file, '--', program('faulty'), 'descriptor');
    expect(stderr).toBe('');
    const process = { pid: expect.any(Number), comm: 'faulty' };
    expect(JSON.parse(readFileSync(file, 'utf8')) as ReportJson).toEqual({
      version: 1,
      findings: [
        {
          kind: 'descriptor-left',
          process,
          made: { call: 2, text: expect.stringMatching(ALLOC), process },
          buffer: { ino: expect.any(Number), size: 8192, exporter: 'system' },
          text: expect.stringMatching(/^descriptor 4 left/),
          advice: expect.any(String),
        },
      ],
    });
  });

  test('a file that cannot be written is a mistake of the options', () => {
    const { status, stderr } = runCli('--report-json', '/nowhere/report', '--', 'true');
    expect(status).toBe(2);
    expect(stderr).toMatch(/cannot write the report/);
  });

  test('a full disk costs the report, and not the exit status', () => {
    const { status, stderr } = runCli('--report-json', '/dev/full', '--', 'sh', '-c', 'exit 7');
    expect(status).toBe(7);
    expect(stderr).toMatch(/^dmabuf-shim run: cannot write the report: ENOSPC.*\n$/);
  });
});
