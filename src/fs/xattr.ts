/** Extended attributes of nodes of ours: sysfs keeps those of root and of security modules, devtmpfs has none. */
import { CAP_SYS_ADMIN } from '../abi/constants.js';
import { errno } from '../errno.js';
import type { Task } from '../task.js';
import { fileSystemAt } from './file_system.js';
import { MAY_READ, MAY_WRITE, mayAccess } from './permission.js';
import { type Dentry, Directory, S_IFMT, S_IFREG, type TreeNode } from './tree.js';

// <linux/xattr.h>
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

const POSIX_ACL = /^system\.posix_acl_(access|default)$/;
/** What an ACL begins with: its version, u32. */
const ACL_HEADER_SIZE = 4;

/** xattr_permission() */
function check(node: TreeNode, name: string, wanted: number, task: Task): void {
  const writes = (wanted & MAY_WRITE) !== 0;
  if (/^(security|system)\./.test(name)) return;
  if (name.startsWith('trusted.')) {
    if (!task.capable(CAP_SYS_ADMIN)) throw errno(writes ? 'EPERM' : 'ENODATA');
    return;
  }
  const plain = node instanceof Directory || (node.mode & S_IFMT) === S_IFREG;
  if (name.startsWith('user.') && !plain) throw errno(writes ? 'EPERM' : 'ENODATA');
  if (!mayAccess(node, wanted, task)) throw errno('EACCES');
}

/** Where the file system keeps attributes of a name; EOPNOTSUPP, EINVAL for a prefix alone. */
function storeOf({ node, path }: Dentry, name: string, writes: boolean): Map<string, Uint8Array> {
  const [, prefix, rest] = /^(user|trusted|security)\.(.*)$/s.exec(name) ?? [];
  if (fileSystemAt(path) !== 'sysfs' || !prefix) throw errno('EOPNOTSUPP');
  if (!rest) throw errno('EINVAL');
  if (prefix === 'user' && writes) throw errno('EOPNOTSUPP');
  node.xattrs ??= new Map();
  return node.xattrs;
}

/** getxattr(2). ENODATA. */
export function readAttribute(dentry: Dentry, name: string, task: Task): Uint8Array {
  check(dentry.node, name, MAY_READ, task);
  const value = storeOf(dentry, name, false).get(name);
  if (!value) throw errno('ENODATA');
  return value;
}

/** listxattr(2): names, each with its NUL. */
export function listAttributes({ node }: Dentry, task: Task): Uint8Array {
  const names = [...(node.xattrs?.keys() ?? [])];
  const shown = names.filter((name) => !name.startsWith('trusted.') || task.capable(CAP_SYS_ADMIN));
  return Buffer.from(shown.map((name) => `${name}\0`).join(''), 'latin1');
}

/** setxattr(2); removexattr(2) for no value. */
export function writeAttribute(
  dentry: Dentry,
  name: string,
  value: Uint8Array | undefined,
  flags: number,
  task: Task,
): void {
  // An ACL is read before anybody asks the file system.
  const isAcl = value && POSIX_ACL.test(name) && task.kernel.has('vfs_set_acl');
  if (isAcl && value.length < ACL_HEADER_SIZE) throw errno('EINVAL');
  check(dentry.node, name, MAY_WRITE, task);
  if (name.startsWith('security.') && !task.capable(CAP_SYS_ADMIN)) throw errno('EPERM');
  const store = storeOf(dentry, name, true);
  const has = store.has(name);
  if (has && flags & XATTR_CREATE) throw errno('EEXIST');
  if (!has && (flags & XATTR_REPLACE || !value)) throw errno('ENODATA');
  if (value) store.set(name, value);
  else store.delete(name);
}
