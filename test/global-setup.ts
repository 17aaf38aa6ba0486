/** Once a run: compiles dist/, which the command line is started from, and makes room for programs. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where compiled test programs go. */
    programs: string;
  }
}

export default function setup(project: TestProject): () => void {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`dist/ cannot be built:\n${stdout}${stderr}`);
  const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-programs-'));
  project.provide('programs', folder);
  return () => rmSync(folder, { recursive: true, force: true });
}
