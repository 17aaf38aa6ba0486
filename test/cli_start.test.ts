/** A program under `run` starts with what it would start with if it had been started by itself. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { main } from './cli.js';
import { needs } from './programs.js';

const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-start-'));
afterAll(() => rmSync(folder, { recursive: true }));

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
