// npm run bench: each figure beside its floor, measured in the same run, in turn; medians and the ratio.
//
// node bench/run.mjs [NAME …]   only these: sync, trace, tracedevice, sysioctl, alloc, live, hand,
//                               udmabuf, grow, open, start, wake, inc, create, merge, waiters, parked, iommu, attach,
//                               copy, read, poll, epoll
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DMA_BUF_IOCTL_SYNC,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_sync,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDWR,
} from '../dist/ioctl/all.js';
import { Kernel } from '../dist/src/index.js';
import * as posix from '../dist/src/posix.js';
import { dmaBenches } from './dma.mjs';
import { readinessBenches } from './readiness.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const cli = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-bench-'));

function compile(name) {
  const program = join(folder, name);
  execFileSync('cc', ['-O2', '-D_GNU_SOURCE', '-o', program, join(here, `${name}.c`)]);
  return program;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Measures the functions in turn, so that a change of the machine's speed meets them all; medians. */
async function inTurn(rounds, ...measures) {
  const figures = measures.map(() => []);
  for (let i = 0; i < rounds; i++) {
    for (const [k, measure] of measures.entries()) figures[k].push(await measure());
  }
  return figures.map(median);
}

const number = (command, args) => Number(execFileSync(command, args, { encoding: 'utf8' }));
const supervisedWith = (options, ...args) =>
  number(process.execPath, [cli, 'run', ...options, '--', ...args.map(String)]);
const supervised = (...args) => supervisedWith([], ...args);

const us = (ns) => `${(ns / 1000).toFixed(2)} µs`;
const ms = (ns) => `${(ns / 1e6).toFixed(1)} ms`;

function report(what, measured, floorName, floor, limit) {
  const ratio = floor === undefined ? '' : `${(measured[1] / floor[1]).toFixed(2)} ×`;
  const against = floor === undefined ? '' : `${floorName} ${floor[0]}`;
  console.log(
    [
      what.padEnd(46),
      measured[0].padStart(11),
      against.padEnd(42),
      ratio.padStart(7),
      `  (at most ${limit})`,
    ].join('  '),
  );
}

const figure = (format, value) => [format(value), value];

/** Nanoseconds a call of `call`, in this process. */
function timed(count, call) {
  for (let i = 0; i < count / 10; i++) call();
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) call();
  return Number(process.hrtime.bigint() - start) / count;
}

