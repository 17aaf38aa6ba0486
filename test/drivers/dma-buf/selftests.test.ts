/** The kernel's own tests of heaps, udmabuf and sync_file, under `dmabuf-shim run`: see selftests.sh. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { GCC, needs } from '../../programs.js';

const VERSION = '6.1';
const ARCHIVE = `/usr/src/linux-source-${VERSION}.tar.xz`;

const needsTools = needs(GCC, ['xz', 'xz-utils']);
beforeEach((context) => {
  needsTools(context);
  const name = `linux-source-${VERSION}`;
  if (!existsSync(ARCHIVE)) context.skip(`there is no ${ARCHIVE} (Debian: apt install ${name})`);
});

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The lines of a heap's tests, without the one that needs a card to import into. */
function heapTests(output: string): string[] {
  const [, ofSystem = ''] = output.split('Testing heap: system\n');
  return ofSystem.split('\n').filter((line) => /OK|FAIL/.test(line) && !line.includes('importing'));
}

test('Linux’s selftests for heaps, udmabuf and sync_file pass as they do on Linux', async () => {
  const child = spawn('sh', [path('../../selftests.sh'), VERSION]);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null) await once(child, 'exit');
  const recorded = path(`../../../fixtures/recordings/${VERSION}/selftest-dmabuf-heap.txt`);
  expect(heapTests(stdout)).toEqual(heapTests(readFileSync(recorded, 'utf8')));
  expect(heapTests(stdout)).toHaveLength(5);
  expect(stdout).toMatch(/^dmabuf-heap: exit status 0$/m);
  expect(stdout).toMatch(/^udmabuf: exit status 0$/m);
  expect(stdout.match(/^ok .*$/gm)).toHaveLength(10);
  expect(stdout).toMatch(/^# Totals: pass:10 fail:0 xfail:0 xpass:0 skip:0 error:0$/m);
  expect(stdout).toMatch(/^sync_test: exit status 0$/m);
  expect(stderr).toBe('drivers/dma-buf/udmabuf: ok\n');
  expect(child.exitCode).toBe(0);
}, 120_000);
