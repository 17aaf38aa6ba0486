/** Calls after which a program's paths begin elsewhere than ours, or lead through other mounts. */
import { AT_FDCWD, CAP_SYS_ADMIN, CAP_SYS_CHROOT, CLONE_NEWNS } from '../../abi/constants.js';
import { Errno, errno } from '../../errno.js';
import { refuseHere } from '../../fs/names.js';
import { MAY_EXEC, mayAccess } from '../../fs/permission.js';
import { type Dentry, Directory } from '../../fs/tree.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { fork } from '../calls/pages.js';
import type { Context } from '../context.js';
import { redirectAll } from '../inject.js';
import { onName } from './on_name.js';

// <sys/mount.h>
const MS_BIND = 0x1000;
const MS_MOVE = 0x2000;

export function rootCalls(context: Context) {
  const { paths } = context;

  /** The machine's kernel cannot have a directory of ours for a root. */
  function chroot(call: Call): Answer {
    paths.noteOtherRoots();
    return onName(context, call, { path: 0 }, ({ node, path }) => {
      if (!(node instanceof Directory)) return -Errno.ENOTDIR;
      if (!mayAccess(node, MAY_EXEC, call.task)) return -Errno.EACCES;
      if (!call.task.capable(CAP_SYS_CHROOT)) return -Errno.EPERM;
      throw refuseHere(call.task, `make ${path} its root`);
    });
  }

  /** The machine's kernel makes the call, by ways that it knows; `ours` says what is wrong with a name of ours. */
  function onMachine(call: Call, places: readonly number[], ours: (dentry: Dentry) => number) {
    const detours = new Map<number, string>();
    for (const argument of places) {
      const found = paths.find(call, AT_FDCWD, argument, true);
      if (found?.kind === 'error') return -Errno[found.code];
      if (found?.kind === 'node') return ours(found.dentry);
      if (found?.kind === 'machine') detours.set(argument, found.path);
    }
    return detours.size > 0 ? redirectAll(call, detours) : CONTINUE;
  }

  /** Nothing of ours is where something is mounted. */
  function pivot_root(call: Call): Answer {
    paths.noteOtherRoots();
    if (!call.task.capable(CAP_SYS_ADMIN)) return CONTINUE;
    return onMachine(call, [0, 1], ({ node }) =>
      node instanceof Directory ? -Errno.EINVAL : -Errno.ENOTDIR,
    );
  }

  function mount(call: Call): Answer {
    const bound = (call.uint(3) & (MS_BIND | MS_MOVE)) !== 0;
    return onMachine(call, bound ? [1, 0] : [1], ({ path }) => {
      if (!call.task.capable(CAP_SYS_ADMIN)) throw errno('EPERM');
      throw refuseHere(call.task, `mount at, or from, ${path}`);
    });
  }

  const noted: Handler = () => {
    paths.noteOtherRoots();
    return CONTINUE;
  };

  return {
    chroot,
    pivot_root,
    mount,
    unshare: noted,
    setns: noted,
    clone(call) {
      if (call.int(0) & CLONE_NEWNS) paths.noteOtherRoots();
      return fork(call);
    },
  } satisfies Record<string, Handler>;
}
