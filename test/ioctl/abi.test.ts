import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { IoctlDef } from '../../ioctl/ioctl.js';
import type { StructType } from '../../ioctl/struct.js';
import { Errno } from '../../src/index.js';

/** Without what only the kernel itself uses. */
const { ERESTARTSYS, ERESTARTNOHAND, ...errnos } = Errno;

const root = new URL('../../', import.meta.url);
const abiC = new URL('fixtures/abi/abi.c', root).pathname;
const recorded = lines(readFileSync(new URL('fixtures/abi/abi.txt', root), 'utf8'));

/** The open flags that the two architectures number differently; abi.txt has x86-64's. */
const perArchitecture = /^const (O_DIRECT|O_DIRECTORY|O_NOFOLLOW|O_TMPFILE) /;
const portable = (line: string) => !perArchitecture.test(line);
const here = process.arch === 'x64' ? recorded : recorded.filter(portable);

/** Debian has the headers of DRM apart from Linux's others. */
const drm = ['drm', 'libdrm'].some((folder) => existsSync(`/usr/include/${folder}/drm.h`));
const lacking =
  why('gcc') || (drm ? '' : ' (skipped: no drm/drm.h; Debian: apt install libdrm-dev)');

const scratch = mkdtempSync(join(tmpdir(), 'dmabuf-shim-abi-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('the ABI', () => {
  it('is in TypeScript what the compiler made of the headers, with nothing left out', async () => {
    const derived = (await describeEverything()).filter(
      process.arch === 'x64' ? () => true : portable,
    );
    expect(derived.sort()).toEqual([...here].sort());
  });

  it.skipIf(!have('gcc') || !drm)(`is what the headers of this machine say${lacking}`, () => {
    const program = join(scratch, 'abi');
    execFileSync('gcc', ['-Wall', '-Werror', '-o', program, abiC]);
    const printed = lines(execFileSync(program, { encoding: 'utf8' }));
    expect(process.arch === 'x64' ? printed : printed.filter(portable)).toEqual(here);
  });

  it.skipIf(!have('gcc'))(`has every errno of <errno.h>, and no other${why('gcc')}`, () => {
    const macros = execFileSync(
      'gcc',
      ['-dM', '-E', '-include', 'errno.h', '-x', 'c', '/dev/null'],
      {
        encoding: 'utf8',
      },
    );
    const names = [...macros.matchAll(/^#define (E[A-Z0-9]+) /gm)].map(([, name]) => name);
    expect(Object.keys(errnos).sort()).toEqual(names.sort());
  });

  const cross = 'aarch64-linux-gnu-gcc';
  it.skipIf(!have(cross))(`is laid out alike on x86-64 and arm64${why(cross)}`, () => {
    const source = join(scratch, 'arm64.c');
    const asserts = recorded.filter(portable).map(assertion);
    expect(asserts.length).toBeGreaterThan(100);
    writeFileSync(source, [`#include "${abiC}"`, ...asserts].join('\n'));
    const { status, stderr } = spawnSync(cross, ['-c', '-o', '/dev/null', source], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});

function lines(text: string): string[] {
  return text.trimEnd().split('\n');
}

function have(compiler: string): boolean {
  return spawnSync(compiler, ['--version']).status === 0;
}

/** Goes into the test's name, so that a skipped test says why. */
function why(compiler: string): string {
  return have(compiler) ? '' : ` (skipped: no ${compiler})`;
}

/** A line of abi.txt as an assertion that the compiler checks. */
function assertion(line: string): string {
  const [kind, name = '', ...numbers] = line.split(' ');
  const [tag, field] = name.split('.');
  const [first = '', second = ''] = numbers;
  const type = `${kind?.endsWith('_union') ? 'union' : 'struct'} ${tag}`;
  const claims = [];
  if (kind === 'ioctl') claims.push(`(unsigned)(${name}) == ${first}u`);
  if (kind === 'const') claims.push(`(${name}) == ${first}`);
  if (kind?.startsWith('sizeof')) claims.push(`sizeof(${type}) == ${first}`);
  if (kind?.startsWith('offsetof')) claims.push(`offsetof(${type}, ${field}) == ${first}`);
  // C has no sizeof of a flexible array.
  if (second && second !== '0') claims.push(`sizeof(((${type} *)0)->${field}) == ${second}`);
  return claims.map((claim) => `_Static_assert(${claim}, "${line}");`).join('\n');
}

/** Every line that abi.c should print, from what the modules of ioctl/ export, and the table of errnos. */
async function describeEverything(): Promise<string[]> {
  const found = Object.entries(errnos).flatMap(([name, value]) => describeConstant(name, value));
  for (const file of readdirSync(new URL('ioctl/', root))) {
    if (!file.endsWith('.ts') || ['index.ts', 'all.ts'].includes(file)) continue;
    const module: Record<string, unknown> = await import(new URL(`ioctl/${file}`, root).href);
    const ioctls = Object.values(module)
      .filter(isTable)
      .flatMap((table) => Object.values(table));
    for (const { name, request } of ioctls) expect(module[name], `constant ${name}`).toBe(request);
    const requests = new Set(ioctls.map(({ name }) => name));
    for (const [name, value] of Object.entries(module)) {
      if (isStruct(value)) found.push(...describeStruct(name, value));
      else if (isTable(value)) found.push(...Object.values(value).map(describeIoctl));
      else if (!requests.has(name)) found.push(...describeConstant(name, value));
    }
  }
  return found;
}

function describeStruct(name: string, type: StructType): string[] {
  expect(type.tag).toBe(name);
  const of = type.kind === 'union' ? 'of_union' : 'of';
  const fields = type.fields.map((f) => `offset${of} ${name}.${f.name} ${f.offset} ${f.type.size}`);
  return [`size${of} ${name} ${type.size}`, ...fields];
}

function describeIoctl({ name, request }: IoctlDef): string {
  return `ioctl ${name} 0x${request.toString(16).padStart(8, '0')}`;
}

function describeConstant(name: string, value: unknown): string[] {
  if (typeof value === 'number' || typeof value === 'bigint') return [`const ${name} ${value}`];
  if (typeof value === 'string') return [`const ${name} ${value.charCodeAt(0)}`];
  return [];
}

function isStruct(value: unknown): value is StructType {
  return value instanceof Object && 'tag' in value && 'fields' in value;
}

function isTable(value: unknown): value is Record<string, IoctlDef> {
  if (!(value instanceof Object) || Array.isArray(value)) return false;
  const entries: unknown[] = Object.values(value);
  return entries.length > 0 && entries.every((e) => e instanceof Object && 'request' in e);
}
