/**
 * What the dma-buf core shows of its buffers: /sys/kernel/dmabuf/buffers (Linux:
 * drivers/dma-buf/dma-buf-sysfs-stats.c), /sys/kernel/debug/dma_buf/bufinfo (dma-buf.c), and, which
 * Linux has not, /sys/kernel/debug/dmabuf-shim/layout.
 */
import { O_ACCMODE } from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { Directory, DynamicDirectory, GeneratedFile, type TreeNode } from '../../fs/tree.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { type DmaBuf, dmaBufList } from './dma-buf.js';
import { dmaBufLayout } from './layout.js';

export function dmaBufInit(kernel: KernelCore): void {
  if (kernel.has('dma_buf_sysfs_stats')) {
    kernel.root
      .mkdir('sys/kernel/dmabuf')
      .add('buffers', new DynamicDirectory(() => bufferDirectories(kernel)));
  }
  const debug = kernel.root.mkdir('sys/kernel/debug');
  const file = (text: (kernel: KernelCore) => string) => new GeneratedFile(() => text(kernel), 0);
  if (kernel.has('dma_buf_bufinfo')) debug.mkdir('dma_buf').add('bufinfo', file(bufinfo));
  debug.mkdir('dmabuf-shim').add('layout', file(layout));
}

const directories = new WeakMap<DmaBuf, Directory>();

function* bufferDirectories(kernel: KernelCore): Iterable<[string, TreeNode]> {
  kernel.settle();
  for (const dmabuf of dmaBufList(kernel)) yield [String(dmabuf.ino), directoryOf(dmabuf)];
}

function directoryOf(dmabuf: DmaBuf): Directory {
  let directory = directories.get(dmabuf);
  if (!directory) {
    directory = new Directory();
    directory.add('exporter_name', new GeneratedFile(() => `${dmabuf.exp_name}\n`, PAGE_SIZE));
    directory.add('size', new GeneratedFile(() => `${dmabuf.size}\n`, PAGE_SIZE));
    directories.set(dmabuf, directory);
  }
  return directory;
}

/** Linux's table of buffers, the newest first. */
function bufinfo(kernel: KernelCore): string {
  kernel.settle();
  const buffers = [...dmaBufList(kernel)].reverse();
  const lines = [
    '',
    'Dma-buf Objects:',
    ['size    ', 'flags   ', 'mode    ', 'count   ', 'exp_name', 'ino     ', 'name'].join('\t'),
  ];
  let total = 0;
  for (const { size, file, fileCount, exp_name, ino, name, resv, attachments } of buffers) {
    total += size;
    const columns = [
      decimal(size),
      hexadecimal(file.f_flags),
      hexadecimal(fileMode(file.f_flags)),
      decimal(fileCount),
      exp_name,
      decimal(ino),
      name ?? '<none>',
    ];
    lines.push(columns.join('\t'), ...resv.describe());
    lines.push('\tAttached Devices:');
    for (const { dev } of [...attachments].reverse()) lines.push(`\t${dev.name}`);
    lines.push(`Total ${attachments.size} devices attached`, '');
  }
  lines.push('', `Total ${buffers.length} objects, ${total} bytes`);
  return lines.map((line) => `${line}\n`).join('');
}

/** An array in JSON, a line a buffer. */
function layout(kernel: KernelCore): string {
  const lines = dmaBufLayout(kernel).map((buffer) => JSON.stringify(buffer));
  return `[${lines.join(',\n')}]\n`;
}

const decimal = (value: number) => String(value).padStart(8, '0');
const hexadecimal = (value: number) => value.toString(16).padStart(8, '0');

const FMODE_READ = 0x1;
const FMODE_WRITE = 0x2;
const FMODE_LSEEK = 0x4;
const FMODE_OPENED = 0x80000;

/** f_mode of an open dma-buf. */
function fileMode(flags: number): number {
  const access = [FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0][flags & O_ACCMODE] ?? 0;
  return access | FMODE_LSEEK | FMODE_OPENED;
}
