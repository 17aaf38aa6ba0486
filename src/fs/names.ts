/** New names in our tree, for programs, and names that go: as on devtmpfs for who may, and as on sysfs for nobody. */
import { Errno } from '../errno.js';
import { KERN_WARNING } from '../printk.js';
import type { Task } from '../task.js';
import { isKernelsAlone } from './file_system.js';
import { MAY_EXEC, MAY_WRITE, mayAccess } from './permission.js';
import type { Directory } from './tree.js';

export type Kind = 'directory' | 'link' | 'node' | 'regular' | 'unnamed' | 'fifo' | 'socket';

/** may_create(): 0, or why nothing of a kind can be made in a directory. */
export function mayCreate(parent: Directory, task: Task, kind: Kind): number {
  if (!mayAccess(parent, MAY_WRITE | MAY_EXEC, task)) return Errno.EACCES;
  const path = parent.dentry.path;
  if (isKernelsAlone(path)) {
    if (kind === 'unnamed') return Errno.EOPNOTSUPP;
    return kind === 'regular' ? Errno.EACCES : Errno.EPERM;
  }
  if (kind === 'directory' || kind === 'link' || kind === 'node') return 0;
  const what = kind === 'unnamed' ? 'a file without a name' : `a ${kind} file`;
  task.kernel.printk(
    KERN_WARNING,
    `dmabuf-shim: process ${task.pid} cannot make ${what} in ${path}: that directory is ours alone (EPERM)`,
  );
  return Errno.EPERM;
}
