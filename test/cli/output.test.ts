/** What commands write to FILE never costs a user what was there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cliWith } from '../cli.js';

const cwd = mkdtempSync(join(tmpdir(), 'dmabuf-shim-output-'));
afterAll(() => rmSync(cwd, { recursive: true }));

const cli = (...args: string[]) => cliWith({ cwd }, ...args);
const at = (name: string) => join(cwd, name);
const content = (name: string) => readFileSync(at(name), 'utf8');

function file(name: string, text: string, mode = 0o644): string {
  writeFileSync(at(name), text, { mode });
  return text;
}

const script = file('prog', '#!/bin/sh\necho "$@"\n', 0o755);

test.each([
  ['--trace', 'trace', 'dmabuf-shim run --trace -- ./prog'],
  ['--trace-events', 'trace of events', 'dmabuf-shim run --trace-events FILE -- ./prog'],
  ['--report-json', 'report', 'dmabuf-shim run --report-json FILE -- ./prog'],
])(
  '%s does not take the program for its file, where the value was forgotten',
  (option, what, right) => {
    for (const given of [[option, './prog'], [`${option}=./prog`]]) {
      expect(cli('run', ...given, '--', 'true')).toEqual({
        status: 2,
        signal: null,
        stdout: '',
        stderr:
          `dmabuf-shim run: ${option} ./prog: that file is something else than a ${what}, and is not overwritten ` +
          `(is it the program? ${right})\n`,
      });
      expect(content('prog')).toBe(script);
    }
  },
);

test('a word is the file of --trace only if "--" comes before the program', () => {
  // This "--" is the program's.
  expect(cli('run', '--trace', './prog', 'a', '--', 'b')).toMatchObject({
    status: 0,
    stdout: 'a -- b\n',
  });
  expect(content('prog')).toBe(script);
  const options = ['--trace', 'first', '--kernel', '6.1', '--exact'];
  expect(cli('run', ...options, '--', 'cat', '/sys/class/misc/udmabuf/dev').status).toBe(0);
  expect(content('first')).toContain('/sys/class/misc/udmabuf/dev');
});

test('what a run before has written is overwritten, whatever it begins with, and so is an empty file', () => {
  const forked = 'test -c /dev/udmabuf; sh -c "exit 1" & wait; cat /sys/class/misc/udmabuf/dev';
  const traced = ['--trace=trace', '--trace-events=events', '--report-json=report'];
  for (const name of ['trace', 'events', 'report']) file(name, '');
  const runs = ['', '--report', ''].map((report) => {
    const given = [...traced, ...(report ? [report] : [])];
    const { status } = cli('run', ...given, '--', 'sh', '-c', forked);
    return [status, content('trace').split('\n').length, content('report')];
  });
  expect(runs[0]?.[0]).toBe(0);
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[2]).toEqual(runs[0]);
  expect(JSON.parse(content('events'))).toBeInstanceOf(Array);
  // SIGKILL may have cut it off.
  file('trace', '[pid 12] openat(AT_FDCWD, "/dev/udm');
  file('events', '[\n');
  expect(cli('run', ...traced, '--', 'true').status).toBe(0);
});

describe('a command that reads a file does not write its result over it', () => {
  test.each([
    ['header', '-o'],
    ['lint-uapi', '--save'],
  ])('%s %s', (command, option) => {
    const source = file('unit.ts', 'export const UNIT = 1;\n');
    const { status, stderr } = cli(command, option, './unit.ts', 'unit.ts');
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `dmabuf-shim ${command}: ./unit.ts is what is read, and is not overwritten\n`,
    });
    expect(content('unit.ts')).toBe(source);
  });
});
