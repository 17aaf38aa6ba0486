/** What the shim could not do, and what never came: told without being asked, and findings. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { cli } from '../../cli.js';
import { needsCompiler, program } from '../../programs.js';

const DEVICE = `import { defineDevice } from 'dmabuf-shim';
export default defineDevice({ name: 'letters', read: () => new Uint8Array(1) });
`;

test('a descriptor that is not served', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-report-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const device = join(folder, 'letters.ts');
  writeFileSync(device, DEVICE);
  const redirect = ['bash', '-c', 'exec 50</dev/letters 50<&-'];
  const { status, stderr } = cli('run', '--device', device, '--strict', '--', ...redirect);
  expect(stderr).toMatch(
    /\] dmabuf-shim: process \d+ is not served when it reads or writes .* as descriptor 50/,
  );
  expect(stderr).toMatch(
    /report: 1 finding\n\nbash\[\d+\]\n {2}process \d+ is not served when it reads/,
  );
  expect(status).toBe(3);
});

test('a process that does not let anybody look into it', ({ skip }) => {
  if (process.getuid?.() === 0) skip('root looks into every process');
  const script = 'import ctypes; ctypes.CDLL(None).prctl(4, 0); open("/dev/dma_heap/system")';
  const { status, stderr } = cli('run', '--strict', '--', 'python3', '-c', script);
  const line = 'process \\d+ does not let us read its memory: it sees the machine’s own devices';
  expect(stderr).toMatch(new RegExp(`^dmabuf-shim run: ${line}$`, 'm'));
  expect(stderr).toMatch(new RegExp(`^python3\\[\\d+\\]\n {2}${line}`, 'm'));
  expect(status).toBe(3);
});

beforeEach(needsCompiler);

test('a fence that is not signalled in time, and gone with its program', () => {
  const { status, stderr } = cli('run', '--fence-timeout', '1', '--strict', '--', program('late'));
  expect(stderr).toMatch(
    /^ {2}fence sw_sync-late\S+, made by late\[\d+\], is not signalled after 1\.\d s: late\[\d+\] has its sync_file$/m,
  );
  expect(status).toBe(3);
});
