/** `dmabuf-shim/vitest`: a test that leaves something fails, and says where that was made. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkedKernel } from '../src/vitest.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const TESTS = `
import { describe, expect, test } from 'vitest';
import * as uapi from 'dmabuf-shim/ioctl';
import { checkedKernel } from 'dmabuf-shim/vitest';

const later = () => new Promise((resolve) => setTimeout(resolve, 20));
const open = ({ sys }) => sys.open('/dev/dma_heap/system', uapi.O_RDWR);

test('leaves', () => {
  open(checkedKernel());
});
test('closes', () => {
  const kernel = checkedKernel({ version: '6.1' });
  kernel.sys.close(open(kernel));
});
test('means to leave', () => {
  open(checkedKernel({ ignore: ['descriptor-left'] }));
});
test('fails by itself', () => {
  open(checkedKernel());
  expect(1).toBe(2);
});
describe.concurrent('at once', () => {
  test('leaves later', async (context) => {
    const kernel = checkedKernel({ context });
    await later();
    open(kernel);
    await later();
  });
  test('closes later', async (context) => {
    const kernel = checkedKernel({ context });
    await later();
    kernel.sys.close(open(kernel));
  });
});
test('is alone, and so is the next', () => {});
test.concurrent('does not say which one it is', () => {
  checkedKernel();
});
`;

let folder: string;
beforeAll(() => {
  // Within the project, where its own name is known.
  folder = mkdtempSync(join(root, 'test/tmp-'));
  writeFileSync(join(folder, 'user.test.mjs'), TESTS);
  writeFileSync(
    join(folder, 'vitest.config.mjs'),
    "export default { test: { include: ['*.mjs'] } };",
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('fails what leaves, and nothing else', () => {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--root', folder, '--reporter', 'json'];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: folder });
  const [{ assertionResults }] = JSON.parse(stdout).testResults;
  const messages = new Map<string, string[]>();
  for (const { title, failureMessages } of assertionResults) messages.set(title, failureMessages);
  expect(messages.get('leaves')).toEqual([
    expect.stringMatching(
      /report: 1 finding\n.*\n.*\n {2}descriptor \d+ left: \/dev\/dma_heap\/system\n {4}made: #1 open\("\/dev\/dma_heap\/system", O_RDWR\) = \d+\n/,
    ),
  ]);
  expect(messages.get('closes')).toEqual([]);
  expect(messages.get('means to leave')).toEqual([]);
  expect(messages.get('fails by itself')).toEqual([expect.stringMatching(/expected 1 to be 2/)]);
  expect(messages.get('leaves later')).toEqual([expect.stringMatching(/report: 1 finding/)]);
  expect(messages.get('closes later')).toEqual([]);
  expect(messages.get('does not say which one it is')).toEqual([
    expect.stringMatching(/a concurrent test has to say which one it is/),
  ]);
});

test('programs are waited for', () => {
  checkedKernel().spawn('sleep', ['0.1']);
});
