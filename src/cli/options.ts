import { KERNEL_VERSIONS, type KernelVersion } from '../kernel.js';
import { UsageError } from './usage.js';

/** The `version` option of a kernel from `--kernel`, or nothing: then the kernel's default holds. */
export function kernelVersion(version: string | undefined): { version?: KernelVersion } {
  if (version === undefined) return {};
  const known = KERNEL_VERSIONS.find((each) => each === version);
  if (!known) {
    throw new UsageError(`no kernel version "${version}"; there are ${KERNEL_VERSIONS.join(', ')}`);
  }
  return { version: known };
}
