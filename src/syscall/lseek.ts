import { SEEK_CUR, SEEK_END, SEEK_SET } from '../abi/constants.js';
import { errno, orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import { isKernelsAlone } from '../fs/file_system.js';
import { Directory, FileNode, GeneratedFile } from '../fs/tree.js';
import { native } from '../native.js';
import type { Task } from '../task.js';

/** SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE. */
const SEEK_MAX = 4;

/** lseek(2) of a file of ours, `task`'s `fd`: the new position. EINVAL for an unknown `whence` before all else. */
export function vfsLlseek(
  file: File,
  offset: number,
  whence: number,
  task: Task,
  fd: number,
): number {
  if (whence < 0 || whence > SEEK_MAX) throw errno('EINVAL');
  if (file.f_op.native) return seekNative(file, offset, whence, task, fd);
  if (!file.f_op.llseek) throw errno('ESPIPE');
  return file.f_op.llseek(file, offset, whence);
}

/** The position is the machine's to keep. */
function seekNative(file: File, offset: number, whence: number, task: Task, fd: number): number {
  const own = orThrow(task.tryDuplicate(fd));
  try {
    const node = file.attributes.dentry?.node;
    // The size that it says it has is not that of its content.
    const hasSize = node instanceof GeneratedFile || node instanceof FileNode;
    if (whence === SEEK_END && hasSize && node.size > 0) {
      return sought(file, orThrow(native.lseek(own, node.size + offset, SEEK_SET)));
    }
    // A directory of devtmpfs has no end, one of sysfs no size.
    if (node instanceof Directory && whence > SEEK_CUR) {
      if (!isKernelsAlone(file.attributes.dentry?.path ?? '')) throw errno('EINVAL');
      return orThrow(native.lseek(own, offset, SEEK_SET));
    }
    const position = orThrow(native.lseek(own, offset, whence));
    if (position === 0 && whence !== SEEK_CUR) rewind(file, task, fd);
    return sought(file, position);
  } finally {
    native.close(own);
  }
}

function sought(file: File, position: number): number {
  file.f_op.seek?.(file, position);
  return position;
}

function rewind(file: File, task: Task, fd: number): void {
  if (!file.f_op.rewind) return;
  file.get(task, fd);
  try {
    file.f_op.rewind(file);
  } finally {
    file.put();
  }
}
