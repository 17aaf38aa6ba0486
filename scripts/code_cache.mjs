// Has V8 compile the command line's code ahead (src/cli/bundle.ts): on install, for the Node that is there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export function compileAhead(root) {
  const bundle = join(root, 'dist/src/cli/bundle.js');
  if (!existsSync(bundle)) return; // A clone before its first build.
  // Where programs cannot be run, their part will be compiled when it is.
  const script = `import(${JSON.stringify(pathToFileURL(bundle).href)})
    .then(({ writeCache }) => writeCache(['run', '--', process.execPath, '-e', '0']))`;
  spawnSync(process.execPath, ['-e', script], { stdio: 'ignore' });
}
