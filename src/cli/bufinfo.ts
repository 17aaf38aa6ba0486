/** `dmabuf-shim bufinfo`: what buffers there are, for whom, and where. */
import { readFileSync } from 'node:fs';
import type { BufferLayout } from '../drivers/dma-buf/layout.js';
import { drawLayout } from '../svg/draw_layout.js';
import { defineCommand } from './command.js';
import { UsageError } from './usage.js';

const BUFINFO = '/sys/kernel/debug/dma_buf/bufinfo';
const LAYOUT = '/sys/kernel/debug/dmabuf-shim/layout';

export const bufinfo = defineCommand({
  name: 'bufinfo',
  usage: ['[--svg [INODE…]]'],
  about: `Prints ${BUFINFO}: the live buffers, and the devices that they
are shared with. It is for use in a program's place or beside it, under the same "dmabuf-shim run":

  dmabuf-shim run --devices +dma_importer -- \\
    sh -c './program & sleep 1; dmabuf-shim bufinfo --svg > buffers.svg'`,
  options: {
    svg: {
      help: 'a drawing of the buffers instead, or of those that are named by their inode numbers: where they are in memory, and at which addresses devices see them',
    },
  },
  after: `The exit status is 1 if there is no such file, or no such buffer.`,
  operands: [],
  run(values, positionals) {
    if (positionals.length > 0 && !values.svg)
      throw new UsageError('an inode number goes with --svg');
    const wrong = positionals.find((text) => !/^\d+$/.test(text));
    if (wrong !== undefined) throw new UsageError(`an inode number is wanted, not "${wrong}"`);
    const content = read(values.svg ? LAYOUT : BUFINFO);
    if (content === undefined) return 1;
    if (!values.svg) {
      process.stdout.write(content);
      return 0;
    }
    const layout = JSON.parse(content) as BufferLayout[];
    const wanted = new Set(positionals.map(Number));
    const chosen = layout.filter(({ ino }) => wanted.size === 0 || wanted.delete(ino));
    if (positionals.length > 0 && wanted.size > 0) {
      const there = layout.map(({ ino }) => ino).join(', ') || 'none';
      complain(`no buffer ${[...wanted].join(', ')}; there are: ${there}`);
      return 1;
    }
    process.stdout.write(drawLayout(chosen));
    return 0;
  },
});

/** A file of the kernel's; undefined, and a line that says what to do, if it cannot be read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const how = `dmabuf-shim run -- sh -c 'PROGRAM & sleep 1; dmabuf-shim bufinfo'`;
    complain(`no ${path} here (${code}): run this beside the program, as in ${how}`);
    return undefined;
  }
}

function complain(what: string): void {
  process.stderr.write(`dmabuf-shim bufinfo: ${what}\n`);
}
