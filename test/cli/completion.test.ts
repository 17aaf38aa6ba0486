/** The tables of options, as `--help` and the shell's completion show them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { cli } from '../cli.js';
import { needs } from '../programs.js';
import { ALL, TAB, typed } from '../typed.js';

describe('--help', () => {
  test('has a line for each option, with its value, and what else there is to know', () => {
    const { stdout, stderr, status } = cli('run', '--help');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(
      /^Usage: dmabuf-shim run \[options\] \[--\] PROGRAM \[arguments\]\n\nRuns /,
    );
    expect(stdout).toMatch(/^ {2}--exact {13}also read, write and every ioctl/m);
    expect(stdout).toMatch(/^ {2}--trace \[FILE\] {6}a line for each call/m);
    expect(stdout).toMatch(/^ {2}--strict-coherency\[=SEED\]\n {22}devices that are not coherent/m);
    expect(stdout).toMatch(/^ {2}--help {14}this text\n\nThe exit status is PROGRAM's/m);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(112);
  });

  test('has letters, too', () => {
    expect(cli('import-header', '-h').stdout).toMatch(/^ {2}--include FOLDER, -I\n {22}look for/m);
  });
});

const cwd = mkdtempSync(join(tmpdir(), 'dmabuf-shim-completion-'));
afterAll(() => rmSync(cwd, { recursive: true }));
mkdirSync(join(cwd, 'some folder'));
// Of the names of a command, and of the beginning of a device's.
mkdirSync(join(cwd, 'run'));
mkdirSync(join(cwd, 'dma_heap'));
for (const name of ['my trace', 'some folder/in it']) writeFileSync(join(cwd, name), '');

/** What becomes of each line behind "dmabuf-shim"; a space behind a word is one more, '', at the end. */
function becomes(shell: 'bash' | 'zsh', ...lines: string[]): string[][] {
  const { status, stdout, stderr } = cli('completion', shell);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return typed(
    shell,
    stdout,
    lines.map((line) => `dmabuf-shim ${line}`),
    cwd,
  ).map((words) => words.slice(1));
}

