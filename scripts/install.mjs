// Builds native/ with node-gyp. npm runs it on install and rebuild; `npm run build` does too.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileAhead } from './code_cache.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = dirname(process.execPath);
const env = { ...process.env };

const runs = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function fail(message) {
  console.error(`dmabuf-shim: ${message}`);
  process.exit(1);
}

// All is C: without this the linker would be g++, which need not be there.
env.CC ||= ['cc', 'gcc', 'clang'].find(runs) ?? '';
env.LINK ||= env.CC;

const python = env.npm_config_python || env.PYTHON || 'python3';
const missing = [
  [env.CC !== '', 'a C compiler', 'gcc libc6-dev'],
  [runs(env.MAKE || 'make'), 'make', 'make'],
  [runs(python), 'python3', 'python3'],
].filter(([found]) => !found);
if (missing.length > 0) {
  const what = missing.map(([, name]) => name).join(', ');
  const packages = missing.map(([, , name]) => name).join(' ');
  fail(`the native helper cannot be built without ${what} (Debian: apt install ${packages})`);
}

function findNodeGyp() {
  const inNpm = 'node_modules/node-gyp/bin/node-gyp.js';
  const candidates = [
    env.npm_config_node_gyp,
    env.npm_execpath && join(dirname(dirname(env.npm_execpath)), inNpm),
    join(bin, '../lib/node_modules/npm', inNpm),
    join(bin, '../share/nodejs/node-gyp/bin/node-gyp.js'),
  ];
  const script = candidates.find((path) => path && existsSync(path));
  return script ? [process.execPath, script] : [join(bin, 'npx'), '--yes', 'node-gyp'];
}

// Headers beside this node make a download unnecessary.
const headers = existsSync(join(bin, '../include/node/node_api.h'))
  ? [`--nodedir=${join(bin, '..')}`]
  : [];
const [command, ...script] = findNodeGyp();

function nodeGyp(action) {
  const args = [...script, action, '--release', ...headers];
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return { built: status === 0, output: `${stdout ?? ''}${stderr ?? ''}${error ?? ''}` };
}

// A configured tree is brought up to date; what a moved or newer node left behind is made anew.
const configured = existsSync(join(root, 'build/Makefile'));
if (!(configured && nodeGyp('build').built)) {
  const { built, output } = nodeGyp('rebuild');
  if (!built) {
    console.error(output.trimEnd().split('\n').slice(-40).join('\n'));
    fail('building the native helper has failed (node-gyp said the above)');
  }
}
compileAhead(root);
