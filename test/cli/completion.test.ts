/** The tables of options, as `--help` and the shell's completion show them. */
import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import { cli } from '../cli.js';
import { needs } from '../programs.js';

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

describe('in bash', () => {
  beforeEach(needs(['bash', 'bash']));

  /** What is offered for the last of the words. */
  function offered(...words: string[]): string[] {
    const list = ['dmabuf-shim', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _dmabuf_shim; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = cli('completion', 'bash');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const shell = spawnSync('bash', ['--norc', '-euc', `${stdout}\n${ask}`], { encoding: 'utf8' });
    expect(shell.stderr).toBe('');
    return shell.stdout.trim().split('\n');
  }

  test('commands are completed, and their options', () => {
    expect(offered('')).toEqual(
      expect.arrayContaining(['run', 'ls', 'import-header', 'completion']),
    );
    expect(offered('li')).toEqual(['lint-uapi']);
    expect(offered('run', '--trac')).toEqual(['--trace', '--trace-events']);
    expect(offered('import-header', '--')).toContain('--include');
  });

  test('so are the values of options: those that there are, or files', () => {
    expect(offered('run', '--kernel', '6.1')).toEqual(expect.arrayContaining(['6.1', '6.12']));
    expect(offered('run', '--devices', '+dma_i')).toEqual(['+dma_importer']);
    expect(offered('run', '--report-json', '/etc/passw')).toContain('/etc/passwd');
  });

  test('behind a program its own options are not', () => {
    expect(offered('run', '--kernel', '6.1', 'cat', '--trac')).toEqual(['']);
    expect(offered('run', 'cat', '/etc/passw')).toContain('/etc/passwd');
    expect(offered('run', '--', 'ca')).toContain('cat');
  });
});

test('zsh loads the same; another shell is refused', () => {
  expect(cli('completion', 'zsh').stdout).toMatch(
    /^autoload -U \+X bashcompinit && bashcompinit\n/,
  );
  expect(cli('completion', 'fish')).toMatchObject({
    status: 2,
    stderr: 'dmabuf-shim completion: one of bash, zsh is wanted\n',
  });
});
