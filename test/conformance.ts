/** Probes of fixtures/ beside what they printed on a real kernel: see conformance.test.ts. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Kernel } from '../src/index.js';
import { difference } from './differences.js';
import { type Linkage, probe } from './programs.js';
import { expectNothingLeft, type RecordedVersion, run, testKernel } from './run.js';

const update = process.env.UPDATE_DIFFERENCES === '1';

/** Recordings are root's. What Linux says to others is listed beside what differs for root, with its reasons. */
const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
const isRoot = uid === 0;

function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

export function recording(version: RecordedVersion, name: string): string {
  return readFileSync(fixture(`recordings/${version}/${name}.txt`), 'latin1');
}

/** Where the differences are listed: those of an ordinary user, if they are others. */
function listPath(version: RecordedVersion, name: string, ofUser = !isRoot): string {
  return fixture(`differences/${version}/${name}${ofUser ? '.user' : ''}.diff`);
}

function listed(version: RecordedVersion, name: string): string[] {
  const path = [listPath(version, name), listPath(version, name, false)].find(existsSync);
  return path === undefined ? [] : readFileSync(path, 'latin1').split('\n').slice(0, -1);
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
  const marks = [...new Set(list.filter((line) => line.startsWith('?')))];
  const lines = found.map((line) => marks.find((each) => isMarked(each, line)) ?? line);
  return [...lines, ...marks.filter((mark) => !lines.includes(mark))];
}

function list(version: RecordedVersion, name: string, lines: string[]): void {
  const path = listPath(version, name);
  const text = lines.map((line) => `${line}\n`).join('');
  const ofRoot = listPath(version, name, false);
  const isSame = !isRoot && existsSync(ofRoot) && readFileSync(ofRoot, 'latin1') === text;
  if (lines.length === 0 || isSame) rmSync(path, { force: true });
  else writeFileSync(path, text, 'latin1');
}

export interface Probing {
  /** Provides what the probe was recorded with, beside what every kernel has. */
  setUp?(kernel: Kernel): void;
  args?: readonly string[];
  /** How lines begin that are left out, of both. */
  without?: RegExp;
}

/** A probe prints what it printed on a real kernel, but for what is listed. */
export async function expectListed(
  version: RecordedVersion,
  linkage: Linkage,
  name: string,
  { setUp, args = [], without }: Probing = {},
): Promise<void> {
  const kernel = testKernel({ version });
  setUp?.(kernel);
  const { kernel: _, ...ended } = await run(kernel, probe(name, linkage), args, {
    exact: true,
    encoding: 'latin1',
  });
  // Whoever it is.
  const stdout = isRoot
    ? ended.stdout
    : ended.stdout.replaceAll(`uid ${uid} gid ${gid}`, 'uid USER gid USER');
  const compared = (text: string) =>
    without ? text.replace(new RegExp(`^(${without.source}).*\n`, 'gm'), '') : text;
  const found = difference(compared(recording(version, name)), compared(stdout));
  const known = listed(version, name);
  if (update) list(version, name, marked(known, found));
  else expect(settled(known, found)).toEqual(settled(known, known));
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(kernel.dmesg().filter((line) => line.includes('BUG'))).toEqual([]);
  await expectNothingLeft(kernel);
}
