/** C programs for the tests: compiled when they are first asked for, and kept until they change. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';
import { made } from './cache.js';

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
const examples = fileURLToPath(new URL('../examples/', import.meta.url));

/** A client of test/programs, ready to run: its path. */
export function program(name: string, linkage: Linkage = 'dynamic'): string {
  return compile(join(programs, `${name}.c`), linkage);
}

/** A probe of fixtures/probes, ready to run. */
export function probe(name: string, linkage: Linkage = 'dynamic'): string {
  return compile(join(probes, `${name}.c`), linkage);
}

/** A program of examples/, ready to run. */
export function exampleProgram(name: string, linkage: Linkage = 'dynamic'): string {
  return compile(join(examples, `${name}.c`), linkage, '-Werror');
}

/** A program in C, ready to run: its path. */
export function compile(source: string, linkage: Linkage, ...flags: string[]): string {
  // Under its own name: that is what ps(1), and a timeline of sw_sync, call the program.
  const name = basename(source, '.c');
  const { folder, error } = made(
    [compilerVersion(), readFileSync(source), ...headers],
    'gcc "$@"',
    ...flags,
    ...(linkage === 'static' ? ['-static'] : []),
    ...['-O1', '-Wall', '-D_GNU_SOURCE=', '-I', probes, '-I', examples, '-I', DRM, '-pthread'],
    ...['-o', name, source],
  );
  if (error !== undefined) throw new Error(`${source} does not compile:\n${error}`);
  return join(folder, name);
}

/** Where Debian has libdrm's copies of Linux's headers. */
const DRM = '/usr/include/libdrm';

/** For beforeEach: skips where <drm.h> is missing. */
export function needsDrmHeaders({ skip }: TestContext): void {
  if (!existsSync(`${DRM}/drm.h`))
    skip('there is no <drm.h> here (Debian: apt install libdrm-dev)');
}

/** What the programs may include. */
const headers = [programs, probes, examples].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.h'))
    .map((name) => readFileSync(join(folder, name))),
);

let version: string | undefined;
function compilerVersion(): string {
  version ??= spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout;
  return version;
}
