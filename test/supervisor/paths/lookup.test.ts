/** Paths that lead through what is ours to what is the machine's, and what the supervisor keeps of them: nothing. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel } from '../../run.js';

beforeEach(needsCompiler);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-lookup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const asRoot = test.skipIf(process.getuid?.() !== 0);
const descriptors = () => readdirSync('/proc/self/fd').length;

describe('/proc/PID/fdinfo', () => {
  test('of a buffer can be read any number of times, and the supervisor keeps nothing of it', async () => {
    const kernel = testKernel();
    await run(kernel, program('fdinfo'), ['1']);
    const before = descriptors();
    const { status, stdout } = await run(kernel, program('fdinfo'), ['20']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^size:\t4096\ncount:\t1\nexp_name:\tsystem$/m);
    expect(descriptors() - before).toBeLessThan(10);
  });
});

/** What the program does by paths like /dev/dma_heap/../../tmp/file, as lines. */
async function detours(what: string, linkage: (typeof LINKAGES)[number] = 'dynamic') {
  const { status, stdout } = await run({}, program('detours', linkage), [what, folder]);
  expect(status).toBe(0);
  return stdout.trim().split('\n');
}

describe('a way that leads through a directory of ours to a file of the machine', () => {
  test.each(LINKAGES)('is good for every call (%s)', async (linkage) => {
    expect(await detours('files', linkage)).toEqual([
      'create: done',
      'mode 640, close-on-exec 1',
      'create again: EEXIST',
      'as a directory: ENOTDIR',
      'by name only: done',
      'flags O_PATH',
      'truncate: done',
      'stat: done',
      'size 7',
      'access: done',
      'stat of what is missing: ENOENT',
      'open what is missing: ENOENT',
      'symlink: done',
      'open a link: ELOOP',
      'readlink: done',
      'to made',
      'lstat: done',
      'a link',
      'chdir: done',
      'open what is here: done',
    ]);
  });

  asRoot('is gone with the rights of the program, not of the supervisor', async () => {
    mkdirSync(join(folder, 'private'), { mode: 0o700 });
    expect(await detours('identity')).toEqual([
      'made: done',
      'setuid: done',
      'open: EACCES',
      'chdir into it: EACCES',
      'stat in it: EACCES',
    ]);
  });

  asRoot('begins at the root of the program', async () => {
    expect(await detours('root')).toEqual([
      'chroot: done',
      'create: done',
      'the same: done',
      'one',
      'outside: ENOENT',
    ]);
    expect(readdirSync(folder)).toEqual(['inside']);
  });

  test('may end at a FIFO: its reader waits, and nobody else does', async () => {
    const lines = ['mkfifo: done', 'open: done', 'read 1', 'writer 0'];
    expect(await detours('fifo')).toEqual(lines);
  });

  test('is interrupted by signals, or restarted, like every call', async () => {
    expect(await detours('signals')).toEqual([
      'mkfifo: done',
      'interrupted: EINTR',
      'restarted: done',
      'after the third',
    ]);
  });
});

describe('/proc/self/cwd', () => {
  test('itself, by name only, is a link of the machine; what it says of a directory of ours is put right', async () => {
    expect(await detours('cwd')).toEqual([
      'by name only: done',
      'a link',
      'lstat: done',
      'a link',
      'chdir: done',
      'readlink: done',
      'to /dev/dma_heap',
    ]);
  });
});

describe('a file system that a program serves', () => {
  asRoot(
    'is not looked into by the supervisor, which that program may be waiting for',
    async ({ skip }) => {
      const { status, stdout } = await run({}, program('served'), [folder]);
      if (status === 2) skip('FUSE cannot be mounted here');
      const calls = ['stat', 'access', 'open', 'fstat', 'stat of the descriptor', 'lseek', 'chdir'];
      const more = ['stat in it', 'a node from there', 'the same by a detour'];
      expect(stdout.trim().split('\n')).toEqual([...calls, ...more].map((call) => `${call}: done`));
    },
  );
});

describe('a program with mounts of its own', () => {
  asRoot('lists what it has in its /dev, and nobody else', async ({ skip }) => {
    const script = 'mount -t tmpfs none /dev && touch /dev/alone && ls /dev';
    const { status, stdout } = await run({}, 'unshare', ['-m', 'sh', '-c', script]);
    if (status !== 0) skip('mounts of its own are not allowed here');
    expect(stdout).toBe('alone\n');
  });
});

describe('what is wrong with a call', () => {
  test.each(LINKAGES)(
    'is for the machine to say, as long as nothing of ours is named (%s)',
    async (linkage) => {
      const errnos = program('errnos', linkage);
      // Attributes are for root to set.
      const args = process.getuid?.() === 0 ? [folder, 'attributes'] : [folder];
      const { stdout } = await run({}, errnos, args);
      expect(stdout).toBe(execFileSync(errnos, args, { encoding: 'utf8' }));
    },
  );
});
