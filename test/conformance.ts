/** Probes of fixtures/ beside what they printed on a real kernel: see conformance.test.ts. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { difference } from './differences.js';
import { type Linkage, probe } from './programs.js';
import { expectNothingLeft, type RecordedVersion, run } from './run.js';

const update = process.env.UPDATE_DIFFERENCES === '1';

const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];

/**
 * The recordings are root's. What Linux says instead to somebody without privileges who may use the nodes, and why:
 * see "As an ordinary user" in fixtures/differences/README.md.
 */
const TO_OTHERS: readonly [line: RegExp, instead: string][] = [
  // Directories are root's.
  [/^((?:(?!mode 4).)*)\buid 0 gid 0\b/gm, `$1uid ${uid} gid ${gid}`],
  // CAP_CHOWN
  [/: fchown (12 34|0 0) -> 0$/gm, ': fchown $1 -> -1 EPERM'],
  [/: uid 12 gid 34 /g, `: uid ${uid} gid ${gid} `],
  // CAP_DAC_READ_SEARCH
  [/: linkat -> -1 errno 18$/gm, ': linkat -> -1 ENOENT'],
  // CAP_DAC_OVERRIDE
  [/access size W_OK -> 0$/gm, 'access size W_OK -> -1 EACCES'],
];

function toUs(text: string): string {
  if (uid === 0) return text;
  return TO_OTHERS.reduce((said, [line, instead]) => said.replace(line, instead), text);
}

function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

export function recording(version: RecordedVersion, name: string): string {
  return toUs(readFileSync(fixture(`recordings/${version}/${name}.txt`), 'latin1'));
}

function listed(version: RecordedVersion, name: string): string[] {
  const path = fixture(`differences/${version}/${name}.diff`);
  return existsSync(path) ? toUs(readFileSync(path, 'latin1')).split('\n').slice(0, -1) : [];
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

/** A probe prints what it printed on a real kernel, but for what is listed. */
export async function expectListed(
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
  if (update && uid !== 0) throw new Error('the recordings are root’s: list differences as root');
  if (update) list(version, name, marked(known, found));
  else expect(settled(known, found)).toEqual(settled(known, known));
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(kernel.dmesg().filter((line) => line.includes('BUG'))).toEqual([]);
  await expectNothingLeft(kernel);
}