describe('in bash', () => {
  beforeEach(needs(['bash', 'bash'], ['python3', 'python3']));

  const line = (text: string) => becomes('bash', text)[0];

  test('commands are completed, and their options', () => {
    expect(
      becomes('bash', `li${TAB}`, `run --trac${ALL}`, `ls --k${TAB}`, `import-header --i${TAB}`),
    ).toEqual([
      ['lint-uapi', ''],
      ['run', '--trace', '--trace-events', ''],
      ['ls', '--kernel', ''],
      ['import-header', '--include', ''],
    ]);
    expect(line(ALL)).toEqual(
      expect.arrayContaining(['run', 'ls', 'import-header', 'completion', '']),
    );
  });

  test('so are the values of options: those that there are, behind a space or "="', () => {
    expect(
      becomes(
        'bash',
        `run --kernel 6.9${TAB}`,
        `run --kernel=6.9${TAB}`,
        `run --kernel=4.2${ALL}`,
        `run --kernel 7${TAB}`,
        `run --fence-timeout ${TAB}`,
        `completion z${TAB}`,
      ),
    ).toEqual([
      ['run', '--kernel', '6.9', ''],
      ['run', '--kernel=6.9', ''],
      ['run', '--kernel=4.2', '4.20', ''],
      ['run', '--kernel', '7'],
      ['run', '--fence-timeout', ''],
      ['completion', 'zsh', ''],
    ]);
  });

  test('lists are completed item by item, and go on', () => {
    expect(
      becomes(
        'bash',
        `run --memory si${TAB}`,
        `run --memory=si${TAB}`,
        `run --memory=size=6${TAB}`,
        `run --memory=size=1G,cm${TAB}`,
        `run --memory size=1G,cm${TAB}`,
        `run --devices dma_heap/${TAB}`,
        `run --devices=udmabuf,+dma_i${TAB}`,
      ),
    ).toEqual([
      ['run', '--memory', 'size=64M'],
      ['run', '--memory=size=64M'],
      ['run', '--memory=size=64M'],
      ['run', '--memory=size=1G,cma=16M'],
      ['run', '--memory', 'size=1G,cma=16M'],
      ['run', '--devices', 'dma_heap/system'],
      ['run', '--devices=udmabuf,+dma_importer'],
    ]);
  });

  test('names of files may have spaces, and those of folders go on', () => {
    expect(
      becomes(
        'bash',
        `run --trace my${TAB}`,
        `run --trace=my${TAB}`,
        `run --report-json "my${TAB}`,
        `run --trace-events so${TAB}`,
        `run --trace=some\\ folder/i${TAB}`,
        `header -o my${TAB}`,
        `lint-uapi my${TAB}`,
        `doctor my${TAB}`,
        `run --strict-coherency=${TAB}`,
      ),
    ).toEqual([
      ['run', '--trace', 'my trace', ''],
      ['run', '--trace=my trace', ''],
      ['run', '--report-json', 'my trace', ''],
      ['run', '--trace-events', 'some folder/'],
      ['run', '--trace=some folder/in it', ''],
      ['header', '-o', 'my trace', ''],
      ['lint-uapi', 'my trace', ''],
      ['doctor', 'my'],
      ['run', '--strict-coherency='],
    ]);
  });

  test('a program is completed, and behind it are files, and no options of ours', () => {
    expect(
      becomes(
        'bash',
        `run mkfif${TAB}`,
        `run --exact --kernel 6.1 -- mkfif${TAB}`,
        `run ./so${TAB}`,
        `run --kernel 6.1 cat --trac${TAB}`,
        `run cat my${TAB}`,
        `run -- cat --kernel my${TAB}`,
      ),
    ).toEqual([
      ['run', 'mkfifo', ''],
      ['run', '--exact', '--kernel', '6.1', '--', 'mkfifo', ''],
      ['run', './some folder/'],
      ['run', '--kernel', '6.1', 'cat', '--trac'],
      ['run', 'cat', 'my trace', ''],
      ['run', '--', 'cat', '--kernel', 'my trace', ''],
    ]);
  });
});

describe('in zsh', () => {
  beforeEach(needs(['zsh', 'zsh'], ['python3', 'python3']));

  test('the same', () => {
    expect(
      becomes(
        'zsh',
        `li${TAB}`,
        `ls --k${TAB}6.9${TAB}`,
        `run --kernel 6.9${TAB}`,
        `run --memory=size=1G,cm${TAB}`,
        `run --devices dma_heap/${TAB}`,
        `run --trace=my${TAB}`,
        `run --report-json my${TAB}`,
        `header -o some\\ folder/i${TAB}`,
        `run -- mkfif${TAB}`,
        `run --exact cat --trac${TAB}`,
        `run cat my${TAB}`,
        `completion z${TAB}`,
      ),
    ).toEqual([
      ['lint-uapi', ''],
      ['ls', '--kernel=6.9', ''],
      ['run', '--kernel', '6.9', ''],
      ['run', '--memory=size=1G,cma=16M,'],
      ['run', '--devices', 'dma_heap/system,'],
      ['run', '--trace=my trace', ''],
      ['run', '--report-json', 'my trace', ''],
      ['header', '-o', 'some folder/in it', ''],
      ['run', '--', 'mkfifo', ''],
      ['run', '--exact', 'cat', '--trac'],
      ['run', 'cat', 'my trace', ''],
      ['completion', 'zsh', ''],
    ]);
  });
});

test('another shell is refused', () => {
  for (const shell of ['fish', 'toString']) {
    expect(cli('completion', shell)).toMatchObject({
      status: 2,
      stderr: 'dmabuf-shim completion: one of bash, zsh is wanted\n',
    });
  }
});
