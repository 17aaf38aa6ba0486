/** Calls after which a program's paths begin elsewhere than ours, or lead through other mounts. */
import { AT_FDCWD, CLONE_NEWNS } from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { fork } from '../calls/pages.js';
import type { Context } from '../context.js';
import { redirect } from '../inject.js';

export function rootCalls({ paths }: Context) {
  function chroot(call: Call): Answer {
    const found = paths.find(call, AT_FDCWD, 0, true);
    paths.noteOtherRoots();
    if (found?.kind === 'error') return -Errno[found.code];
    return found?.kind === 'machine' ? redirect(call, 0, found.path) : CONTINUE;
  }

  const noted: Handler = () => {
    paths.noteOtherRoots();
    return CONTINUE;
  };

  return {
    chroot,
    pivot_root: noted,
    unshare: noted,
    setns: noted,
    clone(call) {
      if (call.int(0) & CLONE_NEWNS) paths.noteOtherRoots();
      return fork(call);
    },
  } satisfies Record<string, Handler>;
}
