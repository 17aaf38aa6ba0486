/** The kernel's own tests of heaps and udmabuf, under `dmabuf-shim run`: see selftests.sh. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { GCC, needs } from './programs.js';

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

test('Linux’s selftests for heaps and udmabuf pass as they do on Linux', () => {
  const { status, stdout, stderr } = spawnSync('sh', [path('selftests.sh'), VERSION], {
    encoding: 'utf8',
  });
  const recorded = path(`../fixtures/recordings/${VERSION}/selftest-dmabuf-heap.txt`);
  expect(heapTests(stdout)).toEqual(heapTests(readFileSync(recorded, 'utf8')));
  expect(heapTests(stdout)).toHaveLength(5);
  expect(stdout).toMatch(/^dmabuf-heap: exit status 0$/m);
  expect(stdout).toMatch(/^udmabuf: exit status 0$/m);
  expect(stderr).toBe('drivers/dma-buf/udmabuf: ok\n');
  expect(status).toBe(0);
});
