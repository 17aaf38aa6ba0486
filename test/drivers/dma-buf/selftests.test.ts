/**
 * The kernel's own tests of heaps, udmabuf and sync_file, unmodified, under `dmabuf-shim run`. They are GPL-2.0, and
 * come with Debian's package of Linux's source.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { made } from '../../cache.js';
import { cli } from '../../cli.js';
import { linuxSource, needsLinuxSource } from '../../linux_source.js';
import { GCC } from '../../programs.js';

beforeEach(needsLinuxSource(GCC));

/** Compiles `sources` of tools/testing/selftests, and runs what comes of it. */
function selftest(name: string, sources: string, ...flags: string[]) {
  const tree = linuxSource();
  const selftests = join(tree, 'tools/testing/selftests');
  const { folder, error } = made(
    [],
    'name=$1; sources=$2; shift 2; gcc -static -O2 -w "$@" -o "$name" $sources',
    ...[name, join(selftests, sources), ...flags],
    ...['-D__user=', '-I', join(tree, 'include/uapi'), '-I', selftests],
  );
  expect(error).toBe(undefined);
  return cli('run', '--kernel', '6.1', '--', join(folder, name));
}

/** The lines of a heap's tests, without the one that needs a card to import into. */
function heapTests(output: string): string[] {
  const [, ofSystem = ''] = output.split('Testing heap: system\n');
  return ofSystem.split('\n').filter((line) => /OK|FAIL/.test(line) && !line.includes('importing'));
}

test('Linux’s selftests of heaps pass as they do on Linux', () => {
  const { status, stdout } = selftest('dmabuf-heap', 'dmabuf-heaps/dmabuf-heap.c');
  const recorded = fileURLToPath(
    new URL('../../../fixtures/recordings/6.1/selftest-dmabuf-heap.txt', import.meta.url),
  );
  expect(heapTests(stdout)).toEqual(heapTests(readFileSync(recorded, 'utf8')));
  expect(heapTests(stdout)).toHaveLength(5);
  expect(status).toBe(0);
}, 120_000);

test('that of udmabuf passes', () => {
  const { status, stderr } = selftest('udmabuf', 'drivers/dma-buf/udmabuf.c');
  expect({ status, stderr }).toEqual({ status: 0, stderr: 'drivers/dma-buf/udmabuf: ok\n' });
}, 120_000);

test('those of sync_file pass', () => {
  const { status, stdout, stderr } = selftest('sync_test', 'sync/*.c', '-std=gnu89', '-pthread');
  expect(stdout.match(/^ok .*$/gm)).toHaveLength(10);
  expect(stdout).toMatch(/^# Totals: pass:10 fail:0 xfail:0 xpass:0 skip:0 error:0$/m);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}, 120_000);
