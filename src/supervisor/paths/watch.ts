/** inotify_add_watch(2), and what else is asked of a path and is no matter of names or attributes. */
import { statfsSync } from 'node:fs';
import { Errno } from '../../errno.js';
import { fileSystemAt, magicAt, mountPoint } from '../../fs/file_system.js';
import { MAY_READ, mayAccess } from '../../fs/permission.js';
import { type Dentry, Directory } from '../../fs/tree.js';
import { native } from '../../native.js';
import { packStatfs } from '../abi.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { onName } from './on_name.js';

// <linux/inotify.h>
const IN_ONLYDIR = 0x01000000;
const IN_DONT_FOLLOW = 0x02000000;
const IN_UNMOUNT = 0x2000;
/** IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF: sysfs tells of no names. */
const IN_NAMES = 0xfc0;

export function watchCalls(context: Context) {
  function inotify_add_watch(call: Call): Answer {
    const mask = call.uint(2);
    if (mask === 0) return CONTINUE;
    const where = { path: 1, follow: !(mask & IN_DONT_FOLLOW) };
    return onName(context, call, where, (dentry) => {
      const { node } = dentry;
      if (mask & IN_ONLYDIR && !(node instanceof Directory)) return -Errno.ENOTDIR;
      if (!mayAccess(node, MAY_READ, call.task)) return -Errno.EACCES;
      // The program's own inotify instance gets a watch of what stands for the node.
      const instance = call.task.tryDuplicate(call.int(0));
      if (instance < 0) return instance;
      try {
        const told = fileSystemAt(dentry.path) === 'sysfs' ? (mask & ~IN_NAMES) | IN_UNMOUNT : mask;
        return native.inotifyAddWatch(instance, context.watches.standIn(dentry), told);
      } finally {
        native.close(instance);
      }
    });
  }

  function statfs(call: Call): Answer {
    return onName(context, call, { path: 0 }, (dentry) => {
      call.task.mm.write(call.arg(1), statfsOf(dentry));
      return 0;
    });
  }

  /** Ours have no handles: sysfs has none either. */
  function name_to_handle_at(call: Call): Answer {
    return onName(context, call, { path: 1, dirfd: call.int(0), follow: false }, () => {
      return -Errno.EOPNOTSUPP;
    });
  }

  return { inotify_add_watch, statfs, name_to_handle_at } satisfies Record<string, Handler>;
}

/** struct statfs of the file system that has the name: the machine's figures, where they mean anything. */
function statfsOf({ path }: Dentry): Uint8Array {
  const magic = magicAt(path);
  if (fileSystemAt(path) !== 'devtmpfs') return packStatfs(magic);
  try {
    const { blocks, bfree, bavail, files, ffree } = statfsSync(mountPoint(path));
    return packStatfs(magic, { blocks, bfree, bavail, files, ffree });
  } catch {
    return packStatfs(magic);
  }
}
