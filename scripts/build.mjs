// Builds dist/: declarations by tsc, JavaScript bundled by esbuild, since loading some fifty modules one
// by one would take longer than starting the program that `dmabuf-shim run` is for.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { compileAhead } from './code_cache.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

rmSync('dist', { recursive: true, force: true });
const tsc = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin/tsc',
);
try {
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--emitDeclarationOnly'], {
    stdio: 'inherit',
  });
} catch {
  process.exit(1); // tsc has said why.
}

const options = {
  outdir: 'dist',
  outbase: '.',
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
};
await build({
  ...options,
  entryPoints: [
    'src/index.ts',
    'src/posix.ts',
    'uapi/load.ts',
    'src/vitest.ts',
    'src/cli/commands.ts',
    'ioctl/all.ts',
    'src/demo/camera.ts',
    'src/demo/filter.ts',
    'src/demo/display.ts',
  ],
  format: 'esm',
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
});
// What `run` needs is one file, too, and a small one loads it: see src/cli/bundle.ts.
await build({
  ...options,
  entryPoints: ['src/cli/main.ts', 'src/cli/bundle.ts'],
  format: 'esm',
  external: ['./commands.js'],
});
await build({
  ...options,
  entryPoints: { 'src/cli': 'src/cli/commands.ts' },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  // No import(): what vm compiles has none.
  supported: { 'dynamic-import': false },
});
compileAhead(root);
