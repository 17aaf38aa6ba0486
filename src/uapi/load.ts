/** Loading the TypeScript files of those who write a device: no build, no configuration. */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createJiti } from 'jiti';
import * as ioctl from '../../ioctl/index.js';
import * as dmabufShim from '../index.js';
import * as posix from '../posix.js';

/**
 * `dmabuf-shim/load`: the exports of a module, in TypeScript or JavaScript, as it is now: loaded anew each time.
 * What it imports of this package is the very code that runs here, wherever the file lies. A relative path is that
 * of the working directory. `loadModule<typeof import('./scaler.ts')>('scaler.ts')` has the types, too.
 */
export async function loadModule<T = Record<string, unknown>>(path: string | URL): Promise<T> {
  const file =
    path instanceof URL || path.startsWith('file:') ? fileURLToPath(path) : resolve(path);
  const jiti = createJiti(pathToFileURL(file).href, {
    moduleCache: false,
    fsCache: false,
    interopDefault: false,
    virtualModules: {
      'dmabuf-shim': dmabufShim,
      'dmabuf-shim/ioctl': ioctl,
      'dmabuf-shim/posix': posix,
    },
  });
  return await jiti.import<T>(file);
}
