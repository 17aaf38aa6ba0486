import type { KernelCore } from '../core.js';
import type { Watches } from '../fs/watches.js';
import type { PathLookup } from './paths/lookup.js';

/** What the handlers of calls work with. */
export interface Context {
  kernel: KernelCore;
  paths: PathLookup;
  watches: Watches;
}
