/** Programs in other languages, unmodified (test/clients), and programs that are traced or debugged. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { GCC, needs, program } from './programs.js';
import { expectNothingLeft, run, testKernel, until } from './run.js';
import { Steps } from './steps.js';

const INSTALL_TIMEOUT = 300_000;
const root = fileURLToPath(new URL('..', import.meta.url));
const clients = join(root, 'test/clients');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-clients-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function expectToSay(line: string, command: string, args: string[]): Promise<void> {
  const { kernel, ...ended } = await run({}, command, args, { cwd: folder });
  expect(ended).toEqual({ status: 0, signal: null, stdout: `${line}\n`, stderr: '' });
  await expectNothingLeft(kernel);
}

describe('python', () => {
  beforeEach(needs(['python3', 'python3']));

  test('fcntl.ioctl and mmap', () =>
    expectToSay('python: heap and udmabuf work', 'python3', [join(clients, 'python/client.py')]));
});

describe('Go', () => {
  beforeEach(needs(['go', 'golang-go']));

  test('raw system calls in many goroutines', async () => {
    const client = join(folder, 'go-client');
    const { status, stderr } = spawnSync('go', ['build', '-o', client, 'main.go'], {
      cwd: join(clients, 'go'),
      env: { ...process.env, GO111MODULE: 'off', CGO_ENABLED: '0', GOFLAGS: '' },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await expectToSay('go: heap and udmabuf work', client, []);
  });
});

/** Why a package of test/clients could not be installed into `folder`, or undefined. */
function install(name: string): string | undefined {
  cpSync(join(clients, name), join(folder, name), { recursive: true });
  const prefix = dirname(dirname(process.execPath));
  // Headers beside this node make a download unnecessary.
  const headers = existsSync(join(prefix, 'include/node/node_api.h'))
    ? [`--nodedir=${prefix}`]
    : [];
  const { status, stderr, error } = spawnSync('npm', ['install', ...headers], {
    cwd: join(folder, name),
    // ffi-napi is older than Node's rule against allocating in finalizers.
    env: { ...process.env, CXXFLAGS: '-DNODE_API_EXPERIMENTAL_NOGC_ENV_OPT_OUT' },
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT,
  });
  if (status === 0) return undefined;
  const reason = String(error ?? stderr.split('\n').find((line) => /error/i.test(line)) ?? status);
  return `${name} could not be installed: ${reason}`;
}

/** Within a describe: installs a package before its tests, or skips them and says why. */
function needsInstalled(name: string): void {
  let why: string | undefined;
  beforeAll(() => {
    why = install(name);
  }, INSTALL_TIMEOUT);
  beforeEach(({ skip }) => {
    if (why) skip(why);
  });
}

describe('Node with koffi', () => {
  needsInstalled('koffi');

  test('ioctl and mmap through libc', () =>
    expectToSay('koffi: heap and udmabuf work', 'node', [join(folder, 'koffi/client.cjs')]));
});

describe('Node with ffi-napi and ref-napi', () => {
  needsInstalled('ffi');

  test('ioctl and mmap through libc', () =>
    expectToSay('ffi-napi: heap and udmabuf work', 'node', [join(folder, 'ffi/client.js')]));

  test('what ref-napi makes is an argument of kernel.sys.ioctl', () => {
    const args = [join(folder, 'ffi/arguments.mjs'), join(root, 'dist/src/index.js')];
    const { status, stdout, stderr } = spawnSync('node', args, { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'ref-napi: its buffers are arguments\n',
      stderr: '',
    });
  });
});

const CANNOT_MAP = /process \d+ cannot map this kind of buffer: process \d+ traces it \(EPERM\)/;

describe('strace', () => {
  beforeEach(needs(GCC, ['strace', 'strace']));

  test('inside: a traced program works with the heap', async () => {
    const log = join(folder, 'strace-inside');
    const args = ['-f', '-o', log, program('rounds'), 'heap', 'processes', '2', '5'];
    const { kernel, ...ended } = await run({}, 'strace', args);
    expect(ended).toMatchObject({ status: 0, stdout: '0 failed, 0 new descriptors\n', stderr: '' });
    expect(readFileSync(log, 'utf8')).toContain('openat(AT_FDCWD, "/dev/dma_heap/system"');
    await expectNothingLeft(kernel);
  });

  test('inside: mapping a udmabuf is EPERM, and the kernel log says why', async () => {
    const args = ['-f', '-o', '/dev/null', program('rounds'), 'udmabuf', 'processes', '1', '1'];
    const { kernel, ...ended } = await run({}, 'strace', args);
    expect(ended).toMatchObject({ status: 1, stderr: 'mmap: Operation not permitted\n' });
    expect(kernel.dmesg()).toEqual([expect.stringMatching(CANNOT_MAP)]);
    await expectNothingLeft(kernel);
  });

  test('around the command line', () => {
    const log = join(folder, 'strace-around');
    const cli = [process.execPath, join(root, 'dist/src/cli/main.js'), 'run', '--'];
    const args = ['-f', '-o', log, ...cli, program('rounds'), 'heap', 'threads', '2', '5'];
    const { status, stdout, stderr } = spawnSync('strace', args, { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: '0 failed, 0 new descriptors\n',
      stderr: '',
    });
    expect(readFileSync(log, 'utf8')).toContain('openat(AT_FDCWD, "/dev/dma_heap/system"');
  });
});

describe('gdb', () => {
  beforeEach(needs(GCC, ['gdb', 'gdb']));

  test('attached: a udmabuf cannot be mapped, which is said; detached, it can', async () => {
    const kernel = testKernel();
    const steps = new Steps(kernel);
    for (const step of ['alloc h - 4', 'memfd m - 4', 'udmabuf a m 4 0']) await steps.do(step);
    const pid = String(steps.child.pid);
    const status = () => readFileSync(`/proc/${pid}/status`, 'utf8');

    const gdb = spawn('gdb', ['-q', '-batch', '-ex', 'continue', '-p', pid], { stdio: 'ignore' });
    onTestFinished(() => {
      gdb.kill('SIGKILL');
    });
    await until(
      'gdb lets the program go on',
      () => /^TracerPid:\t[1-9]/m.test(status()) && /^State:\tS/m.test(status()),
      30_000,
    );
    await steps.do('map h h 4 0');
    await expect(steps.do('map p a 4 0')).rejects.toThrow('EPERM');
    expect(kernel.dmesg()).toEqual([expect.stringMatching(CANNOT_MAP)]);

    gdb.kill('SIGKILL');
    await until('gdb is gone', () => /^TracerPid:\t0/m.test(status()));
    await steps.do('map p a 4 0');
    await steps.end();
    await expectNothingLeft(kernel);
  });

  test('started with a debugger, a program runs and works with the heap', async () => {
    const args = [
      '-q',
      '-batch',
      '-ex',
      'run',
      '--args',
      program('rounds'),
      'heap',
      'processes',
      '2',
      '5',
    ];
    const { kernel, ...ended } = await run({}, 'gdb', args);
    expect(ended.stdout).toContain('0 failed, 0 new descriptors');
    expect(ended.stdout).toContain('exited normally');
    await expectNothingLeft(kernel);
  });
});
