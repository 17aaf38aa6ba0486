/** The command line, as a shell sees it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { cli, cliWith, main } from '../cli.js';
import { needs, needsCompiler, probe } from '../programs.js';

const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) => cli('run', ...args);
const sh = (script: string, ...options: string[]) => run(...options, '--', 'sh', '-c', script);

describe('run', () => {
  test('gives the program’s output, input and exit status, and adds nothing', () => {
    expect(sh('echo out; echo err >&2; exit 7')).toEqual({
      status: 7,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(cliWith({ input: 'through' }, 'run', 'cat').stdout).toBe('through');
    expect(run('sh', '-c', 'test -c /dev/dma_heap/system').status).toBe(0);
  });

  test('dies of the signal that ended the program', () => {
    for (const name of ['SIGTERM', 'SIGKILL', 'SIGSEGV'] as const) {
      const { status, signal } = sh(`kill -${constants.signals[name]} $$`);
      expect([status, signal]).toEqual([null, name]);
    }
  });

  test('waits for what the program left running, as it needs its calls answered', () => {
    expect(sh('(sleep 0.3; ls /dev/dma_heap) & echo started').stdout).toBe('started\nsystem\n');
  });

  test('a program that is not there, or is none, ends with 127 or 126 and a line', () => {
    expect(run('/no/such')).toMatchObject({
      status: 127,
      stderr: expect.stringMatching(/^dmabuf-shim run: \/no\/such: no such program\n$/),
    });
    expect(run('/etc/passwd')).toMatchObject({
      status: 126,
      stderr: expect.stringMatching(/^.*may not be executed\n$/),
    });
  });

  test.each([
    [['--bogus', 'true'], /no option --bogus/],
    [['--kernel', '2.6', 'true'], /no kernel version "2\.6"; there are 3\.3 to 6\.18\n/],
    [['--kernel=6.19', 'true'], /no kernel version "6\.19"; there are 3\.3 to 6\.18\n/],
    [['--kernel', '6.12.1-rc1', 'true'], /no kernel version "6\.12\.1-rc1"; there is 6\.12\n/],
    [['--kernel'], /--kernel takes a value: VERSION\n/],
    [['--kernle', '6.1', 'true'], /no option --kernle \(is "--kernel" meant\?\)\n/],
    [['--exact=yes', 'true'], /--exact takes no value/],
    [
      ['--devices', 'dri/card7', 'true'],
      /no device dri\/card7; there are dma_heap\/system, .*udmabuf/,
    ],
    [['--memory', 'bits=3', 'true'], /--memory takes size=, .*, not "bits=3"/],
    [
      ['--memory', 'seed=1,size=abc', 'true'],
      /--memory size= takes a number of bytes.*, not "abc"/,
    ],
    [['--memory', 'fragmentation=half', 'true'], /fragmentation= takes a number from 0 to 1, not /],
    [['--memory', 'fragmentation=2', 'true'], /memory\.fragmentation is 2/],
    [['--trace=/no/such/dir/x', 'true'], /cannot write the trace/],
    [[], /no program given/],
  ])('%j is a usage error in one line', (args, message) => {
    const { status, stderr } = run(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });

  test('--devices and --kernel choose what there is', () => {
    expect(sh('ls /dev/dma_heap /dev/udmabuf 2>&1', '--devices', 'udmabuf').stdout).toMatch(
      /cannot access '\/dev\/dma_heap'.*\n\/dev\/udmabuf\n/,
    );
    expect(sh('ls /dev/dma_heap', '--devices=/dev/dma_heap/system').stdout).toBe('system\n');
    const more = ['--devices', '+/dev/dma_importer,+dma_heap/reserved', '--memory', 'cma=16M'];
    expect(sh('ls /dev/dma_importer /dev/dma_heap', ...more).stdout).toBe(
      '/dev/dma_importer\n\n/dev/dma_heap:\nreserved\nsystem\n',
    );
    expect(sh('ls /dev/dma_heap 2>&1', '--kernel', '5.5').stdout).toMatch(/cannot access/);
    expect(sh('ls /dev/dma_heap', '--kernel=5.5', '--devices=dma_heap/system').stdout).toBe(
      'system\n',
    );
  });

  test('--verbose shows the kernel log', () => {
    const { stderr } = run(
      '--verbose',
      '--',
      'strace',
      '-f',
      '-o',
      '/dev/null',
      'sh',
      '-c',
      'cd /dev/dma_heap',
    );
    expect(stderr).toMatch(
      /^\[ +\d+\.\d{6}\] dmabuf-shim: process \d+ cannot change into this directory: process \d+ traces it \(EPERM\)$/m,
    );
  });

  test('a run within a run says that there can be only one', () => {
    const { status, stderr } = run('--', process.execPath, main, 'run', 'true');
    expect(stderr).toMatch(/EBUSY: another supervisor serves this process already/);
    expect(stderr).toMatch(
      /\n +What runs under a "dmabuf-shim run" sees its nodes already\. .*\n$/,
    );
    expect(stderr).not.toContain('container');
    expect(status).toBe(125);
  });

  test('signals that are sent to it reach the program, once', async () => {
    // Long enough for the signal to come, and from then on for a second.
    const script =
      'trap "echo term; came=1" TERM; came=0; before=0; after=0; echo ready; while [ $before -lt 900 ] && [ $after -lt 20 ]; do sleep 0.05; after=$((after+came)); before=$((before+1)); done';
    const child = spawn(process.execPath, [main, 'run', 'sh', '-c', script]);
    let stdout = '';
    for await (const chunk of child.stdout) {
      if (stdout === '') child.kill('SIGTERM');
      stdout += chunk;
    }
    expect(stdout).toBe('ready\nterm\n');
  });

  test.each([
    [
      'changes nothing if nothing is left a moment later',
      'i=0; while [ $i -lt 500 ]; do i=$((i + 1)); done',
      3,
    ],
    ['ends the wait for what the program left', 'sleep 20', null],
  ])('a signal after the end of the program %s', async (_, last, expected) => {
    const left = `sleep 0.2; kill -INT $0; ${last}`;
    const script = `sh -c '${left}' $PPID >/dev/null 2>&1 & exit 3`;
    const child = spawn(process.execPath, [main, 'run', 'sh', '-c', script]);
    const [status, signal] = await once(child, 'exit');
    expect(status).toBe(expected);
    expect(signal).toBe(expected === null ? 'SIGINT' : null);
  });

  describe('at a terminal', () => {
    beforeEach(needs(['script', 'bsdutils']));

    test('Ctrl-C reaches the program once, and its answer counts', async () => {
      const program = `trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done`;
      // exec: script starts $SHELL, and not every shell makes way for its last command by itself.
      const command = `exec ${process.execPath} ${main} run sh -c "${program}"`;
      const terminal = spawn('script', ['-qfec', command, '/dev/null']);
      const exit = once(terminal, 'exit');
      let output = '';
      for await (const chunk of terminal.stdout) {
        if (!output.includes('ready') && String(chunk).includes('ready'))
          terminal.stdin.write('\x03');
        output += chunk;
      }
      expect(output.match(/caught/g)).toHaveLength(1);
      expect((await exit)[0]).toBe(3);
    });

    test('nor does it end the wait for what the program leaves, however late we see both', async () => {
      const program = join(folder, 'program.sh');
      writeFileSync(
        program,
        `trap '(trap "" INT; sleep 0.5; echo left) & echo caught; exit 3' INT
        echo run=$PPID
        while :; do :; done`,
      );
      // A shell in between, as script stops when its child does.
      const command = `trap : INT; ${process.execPath} ${main} run sh ${program}; exit $?`;
      const terminal = spawn('script', ['-qfec', command, '/dev/null']);
      const exit = once(terminal, 'exit');
      let output = '';
      let pid = 0;
      for await (const chunk of terminal.stdout) {
        output += chunk;
        if (pid === 0 && output.includes('\n')) {
          pid = Number(/run=(\d+)/.exec(output)?.[1]);
          process.kill(pid, 'SIGSTOP');
          terminal.stdin.write('\x03');
        }
        if (String(chunk).includes('caught')) setTimeout(() => process.kill(pid, 'SIGCONT'), 50);
      }
      expect(output).toContain('left');
      expect((await exit)[0]).toBe(3);
    });
  });
});

describe('a command whose output cannot be written', () => {
  test('says so in a line', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `${process.execPath} ${main} ls >/dev/full`],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('dmabuf-shim ls: cannot write: ENOSPC: no space left on device, write\n');
    expect(status).toBe(1);
  });

  test('ends as others do when nobody reads it', async () => {
    const child = spawn(process.execPath, [main, 'ls']);
    child.stdout.destroy();
    let stderr = '';
    for await (const chunk of child.stderr) stderr += chunk;
    expect(stderr).toBe('');
    expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(141);
  });
});

describe('run --trace', () => {
  beforeEach(needsCompiler);

  test('shows each answered call as strace does, structs and flags by name', () => {
    const file = join(folder, 'trace.txt');
    const { stderr } = run('--trace', file, '--', probe('heap'));
    expect(stderr).toBe('');
    const trace = readFileSync(file, 'utf8');
    expect(trace).toContain('openat(AT_FDCWD, "/dev/dma_heap/system", O_RDWR|O_CLOEXEC) = 3\n');
    expect(trace).toContain(
      'ioctl(3, DMA_HEAP_IOCTL_ALLOC, {len=8192, fd=0, fd_flags=O_RDWR|O_CLOEXEC, heap_flags=0} => {fd=5}) = 0\n',
    );
    expect(trace).toContain('ioctl(3, DMA_HEAP_IOCTL_ALLOC, NULL) = -1 EFAULT\n');
    expect(trace).toContain('mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0) = -1 ENODEV\n');
    // What the machine answered is not in it.
    expect(trace).not.toMatch(/"\/etc/);
  });

  test('that cannot be written any more is one line, and the program goes on', () => {
    const { status, stdout, stderr } = run('--trace=/dev/full', '--', 'ls', '/dev/dma_heap');
    expect([status, stdout]).toEqual([0, 'system\n']);
    expect(stderr).toBe('dmabuf-shim run: the trace cannot be written any more: /dev/full\n');
  });

  test('goes to stderr without a file, with the thread where there is more than one', () => {
    const { stderr } = sh('test -c /dev/udmabuf; ls /dev/dma_heap', '--trace');
    expect(stderr).toMatch(/^\w+\(.*"\/dev\/udmabuf", .*\) = 0$/m);
    expect(stderr).toMatch(/^\[pid \d+\] getdents64\(3, 0x\w+, \d+\) = 80$/m);
  });
});

describe('the other commands', () => {
  test('ls lists the nodes as --devices takes them', () => {
    const names = cli('ls')
      .stdout.split('\n')
      .map((line) => line.split(' ')[0]);
    const optional = ['+dma_heap/reserved', '+dma_heap/movable', '+dma_importer'];
    expect(names).toEqual(['dma_heap/system', 'udmabuf', ...optional, '']);
    expect(cli('ls', '--kernel', '5.5').stdout).toMatch(/^udmabuf .*\n\+dma_heap\/system /);
    expect(cli('ls', '--kernel', '3.3').stdout).toMatch(/^(\+.*\n){5}$/);
  });

  test('doctor says that this machine can', () => {
    const { status, stdout } = cli('doctor');
    expect(stdout).toMatch(
      /^ok +a program that looks for \/dev\/dma_heap\/system: tried, it works$/m,
    );
    expect(stdout).toMatch(/^Programs can be run here: dmabuf-shim run -- PROGRAM\n$/m);
    expect(status).toBe(0);
  });

  test('doctor under run says why nothing can be run there, and no other reason', () => {
    const { status, stdout } = run('--', process.execPath, main, 'doctor');
    const lines = stdout.split('\n');
    expect(lines.slice(lines.findIndex((line) => line.startsWith('no')))).toEqual([
      expect.stringMatching(/^no +a program that looks .* \(is it under dmabuf-shim run\?\)$/),
      expect.stringMatching(/^ +What runs under a "dmabuf-shim run" sees its nodes already\./),
      expect.stringMatching(/^Programs cannot be run here\. /),
      '',
    ]);
    expect(status).toBe(1);
  });

  test('each says what it is with --help; an unknown one says what there is', () => {
    for (const name of ['run', 'ls', 'bufinfo', 'doctor', 'demo']) {
      expect(cli(name, '--help')).toMatchObject({
        status: 0,
        stderr: '',
        stdout: expect.stringContaining(`Usage: dmabuf-shim ${name}`),
      });
    }
    expect(cli('list')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/no command "list"\n\nUsage/),
    });
    expect(cli('rnu').stderr).toMatch(
      /^dmabuf-shim: no command "rnu" \(is "run" meant\?\)\n\nUsage/,
    );
    expect(cli('help', 'ls').stdout).toBe(cli('ls', '--help').stdout);
  });
});
