/** mmap(2) of a file of ours. */

import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_TYPE,
  O_ACCMODE,
  O_RDONLY,
  O_RDWR,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../ioctl/index.js';
import { MAP_NONBLOCK, MREMAP_DONTUNMAP } from '../../abi/constants.js';
import { INJECTED_MMAP } from '../../abi/system_calls.js';
import type { MappableMemory } from '../../backing/shmem.js';
import { Errno } from '../../errno.js';
import type { File, MemoryPiece } from '../../fs/file.js';
import type { Mapping } from '../../host/maps.js';
import { cacheOf } from '../../mm/cache/cache.js';
import { PAGE_SIZE, pageAlign } from '../../mm/page.js';
import { type InjectedCall, native } from '../../native.js';
import { isOwnMemory, mmapFile } from '../../syscall/mmap.js';
import { ANSWERED, type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { injectOrRefuse, MARK } from '../inject.js';
import { hasMemory, mappedThrough, noteMapped, noteMappedThrough, remapped } from '../mappings.js';
import { fileOf } from './fd.js';
import { populating } from './pages.js';

/** x86-64 alone has this flag; elsewhere the bit means nothing. */
const MAP_32BIT = 0x40;
/** Flags that say where. */
const FIXED = MAP_FIXED | MAP_FIXED_NOREPLACE;
const PLACING = FIXED | MAP_32BIT;
/** As many as there are: a mapping of that many bytes fails with ENOMEM. */
const ALL_ADDRESSES = process.arch === 'x64' ? 2 ** 47 : 2 ** 48;
/** Beyond the largest offset in a file. */
const MAX_OFFSET = 2 ** 63;

const mmap: Handler = (call) => {
  const file = fileOf(call, 4);
  const [length, prot, flags, offset] = [call.arg(1), call.int(2), call.int(3), call.arg(5)];
  cacheOf(call.task.kernel)?.mapping(call.task.pid, { address: call.arg(0), length, flags }, file);
  if (!file) return CONTINUE;
  // The machine refuses these with the errno, and in the order, that Linux does.
  if (length === 0 || offset % PAGE_SIZE !== 0) return CONTINUE;
  if (length >= ALL_ADDRESSES || offset + length > MAX_OFFSET) return CONTINUE;
  const pieces = mmapFile(file, { length, prot, flags, offset }, call.task);
  if (isOwnMemory(file, pieces, offset)) {
    const answer = call.traced ? mapAsAsked(call) : CONTINUE;
    if (answer === CONTINUE) observe(call, file, flags & FIXED ? call.arg(0) : undefined);
    else if (call.answered >= 0) observe(call, file, call.answered);
    return answer;
  }
  const answer = mapPieces(call, file, pieces, { address: call.arg(0), length, prot, flags });
  if (answer === ANSWERED && call.answered >= 0) observe(call, file, call.answered);
  return answer;
};

function observe(call: Call, file: File, address: number | undefined): void {
  const { observers } = call.task.kernel;
  if (!observers.active) return;
  const [length, prot, offset] = [pageAlign(call.arg(1)), call.int(2), call.arg(5)];
  observers.tell('mapped', { file, pid: call.task.pid, address, length, prot, offset });
}

/**
 * Has the caller make its call as it stands, for who looks on to see the address: what comes of a call that goes on is
 * not known here. Where that is not allowed it goes on.
 */
function mapAsAsked(call: Call): typeof ANSWERED | typeof CONTINUE {
  const [address, length, prot, flags] = [call.arg(0), call.arg(1), call.int(2), call.int(3)];
  // With this type the machine looks at our mark, too.
  if ((flags & MAP_TYPE) !== MAP_SHARED && (flags & MAP_TYPE) !== MAP_PRIVATE) return CONTINUE;
  const marked = INJECTED_MMAP * 2 ** 32 + call.uint(3);
  const args = [address, length, prot, marked, call.int(4), call.arg(5)];
  const result = new Float64Array(1);
  const calls = [{ nr: native.SYS.mmap as number, args }];
  const { listener, notif, tid } = call;
  if (native.injectCalls(listener, notif, tid, calls, result) < 0) return CONTINUE;
  call.answered = result[0] as number;
  return ANSWERED;
}

/** What mmap(2) is asked for, but for the file and the place in it. */
interface Placement {
  address: number;
  length: number;
  prot: number;
  flags: number;
  /** The caller sees 0 for the address. */
  quiet?: boolean;
  /** What is not mapped any more, once that is. */
  instead?: { address: number; length: number };
}

/**
 * Makes a mapping that the machine's kernel cannot make from the call as it stands: the calling thread
 * is made to map the pieces itself.
 */
function mapPieces(call: Call, file: File, pieces: MemoryPiece[], at: Placement): Answer {
  const { quiet, instead } = at;
  const mode = (file.openFlags & O_ACCMODE) === O_RDONLY ? O_RDONLY : O_RDWR;
  const memories = [...new Set(pieces.map(({ memory }) => memory))];
  const fds: number[] = [];
  try {
    for (const memory of memories) fds.push(memory.open(mode));
    const calls = mappingCalls(at, pieces, memories);
    if (quiet && calls[0]) calls[0].quiet = true;
    if (instead) calls.push(unmap(instead));
    const apart = !memories.every((memory) => isKnown(call, memory, pieces));
    const answer = injectOrRefuse(call, 'map this kind of buffer', calls, { fds, apart });
    if (answer === ANSWERED && call.answered >= 0) {
      const address = call.answered;
      const length = pageAlign(at.length);
      for (const memory of memories) {
        memory.noteMapping?.(address, length, pieces.length > 1);

        noteMappedThrough(memory, file);
        if (call.needs.exact) noteMapped(call.task.kernel, memory);
      }
    }
    if (quiet) call.answered = Math.min(0, call.answered);
    return answer;
  } finally {
    for (const fd of fds) native.close(fd);
  }
}

/** remap_file_pages(2), which puts another part of a buffer in a mapping's place. */
const remap_file_pages: Handler = (call) => {
  const address = Math.floor(call.arg(0) / PAGE_SIZE) * PAGE_SIZE;
  const length = Math.floor(call.arg(1) / PAGE_SIZE) * PAGE_SIZE;
  const mapping = mappedThrough(call, address);
  // What is wrong whatever is mapped is for the machine to refuse.
  if (!mapping?.shared || call.int(2) !== 0 || length === 0) return CONTINUE;
  const { file } = mapping;
  if (address + length > mapping.end) return -Errno.EINVAL;
  const prot = protectionOf(mapping);
  const flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (call.int(4) & MAP_NONBLOCK);
  const offset = call.arg(3) * PAGE_SIZE;
  const pieces = mmapFile(file, { length, prot, flags, offset }, call.task);
  return mapPieces(call, file, pieces, { address, length, prot, flags, quiet: true });
};

/** mremap(2): what is not for the machine is made anew, in the place of what there was or beside it. */
const mremap: Handler = (call) => {
  const answer = remapped(call);
  if (answer === undefined) return populating(call);
  if (typeof answer === 'number') return answer;
  const { mapping, file, piece } = answer;
  const oldSize = pageAlign(call.arg(1));
  const replaces = oldSize > 0 && !(call.int(3) & MREMAP_DONTUNMAP);
  return mapPieces(call, file, [piece], {
    address: 0,
    length: piece.length,
    prot: protectionOf(mapping),
    flags: MAP_SHARED,
    ...(replaces && { instead: { address: call.arg(0), length: oldSize } }),
  });
};

const protectionOf = ({ readable, writable }: Mapping) =>
  (readable ? PROT_READ : 0) | (writable ? PROT_WRITE : 0);

/** Whether a descriptor of a memory gives a program no more than it has by itself, or is to map. */
function isKnown(call: Call, memory: MappableMemory, pieces: MemoryPiece[]): boolean {
  if (memory.givenAs) return hasMemory(call, memory);
  return memory.size === sumOf(pieces.filter((piece) => piece.memory === memory));
}

const sumOf = (pieces: MemoryPiece[]) => pieces.reduce((sum, { length }) => sum + length, 0);

/** Where mmap(2) takes its descriptor. */
const FD_ARGUMENT = 4;

function mappingCalls(
  { address, length, prot, flags }: Placement,
  pieces: MemoryPiece[],
  memories: MappableMemory[],
): InjectedCall[] {
  const nr = native.SYS.mmap as number;
  const upper = INJECTED_MMAP * 2 ** 32;
  const map = (at: number, size: number, how: number, piece: MemoryPiece): InjectedCall => ({
    nr,
    args: [at, size, prot, upper + how, -1, piece.offset],
    fd: [FD_ARGUMENT, memories.indexOf(piece.memory)],
  });
  const [first] = pieces;
  if (pieces.length === 1 && first) {
    // With the other type for shared mappings the machine would look at our mark, too.
    const type = (flags & MAP_TYPE) === MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
    return [map(address, length, (flags & ~MAP_TYPE) | type, first)];
  }
  // A place for all of them first, so that they lie side by side.
  const reserve = (flags & PLACING) | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const total = pageAlign(length);
  const calls: InjectedCall[] = [{ nr, args: [address, total, PROT_NONE, reserve, -1, 0] }];
  // What else is asked for, or is wrong, is for each piece.
  const each = (flags & ~(MAP_TYPE | PLACING)) | MAP_SHARED | MAP_FIXED;
  let at = 0;
  for (const piece of pieces) {
    calls.push({ ...map(at, piece.length, each, piece), base: 0 });
    at += piece.length;
  }
  calls.push({ ...unmap({ address: 0, length: total }), base: 0, onFailure: true });
  return calls;
}

function unmap({ address, length }: { address: number; length: number }): InjectedCall {
  return { nr: native.SYS.munmap as number, args: [address, length, 0, 0, 0, MARK] };
}

export const mmapCalls = { mmap, mremap, remap_file_pages } satisfies Record<string, Handler>;
