/** New names in our tree, for programs, and names that go: as on devtmpfs for who may, and as on sysfs for nobody. */
import { CAP_FOWNER, CAP_MKNOD } from '../abi/constants.js';
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { machineNodeOf } from '../host/device_node.js';
import { native } from '../native.js';
import { KERN_WARNING } from '../printk.js';
import type { Task } from '../task.js';
import type { CharDeviceOperations } from './char_dev.js';
import { type DevT, makedev } from './dev_t.js';
import { isOursAlone } from './directories.js';
import { isKernelsAlone, mountPoint } from './file_system.js';
import { find, type NewName } from './namei.js';
import { isOwner, MAY_EXEC, MAY_WRITE, mayAccess } from './permission.js';
import {
  currentTime,
  type Dentry,
  Directory,
  FileNode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  S_ISVTX,
  Symlink,
  type TreeNode,
} from './tree.js';

// <linux/fs.h>
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

type Kind =
  | 'directory'
  | 'link'
  | 'node'
  | 'regular file'
  | 'file without a name'
  | 'FIFO'
  | 'socket';

/** may_create(), and what the file system has to say. */
function mayCreate({ parent }: NewName, task: Task, kind: Kind): void {
  if (parent.dentry.unlinked) throw errno('ENOENT');
  if (!mayAccess(parent, MAY_WRITE | MAY_EXEC, task)) throw errno('EACCES');
  if (!isKernelsAlone(parent.dentry.path)) return;
  throw errno(kind === 'regular file' ? 'EACCES' : 'EPERM');
}

function addNew({ parent, name }: NewName, node: TreeNode, task: Task): Dentry {
  const { fsuid, fsgid } = task.ids;
  node.uid = fsuid;
  node.gid = parent.mode & S_ISGID ? parent.gid : fsgid;
  touch(parent);
  return give(parent, name, node);
}

function give(parent: Directory, name: string, node: TreeNode): Dentry {
  const dentry = parent.add(name, node);
  dentry.givenByProgram = true;
  return dentry;
}

/**
 * Whether nothing of the machine's is to be seen by a name that goes, or made by it: it is the kernel's, or the machine
 * has it as well.
 */
function isKept({ parent, path, givenByProgram }: Dentry): boolean {
  if (!parent || isOursAlone(parent)) return false;
  return !givenByProgram || native.access(path) === 0;
}

function touch(node: TreeNode): void {
  node.mtime = currentTime();
  node.ctime = node.mtime;
}

/** mkdir(2) */
export function makeDirectory(at: NewName, mode: number, task: Task): void {
  mayCreate(at, task, 'directory');
  const inherited = at.parent.mode & S_ISGID;
  addNew(at, new Directory((mode & (0o777 | S_ISVTX) & ~task.umask) | inherited), task);
}

/** symlink(2) */
export function makeLink(at: NewName, target: string, task: Task): void {
  mayCreate(at, task, 'link');
  addNew(at, new Symlink(target), task);
}

/** mknod(2): a device has the driver that its numbers are of. */
export function makeNode(at: NewName, mode: number, rdev: DevT, task: Task): void {
  const type = mode & S_IFMT || S_IFREG;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  if (type === S_IFDIR) throw errno('EPERM');
  if (!isDevice && ![S_IFREG, S_IFIFO, S_IFSOCK].includes(type)) throw errno('EINVAL');
  const kind = type === S_IFIFO ? 'FIFO' : type === S_IFSOCK ? 'socket' : 'regular file';
  mayCreate(at, task, isDevice ? 'node' : kind);
  const whiteout = type === S_IFCHR && rdev.major === 0 && rdev.minor === 0;
  if (isDevice && !whiteout && !task.capable(CAP_MKNOD)) throw errno('EPERM');
  if (!isDevice) throw refuse(at, kind, task);
  const permissions = mode & 0o7777 & ~task.umask;
  addNew(at, deviceNode(type | permissions, rdev, task), task);
}

const noDriver: CharDeviceOperations = {
  open: () => {
    throw errno('ENXIO');
  },
};

function deviceNode(mode: number, rdev: DevT, task: Task): FileNode {
  const { f_op = noDriver, private_data } = cdevOf(task.kernel, mode, rdev) ?? {};
  return new FileNode({ mode, rdev, f_op, private_data });
}

/** The machine's own node of the device that a program has made a node of, unless ours is seen in its place. */
export function machineNode({ root }: KernelCore, { f_op, mode, rdev }: FileNode) {
  if (f_op !== noDriver || !rdev) return undefined;
  const kind = (mode & S_IFMT) === S_IFBLK ? 'block' : 'char';
  const path = machineNodeOf(kind, rdev, makedev(rdev.major, rdev.minor));
  if (!path) return undefined;
  const slash = path.lastIndexOf('/');
  const [parent, name] = [find(root, path.slice(0, slash)), path.slice(slash + 1)];
  const ours = parent && (isOursAlone(parent) || parent.lookup(name) || parent.hides(name));
  return ours ? undefined : path;
}

/** Whether a device of this kernel has these numbers. */
export function isOurDevice(kernel: KernelCore, mode: number, rdev: DevT): boolean {
  return cdevOf(kernel, mode, rdev) !== undefined;
}

function cdevOf({ charDevices }: KernelCore, mode: number, rdev: DevT) {
  return (mode & S_IFMT) === S_IFCHR ? charDevices.find(rdev) : undefined;
}

/** bind(2) of a Unix socket. */
export function makeSocket(at: NewName, task: Task): never {
  mayCreate(at, task, 'socket');
  throw refuse(at, 'socket', task);
}

