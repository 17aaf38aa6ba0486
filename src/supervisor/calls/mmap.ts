/** mmap(2) of a file of ours. */
import { O_ACCMODE, O_RDONLY, O_RDWR } from '../../../ioctl/index.js';
import { ErrnoError } from '../../errno.js';
import type { File, MemoryPiece } from '../../fs/file.js';
import { PAGE_SIZE, pageAlign } from '../../mm/page.js';
import type { MappableMemory } from '../../mm/shmem.js';
import { type InjectedCall, native } from '../../native.js';
import { isOwnMemory, MAP_PRIVATE, MAP_SHARED, MAP_TYPE, mmapFile } from '../../syscall/mmap.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { INJECTED_MMAP } from '../filter.js';
import { injectOrRefuse, refuseIfTraced } from '../inject.js';
import { fileOf } from './fd.js';

const WHAT = 'map this kind of buffer';
const PROT_NONE = 0;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MAP_POPULATE = 0x8000;
const MAP_FIXED_NOREPLACE = 0x100000;
/** More than there are addresses: a mapping of that many bytes fails with ENOMEM. */
const ALL_ADDRESSES = 2 ** 47;
/** Beyond the largest offset in a file. */
const MAX_OFFSET = 2 ** 63;

const mmap: Handler = (call) => {
  const file = fileOf(call, 4);
  if (!file) return CONTINUE;
  const [length, prot, flags, offset] = [call.arg(1), call.int(2), call.int(3), call.arg(5)];
  // The machine refuses these with the errno, and in the order, that Linux does.
  if (length === 0 || offset % PAGE_SIZE !== 0) return CONTINUE;
  if (length > ALL_ADDRESSES || offset + length > MAX_OFFSET) return CONTINUE;
  const pieces = mmapFile(file, { length, prot, flags, offset });
  if (isOwnMemory(file, pieces, offset)) return CONTINUE;
  return mapPieces(call, file, pieces);
};

/**
 * Makes a mapping that the machine's kernel cannot make from the call as it stands: the calling thread
 * is made to map the pieces itself.
 */
function mapPieces(call: Call, file: File, pieces: MemoryPiece[]): Answer {
  const refused = refuseIfTraced(call, WHAT);
  if (refused !== undefined) return refused;
  const mode = (file.f_flags & O_ACCMODE) === O_RDONLY ? O_RDONLY : O_RDWR;
  const fds = new Map<MappableMemory, number>();
  let calls: InjectedCall[];
  try {
    for (const { memory } of pieces) {
      if (fds.has(memory)) continue;
      const fd = memory.open(mode);
      try {
        fds.set(memory, call.addFd(fd, true));
      } finally {
        native.close(fd);
      }
    }
    calls = mappingCalls(call, pieces, fds);
  } catch (error) {
    if (!(error instanceof ErrnoError) || fds.size === 0) throw error;
    // No room for all descriptors: those that are in the program have to go again.
    const args = [0, ALL_ADDRESSES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0];
    calls = [{ nr: nr('mmap'), args }];
  }
  for (const fd of fds.values()) calls.push({ nr: nr('close'), args: [fd], always: true });
  return injectOrRefuse(call, WHAT, calls);
}

function mappingCalls(
  call: Call,
  pieces: MemoryPiece[],
  fds: ReadonlyMap<MappableMemory, number>,
): InjectedCall[] {
  const [address, length, prot, flags] = [call.arg(0), call.arg(1), call.int(2), call.int(3)];
  const upper = INJECTED_MMAP * 2 ** 32;
  // With the other type for shared mappings the machine would look at our mark, too.
  const type = (flags & MAP_TYPE) === MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
  const marked = upper + ((flags & ~MAP_TYPE) | type);
  const fdOf = (piece: MemoryPiece) => fds.get(piece.memory) as number;
  const [first] = pieces;
  if (pieces.length === 1 && first) {
    return [{ nr: nr('mmap'), args: [address, length, prot, marked, fdOf(first), first.offset] }];
  }
  // A place for all of them first, so that they lie side by side.
  const placing = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
  const reserve = placing | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const total = pageAlign(length);
  const calls: InjectedCall[] = [
    { nr: nr('mmap'), args: [address, total, PROT_NONE, reserve, -1, 0] },
  ];
  const each = MAP_SHARED | MAP_FIXED | (flags & MAP_POPULATE);
  let at = 0;
  for (const piece of pieces) {
    const args = [at, piece.length, prot, upper + each, fdOf(piece), piece.offset];
    calls.push({ nr: nr('mmap'), args, base: 0 });
    at += piece.length;
  }
  calls.push({ nr: nr('munmap'), args: [0, total], base: 0, onFailure: true });
  return calls;
}

function nr(name: string): number {
  return native.SYS[name] as number;
}

export const mmapCalls: Record<string, Handler> = { mmap };
