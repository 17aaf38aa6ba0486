/** Programs that leave SYNC out, and the same put right, with a device that does not see the CPU's caches. */
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, run, testKernel } from '../../run.js';

/** What the reader sees that gets stale bytes, the report, and what it should have seen. */
const CASES = {
  draw: {
    stale: '.....\n',
    report: {
      kind: 'device-read',
      reader: expect.stringContaining('gpu'),
      ranges: [{ start: 4096, end: 4101 }],
    },
    fresh: 'drawn\n',
  },
  look: {
    stale: '.....\n',
    report: { kind: 'cpu-read', ranges: [{ start: 0, end: 8192 }] },
    fresh: '#####\n',
  },
} as const;

const kernelOf = (coherency: 'strict' | 'coherent') =>
  // With this seed the cache does not write the line back by itself: the stale bytes are seen.
  testKernel({ devices: ['+dma_importer'], coherency, coherencySeed: 1 });

function cases(program: () => [command: string, ...args: string[]]) {
  const runWith = (kernel: Kernel, what: string) => {
    const [command, ...args] = program();
    return run(kernel, command, [...args, what]);
  };
  for (const [what, { stale, report, fresh }] of Object.entries(CASES)) {
    test(`${what}: found, with the bytes`, async () => {
      const kernel = kernelOf('strict');
      const { stdout, stderr } = await runWith(kernel, what);
      expect(stderr).toBe('');
      const reports = kernel.staleAccesses.filter(({ kind }) => kind === report.kind);
      expect(reports).toMatchObject([report]);
      expect(stdout).toBe(stale);
      await expectNothingLeft(kernel);
    });

    test(`${what}: put right, it is silent`, async () => {
      const kernel = kernelOf('strict');
      const { stdout } = await runWith(kernel, `${what}-sync`);
      expect(stdout).toBe(fresh);
      expect(kernel.staleAccesses).toEqual([]);
      expect(kernel.dmesg()).toEqual([]);
    });

    test(`${what}: on a PC nobody notices`, async () => {
      const kernel = kernelOf('coherent');
      const { stdout } = await runWith(kernel, what);
      expect(stdout).toBe(fresh);
      expect(kernel.staleAccesses).toEqual([]);
    });
  }
}

describe.each(LINKAGES)('a C program, %s', (linkage) => {
  beforeEach(needsCompiler);
  cases(() => [program('importer', linkage)]);
});

describe('a Node program', () => {
  const script = fileURLToPath(new URL('../../programs/importer.mjs', import.meta.url));
  cases(() => [process.execPath, script]);
});
