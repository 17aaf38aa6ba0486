/**
 * examples/scaler/README.md, done as it is written, from an empty folder: its files are made from its blocks, its
 * commands are run in order, and print what it says. `…` stands for anything in a line, and alone for lines.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { GCC, needs } from '../programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tutorial = join(root, 'examples/scaler');

interface FileBlock {
  kind: 'file';
  name: string;
  text: string;
  /** It goes below what the file has already, and an empty line. */
  continued: boolean;
}

interface CommandBlock {
  kind: 'command';
  text: string;
  /** The exit status that it has to have. */
  status: number;
  /** It gets packages: what the project has is linked in their place. */
  network: boolean;
  /** What is printed, on stdout and stderr; nothing unless the text says. */
  output: string;
}

/** What a reader types, in order. */
function readBlocks(markdown: string): (FileBlock | CommandBlock)[] {
  const blocks: (FileBlock | CommandBlock)[] = [];
  for (const [, info = '', text = ''] of markdown.matchAll(/^```([^\n]+)\n(.*?)^```$/gms)) {
    const [language, ...words] = info.split(' ');
    const name = /title="([^"]+)"/.exec(info)?.[1];
    const last = blocks.at(-1);
    if (name) blocks.push({ kind: 'file', name, text, continued: words.includes('continued') });
    else if (language === 'sh') {
      const status = Number(/exit=(\d+)/.exec(info)?.[1] ?? 0);
      blocks.push({
        kind: 'command',
        text,
        status,
        network: words.includes('network'),
        output: '',
      });
    } else if (language === 'text' && last?.kind === 'command') last.output = text;
    else throw new Error(`a block that is neither a file, nor a command, nor its output: ${info}`);
  }
  return blocks;
}

/** What matches the output that a block shows. */
function pattern(output: string): RegExp {
  const lines = output.replace(/\n$/, '').split('\n');
  const parts = lines.map((line) =>
    line === '…'
      ? '(?:.*\n)*?'
      : `${line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('…', '.*?')} *\n`,
  );
  return new RegExp(`^${output === '' ? '' : parts.join('')}$`);
}

/** As a reader has it, not as a test has it. */
function readersEnvironment(): NodeJS.ProcessEnv {
  const env = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|NODE_|npm_|COHERENCY|FORCE_COLOR|TEST$|DEV$|PROD$|MODE$)/.test(name),
  );
  return {
    ...Object.fromEntries(env),
    NO_COLOR: '1',
    npm_config_update_notifier: 'false',
    npm_config_userconfig: '/dev/null',
  };
}

const above = mkdtempSync(join(tmpdir(), 'dmabuf-shim-tutorial-'));
afterAll(() => rmSync(above, { recursive: true, force: true }));
symlinkSync(root, join(above, 'dmabuf-shim'));
const env = readersEnvironment();
let folder = above;
/** A command that takes longer than this, in ms, hangs. */
const PATIENCE = 50_000;

/** Runs commands where the ones before have led; what they print, and where they lead. */
function type(text: string): { status: number | null; output: string } {
  const place = join(above, '.folder');
  const script = `exec 2>&1; trap 'pwd > "${place}"' EXIT; set -e -o pipefail\n${text}`;
  const result = spawnSync('bash', ['-c', script], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  folder = readFileSync(place, 'utf8').trim();
  return { status: result.status, output: result.stdout };
}

/** Packages that the project has itself, with the commands of theirs. */
function link(packages: readonly string[]): void {
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  for (const name of packages) {
    const source = join(root, 'node_modules', name);
    symlinkSync(source, join(modules, name));
    const { bin = {} } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
    for (const [command, path] of Object.entries<string>(bin)) {
      symlinkSync(join(source, path), join(modules, '.bin', command));
    }
  }
}

const blocks = readBlocks(readFileSync(join(tutorial, 'README.md'), 'utf8'));
const files = new Map<string, string>();

describe('the tutorial', () => {
  beforeEach(needs(GCC, ['python3', 'python3'], ['npm', 'npm'], ['bash', 'bash']));

  for (const [i, block] of blocks.entries()) {
    if (block.kind === 'file') {
      test(`${i}: ${block.name}`, () => {
        const text = block.continued ? `${files.get(block.name)}\n${block.text}` : block.text;
        files.set(block.name, text);
        writeFileSync(join(folder, block.name), text);
      });
    } else if (block.network) {
      test(`${i}: ${block.text.trim()}`, () => {
        const words = block.text.trim().split(' ');
        expect(words.slice(0, 2)).toEqual(['npm', 'install']);
        link(words.slice(2).filter((word) => !word.startsWith('-')));
      });
    } else {
      test(`${i}: ${block.text.trim().split('\n').at(-1)}`, () => {
        const { status, output } = type(block.text);
        expect(output).toMatch(pattern(block.output));
        expect(status).toBe(block.status);
      });
    }
  }

  test('its files are those of examples/scaler', () => {
    for (const [name, text] of files) {
      expect(text, name).toBe(readFileSync(join(tutorial, name), 'utf8'));
    }
  });
});
