/** dev_t: the number of a device. */
export interface DevT {
  readonly major: number;
  readonly minor: number;
}

/** It as st_dev and st_rdev hold it (glibc's makedev(3), the kernel's new_encode_dev). */
export function makedev(major: number, minor: number): number {
  return (major % 4096) * 256 + (minor % 256) + Math.floor(minor / 256) * 2 ** 20;
}

export function major(dev: number): number {
  return Math.floor(dev / 256) % 4096;
}

export function minor(dev: number): number {
  return (dev % 256) + Math.floor(dev / 2 ** 20) * 256;
}
