/** The machine's node of a device number, as its devtmpfs has it. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/constants.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { readText } from './read.js';

const stat = new Float64Array(STAT_FIELDS);

/** Its path; undefined if the machine has no such device, or something else by its name. `number`: as in st_rdev. */
export function machineNodeOf(
  kind: 'char' | 'block',
  { major, minor }: { major: number; minor: number },
  number: number,
): string | undefined {
  const uevent = readText(`/sys/dev/${kind}/${major}:${minor}/uevent`);
  const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
  if (!name) return undefined;
  const path = `/dev/${name}`;
  const found = native.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, stat) === 0;
  return found && stat[Stat.rdev] === number ? path : undefined;
}
