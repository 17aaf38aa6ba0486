/** Rules of this code base that a compiler does not check. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Errno } from '../src/errno.js';

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

/** Rooms of src/, with the rooms that nothing in them may import, types included. */
const RULES: readonly [room: string, mayNot: string][] = [
  ['(backing|host|base|fs|mm)', '(drivers|kit|supervisor|syscall|fault|cli|demo|svg)'],
  ['abi', '(backing|host|base|fs|mm|drivers|kit|supervisor|syscall|observe|fault|cli|demo|svg)'],
  ['drivers', '(kit|supervisor|syscall|fault|cli|demo|svg)'],
  ['kit', '(supervisor|fault|observe|cli|demo|svg)'],
  ['(supervisor|syscall)', '(drivers|kit|cli|demo|svg)'],
  ['observe', '(supervisor|syscall|fault|cli|demo|svg)'],
];

/** The groups of files each of which imports every other, by whatever way, types included. */
function circles(): string[][] {
  const graph = new Map(
    sources.filter((name) => name.endsWith('.ts')).map((name) => [name, imports(name)]),
  );
  const [index, low] = [new Map<string, number>(), new Map<string, number>()];
  const stack: string[] = [];
  const found: string[][] = [];
  const lower = (name: string, to: number | undefined) =>
    low.set(name, Math.min(low.get(name) as number, to as number));
  // Tarjan's strongly connected components.
  const visit = (name: string) => {
    index.set(name, index.size);
    low.set(name, index.get(name) as number);
    stack.push(name);
    for (const next of graph.get(name) ?? []) {
      if (!index.has(next)) {
        visit(next);
        lower(name, low.get(next));
      } else if (stack.includes(next)) lower(name, index.get(next));
    }
    if (low.get(name) === index.get(name)) found.push(stack.splice(stack.indexOf(name)));
  };
  for (const name of graph.keys()) if (!index.has(name)) visit(name);
  return found.filter((group) => group.length > 1);
}

describe('who may import whom', () => {
  test('the import scanner sees what is there', () => {
    expect(imports('src/kernel.ts')).toContain('src/drivers/index.ts');
    expect(violations(/^src\/drivers\//, /^src\/mm\//)).not.toEqual([]);
  });

  test('every rule is about rooms that exist', () => {
    for (const rooms of RULES.flat()) {
      for (const room of rooms.replace(/[()]/g, '').split('|')) {
        expect(existsSync(join(root, 'src', room)), room).toBe(true);
      }
    }
  });

  test.each(RULES)('%s does not import %s', (room, mayNot) => {
    expect(violations(new RegExp(`^src/${room}/`), new RegExp(`^src/${mayNot}/`))).toEqual([]);
  });

  test('ioctl/ imports nothing from src/', () => {
    expect(violations(/^ioctl\//, /^src\//)).toEqual([]);
  });

  test('drivers meet only through drivers/dma-buf/ and drivers/char/', () => {
    const crossing = violations(/^src\/drivers\/(?!index)/, /^src\/drivers\//).filter((line) => {
      const [from, to] = line.split(' -> ').map((path) => path.split('/')[2]);
      return from !== to && to !== 'dma-buf' && to !== 'char';
    });
    expect(crossing).toEqual([]);
  });

  test('only the entries of the package import the assembly, src/kernel.ts', () => {
    const entries = /^(src\/(index|vitest)\.ts|src\/(cli|demo)\/|uapi\/)/;
    const others = violations(/^/, /^src\/kernel\.ts$/).filter((line) => !entries.test(line));
    expect(others).toEqual([]);
  });

  test('only the command line and the package’s entries import uapi/, which knows no command line', () => {
    expect(violations(/^src\/(?!cli\/|index)/, /^uapi\//)).toEqual([]);
    expect(violations(/^uapi\//, /^src\/cli\//)).toEqual([]);
  });

  test('no circle of imports is of more than 20 files', () => {
    expect(circles().filter((group) => group.length > 20)).toEqual([]);
  });

  test('only host/ reads the machine’s /proc, and doctor, which looks at the machine', () => {
    // namei.ts walks paths that programs name, and reads nothing.
    const known = /^src\/(host\/|cli\/doctor|fs\/namei\.ts$)/;
    const inString = /^(?!\s*(\*|\/\/|\/\*)).*['"`]\/proc(\/|['"`])/m;
    const readers = sources.filter((name) => name.startsWith('src/') && inString.test(read(name)));
    expect(readers.filter((name) => known.test(name))).not.toEqual([]);
    expect(readers.filter((name) => !known.test(name))).toEqual([]);
  });

  test('the addon has nothing that nobody calls', () => {
    const exported = [...read('native/exports.h').matchAll(/^ {4}X\((\w+)\)/gm)].map(
      ([, name]) => name,
    );
    expect(exported).toContain('memfdCreate');
    const code = sources
      .filter((name) => name.startsWith('src/'))
      .map(read)
      .join('\n');
    expect(exported.filter((name) => !new RegExp(`native\\.${name}\\b`).test(code))).toEqual([]);
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

  test('a number of Linux’s has its name in one file', () => {
    const families =
      '(AF|AT|CAP|CLONE|EPOLL|F|FD|IN|KCMP|MADV|MAP|MFD|MREMAP|MS|MSG|O|PROT|RENAME|RESOLVE|SEEK|SO|SOCK|SOL)_';
    const linux = new RegExp(
      `^(?:export )?const ((?:${families}|E?POLL|PATH_MAX|MAX_ERRNO)\\w*) = -?[0-9]`,
      'gm',
    );
    const declared = new Map<string, string>();
    const again = sources.flatMap((name) =>
      [...read(name).matchAll(linux)].flatMap(([, constant = '']) => {
        const first = declared.get(constant);
        declared.set(constant, first ?? name);
        return first === undefined ? [] : [`${constant}: ${first}, ${name}`];
      }),
    );
    expect([...declared.keys()]).toContain('AT_FDCWD');
    expect(again).toEqual([]);
  });

  test('errnos go by the names of src/errno.ts', () => {
    const number = new RegExp(`const (${Object.keys(Errno).join('|')}) = -?[0-9]`);
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
