/** What the machine says of the pages that a process has mapped: /proc/PID/smaps, pagemap, clear_refs. */
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { major, minor } from '../fs/dev_t.js';
import { PAGE_SIZE } from '../mm/page.js';
import { livingThread } from './threads.js';

/** An inode, by the fields that stat(2) gives. */
export interface Inode {
  dev: number;
  ino: number;
}

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

/** An area with what smaps tells of it. */
export interface AreaPages extends Area {
  /** Pages that were accessed since {@link clearReferenced}, by this process or somebody else. */
  referenced: number;
  /** Pages that are mapped. */
  resident: number;
  /** It has huge pages: what is told of one of its pages may be meant of many. */
  huge: boolean;
  /** It is locked (mlock), or may become huge (MADV_HUGEPAGE): pages are mapped that nobody accessed. */
  special: boolean;
}

/** Where a process has an inode mapped; undefined if we cannot look. */
export function areasOf(pid: number, inode: Inode): Area[] | undefined {
  const maps = read(pid, 'maps');
  // One without any mappings is at its end.
  if (maps === '') return undefined;
  const areas: Area[] = [];
  for (const line of maps.split('\n')) {
    const area = parseArea(line, inode);
    if (area) areas.push(area);
  }
  return areas;
}

/** The same, and what there is to be known of the pages; none if we cannot look. */
export function areaPagesOf(pid: number, inode: Inode): AreaPages[] {
  const areas: AreaPages[] = [];
  let area: AreaPages | undefined;
  for (const line of read(pid, 'smaps').split('\n')) {
    const [name = '', value = ''] = line.split(/: +/, 2);
    if (/^[0-9a-f]+-/.test(line)) {
      const found = parseArea(line, inode);
      area = found && { ...found, referenced: 0, resident: 0, huge: false, special: false };
      if (area) areas.push(area);
    }
    if (!area) continue;
    if (name === 'Referenced') area.referenced = pages(value);
    else if (name === 'Rss') area.resident = pages(value);
    else if (HUGE.test(name)) area.huge ||= pages(value) > 0;
    else if (name === 'VmFlags') area.special = / (lo|lf|hg) /.test(` ${value} `);
  }
  return areas;
}

const HUGE = /^(AnonHugePages|ShmemPmdMapped|FilePmdMapped)$/;

/** A number of kB. */
function pages(value: string): number {
  return (Number.parseInt(value, 10) * 1024) / PAGE_SIZE;
}

/** The line of /proc/PID/maps that begins an area, if it is one of the inode. */
function parseArea(line: string, inode: Inode): Area | undefined {
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

function read(pid: number, file: string): string {
  const text = readOf(pid, file);
  if (text !== '') return text;
  const tid = livingThread(pid);
  return tid === pid ? '' : readOf(tid, file);
}

function readOf(tid: number, file: string): string {
  try {
    return readFileSync(`/proc/${tid}/${file}`, 'latin1');
  } catch {
    return ''; // Gone, or another user's.
  }
}

/** Bytes an entry of /proc/PID/pagemap; its highest bit: the page is present. */
const ENTRY = 8;
const PRESENT = 0x80;

/** By page of the area: 1 where the process has it in its page table. Undefined if we cannot look. */
export function presentPages(pid: number, { start, end }: Area): Uint8Array | undefined {
  const present = new Uint8Array((end - start) / PAGE_SIZE);
  const entries = new Uint8Array(present.length * ENTRY);
  try {
    const fd = openSync(`/proc/${pid}/pagemap`, 'r');
    try {
      readSync(fd, entries, 0, entries.length, (start / PAGE_SIZE) * ENTRY);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
  for (let page = 0; page < present.length; page++) {
    if ((entries[page * ENTRY + ENTRY - 1] as number) & PRESENT) present[page] = 1;
  }
  return present;
}

/**
 * Forgets which pages a process has accessed; false if we may not. What is accessed from here on is
 * told by {@link areaPagesOf}.
 */
export function clearReferenced(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '1');
    // Of the soft-dirty bits; it flushes the TLB, which would else go on as if nothing had been cleared.
    writeFileSync(`/proc/${pid}/clear_refs`, '4');
    return true;
  } catch {
    return false;
  }
}

/** How often pages have been moved or taken from processes behind their backs, since the machine started. */
export function pagesMoved(): string {
  // Migration sets accessed bits before Linux 6.1.
  const counters = /^(pgmigrate_success|pswpout) \d+$/gm;
  return (readFileSync('/proc/vmstat', 'latin1').match(counters) ?? []).join();
}

/** Whether what a process's pages show may be somebody else's doing: a debugger's, or a core dump's. */
export function isLookedInto(pid: number): boolean {
  const status = read(pid, 'status');
  return !/^TracerPid:\t0$/m.test(status) || /^CoreDumping:\t1$/m.test(status);
}

/** Whether shared memory may come in large pages, unasked. */
export function hasLargeShmem(): boolean {
  const THP = '/sys/kernel/mm/transparent_hugepage';
  const chosen = (file: string) => {
    try {
      return /\[(\w+)\]/.exec(readFileSync(`${THP}/${file}`, 'latin1'))?.[1] ?? 'never';
    } catch {
      return 'never';
    }
  };
  const harmless = /^(never|deny|advise|inherit)$/;
  const sizes = [8, 16, 32, 64, 128, 256, 512, 1024, 2048];
  const files = ['shmem_enabled', ...sizes.map((size) => `hugepages-${size}kB/shmem_enabled`)];
  return files.some((file) => !harmless.test(chosen(file)));
}
