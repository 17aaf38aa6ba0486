/**
 * The probes of fixtures/ print here what they printed on a real kernel. What cannot be the same is
 * listed line by line in fixtures/differences, with the reasons in the README there; a difference that
 * is not listed fails, and so does one that is listed and has gone, unless it is marked with "?": those
 * depend on the machine's own kernel, or on time. `UPDATE_DIFFERENCES=1` lists anew, and keeps marks.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { difference } from './differences.js';
import { LINKAGES, type Linkage, needsCompiler, probe } from './programs.js';
import { expectNothingLeft, RECORDED_VERSIONS, type RecordedVersion, run } from './run.js';

const EQUAL = ['heap', 'udmabuf', 'dmabuf', 'sync'];
const LISTED = [
  ...['stat', 'badargs', 'fileops', 'mmap', 'sysfs', 'life'],
  ...['fence', 'deadline', 'epoll'],
];
/** These wait most of their time: all at once. */
const SLOW = ['resv', 'wait'];
/** It uses memory that it gave back, and what is there then depends on what else a program has. */
const STATIC = ['walk'];

const update = process.env.UPDATE_DIFFERENCES === '1';

function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

function recording(version: RecordedVersion, name: string): string {
  return readFileSync(fixture(`recordings/${version}/${name}.txt`), 'latin1');
}

function listed(version: RecordedVersion, name: string): string[] {
  const path = fixture(`differences/${version}/${name}.diff`);
  return existsSync(path) ? readFileSync(path, 'latin1').split('\n').slice(0, -1) : [];
}

/** Whether a line is one that `mark` stands for: `?` before it, and `*` for numbers in it. */
function isMarked(mark: string, line: string): boolean {
  const parts = mark
    .slice(1)
    .split('*')
    .map((part) => part.replace(/[^\w ]/g, '\\$&'));
  return new RegExp(`^${parts.join('-?\\d+')}$`).test(line);
}

/** `lines` without those that are marked in `list`, and without marks. */
function settled(list: string[], lines: string[]): string[] {
  const marks = list.filter((line) => line.startsWith('?'));
  return lines.filter(
    (line) => !line.startsWith('?') && !marks.some((mark) => isMarked(mark, line)),
  );
}

/** `found`, with the marks of `list` in place of what they stand for; others stay, at the end. */
function marked(list: string[], found: string[]): string[] {
  const marks = new Set(list.filter((line) => line.startsWith('?')));
  const lines = found.map((line) => {
    const mark = [...marks].find((each) => isMarked(each, line));
    if (mark) marks.delete(mark);
    return mark ?? line;
  });
  return [...lines, ...marks];
}

function list(version: RecordedVersion, name: string, lines: string[]): void {
  const path = fixture(`differences/${version}/${name}.diff`);
  if (lines.length === 0) rmSync(path, { force: true });
  else writeFileSync(path, `${lines.join('\n')}\n`);
}

async function expectListed(
  version: RecordedVersion,
  linkage: Linkage,
  name: string,
): Promise<void> {
  const { kernel, ...ended } = await run({ version }, probe(name, linkage), [], {
    exact: true,
    encoding: 'latin1',
  });
  const found = difference(recording(version, name), ended.stdout);
  const known = listed(version, name);
  if (update) list(version, name, marked(known, found));
  else expect(settled(known, found)).toEqual(settled(known, known));
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(kernel.dmesg().filter((line) => line.includes('BUG'))).toEqual([]);
  await expectNothingLeft(kernel);
}

beforeEach(needsCompiler);

describe.each(RECORDED_VERSIONS)('as Linux %s', (version) => {
  describe.each(LINKAGES)('%s', (linkage) => {
    test.each(EQUAL)('%s: every line is the real kernel’s', async (name) => {
      const { kernel, ...ended } = await run({ version }, probe(name, linkage), [], {
        exact: true,
      });
      expect(difference(recording(version, name), ended.stdout)).toEqual([]);
      expect(ended).toMatchObject({ status: 0, stderr: '' });
      await expectNothingLeft(kernel);
    });

    test.each(LISTED)('%s: what differs is listed, and only that', (name) =>
      expectListed(version, linkage, name),
    );
  });

  test.each(STATIC)('static %s: what differs is listed, and only that', (name) =>
    expectListed(version, 'static', name),
  );
});

describe('as all of them', () => {
  const kinds = RECORDED_VERSIONS.flatMap((version) =>
    LINKAGES.map((linkage) => [version, linkage] as const),
  );
  test.each(SLOW)(
    '%s: what differs is listed, and only that',
    async (name) => {
      for (const [, linkage] of kinds) probe(name, linkage);
      await Promise.all(kinds.map(([version, linkage]) => expectListed(version, linkage, name)));
    },
    180_000,
  );
});

describe('without `exact`, only what reads and writes differs', () => {
  test.each([
    [
      'heap',
      ['read heap -> -1 EINVAL', 'write heap -> -1 EINVAL'],
      ['read heap -> 0', 'write heap -> -1 EPERM'],
    ],
    ['udmabuf', ['read -> -1 EINVAL'], ['read -> ok']],
    [
      'dmabuf',
      ['read -> -1 EINVAL', 'write -> -1 EINVAL', 'pread -> -1 ESPIPE', 'pwrite -> -1 ESPIPE'],
      ['read -> 16', 'write -> 16', 'pread -> 16', 'pwrite -> 16'],
    ],
  ])('%s: these lines, and no others', async (name, exact, otherwise) => {
    const asRecorded = await run({ version: '6.12' }, probe(name), [], { exact: true });
    const { stdout } = await run({ version: '6.12' }, probe(name));
    expect(difference(asRecorded.stdout, stdout)).toEqual([
      ...exact.map((line) => `-${line}`),
      ...otherwise.map((line) => `+${line}`),
    ]);
  });
});
