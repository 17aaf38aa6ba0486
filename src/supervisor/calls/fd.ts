/** Calls on descriptors: ioctl, lseek and what else a memfd would answer otherwise than Linux's file. */

import {
  _IO,
  _IOC,
  _IOC_READ,
  _IOC_WRITE,
  _IOW,
  O_ACCMODE,
  O_DIRECT,
  O_RDONLY,
  s32,
} from '../../../ioctl/index.js';
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_SEALS,
  F_GETFL,
  F_NOTIFY,
  F_SETFL,
  F_SETLEASE,
} from '../../abi/constants.js';
import { Errno, errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import { isPathOnly } from '../../fs/open.js';
import { vfsLlseek } from '../../syscall/lseek.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { openFlags } from '../fdinfo.js';
import { duplicate } from './dup.js';

/**
 * The file of ours that an argument of the call, mostly the first, names by its descriptor. EBADF for
 * a descriptor of the name alone.
 */
export function fileOf(call: Call, argument = 0): File | undefined {
  const file = call.task.fget(call.int(argument));
  if (file && isPathOnly(file)) throw errno('EBADF');
  return file;
}

/** <asm/ioctls.h>, <linux/fs.h> */
const FIONBIO = 0x5421;
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIOASYNC = 0x5452;
const FIOQSIZE = 0x5460;
const FIGETBSZ = _IO('\0', 2);
const FICLONE = _IOW('\x94', 9, s32);
const FICLONERANGE = _IOC(_IOC_WRITE, '\x94', 13, 32);
const FIDEDUPERANGE = _IOC(_IOC_READ | _IOC_WRITE, '\x94', 54, 24);
const FS_IOC_FIEMAP = _IOC(_IOC_READ | _IOC_WRITE, 'f', 11, 32);

/** Requests that Linux answers for every file before it asks the driver. */
const GENERIC = new Map<number, Answer>([
  ...[FIOCLEX, FIONCLEX, FIONBIO, FIOASYNC, FIGETBSZ, FS_IOC_FIEMAP].map(
    (request): [number, Answer] => [request, CONTINUE],
  ),
  // Of regular files, which a memfd is and ours are not.
  [FIOQSIZE, -Errno.ENOTTY],
  [FICLONE, -Errno.EINVAL],
  [FICLONERANGE, -Errno.EINVAL],
  [FIDEDUPERANGE, -Errno.EINVAL],
]);

const ioctl: Handler = (call) => {
  const file = fileOf(call);
  if (!file) return CONTINUE;
  const request = call.uint(1);
  const generic = GENERIC.get(request);
  if (generic !== undefined) return generic;
  if (!file.f_op.ioctl) throw errno('ENOTTY');
  return file.f_op.ioctl(file, request, call.arg(2), call.task);
};

const lseek: Handler = (call) => {
  const file = fileOf(call);
  if (!file) return CONTINUE;
  return vfsLlseek(file, call.signed(1), call.int(2), call.task, call.int(0));
};

const fcntl: Handler = (call) => {
  const command = call.int(1);
  // A program that seals what was just under a buffer is to find that the buffer has gone.
  if (command === F_ADD_SEALS) call.task.kernel.settle();
  if (command === F_DUPFD) return duplicate(call, call.int(2), false);
  if (command === F_DUPFD_CLOEXEC) return duplicate(call, call.int(2), true);
  const file = call.task.fget(call.int(0));
  if (!file) return CONTINUE;
  if (command === F_GETFL) return openFlags(file, call.task.tid, call.int(0)) ?? CONTINUE;
  if (isPathOnly(file)) return -Errno.EBADF;
  switch (command) {
    case F_SETFL:
      return call.int(2) & O_DIRECT ? -Errno.EINVAL : CONTINUE;
    case F_ADD_SEALS:
      return (file.openFlags & O_ACCMODE) === O_RDONLY ? -Errno.EPERM : -Errno.EINVAL;
    case F_GET_SEALS:
    case F_SETLEASE:
    case F_NOTIFY:
      return -Errno.EINVAL;
    default:
      return CONTINUE;
  }
};

export const fdCalls = { ioctl, lseek, fcntl } satisfies Record<string, Handler>;
