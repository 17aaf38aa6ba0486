import type { MemoryOptions } from '../mm/page_alloc.js';
import { isKernelVersion, type KernelVersion, VERSION_RANGE } from '../version.js';
import { UsageError } from './usage.js';

/** The `version` option of a kernel from `--kernel`, or nothing: then the kernel's default holds. */
export function kernelVersion(version: string | undefined): { version?: KernelVersion } {
  if (version === undefined) return {};
  if (!isKernelVersion(version)) {
    throw new UsageError(`no kernel version "${version}"; there are ${VERSION_RANGE}`);
  }
  return { version };
}

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** The `memory` option of a kernel from `--memory size=64M,cma=16M,fragmentation=0.5,seed=7`. */
export function memoryOptions(list: string): MemoryOptions {
  const memory: MemoryOptions = {};
  for (const item of list.split(',')) {
    const [, name, number, unit] =
      /^(size|cma|fragmentation|seed)=([\d.]+)([KMG]?)$/.exec(item) ?? [];
    if (!name)
      throw new UsageError(`--memory takes size=, cma=, fragmentation= and seed=, not "${item}"`);
    memory[name as keyof MemoryOptions] = Number(number) * (UNITS[unit as string] as number);
  }
  return memory;
}
