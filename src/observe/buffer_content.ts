/** The bytes of a buffer as programs have them, also where the kernel itself has no descriptor of it. */
import { closeSync, openSync, readSync } from 'node:fs';

import { inodeOf, type MappableMemory } from '../backing/shmem.js';
import type { DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import { descriptorsOfInode, type Inode, pathOfDescriptor } from '../host/descriptors.js';
import { areasOf } from '../host/maps.js';
import { livingThread } from '../host/threads.js';
import { native, STAT_FIELDS } from '../native.js';

const _stat = new Float64Array(STAT_FIELDS);

/** A part of a buffer, and where it is in a memory. Bytes. */
export interface Piece {
  readonly memory: MappableMemory;
  readonly inode: Inode;
  /** In the memory. */
  readonly offset: number;
  readonly length: number;
  /** In the buffer. */
  readonly at: number;
}

const known = new WeakMap<DmaBuf, readonly Piece[]>();

/** What a buffer is made of; undefined for one that programs cannot map. */
export function piecesOf(dmabuf: DmaBuf): readonly Piece[] | undefined {
  const before = known.get(dmabuf);
  if (before) return before;
  let at = 0;
  const pieces = dmabuf.pieces?.map(({ memory, offset, length }): Piece => {
    at += length;
    return { memory, inode: inodeOf(memory), offset, length, at: at - length };
  });
  if (pieces) known.set(dmabuf, pieces);
  return pieces;
}

/**
 * Reads a buffer, from a byte of it on, into `into`, by way of the kernel's own descriptor or one of these processes'; from where
 * that is not to be had, what a process has mapped. What cannot be read stays as it is.
 */
export function readContent(
  dmabuf: DmaBuf,
  pids: Iterable<number>,
  into: Uint8Array,
  from = 0,
): void {
  for (const piece of piecesOf(dmabuf) ?? []) {
    const start = Math.max(piece.at, from);
    const end = Math.min(piece.at + piece.length, from + into.length);
    if (start >= end) continue;
    const offset = piece.offset + start - piece.at;
    readPiece({ ...piece, offset, length: end - start, at: start - from }, pids, into);
  }
}

function readPiece(piece: Piece, pids: Iterable<number>, into: Uint8Array): void {
  const { memory, offset, length, at, inode } = piece;
  if (memory.fd >= 0) {
    readSync(memory.fd, into, at, length, offset);
    return;
  }
  for (const pid of pids) {
    const path = descriptorPath(pid, inode);
    if (path === undefined) continue;
    try {
      const fd = openSync(path, 'r');
      try {
        readSync(fd, into, at, length, offset);
      } finally {
        closeSync(fd);
      }
      return;
    } catch {
      // Closed meanwhile, or not ours to open.
    }
  }
  for (const pid of pids) if (readMapped(pid, piece, into)) return;
}

function descriptorPath(pid: number, inode: Inode): string | undefined {
  const tid = livingThread(pid);
  const [fd] = descriptorsOfInode(tid, inode);
  return fd === undefined ? undefined : pathOfDescriptor(tid, fd);
}

/** What a process has mapped of a piece; false if that is nothing. */
function readMapped(pid: number, piece: Piece, into: Uint8Array): boolean {
  const { offset, length, at, inode } = piece;
  let some = false;
  for (const area of areasOf(pid, inode) ?? []) {
    if (!area.readable || !area.shared) continue;
    const from = Math.max(offset, area.offset);
    const to = Math.min(offset + length, area.offset + area.end - area.start);
    if (from >= to) continue;
    const address = area.start + from - area.offset;
    const read = native.processVmReadv(pid, address, into, at + from - offset, to - from);
    some ||= read > 0;
  }
  return some;
}
