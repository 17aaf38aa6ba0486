/** What is made once, for all workers and later runs: programs, and sources that are unpacked. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../node_modules/.cache/dmabuf-shim/', import.meta.url));

/**
 * A folder that `script` has filled: sh runs it there, with `args` as $1 and so on. `from` is what else the result
 * depends on. Where it fails, what sh said comes with it.
 */
export function made(
  from: readonly (string | Buffer)[],
  script: string,
  ...args: string[]
): { folder: string; error?: string } {
  const hash = createHash('sha256').update(JSON.stringify([script, ...args]));
  for (const part of from) hash.update('\0').update(part);
  const folder = join(cache, hash.digest('hex').slice(0, 20));
  if (existsSync(folder)) return { folder };
  mkdirSync(cache, { recursive: true });
  // Whoever comes second waits, and finds it made; the name appears when all is there.
  const { status, stderr, error } = spawnSync(
    'flock',
    [
      ...[`${folder}.lock`, 'sh', '-euc'],
      `[ ! -e "$0" ] || exit 0; rm -rf "$0.part"; mkdir "$0.part"; cd "$0.part"\n${script}\nmv "$0.part" "$0"`,
      ...[folder, ...args],
    ],
    { encoding: 'utf8' },
  );
  return status === 0 ? { folder } : { folder, error: error?.message ?? stderr };
}
