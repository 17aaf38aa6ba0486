/** Probes as in conformance.test.ts. These wait most of their time: all at once, and beside what computes. */
import { beforeEach, test } from 'vitest';
import { expectListed } from './conformance.js';
import { LINKAGES, needsCompiler, probe } from './programs.js';
import { RECORDED_VERSIONS } from './run.js';

beforeEach(needsCompiler);

test('resv, wait: what differs is listed, and only that', { timeout: 600_000 }, async () => {
  const kinds = ['wait', 'resv'].flatMap((name) =>
    RECORDED_VERSIONS.flatMap((version) =>
      LINKAGES.map((linkage) => [version, linkage, name] as const),
    ),
  );
  for (const [, linkage, name] of kinds) probe(name, linkage);
  await Promise.all(kinds.map((kind) => expectListed(...kind)));
});
