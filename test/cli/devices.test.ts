/** `dmabuf-shim run --device FILE`: devices that are declared in a file, as somebody at a terminal has them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cli, main } from '../cli.js';
import { needs } from '../programs.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-device-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A device that says what it is told: an option, or what stands in the file. */
const says = (text: string, name = 'says') => `
import { defineDevice } from 'dmabuf-shim';
type Text = string;
const text: Text = ${JSON.stringify(text)};
export default defineDevice({
  name: '${name}',
  options: { word: '', times: 1, loud: false },
  probe: (_, { word, times, loud }) => {
    const said = (word || text).repeat(times);
    return loud ? said.toUpperCase() : said;
  },
  attributes: { word: (said) => said },
  open: (file) => ({ left: Buffer.from(\`\${file.device}\\n\`) }),
  read(file, size) {
    const part = file.state.left.subarray(0, size);
    file.state.left = file.state.left.subarray(size);
    return part;
  },
});
`;

describe('run --device', () => {
  test('serves what a TypeScript file declares; options have the types of their defaults', () => {
    const path = file('says.ts', says('hello'));
    const program = ['--', 'sh', '-c', 'cat /dev/says /sys/class/misc/says/word'];
    expect(cli('run', '--device', path, ...program)).toMatchObject({
      status: 0,
      stdout: 'hello\nhello\n',
      stderr: '',
    });
    const other = cli('run', `--device=${path},word=ho,times=3,loud`, ...program);
    expect(other.stdout).toBe('HOHOHO\nHOHOHO\n');
  });

  test('what can be read has no place in it to read at', (context) => {
    needs(['python3', 'python3'])(context);
    const path = file('says.ts', says('hello'));
    const script = 'import os; os.pread(os.open("/dev/says", os.O_RDONLY), 1, 0)';
    const { stderr } = cli('run', '--device', path, '--', 'python3', '-c', script);
    expect(stderr).toMatch(/\[Errno 29\] Illegal seek/);
  });

  test('several devices, from several files, or from one', () => {
    const one = file('one.ts', says('1', 'one'));
    const both = `import { defineDevice } from 'dmabuf-shim';
      const read = () => new Uint8Array();
      export default [defineDevice({ name: 'a', read }), defineDevice({ name: 'b/c', read })];`;
    const two = file('two.mts', both);
    const list = ['ls', '/dev/one', '/dev/a', '/dev/b/c', '/dev/dma_heap/system'];
    const { stdout } = cli('run', '--device', one, '--device', two, '--', ...list);
    expect(stdout.trim().split('\n').sort()).toEqual(list.slice(1).sort());
  });

  test('of several devices in a file each takes the options that it has', () => {
    const path = file(
      'both.ts',
      `import { defineDevice } from 'dmabuf-shim';
       const say = (of: object) => ({ probe: (_: unknown, o: object) => JSON.stringify(o), attributes: { all: (text: string) => text } });
       export default [
         defineDevice({ name: 'a', options: { x: 1, both: '' }, ...say({}) }),
         defineDevice({ name: 'b', options: { y: 2, both: '' }, ...say({}) }),
       ];`,
    );
    const cat = ['--', 'sh', '-c', 'cat /sys/class/misc/[ab]/all'];
    expect(cli('run', '--device', `${path},x=3,both=z`, ...cat)).toMatchObject({
      stdout: '{"x":3,"both":"z"}\n{"y":2,"both":"z"}\n',
    });
    const { status, stderr } = cli('run', '--device', `${path},z=1`, ...cat);
    expect(stderr).toMatch(/a has no option z; there are: x, both/);
    expect(status).toBe(2);
  });

  test('a mistake of a driver is told with where it was made, and no more of what led there', () => {
    const path = file(
      'wrong.ts',
      `import { defineDevice } from 'dmabuf-shim';
       const oops = () => { throw new Error('oops'); };
       export default defineDevice({ name: 'wrong', read() { return oops(); } });`,
    );
    const { stderr } = cli('run', '--device', path, '--', 'cat', '/dev/wrong');
    const [first, ...rest] = stderr.trim().split('\n');
    expect(first).toMatch(/BUG: read: Error: oops$/);
    expect(rest).toEqual([
      expect.stringMatching(/^ {4}at oops \(.*wrong\.ts:2:\d+\)$/),
      expect.stringMatching(/^ {4}at .*read \(.*wrong\.ts:3:\d+\)$/),
      expect.stringMatching(/^cat: .*Input\/output error$/),
    ]);
  });

  test('a mistake of a driver outside of any call is told likewise, and ends nothing', () => {
    const path = file(
      'stray.ts',
      `import { defineDevice } from 'dmabuf-shim';
       export default defineDevice({ name: 'stray', read(_file, size) {
         setTimeout(() => { throw new Error('in a timer'); }, 5);
         void Promise.reject(new Error('forgotten'));
         return new Uint8Array(0);
       } });`,
    );
    const script = 'cat /dev/stray; sleep 0.1; cat /dev/stray; sleep 0.1; echo still here';
    const { status, stdout, stderr } = cli('run', '--device', path, '--', 'sh', '-c', script);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'still here\n' });
    const once = [
      expect.stringMatching(/BUG: outside of any call: Error: forgotten$/),
      expect.stringMatching(/^ {4}at .*read \(.*stray\.ts:4:\d+\)$/),
      expect.stringMatching(/BUG: outside of any call: Error: in a timer$/),
      expect.stringMatching(/^ {4}at .*stray\.ts:3:\d+\)$/),
    ];
    expect(stderr.trim().split('\n')).toEqual([...once, ...once]);
  });

  test('what a file imports of the package is what runs', () => {
    file('helper.ts', `export { errno } from 'dmabuf-shim';`);
    const path = file(
      'refuses.ts',
      `import { defineDevice } from 'dmabuf-shim';
       import { errno } from './helper';
       export default defineDevice({ name: 'refuses', open() { throw errno('ENXIO'); } });`,
    );
    const { stderr } = cli('run', '--device', path, '--', 'cat', '/dev/refuses');
    expect(stderr).toMatch(/No such device or address/);
  });

  test('so it does for JavaScript, which Node itself loads', () => {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(dirname(dirname(dirname(dirname(main)))), join(folder, 'node_modules/dmabuf-shim'));
    const path = file(
      'plain.mjs',
      `import { defineDevice, errno } from 'dmabuf-shim';
       export default defineDevice({ name: 'plain', open() { throw errno('ENXIO'); } });`,
    );
    const { stderr } = cli('run', '--device', path, '--', 'cat', '/dev/plain');
    expect(stderr).toMatch(/No such device or address/);
  });

  test.each([
    ['a file that is not there', undefined, '', /nothing\.ts: no such file/],
    ['no TypeScript', 'export default {', '', /x\.ts:1: ParseError/],
    ['no device', 'export default { name: "x" };', '', /default export is not what defineDevice/],
    ['no default export', 'export const x = 1;', '', /x\.ts: it has no default export/],
    [
      'no such import',
      '\nimport "./nowhere.js";',
      '',
      /x\.ts: Cannot find module '.\/nowhere\.js'$/m,
    ],
    [
      'no name',
      'import { defineDevice } from "dmabuf-shim";\nexport default defineDevice({ name: undefined });',
      '',
      /x\.ts:2: "undefined" is no name below \/dev/,
    ],
    [
      'an exception in probe',
      'import { defineDevice } from "dmabuf-shim";\nconst probe = () => {\n  throw new Error("no luck"); };\nexport default defineDevice({ name: "x", probe });',
      '',
      /x\.ts:3: no luck/,
    ],
    ['an exception', '\nthrow new Error("not today");', '', /x\.ts:2: not today/],
    ['an unknown option', says('x'), ',size=3', /says has no option size; there are: word, times/],
    ['no number', says('x'), ',times=many', /says: times is a number, as 1 is/],
    ['no boolean', says('x'), ',loud=perhaps', /loud is true or false, not perhaps/],
  ])('%s is one line, and 2', (_, text, options, line) => {
    const path = text === undefined ? join(folder, 'nothing.ts') : file('x.ts', text);
    const { status, stderr } = cli('run', '--device', `${path}${options}`, '--', 'true');
    expect(stderr).toMatch(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });

  test('with ,help its options are listed, and nothing is run', () => {
    expect(cli('run', '--device', `${file('x.ts', says('x'))},help`)).toMatchObject({
      status: 0,
      stdout: '/dev/says: options and their defaults: word=, times=1, loud=false\n',
      stderr: '',
    });
  });

  test('a folder is no file', () => {
    const { status, stderr } = cli('run', '--device', folder, '--', 'true');
    expect([status, stderr]).toEqual([2, `dmabuf-shim run: ${folder}: no such file\n`]);
  });

  test('the name of a device that there is already is refused', () => {
    const path = file('x.ts', says('x', 'udmabuf'));
    const { status, stderr } = cli('run', '--device', path, '--', 'true');
    expect(stderr).toMatch(/\/dev\/udmabuf exists already/);
    expect(status).toBe(2);
  });
});

