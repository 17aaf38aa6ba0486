import type { MemoryOptions } from '../mm/page_alloc.js';
import { isKernelVersion, type KernelVersion, VERSION_RANGE } from '../version.js';
import { UsageError } from './usage.js';

/** The `version` option of a kernel from `--kernel`, or nothing: then the kernel's default holds. */
export function kernelVersion(version: string | undefined): { version?: KernelVersion } {
  if (version === undefined) return {};
  if (!isKernelVersion(version)) {
    const [release = ''] = /^\d+\.\d+/.exec(version) ?? [];
    const there = isKernelVersion(release) ? `there is ${release}` : `there are ${VERSION_RANGE}`;
    throw new UsageError(`no kernel version "${version}"; ${there}`);
  }
  return { version };
}

const UNITS = ['', 'K', 'M', 'G', 'T'];
const BYTES = {
  value: /^(\d+(?:\.\d+)?)([KMGT]?)$/i,
  takes: 'a number of bytes, such as 4096, 64K, 64M or 1G',
};

const MEMORY = {
  size: BYTES,
  cma: BYTES,
  fragmentation: { value: /^(\d*\.?\d+)()$/, takes: 'a number from 0 to 1' },
  seed: { value: /^(\d+)()$/, takes: 'an integer' },
} as const satisfies Record<keyof MemoryOptions, { value: RegExp; takes: string }>;

/** The `memory` option of a kernel from `--memory size=64M,cma=16M,fragmentation=0.5,seed=7`. */
export function memoryOptions(list: string): MemoryOptions {
  const memory: MemoryOptions = {};
  for (const item of list.split(',')) {
    const [, name = '', value = ''] = /^(\w+)=(.*)$/s.exec(item) ?? [];
    if (!isMemoryOption(name)) {
      throw new UsageError(`--memory takes size=, cma=, fragmentation= and seed=, not "${item}"`);
    }
    const [, number, unit = ''] = MEMORY[name].value.exec(value) ?? [];
    if (number === undefined) {
      throw new UsageError(`--memory ${name}= takes ${MEMORY[name].takes}, not "${value}"`);
    }
    memory[name] = Number(number) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  }
  return memory;
}

function isMemoryOption(name: string): name is keyof MemoryOptions {
  return Object.hasOwn(MEMORY, name);
}

/** ` (is "run" meant?)`, if one of the names is a slip away from what was given; otherwise nothing. */
export function meant(given: string, names: readonly string[]): string {
  const near = names.find((name) => isSlip(given, name));
  return near === undefined ? '' : ` (is "${near}" meant?)`;
}

/** Whether two words differ by a letter, by two letters' order, or by what the end of one lacks. */
function isSlip(a: string, b: string): boolean {
  if (a.length > 3 && b.startsWith(a)) return true;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  const [restOfA, restOfB] = [a.slice(start), b.slice(start)];
  const swapped = `${restOfA[1]}${restOfA[0]}${restOfA.slice(2)}`;
  return (
    restOfA.slice(1) === restOfB ||
    restOfA === restOfB.slice(1) ||
    restOfA.slice(1) === restOfB.slice(1) ||
    (restOfA.length > 1 && swapped === restOfB)
  );
}
