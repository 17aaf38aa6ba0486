/** Calls on descriptors: ioctl, lseek and what else a memfd would answer otherwise than Linux's file. */

import { O_PATH } from '../../../ioctl/index.js';
import { Errno, errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import type { Call, Handler } from '../call.js';
import { CONTINUE } from '../call.js';

/**
 * The file of ours that an argument of the call, mostly the first, names by its descriptor. O_PATH
 * descriptors are the machine's matter.
 */
export function fileOf(call: Call, argument = 0): File | undefined {
  const file = call.task.fget(call.int(argument));
  return file && file.f_flags & O_PATH ? undefined : file;
}

const ioctl: Handler = (call) => {
  const file = fileOf(call);
  if (!file) return CONTINUE;
  const request = call.uint(1);
  if (isGeneric(request)) return CONTINUE;
  if (!file.f_op.ioctl) throw errno('ENOTTY');
  return file.f_op.ioctl(file, request, call.arg(2), call.task);
};

/** Requests that the kernel answers for every file before it asks the driver. */
function isGeneric(request: number): boolean {
  return request === FIOCLEX || request === FIONCLEX || request === FIONBIO || request === FIOASYNC;
}
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIONBIO = 0x5421;
const FIOASYNC = 0x5452;

const lseek: Handler = (call) => {
  const file = fileOf(call);
  if (!file) return CONTINUE;
  if (!file.f_op.llseek) throw errno('ESPIPE');
  return file.f_op.llseek(file, call.signed(1), call.int(2));
};

/** A call that every file of ours refuses. */
const refuse =
  (code: keyof typeof Errno): Handler =>
  (call) =>
    fileOf(call) ? -Errno[code] : CONTINUE;

const F_GET_SEALS = 1034;
const F_ADD_SEALS = 1033;

const fcntl: Handler = (call) => {
  const command = call.int(1);
  if (command !== F_GET_SEALS && command !== F_ADD_SEALS) return CONTINUE;
  return fileOf(call) ? -Errno.EINVAL : CONTINUE;
};

export const fdCalls: Record<string, Handler> = {
  ioctl,
  lseek,
  fcntl,
  ftruncate: refuse('EINVAL'),
  fallocate: refuse('ENODEV'),
  fsync: refuse('EINVAL'),
  fdatasync: refuse('EINVAL'),
  read: refuse('EINVAL'),
  write: refuse('EINVAL'),
  readv: refuse('EINVAL'),
  writev: refuse('EINVAL'),
  pread64: refuse('ESPIPE'),
  pwrite64: refuse('ESPIPE'),
  preadv: refuse('ESPIPE'),
  pwritev: refuse('ESPIPE'),
  preadv2: refuse('ESPIPE'),
  pwritev2: refuse('ESPIPE'),
};
