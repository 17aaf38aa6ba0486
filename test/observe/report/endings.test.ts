/** Processes that end, and `run` that is ended, in the less common ways: the report is whole, and says things once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ReportJson } from '../../../src/index.js';
import { cli, main } from '../../cli.js';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel } from '../../run.js';

const DESCRIPTOR =
  /^descriptor-left by endings: descriptor \d+ left: dmabuf \d+ \(system\) of 8192 bytes$/;
const mapping = (bytes: string) =>
  new RegExp(`^mapping-left by endings: mapping of ${bytes} bytes left: dmabuf`);
const WHOLE = mapping('8192');

/** By ending of test/programs/endings.c: all that there is to say. */
const ENDINGS: Record<string, RegExp[]> = {
  'last-thread': [WHOLE, DESCRIPTOR],
  'exit-alone': [DESCRIPTOR],
  'all-exit-group': [DESCRIPTOR],
  'all-exit': [DESCRIPTOR],
  half: [mapping('4096 of 8192')],
  again: [WHOLE],
  fixed: [WHOLE],
  odd: [],
  become: [/^start-without-end by endings: START\|READ without END of dmabuf/],
};

describe.each(LINKAGES)('a C program, %s', (linkage) => {
  beforeEach(needsCompiler);

  test.each(Object.entries(ENDINGS))('%s: what is left is found, once', async (how, expected) => {
    const kernel = testKernel({ coherency: 'coherent' });
    const report = kernel.report();
    const { status } = await run(kernel, program('endings', linkage), [how]);
    expect(status).toBe(0);
    await kernel.idle();
    const found = report.findings().map(({ kind, process, text, made }) => {
      expect(made?.call).toBeGreaterThan(0);
      return `${kind} by ${process?.comm}: ${text}`;
    });
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });
});

describe('run --report that is ended', () => {
  beforeEach(needsCompiler);
  const leaving = (rest: string) => ['sh', '-c', `${program('faulty')} descriptor; ${rest}`];

  test('--strict: also of a program that a signal ended, 3 if there is anything', () => {
    expect(cli('run', '--strict', '--', ...leaving('kill -KILL $$'))).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('report: 1 finding'),
    });
    expect(cli('run', '--strict', '--', 'sh', '-c', 'kill -KILL $$').signal).toBe('SIGKILL');
  });

  test.each([
    ['--report', null, 'SIGTERM'],
    ['--strict', 3, null],
  ])(
    '%s: a signal, while programs that were left behind run, has the report written',
    async (option, status, signal) => {
      const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-report-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const file = join(folder, 'report.json');
      const options = ['run', option, '--report-json', file, '--'];
      // The one that is left behind says when it, and the shell before it, are there, and who it is.
      const child = spawn(process.execPath, [
        main,
        ...options,
        ...leaving("(sleep 0.2; exec sh -c 'echo $$; exec sleep 60') & exit 0"),
      ]);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const exit = once(child, 'exit');
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      onTestFinished(() => {
        process.kill(Number(line), 'SIGKILL');
      });
      child.kill('SIGTERM');
      expect(await exit).toEqual([status, signal]);
      expect(stderr).toMatch(new RegExp(`they run still: (sh|sleep)\\[${line.trim()}\\]`));
      expect(stderr).toMatch(/report: 1 finding\n\nfaulty\[\d+\]\n {2}descriptor \d+ left/);
      const { findings } = JSON.parse(readFileSync(file, 'utf8')) as ReportJson;
      expect(findings.map(({ kind }) => kind)).toEqual(['descriptor-left']);
    },
  );
});
