// Builds dist/: declarations by tsc, JavaScript bundled by esbuild, since loading some fifty modules one
// by one would take longer than starting the program that `dmabuf-shim run` is for.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

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

await build({
  entryPoints: [
    'src/index.ts',
    'src/posix.ts',
    'src/uapi/load.ts',
    'src/cli/main.ts',
    'src/vitest.ts',
    'ioctl/all.ts',
    'src/demo/camera.ts',
    'src/demo/filter.ts',
    'src/demo/display.ts',
  ],
  outdir: 'dist',
  outbase: '.',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // V8 reads all of it before the program starts. Names stay, for stack traces; --enable-source-maps has the rest.
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  logLevel: 'warning',
});
