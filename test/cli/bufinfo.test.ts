/** `dmabuf-shim bufinfo`: the buffers of the kernel that it runs under. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { dmaBufLayout, drawLayout, type Kernel } from '../../src/index.js';
import { run, testKernel } from '../run.js';
import { allocateBuffer } from '../sw_sync.js';

const PAGE = 4096;
const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
describe('dmabuf-shim bufinfo', () => {
  const bufinfo = (kernel: Kernel, ...args: string[]) =>
    run(kernel, process.execPath, [main, 'bufinfo', ...args]);

  test('prints the table of the kernel that it runs under, and draws its buffers', async () => {
    const kernel = testKernel();
    const fds = [allocateBuffer(kernel, PAGE), allocateBuffer(kernel, 2 * PAGE)];
    const [a, b] = fds.map((fd) => Number(kernel.sys.fstat(fd).st_ino));
    const table = await bufinfo(kernel);
    expect(table).toMatchObject({ status: 0, stderr: '' });
    expect(table.stdout).toMatch(/Total 2 objects, 12288 bytes/);
    const layout = dmaBufLayout(kernel);
    expect((await bufinfo(kernel, '--svg')).stdout).toBe(drawLayout(layout));
    expect((await bufinfo(kernel, '--svg', String(b))).stdout).toBe(drawLayout(layout.slice(1)));
    expect(await bufinfo(kernel, '--svg', '1', String(a))).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `dmabuf-shim bufinfo: no buffer 1; there are: ${a}, ${b}\n`,
    });
  });

  const real = existsSync('/sys/kernel/debug/dma_buf/bufinfo');
  test.skipIf(real)('says what to do where there is no such file', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'bufinfo'], {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^dmabuf-shim bufinfo: no .*, as in dmabuf-shim run -- .*\n$/);
  });

  test.each([
    [['--bogus'], /--bogus/],
    [['17'], /goes with --svg/],
    [['--svg', 'x'], /an inode number is wanted, not "x"/],
  ])('%j is a usage error in one line', async (args, message) => {
    const { status, stderr } = await bufinfo(testKernel(), ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