/** `sh -c SCRIPT` with a watched device: what it says, and what `run` does, a line at a time. */
function watching(path: string, script: string) {
  const args = [main, 'run', '--watch', '--device', path, 'sh', '-c', script];
  const child = spawn(process.execPath, args);
  const linesOf = (stream: Readable) => {
    const lines = createInterface(stream)[Symbol.asyncIterator]();
    return async () => (await lines.next()).value;
  };
  return { child, line: linesOf(child.stdout), message: linesOf(child.stderr) };
}

describe('run --watch', () => {
  test('takes over a new version: what is open stays as it was, what is opened is new', async () => {
    const path = file('says.ts', says('old'));
    // Opens the node, and a line on its input has it read that and open it anew.
    const script =
      'exec 3</dev/says; while read x; do cat <&3; cat /dev/says; exec 3</dev/says; done';
    const { child, line, message } = watching(path, script);

    child.stdin.write('\n');
    expect([await line(), await line()]).toEqual(['old', 'old']);
    // As editors do that write a new file and move it there.
    renameSync(file('says.ts.new', says('new')), path);
    expect(await message()).toBe(`dmabuf-shim run: ${path}: loaded anew`);
    child.stdin.write('\n');
    expect([await line(), await line()]).toEqual(['old', 'new']);
    writeFileSync(path, 'export default 3;');
    expect(await message()).toMatch(/stays as it was: .*its default export is not what/);
    child.stdin.write('\n');
    expect([await line(), await line()]).toEqual(['new', 'new']);
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a version whose probe throws is not taken over, and where it was is told', async () => {
    const path = file('says.ts', says('old'));
    const { child, line, message } = watching(path, 'echo ready; read x; cat /dev/says');
    expect(await line()).toBe('ready');
    writeFileSync(
      path,
      says('new').replace('const said =', "throw new Error('no room');\nconst said ="),
    );
    expect(await message()).toBe(`dmabuf-shim run: ${path}: stays as it was: ${path}:9: no room`);
    child.stdin.end('\n');
    expect(await line()).toBe('old');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a file that it imports counts, too', async () => {
    file('text.ts', `export const text = 'old';`);
    const declared = says('').replace(/const text: Text = .*/, "import { text } from './text';");
    const path = file('says.ts', declared);
    const script = 'while read x; do cat /dev/says; done';
    const { child, line, message } = watching(path, script);
    child.stdin.write('\n');
    expect(await line()).toBe('old');
    file('text.ts', `export const text = 'new';`);
    expect(await message()).toMatch(/says\.ts: loaded anew$/);
    child.stdin.end('\n');
    expect(await line()).toBe('new');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('is for devices of one’s own', () => {
    expect(cli('run', '--watch', '--', 'true')).toMatchObject({
      status: 2,
      stderr: 'dmabuf-shim run: --watch is for the files of --device\n',
    });
  });
});