const benches = {
  async sync() {
    const [floor, client] = [compile('floor'), compile('client')];
    const [base, ours] = await inTurn(
      7,
      () => number(floor, ['sync', '20000']),
      () => supervised(client, 'sync', 20000),
    );
    report(
      'supervised DMA_BUF_IOCTL_SYNC',
      figure(us, ours),
      'C supervisor',
      figure(us, base),
      '1.3 ×',
    );
  },

  async sysioctl() {
    const kernel = new Kernel();
    const heap = kernel.sys.open('/dev/dma_heap/system', O_RDWR);
    const data = dma_heap_allocation_data.create({ len: 4096n, fd_flags: O_RDWR | O_CLOEXEC });
    kernel.sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data);
    const sync = dma_buf_sync.create({ flags: 1n });
    const pair = posix.socketpair();
    // FIONREAD of a socket: a system call that does next to nothing, made through the same addon.
    const FIONREAD = 0x541b;
    const bytes = new Uint8Array(4);
    const [base, ours] = await inTurn(
      7,
      () => timed(100_000, () => posix.ioctl(pair[0], FIONREAD, bytes)),
      () => timed(100_000, () => kernel.sys.ioctl(data.fd, DMA_BUF_IOCTL_SYNC, sync)),
    );
    for (const fd of [...pair, data.fd, heap]) posix.close(fd);
    kernel.close();
    report(
      'in-process DMA_BUF_IOCTL_SYNC',
      figure(us, ours),
      'bare ioctl, same addon',
      figure(us, base),
      '5 ×',
    );
  },

  async trace() {
    const client = compile('client');
    const trace = join(folder, 'trace');
    const [base, lines, events] = await inTurn(
      7,
      () => supervised(client, 'sync', 20000),
      () => supervisedWith(['--trace', trace], client, 'sync', 20000),
      () => supervisedWith(['--trace-events', `${trace}.json`], client, 'sync', 20000),
    );
    const floor = ['untraced', figure(us, base)];
    report('DMA_BUF_IOCTL_SYNC with --trace FILE', figure(us, lines), ...floor, '2 ×');
    report('the same with --trace-events', figure(us, events), ...floor, '4.5 ×');
  },

  async tracedevice() {
    const client = compile('client');
    const device = ['--device', join(here, 'device.mjs')];
    const trace = ['--trace', join(folder, 'trace')];
    const [base, lines] = await inTurn(
      7,
      () => supervisedWith(device, client, 'device', 20000),
      () => supervisedWith([...device, ...trace], client, 'device', 20000),
    );
    report(
      'an ioctl of a --device with --trace FILE',
      figure(us, lines),
      'untraced',
      figure(us, base),
      '2 ×',
    );
  },

  async alloc() {
    const [floor, client] = [compile('floor'), compile('client')];
    const [base, ours] = await inTurn(
      7,
      () => number(floor, ['alloc', '20000']),
      () => supervised(client, 'alloc', 20000, 0),
    );
    report(
      'supervised allocate + close, 4 KiB',
      figure(us, ours),
      'C supervisor',
      figure(us, base),
      '100 µs',
    );
  },

  async live() {
    const client = compile('client');
    const [base, ours] = await inTurn(
      5,
      () => supervised(client, 'alloc', 5000, 10),
      () => supervised(client, 'alloc', 5000, 20000),
    );
    report(
      'allocate + close, 20,000 live buffers',
      figure(us, ours),
      '10 live buffers',
      figure(us, base),
      '1.2 ×',
    );
  },

  async hand() {
    const client = compile('client');
    const [small, large] = await inTurn(
      7,
      () => supervised(client, 'hand', 2000, 64 * 1024),
      () => supervised(client, 'hand', 2000, 32 * 1024 * 1024),
    );
    report(
      'hand a 32 MiB frame to another process',
      figure(us, large),
      '64 KiB frame',
      figure(us, small),
      '1.2 ×',
    );
  },

  async udmabuf() {
    const client = compile('client');
    const [ours, window] = await inTurn(
      5,
      () => supervised(client, 'udmabuf', 2000),
      () => supervised(client, 'window', 2000),
    );
    report('supervised mmap + munmap of a udmabuf', figure(us, ours), '', undefined, 'no limit');
    const floor = ['with the memfd', figure(us, ours)];
    report('the same without having the memfd', figure(us, window), ...floor, 'no limit');
  },

  async grow() {
    const client = compile('client');
    const [base, ours] = await inTurn(
      5,
      () => number(client, ['grow', '20000']),
      () => supervised(client, 'grow', 20000),
    );
    const floor = ['unsupervised', figure(us, base)];
    report('mremap to a larger size, and back', figure(us, ours), ...floor, 'no limit');
  },

  async open() {
    const client = compile('client');
    const [base, ours, node, attribute] = await inTurn(
      5,
      () => number(client, ['open', '10000']),
      () => supervised(client, 'open', 10000),
      () => supervised(client, 'open', 10000, '/dev/udmabuf'),
      () => supervised(client, 'open', 10000, '/sys/class/misc/udmabuf/dev'),
    );
    report(
      'open + close of an ordinary file',
      figure(us, ours),
      'unsupervised',
      figure(us, base),
      'no limit',
    );
    const floor = ['an ordinary file', figure(us, ours)];
    report('open + close of /dev/udmabuf', figure(us, node), ...floor, '4.5 ×');
    report('open + close of an attribute in /sys', figure(us, attribute), ...floor, '4.5 ×');
  },

  async wake() {
    const fences = compile('fences');
    const [base, ours] = await inTurn(
      7,
      () => supervised(fences, 'eventfd', 1000),
      () => supervised(fences, 'wake', 1000),
    );
    report(
      'signal a fence to poll’s return elsewhere',
      figure(us, ours),
      'SYNC and an eventfd',
      figure(us, base),
      '1.5 ×',
    );
  },

  async inc() {
    const fences = compile('fences');
    const [base, ours] = await inTurn(
      7,
      () => supervised(fences, 'inc', 10000, 1),
      () => supervised(fences, 'inc', 10000, 1000),
    );
    report(
      'SW_SYNC_IOC_INC, 1,000 fences pending',
      figure(us, ours),
      '1 pending',
      figure(us, base),
      '1.2 ×',
    );
  },

  async create() {
    const fences = compile('fences');
    const [base, ours] = await inTurn(
      7,
      () => supervised(fences, 'create', 500, 100),
      () => supervised(fences, 'create', 500, 9500),
    );
    report(
      'create a fence, on a timeline with 9,500',
      figure(us, ours),
      'with 100',
      figure(us, base),
      '1.2 ×',
    );
  },

  async merge() {
    const fences = compile('fences');
    const [base, ours] = await inTurn(
      5,
      async () => supervised(fences, 'merge', 100) / 100,
      async () => supervised(fences, 'merge', 1000) / 1000,
    );
    report(
      'merge 1,000 fences one by one: each',
      figure(us, ours),
      'of 100',
      figure(us, base),
      'no limit',
    );
  },

  async waiters() {
    const fences = compile('fences');
    const [base, ours] = await inTurn(
      5,
      () => supervised(fences, 'waiters', 100, 0),
      () => supervised(fences, 'waiters', 100, 1),
    );
    report(
      'wake 100 processes that poll a buffer',
      figure(ms, ours),
      'a sync_file',
      figure(ms, base),
      'no limit',
    );
  },

  async parked() {
    const fences = compile('fences');
    const [none, ...ours] = await inTurn(
      3,
      () => supervised(fences, 'parked', 0, 0),
      () => supervised(fences, 'parked', 100, 0),
      () => supervised(fences, 'parked', 100, 1),
    );
    const percent = (ns) => `${(ns / 1e8).toFixed(2)} % of a core`;
    for (const [k, who] of ['processes', 'threads'].entries()) {
      report(
        `100 ${who} wait for ten seconds`,
        figure(percent, ours[k]),
        'none waits',
        figure(percent, none),
        '1 %',
      );
    }
  },

  ...dmaBenches({ inTurn, report, figure, ms, us, timed }),

  ...readinessBenches({
    ...{ compile, figure, inTurn, number, report, supervised, supervisedWith, us },
  }),

  async start() {
    const wall = (args) => () => {
      const start = process.hrtime.bigint();
      spawnSync(process.execPath, args);
      return Number(process.hrtime.bigint() - start);
    };
    const [base, ours] = await inTurn(11, wall(['-e', '0']), wall([cli, 'run', '--', '/bin/true']));
    report('run -- /bin/true', figure(ms, ours), 'node -e 0', figure(ms, base), '+ 60 ms');
  },
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in benches));
if (unknown) {
  console.error(`bench: no figure "${unknown}"; there are ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
try {
  for (const name of names.length > 0 ? names : Object.keys(benches)) await benches[name]();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
