/** The command line's code, and what V8 compiled of it on install. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { main } from '../cli.js';

const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-bundle-'));
afterAll(() => rmSync(folder, { recursive: true }));

const dist = dirname(dirname(main));
const node = (...args: string[]) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', cwd: folder });

/** A copy of dist/, to spoil; with the native helper, or without. */
function copy(name: string, built = true): string {
  const to = join(folder, name, 'dist');
  for (const file of ['cli/main.js', 'cli.cjs', 'cli.cjs.cache', 'cli.cjs.map'])
    cpSync(join(dist, file), join(to, file), { preserveTimestamps: true });
  if (built) symlinkSync(join(dist, '../../build'), join(folder, name, 'build'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  return to;
}

test('this Node takes what was compiled', () => {
  const script = `const { readFileSync } = require('node:fs');
    const source = require('node:module').wrap(readFileSync('${dist}/cli.cjs', 'latin1'));
    const cachedData = readFileSync('${dist}/cli.cjs.cache');
    console.log(new (require('node:vm').Script)(source, { cachedData }).cachedDataRejected);`;
  expect(node('-e', script).stdout).toBe('false\n');
});

test('what another V8 compiled, or what is older than the code, is left aside', () => {
  const spoilt = copy('spoilt');
  writeFileSync(join(spoilt, 'cli.cjs.cache'), 'not what V8 writes');
  expect(node(join(spoilt, 'cli/main.js'), 'run', '--help').stdout).toMatch(
    /^Usage: dmabuf-shim run /,
  );

  // Of the same length, which is all that V8 looks at.
  const changed = copy('changed');
  const source = `exports.main = () => (console.log('changed'), 0); //`;
  const { size } = statSync(join(changed, 'cli.cjs'));
  writeFileSync(join(changed, 'cli.cjs'), source.padEnd(size, '-'));
  utimesSync(join(changed, 'cli.cjs.cache'), 0, 0);
  expect(node(join(changed, 'cli/main.js'), 'run', '--devices', 'udmabuf', 'true').stdout).toBe(
    'changed\n',
  );
});

test('with --enable-source-maps an error is where it is in the sources', () => {
  const copied = copy('mapped', false);
  const { stderr } = node('--enable-source-maps', join(copied, 'cli/main.js'), 'run', 'true');
  expect(stderr).toMatch(/native helper is not built/);
  expect(stderr).toMatch(/at .*native\.ts:\d+/);
});
