/** A program under `run` starts with what it would start with if it had been started by itself. */
import { spawnSync } from 'node:child_process';
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
