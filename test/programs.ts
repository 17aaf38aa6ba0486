/** C programs for the tests: compiled when they are first asked for, once a run. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, type TestContext } from 'vitest';

export const LINKAGES = ['dynamic', 'static'] as const;
export type Linkage = (typeof LINKAGES)[number];

/** What is missing of the given commands, with the Debian package that has it. */
export function missing(
  ...commands: [command: string, debianPackage: string][]
): string | undefined {
  for (const [command, debianPackage] of commands) {
    if (spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0) {
      return `there is no ${command} here (Debian: apt install ${debianPackage})`;
    }
  }
  return undefined;
}

/** For beforeEach: skips what cannot be tested here, and says why. */
export function needs(...commands: [command: string, debianPackage: string][]) {
  const why = missing(...commands);
  return ({ skip }: TestContext): void => {
    if (why) skip(why);
  };
}

/** The C compiler, for {@link needs}. */
export const GCC: [command: string, debianPackage: string] = ['gcc', 'gcc libc6-dev'];

/** For beforeEach: skips where there is no C compiler. */
export const needsCompiler = needs(GCC);

const programs = fileURLToPath(new URL('programs/', import.meta.url));
const probes = fileURLToPath(new URL('../fixtures/probes/', import.meta.url));

/** A client of test/programs, ready to run: its path. */
export function program(name: string, linkage: Linkage = 'dynamic'): string {
  return compile(join(programs, `${name}.c`), linkage);
}

/** A probe of fixtures/probes, ready to run. */
export function probe(name: string, linkage: Linkage = 'dynamic'): string {
  return compile(join(probes, `${name}.c`), linkage);
}

function compile(source: string, linkage: Linkage): string {
  // Under its own name: that is what ps(1), and a timeline of sw_sync, call the program.
  const folder = join(inject('programs'), linkage);
  const output = join(folder, basename(source, '.c'));
  if (existsSync(output)) return output;
  mkdirSync(folder, { recursive: true });
  // Another worker may be at it too: the name appears when the program is whole.
  const unfinished = `${output}.${process.pid}`;
  const { status, stderr } = spawnSync(
    'gcc',
    [
      ...(linkage === 'static' ? ['-static'] : []),
      ...['-O1', '-Wall', '-D_GNU_SOURCE', '-I', probes, '-pthread'],
      ...['-o', unfinished, source],
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`);
  renameSync(unfinished, output);
  return output;
}