/** A regular file, or one without a name, where only this kernel has a directory. */
export function makeFile(
  at: NewName,
  kind: 'regular file' | 'file without a name',
  task: Task,
): never {
  if (kind === 'file without a name' && isKernelsAlone(at.parent.dentry.path)) {
    if (!mayAccess(at.parent, MAY_WRITE | MAY_EXEC, task)) throw errno('EACCES');
    throw errno('EOPNOTSUPP');
  }
  mayCreate(at, task, kind);
  throw refuse(at, kind, task);
}

function refuse({ parent, name }: NewName, kind: Kind, task: Task) {
  const { path } = parent.dentry;
  return refuseHere(task, `make a ${kind} ${name ? `${path}/${name}` : `in ${path}`}`);
}

/** EPERM, and a line in the log, for what the machine would have to have: `what` nobody can do with a name of ours. */
export function refuseHere(task: Task, what: string) {
  task.kernel.printk(
    KERN_WARNING,
    `dmabuf-shim: process ${task.pid} cannot ${what}: that name is this kernel's alone (EPERM)`,
  );
  return errno('EPERM');
}

/** may_delete() of who may write to the directory. */
export function mayDelete({ parent, node }: Dentry, task: Task): Directory {
  if (!parent) throw errno('EBUSY');
  if (!mayAccess(parent, MAY_WRITE | MAY_EXEC, task)) throw errno('EACCES');
  const { fsuid } = task.ids;
  const isOthers = fsuid !== node.uid && fsuid !== parent.uid;
  if (parent.mode & S_ISVTX && isOthers && !task.capable(CAP_FOWNER)) throw errno('EPERM');
  return parent;
}

/** unlink(2), and with `directory` rmdir(2). */
export function removeName(dentry: Dentry, directory: boolean, task: Task): void {
  const { node } = dentry;
  const parent = mayDelete(dentry, task);
  if (directory && !(node instanceof Directory)) throw errno('ENOTDIR');
  if (!directory && node instanceof Directory) throw errno('EISDIR');
  if (isKernelsAlone(parent.dentry.path)) throw errno('EPERM');
  if (node instanceof Directory && !isEmpty(node)) throw errno('ENOTEMPTY');
  touch(parent);
  node.ctime = parent.ctime;
  parent.delete(dentry.name, isKept(dentry));
}

function isEmpty(directory: Directory): boolean {
  return [...directory.dentries()].length === 0;
}

/** link(2) */
export function linkName({ node, path }: Dentry, at: NewName, task: Task): void {
  if (at.parent.dentry.unlinked) throw errno('ENOENT');
  if (mountPoint(path) !== mountPoint(`${at.parent.dentry.path}/${at.name}`)) throw errno('EXDEV');
  // fs.protected_hardlinks, which nearly every distribution sets.
  if (!isOwner(node, task)) throw errno('EPERM');
  mayCreate(at, task, 'link');
  if (node instanceof Directory) throw errno('EPERM');
  touch(at.parent);
  node.ctime = at.parent.ctime;
  give(at.parent, at.name, node);
}

/** renameat2(2): `target` is what has the new name now, if anything of ours has. */
export function renameName(
  dentry: Dentry,
  at: NewName,
  target: Dentry | undefined,
  flags: number,
  task: Task,
): void {
  const { node, path } = dentry;
  const there = `${at.parent.dentry.path}/${at.name}`;
  if (mountPoint(path) !== mountPoint(there)) throw errno('EXDEV');
  if (at.parent.dentry.unlinked) throw errno('ENOENT');
  if (target && flags & RENAME_NOREPLACE) throw errno('EEXIST');
  if (!target && flags & RENAME_EXCHANGE) throw errno('ENOENT');
  if (node instanceof Directory && `${there}/`.startsWith(`${path}/`) && target !== dentry) {
    throw errno('EINVAL');
  }
  if (
    target?.node instanceof Directory &&
    target !== dentry &&
    `${path}/`.startsWith(`${there}/`)
  ) {
    throw errno(flags & RENAME_EXCHANGE ? 'EINVAL' : 'ENOTEMPTY');
  }
  if (target?.node === node) return;
  const parent = mayDelete(dentry, task);
  if (target) mayReplace(dentry, target, flags, task);
  else if (!mayAccess(at.parent, MAY_WRITE | MAY_EXEC, task)) throw errno('EACCES');
  if (isKernelsAlone(path)) throw errno(flags ? 'EINVAL' : 'EPERM');
  for (const each of [parent, at.parent]) touch(each);
  node.ctime = currentTime();
  if (flags & RENAME_EXCHANGE && target) {
    target.node.ctime = node.ctime;
    parent.exchange(dentry, at.parent, target);
    return;
  }
  const { name } = dentry;
  at.parent.move(dentry, at.name, isKept(dentry));
  dentry.givenByProgram = !at.parent.hides(at.name);
  if (flags & RENAME_WHITEOUT) {
    const whiteout = new FileNode({ mode: S_IFCHR, f_op: noDriver, rdev: { major: 0, minor: 0 } });
    addNew({ parent, name }, whiteout, task);
  }
}

function mayReplace({ node }: Dentry, target: Dentry, flags: number, task: Task): void {
  mayDelete(target, task);
  if (flags & RENAME_EXCHANGE) return;
  const [from, to] = [node instanceof Directory, target.node instanceof Directory];
  if (from && !to) throw errno('ENOTDIR');
  if (!from && to) throw errno('EISDIR');
  if (target.node instanceof Directory && !isEmpty(target.node)) throw errno('ENOTEMPTY');
}
