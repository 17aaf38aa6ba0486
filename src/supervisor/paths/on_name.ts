/** What of ours a call is about that names it by a path, or by a descriptor and no path. */
import { AT_FDCWD } from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import { isPathOnly } from '../../fs/open.js';
import type { Dentry } from '../../fs/tree.js';
import { type Answer, type Call, CONTINUE } from '../call.js';
import type { Context } from '../context.js';
import { redirect } from '../inject.js';

export interface Where {
  /** The argument that is the path. */
  path: number;
  dirfd?: number;
  follow?: boolean;
  /** AT_EMPTY_PATH: where the path is empty it is the descriptor itself, or the working directory. */
  empty?: boolean;
}

/**
 * What `action` answers for the name that is meant, and `nameless` for a file of ours that has none, a buffer; everything
 * else is answered as it is.
 */
export function onName(
  { paths, kernel }: Context,
  call: Call,
  { path: argument, dirfd = AT_FDCWD, follow = true, empty = false }: Where,
  action: (dentry: Dentry) => Answer,
  nameless: (file: File) => Answer = () => CONTINUE,
): Answer {
  const of = (file: File | undefined) => {
    if (!file) return CONTINUE;
    const { dentry } = file.attributes;
    return dentry ? action(dentry) : nameless(file);
  };
  const path = paths.readPath(call.task, call.arg(argument));
  if (empty && path === '') return of(call.task.fileAt(dirfd));
  const found = paths.resolve(call.task, dirfd, path, follow);
  switch (found?.kind) {
    case undefined:
      return CONTINUE;
    case 'error':
      return -Errno[found.code];
    case 'machine':
      return redirect(call, argument, found.path);
    case 'node':
      return action(found.dentry);
    case 'descriptor':
      return found.of === 'fd' && follow ? of(kernel.files.at(found.pid, found.fd)) : CONTINUE;
  }
}

/** The same for a descriptor: EBADF for one of the name alone. */
export function onDescriptor(call: Call, action: (dentry: Dentry) => Answer): Answer {
  const file = call.task.fget(call.int(0));
  if (file && isPathOnly(file)) return -Errno.EBADF;
  const dentry = file?.attributes.dentry;
  return dentry ? action(dentry) : CONTINUE;
}
