/** Loading the TypeScript files of those who write a device: no build, no configuration. */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createJiti } from 'jiti';

/**
 * `dmabuf-shim/load`: the exports of a module, in TypeScript or JavaScript, as it is now: loaded anew each time.
 * What it imports of this package is the very code that runs here, wherever the file lies. A relative path is that
 * of the working directory. `loadModule<typeof import('./scaler.ts')>('scaler.ts')` has the types, too.
 */
export async function loadModule<T = Record<string, unknown>>(path: string | URL): Promise<T> {
  const file =
    path instanceof URL || path.startsWith('file:') ? fileURLToPath(path) : resolve(path);
  // Imported here, they are the package's own entries, and cost nothing where no file is loaded.
  const virtualModules = {
    'dmabuf-shim': await import('../src/index.js'),
    'dmabuf-shim/ioctl': await import('../ioctl/all.js'),
    'dmabuf-shim/posix': await import('../src/posix.js'),
  };
  const jiti = createJiti(pathToFileURL(file).href, {
    moduleCache: false,
    fsCache: false,
    interopDefault: false,
    virtualModules,
  });
  return await jiti.import<T>(file);
}
