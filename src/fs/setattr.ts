/** Modes, owners and times of nodes of ours, for programs to set: notify_change(). */
import { CAP_CHOWN, CAP_FSETID } from '../abi/constants.js';
import { errno } from '../errno.js';
import type { Task } from '../task.js';
import { isOwner, MAY_WRITE, mayAccess } from './permission.js';
import {
  currentTime,
  Directory,
  S_IFMT,
  S_ISGID,
  S_ISUID,
  Symlink,
  type Timespec,
  type TreeNode,
} from './tree.js';

/** chmod(2) */
export function changeMode(node: TreeNode, mode: number, task: Task): void {
  if (node instanceof Symlink) throw errno('EOPNOTSUPP');
  if (!isOwner(node, task)) throw errno('EPERM');
  const { fsgid, groups } = task.credentials;
  const inGroup = fsgid === node.gid || groups.includes(node.gid);
  const kept = inGroup || task.capable(CAP_FSETID) ? 0o7777 : 0o7777 & ~S_ISGID;
  node.mode = (node.mode & S_IFMT) | (mode & kept);
  node.ctime = currentTime();
}

/** chown(2): −1 leaves an id as it is. */
export function changeOwner(node: TreeNode, uid: number, gid: number, task: Task): void {
  const [toUid, toGid] = [uid >= 0 ? uid : node.uid, gid >= 0 ? gid : node.gid];
  if (!task.capable(CAP_CHOWN)) {
    const { fsuid, fsgid, groups } = task.credentials;
    const isOwn = fsuid === node.uid;
    const mayGroup = toGid === node.gid || toGid === fsgid || groups.includes(toGid);
    if (uid >= 0 && !(isOwn && toUid === node.uid)) throw errno('EPERM');
    if (gid >= 0 && !(isOwn && mayGroup)) throw errno('EPERM');
  }
  node.uid = toUid;
  node.gid = toGid;
  if (!(node instanceof Directory)) node.mode &= ~(node.mode & 0o010 ? S_ISUID | S_ISGID : S_ISUID);
  node.ctime = currentTime();
}

/** What utimensat(2) sets a time to: the present, or nothing at all. */
export type NewTime = Timespec | 'now' | 'omitted';

/** utimensat(2): with the present for both, whoever may write may do that. */
export function changeTimes(node: TreeNode, atime: NewTime, mtime: NewTime, task: Task): void {
  const owner = isOwner(node, task);
  if (atime === 'now' && mtime === 'now') {
    if (!owner && !mayAccess(node, MAY_WRITE, task)) throw errno('EACCES');
  } else if (!owner) throw errno('EPERM');
  const now = currentTime();
  if (atime !== 'omitted') node.atime = atime === 'now' ? now : atime;
  if (mtime !== 'omitted') node.mtime = mtime === 'now' ? now : mtime;
  node.ctime = now;
}
