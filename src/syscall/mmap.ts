import {
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_TYPE,
  O_ACCMODE,
  O_RDONLY,
  O_RDWR,
  PROT_WRITE,
} from '../../ioctl/index.js';
import { errno } from '../errno.js';
import type { File, MemoryPiece } from '../fs/file.js';
import { pageAlign } from '../mm/page.js';
import type { Task } from '../task.js';

/** MAP_FIXED to MAP_HUGETLB and the sizes of huge pages: flags that MAP_SHARED_VALIDATE takes of any file. */
const LEGACY_MAP_MASK = MAP_TYPE | 0x7f970 | (0x1f << 26);

/** The arguments of mmap(2) that say what is to be mapped. Bytes. */
export interface MmapArguments {
  length: number;
  prot: number;
  flags: number;
  offset: number;
}

/**
 * mmap(2) of a file of ours: what the mapping is made of.
 * EINVAL for a length of 0, EOPNOTSUPP for flags that MAP_SHARED_VALIDATE does not know, EACCES for
 * what the access mode of the descriptor does not allow, ENODEV for a file that cannot be mapped, or
 * what the driver throws.
 */
export function mmapFile(
  file: File,
  { length, prot, flags, offset }: MmapArguments,
  task: Task,
): MemoryPiece[] {
  if (length === 0) throw errno('EINVAL');
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) {
    throw errno('EINVAL');
  }
  if (type === MAP_SHARED_VALIDATE && flags & ~LEGACY_MAP_MASK) throw errno('EOPNOTSUPP');
  const shared = type !== MAP_PRIVATE;
  const access = file.openFlags & O_ACCMODE;
  if (access !== O_RDWR && (access !== O_RDONLY || (shared && prot & PROT_WRITE))) {
    throw errno('EACCES');
  }
  if (!file.f_op.mmap) throw errno('ENODEV');
  return file.f_op.mmap(file, { length: pageAlign(length), offset, prot, shared }, task);
}

/**
 * Whether mapping the file's own descriptor at the same offset gives the same: then the machine can
 * do it without us.
 */
export function isOwnMemory(file: File, pieces: MemoryPiece[], offset: number): boolean {
  const [piece] = pieces;
  if (pieces.length !== 1 || piece?.offset !== offset) return false;
  const own: unknown = file.backing;
  return piece.memory === own;
}
