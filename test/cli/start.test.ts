/** A program under `run` starts with what it would start with if it had been started by itself. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { main } from '../cli.js';
import { needs } from '../programs.js';

const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-start-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(needs(['bash', 'bash'], ['python3', 'python3']));

const RUN = [process.execPath, main, 'run', '--'];

/** The output of a shell's script, in which $RUN is the command line up to the program. */
function shell(script: string, encoding: BufferEncoding = 'utf8'): string {
  const env = { ...process.env, RUN: RUN.join(' ') };
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, env });
  return (stdout.length > 0 ? stdout : stderr).toString(encoding);
}

/** What a script gives by itself and under `run`. */
const both = (script: string, encoding?: BufferEncoding) => [
  shell(script.replaceAll('$RUN', ''), encoding),
  shell(script, encoding),
];

describe('descriptors', () => {
  test('a redirection of the shell is there to be written to', () => {
    expect(shell("$RUN sh -c 'echo hi >&3' 3>three; cat three")).toBe('hi\n');
    expect(shell('$RUN cat <(echo one) <(echo two)')).toBe('one\ntwo\n');
  });

  /** Makes what its arguments say, KIND=NUMBER, and nothing else, and becomes, or starts, the rest. */
  const make = join(folder, 'make.py');
  writeFileSync(
    make,
    `
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None)
how, *things = sys.argv[1:sys.argv.index('--')]
os.closerange(3, 1000)
def pipe(): return os.pipe()
makers = {
  'file': lambda: [os.open('file', os.O_RDWR | os.O_CREAT)],
  'null': lambda: [os.open('/dev/null', os.O_RDWR)],
  'pipe': pipe,
  'reader': lambda: pipe()[:1],
  'stdout': lambda: [1],
  'socket': lambda: [socket.socket(socket.AF_UNIX).detach()],
  'memfd': lambda: [os.memfd_create('mine', 0)],
  'epoll': lambda: [libc.epoll_create1(0)],
  'eventfd': lambda: [libc.eventfd(0, 0)],
}
# Far from where they are to be.
pairs = [(int(at) + i, os.dup2(fd, 500 + int(at) + i)) for kind, at in (t.split('=') for t in things)
         for i, fd in enumerate(makers[kind]())]
os.closerange(3, 500)
for number, fd in pairs: os.dup2(fd, number)
os.closerange(500, 1000)
command = sys.argv[sys.argv.index('--') + 1:]
if how == 'exec': os.execvp(command[0], command)
sys.exit(subprocess.run(command, close_fds=False).returncode)
`,
  );
  /** Names of pipes and sockets differ from run to run. */
  const same = (how: string, things: string[]) => {
    const [alone, under] = both(
      `python3 make.py ${how} ${things.join(' ')} -- $RUN sh -c 'ls -l /proc/self/fd'`,
    ).map((text) =>
      text.match(/\d+ -> .*/g)?.map((line) => line.replace(/(?<=\/proc\/|\[)\d+/, 'N')),
    );
    expect(alone?.length).toBeGreaterThan(things.length);
    expect(under).toEqual(alone);
  };

  test.each([
    ['one after the other', ['file=3', 'pipe=4', 'socket=6', 'memfd=7', 'eventfd=8', 'epoll=9']],
    ['of the kinds that Node has itself', ['epoll=3', 'eventfd=4', 'eventfd=5', 'socket=6']],
    ['like the ones that Node has first', ['epoll=3', 'file=4', 'pipe=5', 'pipe=7', 'eventfd=9']],
    ['a pipe for each of many', ['pipe=3', 'pipe=5', 'pipe=7', 'pipe=9', 'pipe=11', 'pipe=13']],
    ['more than Node marks at once', Array.from({ length: 30 }, (_, i) => `file=${3 + i}`)],
    ['with gaps', ['file=5', 'null=7', 'reader=9', 'stdout=10', 'memfd=12', 'reader=15']],
    ['far above', ['pipe=16', 'eventfd=18', 'epoll=20', 'file=63', 'socket=200', 'pipe=300']],
  ])('reach the program at their numbers: %s', (_, things) => {
    same('start', things);
    same('exec', things);
  });

  test('among Node’s own, what only the parent tells from those', () => {
    same('start', ['pipe=5', 'epoll=8', 'eventfd=10', 'epoll=11', 'pipe=12']);
  });

  test('with what Node is told to open besides', () => {
    const list = "sh -c 'ls -l /proc/self/fd' 2>err 9>nine";
    const [alone, under] = both(`NODE_OPTIONS='--no-warnings --inspect=0' $RUN ${list}`);
    expect(under?.match(/\d+ -> /g)).toEqual(alone?.match(/\d+ -> /g));
  });

  test('a reader sees that the program has closed one', async () => {
    const script = 'exec 3>&-; read line';
    const child = spawn(process.execPath, [main, 'run', '--', 'sh', '-c', script], {
      stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    });
    const closed = child.stdio[3] as Readable;
    await once(closed.resume(), 'end');
    expect(child.exitCode).toBe(null);
    child.stdin?.end('\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a trace can go to one', () => {
    const traced = `${process.execPath} ${main} run --trace /dev/fd/3 -- cat /dev/udmabuf`;
    expect(shell(`${traced} 3>trace 2>&1; cat trace`)).toContain('openat(AT_FDCWD, "/dev/udmabuf"');
  });
});

describe('arguments and environment', () => {
  test('are any bytes', () => {
    for (const script of [
      "$RUN printf %s, $'\\xff\\xfe' $'z\\xed\\xa0\\x80' '' é $'\\xf0\\x80' $'\\xe2\\x82'",
      "A=$'\\xff\\xfe' $RUN printenv A",
    ]) {
      const [alone, under] = both(script, 'latin1');
      expect(alone).toContain('\xff\xfe');
      expect(under).toBe(alone);
    }
  });

  test('the environment is the very same, in its order, twice the same name included', () => {
    const start =
      "import os; os.execve(a[0], a, {b'Z': b'1', b'A': b'2', b'PATH': b'/usr/bin:/bin'})";
    const [alone, under] = both(
      `python3 -c "import sys; a = sys.argv[1:]; ${start}" $RUN /bin/cat /proc/self/environ`,
    );
    expect(alone).toBe('Z=1\0A=2\0PATH=/usr/bin:/bin\0');
    expect(under).toBe(alone);
    expect(shell('env -i $RUN /usr/bin/env')).toBe('');
  });

  test('the program is looked for in the PATH that it gets', () => {
    expect(shell('PATH=/nowhere $RUN ls')).toBe('dmabuf-shim run: ls: no such program\n');
  });

  test('are as long as Linux lets them be', () => {
    const script =
      'for i in {1..12}; do export "V$i=$(printf %0100000d 0)"; done; $RUN env | grep ^V | wc -c';
    const [alone, under] = both(script);
    expect(under).toBe(alone);
  });

  test('a channel of child_process.fork stays Node’s own', async () => {
    const script = 'echo "[$NODE_CHANNEL_FD]"; ls /proc/self/fd | wc -l';
    const child = spawn(process.execPath, [main, 'run', '--', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    let stdout = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    await once(child, 'close');
    expect(stdout).toMatch(/^\[\]\n/);
  });
});

describe('privileges', () => {
  const needsRoot = needs(['setpriv', 'util-linux']);

  test('setuid programs gain theirs where we may let them', (context) => {
    needsRoot(context);
    if (process.getuid?.() !== 0) context.skip('only root may install a filter for them');
    const script = '$RUN grep -E NoNewPrivs /proc/self/status';
    expect(both(script)).toEqual(['NoNewPrivs:\t0\n', 'NoNewPrivs:\t0\n']);
    const others = `setpriv --reuid=65534 --clear-groups ${RUN.join(' ')} sh -c`;
    const seen = shell(`${others} 'grep NoNewPrivs /proc/self/status; ls /dev/dma_heap'`);
    expect(seen).toBe('NoNewPrivs:\t1\nsystem\n');
  });
});

describe('a terminal', () => {
  beforeEach(needs(['script', 'bsdutils'], ['stty', 'coreutils']));

  test('keeps the modes that the program has set', () => {
    const script = '$RUN stty -echo -icanon; stty -a';
    const [alone, under] = both(
      `script -qec ${JSON.stringify(`bash -c '${script}'`)} /dev/null </dev/null`,
    );
    expect(alone).toMatch(/-icanon[\s\S]* -echo /);
    expect(under).toBe(alone);
  });
});
