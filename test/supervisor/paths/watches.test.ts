/** inotify(7) on directories and nodes of ours. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { main } from '../../cli.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel, until } from '../../run.js';

beforeEach(needsCompiler);

const asRoot = test.skipIf(process.getuid?.() !== 0);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.each(LINKAGES)('a %s program', (linkage) => {
  asRoot('of root is told in a directory of ours what it is told in a tmpfs', async ({ skip }) => {
    const watches = program('watches', linkage);
    const machine = spawnSync(watches, [folder, '/dev/null'], { encoding: 'utf8' }).stdout;
    if (/^open: E|mknod.*: E/m.test(machine)) skip(`${folder} has no devices`);
    expect(machine).toContain('DELETE_SELF');
    const { stdout } = await run({}, watches, ['/dev/dma_heap', '/dev/udmabuf']);
    expect(stdout).toBe(machine);
  });

  test('is told of nodes that the kernel makes and removes, and of nothing in sysfs', async () => {
    const kernel = testKernel();
    const watches = program('watches', linkage);
    const child = kernel.spawn(watches, ['/dev/dma_heap', '/sys/class/dma_heap', '-']);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    const ends = once(child, 'close');
    await until('it watches', () => text === 'watching\n');
    const name = 'dma_heap/other';
    kernel.addCharDevice({
      name,
      className: 'dma_heap',
      major: 250,
      minor: 7,
      mode: 0o600,
      f_op: {},
    });
    child.stdin?.write('added\n');
    await until('it has heard', () => text.includes('added'));
    kernel.charDevices.remove(name);
    child.stdin?.end('removed\n');
    await ends;
    expect(text.trimEnd().split('\n')).toEqual([
      'watching',
      'added: done',
      '  folder CREATE other',
      '  folder ATTRIB other',
      'removed: done',
      '  folder ATTRIB other',
      '  folder DELETE other',
    ]);
  });
});

describe('what stands for them among the temporary files', () => {
  const left = () => readdirSync(folder).filter((name) => name !== 'dmabuf-shim-watch-mine');
  /** A program under the shim that watches a node, and then does `more`. */
  const watcher = (more: string): Parameters<typeof spawn> => {
    const script = `const watcher = require('node:fs').watch('/dev/udmabuf'); ${more}`;
    return [
      process.execPath,
      [main, 'run', '--', process.execPath, '-e', script],
      { env: { ...process.env, TMPDIR: folder } },
    ];
  };
  const ended = (more: string) => spawnSync(...watcher(`watcher.close(); ${more}`));

  test('goes with the kernel', () => {
    const { stdout } = ended(`console.log(require('node:fs').readdirSync('${folder}').length);`);
    expect(String(stdout)).toBe('1\n');
    expect(left()).toEqual([]);
  });

  test('goes with a later one if its own was killed; what others have stays', async () => {
    const living = spawn(
      ...watcher(
        `console.log('watching'); process.stdin.resume().on('end', () => watcher.close());`,
      ),
    );
    const ends = once(living, 'close');
    await once(living.stdout as Readable, 'data');
    const others = left();
    expect(others).toHaveLength(1);
    // Nothing says that this was left.
    mkdirSync(join(folder, 'dmabuf-shim-watch-mine'));
    expect(ended(`process.kill(process.ppid, 'SIGKILL');`).signal).toBe('SIGKILL');
    expect(left()).toHaveLength(2);
    ended('');
    expect(left()).toEqual(others);
    living.stdin?.end();
    await ends;
    expect(left()).toEqual([]);
    expect(readdirSync(folder)).toEqual(['dmabuf-shim-watch-mine']);
  });
});
