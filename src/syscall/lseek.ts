import { errno } from '../errno.js';
import type { File } from '../fs/file.js';

/** SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE. */
const SEEK_MAX = 4;

/** lseek(2) of a file of ours: the new position. EINVAL for an unknown `whence` before all else. */
export function vfsLlseek(file: File, offset: number, whence: number): number {
  if (whence < 0 || whence > SEEK_MAX) throw errno('EINVAL');
  if (!file.f_op.llseek) throw errno('ESPIPE');
  return file.f_op.llseek(file, offset, whence);
}
