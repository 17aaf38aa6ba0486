/** Mappings of udmabufs by programs: at every offset, of scattered lists, alive in both directions. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { expectNothingLeft, RECORDED_VERSIONS, run } from '../../run.js';

beforeEach(needsCompiler);

test.each(
  RECORDED_VERSIONS.flatMap((version) => LINKAGES.map((linkage) => ({ version, linkage }))),
)('windows into memfds, mapped whole and in parts ($linkage, $version)', async (as) => {
  const { kernel, ...ended } = await run({ version: as.version }, program('windows', as.linkage));
  expect(ended).toMatchObject({ status: 0, stdout: 'all windows are alive\n', stderr: '' });
  await expectNothingLeft(kernel);
});

test.for(LINKAGES)(
  'what has a lease is refused without an open that breaks it (%s)',
  async (linkage) => {
    const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-test-'));
    const { stdout } = await run({}, program('leased', linkage), [folder]);
    rmSync(folder, { recursive: true });
    expect(stdout.trim().split('\n')).toEqual([
      'F_SETLEASE -> ok',
      'UDMABUF_CREATE -> -1 EINVAL',
      'lease: 1',
    ]);
  },
);
