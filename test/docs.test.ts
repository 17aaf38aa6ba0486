/** What documents and comments name is there: files that moved have taken along what is said of them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => existsSync(join(root, name)) && !name.startsWith('fixtures/recordings/'));
// What a version was like is history.
const documents = files.filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md');
const commented = files.filter((name) => /\.(ts|mjs|c|h|sh)$/.test(name));
const read = (name: string) => readFileSync(join(root, name), 'utf8');

/** Paths in `text` that lead nowhere, from where the file is, from the root, and from src/. */
function dead(name: string, paths: Iterable<string>): string[] {
  const places = [dirname(join(root, name)), root, join(root, 'src')];
  return [...paths]
    .filter((path) => !places.some((place) => existsSync(join(place, path))))
    .map((path) => `${name}: ${path}`);
}

test('links of documents lead to something', () => {
  const links = documents.map((name) => {
    const found = read(name).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g);
    return dead(
      name,
      Array.from(found, ([, path = '']) => path),
    );
  });
  expect(links.flat()).toEqual([]);
  expect(documents.length).toBeGreaterThan(10);
});

const ROOMS = '(?:src|test|ioctl|uapi|native|fixtures|examples|bench|scripts)';

test('files that are named in documents are there', () => {
  // What the tutorial has one write is not.
  const named = documents
    .filter((name) => name !== 'examples/scaler/README.md')
    .map((name) => {
      const code = [...read(name).matchAll(/`([^`\s]+)`/g)].map(([, text = '']) => text);
      const isFile = (text: string) =>
        /^[\w-]+\/[\w./-]+\.(ts|mjs|c|h|md|sh)$/.test(text) ||
        RegExp(`^${ROOMS}/[\\w./-]+$`).test(text);
      return dead(
        name,
        code.filter((text) => isFile(text) && !/^(linux|dist|drivers)\/|NAME/.test(text)),
      );
    });
  expect(named.flat()).toEqual([]);
});

test('so are those in comments', () => {
  const path = RegExp(
    `(?!src/libsystemd)(?<![\\w./'"-])${ROOMS}/[\\w./-]+\\.(?:ts|mjs|c|h|md|sh|txt|diff)\\b(?!['"])`,
    'g',
  );
  const named = commented.map((name) => {
    const comments = read(name).match(/\/\*[\s\S]*?\*\/|\/\/.*|^\s*#.*/gm) ?? [];
    return dead(
      name,
      comments.flatMap((text) => text.match(path) ?? []),
    );
  });
  expect(named.flat()).toEqual([]);
});
