/** Rules of this code base that a compiler does not check. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => name !== '' && existsSync(join(root, name)));
const sources = files.filter((name) => /^(src|ioctl|uapi|native)\/.*\.(ts|c|h)$/.test(name));
const read = (name: string) => readFileSync(join(root, name), 'utf8');

/** Files within the project that a file imports, by their paths. */
function imports(name: string): string[] {
  const found = read(name).matchAll(/^(?:import|export)\b[^;]*?from '(\.[^']+)';/gms);
  return [...found].map(([, path]) =>
    relative(root, join(root, dirname(name), path as string)).replace(/\.js$/, '.ts'),
  );
}

/** Imports of the files below a folder that lead where they may not, as "file -> import". */
function violations(below: RegExp, mayNot: RegExp): string[] {
  return sources
    .filter((name) => below.test(name) && name.endsWith('.ts'))
    .flatMap((name) =>
      imports(name)
        .filter((path) => mayNot.test(path))
        .map((path) => `${name} -> ${path}`),
    );
}

describe('who may import whom', () => {
  test('the import scanner sees what is there', () => {
    expect(imports('src/kernel.ts')).toContain('src/drivers/index.ts');
  });

  test('ioctl/ imports nothing from src/', () => {
    expect(violations(/^ioctl\//, /^src\//)).toEqual([]);
  });

  test('mm/ imports no driver', () => {
    expect(violations(/^src\/mm\//, /^src\/drivers\//)).toEqual([]);
  });

  test('drivers meet only through drivers/dma-buf/, and know no supervisor', () => {
    expect(violations(/^src\/drivers\//, /^src\/(supervisor|cli)\//)).toEqual([]);
    const driver = /^src\/drivers\/(?!dma-buf\/|index|misc)/;
    expect(violations(driver, /^src\/drivers\/(?!dma-buf\/|misc)/)).toEqual([]);
  });

  test('only native.ts loads the addon', () => {
    const loaders = sources.filter((name) => /\.node['"]/.test(read(name)));
    expect(loaders).toEqual(['src/native.ts']);
  });
});

describe('text', () => {
  test.each([
    ['any, or a suppressed type error', /\bas any\b|: any\b|<any>|@ts-ignore/],
    ['a left-over marker', /\b(FIXME|TODO|XXX)\b/],
    ['a test that runs alone', /\.only\(/],
  ])('no source has %s', (_what, pattern) => {
    const own = fileURLToPath(import.meta.url);
    const found = files
      .filter((name) =>
        /^(src|ioctl|uapi|native|test|bench|examples)\/.*\.(ts|mjs|c|h)$/.test(name),
      )
      .filter((name) => join(root, name) !== own && pattern.test(read(name)));
    expect(found).toEqual([]);
  });

  test('the sources have no request number in hexadecimal: they are computed', () => {
    const number = /0x[48c]0[0-9a-f]{2}(48|62|75|3e|57)[0-9a-f]{2}\b/i;
    expect(sources.filter((name) => number.test(read(name)))).toEqual([]);
  });

  test('no source file is longer than 500 lines', () => {
    expect(sources.filter((name) => read(name).split('\n').length > 500)).toEqual([]);
  });

  test('every folder of the sources says what it is for', () => {
    for (const folder of ['native', 'ioctl', 'src', 'src/drivers', 'fixtures', 'examples']) {
      expect(existsSync(join(root, folder, 'README.md')), folder).toBe(true);
    }
  });
});
