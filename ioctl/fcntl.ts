/**
 * Flags of open files, as `<fcntl.h>` has them: what `fd_flags` fields are made of.
 * What differs between x86-64 and arm64 (O_DIRECT, O_DIRECTORY, O_NOFOLLOW) is Node's constant for
 * this machine; the rest is the same on both, and Node does not know all of it.
 */

import { constants } from 'node:fs';
import { choice, type FlagTable, flags } from './flags.js';

export const {
  O_RDONLY,
  O_WRONLY,
  O_RDWR,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_TRUNC,
  O_APPEND,
  O_NONBLOCK,
  O_DSYNC,
  O_SYNC,
  O_DIRECT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NOATIME,
} = constants;

/** The bits of the access mode: O_RDONLY, O_WRONLY or O_RDWR, or 3, which allows neither. */
export const O_ACCMODE = 0o3;
/** The descriptor is closed by execve(2). */
export const O_CLOEXEC = 0o2000000;
/** A descriptor for the path alone. */
export const O_PATH = 0o10000000;
/** A file without name in the directory. */
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

/** The flags of open(2), for decoding. */
export const OPEN_FLAGS: FlagTable = [
  ...choice(O_ACCMODE, { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE }),
  ...flags({ O_TMPFILE, O_SYNC, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK }),
  ...flags({ O_DSYNC, O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_NOATIME, O_CLOEXEC, O_PATH }),
];
