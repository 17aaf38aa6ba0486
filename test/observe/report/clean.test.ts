/** The project's own programs, which are meant to be right: a report finds nothing. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runPipeline, SAMPLE } from '../../../src/demo/pipeline.js';
import type { FindingKind } from '../../../src/index.js';
import { main } from '../../cli.js';
import { exampleProgram, LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel } from '../../run.js';

const NOTHING = 'report: nothing left, nothing wrong';
const root = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-clean-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(needsCompiler);

test.each(LINKAGES)('allocate.c, %s', (linkage) => {
  const args = [main, 'run', '--strict', '--', exampleProgram('allocate', linkage)];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe(`dmabuf-shim run: ${NOTHING}\n`);
  expect(status).toBe(0);
});

test('flow.mjs', () => {
  // A report on the kernel that it makes, from the first device on.
  const index = pathToFileURL(join(root, 'dist/src/index.js')).href;
  const preload = join(folder, 'report.mjs');
  writeFileSync(
    preload,
    `import { Kernel } from ${JSON.stringify(index)};
const { addCharDevice } = Kernel.prototype;
const kernels = new Set();
Kernel.prototype.addCharDevice = function (device) {
  kernels.add(this);
  this.report();
  addCharDevice.call(this, device);
};
process.on('exit', () => { for (const kernel of kernels) process.stderr.write(String(kernel.report())); });
`,
  );
  const args = ['--import', pathToFileURL(preload).href, join(root, 'examples/flow.mjs')];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe(NOTHING);
  expect(status).toBe(0);
});

describe('the demo', () => {
  test.each(['filter.js', 'filter.c'])('with %s', async (filter) => {
    const kernel = testKernel({ coherency: 'coherent' });
    const report = kernel.report();
    await runPipeline(kernel, {
      picture: SAMPLE,
      frames: 6,
      out: join(folder, 'demo.png'),
      filter: filter === 'filter.c' ? exampleProgram('filter') : undefined,
      timeout: 30,
      onShown: () => {},
    });
    await kernel.idle();
    expect(String(report)).toBe(NOTHING);
  });
});

/** What programs that are right otherwise may leave to the end of their process. */
const LEFT: readonly FindingKind[] = ['descriptor-left', 'mapping-left', 'handle-left'];

describe.each(LINKAGES)('programs of the tests, %s: nothing but what they leave', (linkage) => {
  test.each([
    ['importer', 'draw-sync'],
    ['importer', 'look-sync'],
    ['ways'],
    ['windows'],
    ['rounds'],
    ['relay'],
  ])('%s %s', async (name, ...args) => {
    const kernel = testKernel({ coherency: 'coherent', devices: ['+dma_importer'] });
    const report = kernel.report();
    await run(kernel, program(name, linkage), args.filter(Boolean));
    await kernel.idle();
    expect(report.findings().filter(({ kind }) => !LEFT.includes(kind))).toEqual([]);
  });
});
