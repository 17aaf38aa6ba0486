/** /proc/PID/maps: where processes have something mapped. */
import { major, makedev, minor } from '../fs/dev_t.js';
import type { Inode } from './descriptors.js';
import { readText } from './read.js';
import { livingThread } from './threads.js';

/** Where a process has a part of an inode mapped. In bytes. */
export interface Area {
  start: number;
  end: number;
  /** Where the part begins in the inode. */
  offset: number;
  readable: boolean;
  writable: boolean;
  /** MAP_SHARED */
  shared: boolean;
}

/** Where a process has an inode mapped; undefined if we cannot look. */
export function areasOf(pid: number, inode: Inode): Area[] | undefined {
  const maps = readMemoryFile(pid, 'maps');
  // One without any mappings is at its end.
  if (maps === '') return undefined;
  // There are hundreds of lines, and few are of this inode.
  const wanted = ` ${formatDev(inode.dev)} ${inode.ino} `;
  const areas: Area[] = [];
  for (let at = maps.indexOf(wanted); at >= 0; at = maps.indexOf(wanted, at + 1)) {
    const start = maps.lastIndexOf('\n', at) + 1;
    const area = parseArea(maps.slice(start, at + wanted.length), inode);
    if (area) areas.push(area);
  }
  return areas;
}

/** The line of /proc/PID/maps that begins an area, if it is one of the inode. */
export function parseArea(line: string, inode: Inode): Area | undefined {
  // address perms offset dev inode path
  const [addresses = '', perms = '', offset = '', dev, ino] = line.split(/ +/, 5);
  if (Number(ino) !== inode.ino || dev !== formatDev(inode.dev)) return undefined;
  const [start = '', end = ''] = addresses.split('-');
  return {
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    offset: Number.parseInt(offset, 16),
    readable: perms[0] === 'r',
    writable: perms[1] === 'w',
    shared: perms[3] === 's',
  };
}

/** A st_dev as /proc/PID/maps writes it: major and minor in hexadecimal. */
function formatDev(dev: number): string {
  return [major(dev), minor(dev)].map((n) => n.toString(16).padStart(2, '0')).join(':');
}

/** A file of a process's that is about its memory, by whichever thread shows it. */
export function readMemoryFile(pid: number, file: string): string {
  const text = readText(`/proc/${pid}/${file}`);
  if (text !== '') return text;
  const tid = livingThread(pid);
  return tid === pid ? '' : readText(`/proc/${tid}/${file}`);
}

/** A mapping of a process's, of whatever. */
export interface Mapping extends Area, Inode {
  /** Of its file, if it has one; ends with " (deleted)" if that is gone. */
  path: string;
}

const LINE =
  /^([0-9a-f]+)-([0-9a-f]+) (.)(.).(.) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$/gm;

/** What a process has mapped between two addresses, in their order; undefined if we cannot look. */
export function mappingsWithin(pid: number, start: number, end: number): Mapping[] | undefined {
  const maps = readMemoryFile(pid, 'maps');
  if (maps === '') return undefined;
  const found: Mapping[] = [];
  for (const [, from, to, r, w, s, offset, major, minor, ino, path] of maps.matchAll(LINE)) {
    const mapping: Mapping = {
      start: hex(from),
      end: hex(to),
      offset: hex(offset),
      readable: r === 'r',
      writable: w === 'w',
      shared: s === 's',
      dev: makedev(hex(major), hex(minor)),
      ino: Number(ino),
      path: path ?? '',
    };
    if (mapping.start < end && mapping.end > start) found.push(mapping);
  }
  return found;
}

function hex(text: string | undefined): number {
  return Number.parseInt(text ?? '', 16);
}
