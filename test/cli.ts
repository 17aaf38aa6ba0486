/** The command line, as a shell sees it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const main = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));

/** `dmabuf-shim ARGUMENTS`, to its end. */
export function cli(...args: string[]) {
  return cliWith({}, ...args);
}

export function cliWith(options: { input?: string; cwd?: string }, ...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    ...options,
  });
  return { status, signal, stdout, stderr };
}
