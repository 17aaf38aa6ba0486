/** Modules: who may use which symbol, and what the kernel log says of it. */
import { describe, expect, test } from 'vitest';
import { O_RDWR } from '../ioctl/index.js';
import {
  type DmaBuf,
  defineModule,
  type Kernel,
  type KernelModule,
  type SymbolName,
} from '../src/index.js';
import { testKernel } from './run.js';

const code = (name: string) => expect.objectContaining({ code: name });

/** The kernel log, without its times. */
const log = (kernel: Kernel) => kernel.log.records.map(({ text }) => text);

/** A module that does nothing with what it imports. */
function idle(imports: readonly SymbolName[], rest: Partial<KernelModule> = {}): KernelModule {
  return { name: 'scaler', license: 'GPL', imports, init() {}, ...rest };
}

describe('a module', () => {
  test('gets what it imports, and is known until it is removed', () => {
    const kernel = testKernel();
    const calls: string[] = [];
    const scaler = defineModule({
      name: 'scaler',
      license: 'GPL v2',
      import_ns: ['DMA_BUF'],
      imports: ['dma_buf_get', 'misc_register', 'dma_fence_signal'],
      init(symbols, given) {
        expect(Object.keys(symbols)).toEqual(['dma_buf_get', 'misc_register', 'dma_fence_signal']);
        expect(given).toBe(kernel);
        symbols.misc_register(given, 'scaler', {
          ioctl(_file, _request, fd, task) {
            const dmabuf: DmaBuf = symbols.dma_buf_get(task, fd);
            return dmabuf.size;
          },
        });
        calls.push('init');
      },
      exit: () => calls.push('exit'),
    });
    kernel.insmod(scaler);
    expect(() => kernel.insmod(scaler)).toThrow(code('EEXIST'));
    const node = kernel.sys.open('/dev/scaler', O_RDWR);
    expect(() => kernel.sys.ioctl(node, 1, -1)).toThrow(code('EBADF'));
    kernel.sys.close(node);
    kernel.rmmod('scaler');
    expect(calls).toEqual(['init', 'exit']);
    expect(() => kernel.rmmod('scaler')).toThrow(code('ENOENT'));
    expect(log(kernel)).toEqual([]);
  });

  test('that has no exit stays', () => {
    const kernel = testKernel();
    kernel.insmod(idle([]));
    expect(() => kernel.rmmod('scaler')).toThrow(code('EBUSY'));
    expect(() => kernel.insmod(idle([]))).toThrow(code('EEXIST'));
  });

  test('whose init throws is not loaded, and the error is passed on', () => {
    const kernel = testKernel();
    const failure = new Error('no such clock');
    const fails = () => {
      throw failure;
    };
    expect(() => kernel.insmod(idle([], { init: fails }))).toThrow(failure);
    expect(() => kernel.rmmod('scaler')).toThrow(code('ENOENT'));
    kernel.insmod(idle([]));
  });
});

describe('licences', () => {
  test.each([
    'GPL',
    'GPL v2',
    'GPL and additional rights',
    'Dual BSD/GPL',
    'Dual MIT/GPL',
    'Dual MPL/GPL',
  ])('“%s” is compatible with the GPL', (license) => {
    const kernel = testKernel();
    kernel.insmod(idle(['dma_buf_get'], { license, import_ns: ['DMA_BUF'] }));
    expect(log(kernel)).toEqual([]);
  });

  test.each(['Proprietary', 'MIT', 'GPL v3', 'gpl'])(
    '“%s” is not: GPL-only symbols are not there, and the kernel is tainted',
    (license) => {
      const kernel = testKernel();
      const imports: SymbolName[] = ['dma_buf_attach', 'dma_fence_signal', 'dma_buf_detach'];
      const module = idle(imports, { license, import_ns: ['DMA_BUF'] });
      expect(() => kernel.insmod(module)).toThrow(code('ENOENT'));
      expect(log(kernel)).toEqual([
        `scaler: module license '${license}' taints kernel.`,
        'scaler: Unknown symbol dma_buf_attach (err -2)',
        'scaler: Unknown symbol dma_buf_detach (err -2)',
      ]);
      expect(() => kernel.rmmod('scaler')).toThrow(code('ENOENT'));
    },
  );

  test('a proprietary module has the symbols that are for all; the taint is said once', () => {
    const kernel = testKernel();
    const license = 'Proprietary';
    kernel.insmod(idle(['dma_fence_signal', 'sync_file_create', 'misc_register'], { license }));
    kernel.insmod(idle([], { license, name: 'other' }));
    expect(log(kernel)).toEqual(["scaler: module license 'Proprietary' taints kernel."]);
  });
});

describe('namespaces', () => {
  const missing = [
    'scaler: module uses symbol (dma_buf_attach) from namespace DMA_BUF, but does not import it.',
    'scaler: Unknown symbol dma_buf_attach (err -22)',
  ];

  test.each([
    ['5.15', []],
    ['5.16', missing],
  ] as const)('DMA_BUF as of Linux %s', (version, lines) => {
    const kernel = testKernel({ version });
    const insmod = () => kernel.insmod(idle(['dma_buf_attach']));
    if (lines.length === 0) insmod();
    else expect(insmod).toThrow(code('EINVAL'));
    expect(log(kernel)).toEqual(lines);
  });

  test('another namespace is none', () => {
    const kernel = testKernel();
    const module = idle(['dma_buf_get'], { import_ns: ['CRYPTO_INTERNAL'] });
    expect(() => kernel.insmod(module)).toThrow(code('EINVAL'));
  });

  test('fences are in none', () => {
    const kernel = testKernel();
    kernel.insmod(idle(['dma_fence_signal', 'sync_file_get_fence']));
    expect(log(kernel)).toEqual([]);
  });
});

test.each<[SymbolName, before: Kernel['version'], since: Kernel['version']]>([
  ['dma_buf_begin_cpu_access', '3.3', '3.4'],
  ['dma_buf_vmap', '3.4', '3.5'],
  ['dma_fence_signal', '4.9', '4.10'],
  ['sync_file_get_fence', '4.8', '4.9'],
  ['dma_fence_chain_find_seqno', '5.1', '5.2'],
  ['dma_buf_dynamic_attach', '5.4', '5.5'],
  ['dma_buf_move_notify', '5.6', '5.7'],
  ['dma_buf_map_attachment_unlocked', '6.1', '6.2'],
  ['dma_fence_set_deadline', '6.3', '6.4'],
])('%s is not in Linux %s, and is in %s', (symbol, before, since) => {
  const module = idle([symbol], { import_ns: ['DMA_BUF'] });
  const old = testKernel({ version: before });
  expect(() => old.insmod(module)).toThrow(code('ENOENT'));
  expect(log(old)).toEqual([`scaler: Unknown symbol ${symbol} (err -2)`]);
  testKernel({ version: since }).insmod(module);
});

test('a symbol that Linux does not export is unknown', () => {
  const kernel = testKernel();
  for (const name of ['dma_heap_add', 'toString']) {
    expect(() => kernel.insmod(idle([name as SymbolName]))).toThrow(code('ENOENT'));
  }
  expect(log(kernel)).toEqual([
    'scaler: Unknown symbol dma_heap_add (err -2)',
    'scaler: Unknown symbol toString (err -2)',
  ]);
});
