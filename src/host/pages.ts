/** What the machine says of the pages that a process has mapped: /proc/PID/smaps, pagemap, clear_refs. */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { PAGE_SIZE } from '../mm/page.js';
import type { Inode } from './descriptors.js';
import { type Area, parseArea, readMemoryFile } from './maps.js';
import { readText } from './read.js';

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

/** Where a process has an inode mapped, and what there is to be known of the pages; none if we cannot look. */
export function areaPagesOf(pid: number, inode: Inode): AreaPages[] {
  const areas: AreaPages[] = [];
  let area: AreaPages | undefined;
  for (const line of readMemoryFile(pid, 'smaps').split('\n')) {
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
  return (readText('/proc/vmstat').match(counters) ?? []).join();
}

/** Whether shared memory may come in large pages, unasked. */
export function hasLargeShmem(): boolean {
  const THP = '/sys/kernel/mm/transparent_hugepage';
  const chosen = (file: string) => /\[(\w+)\]/.exec(readText(`${THP}/${file}`))?.[1] ?? 'never';
  const harmless = /^(never|deny|advise|inherit)$/;
  const sizes = [8, 16, 32, 64, 128, 256, 512, 1024, 2048];
  const files = ['shmem_enabled', ...sizes.map((size) => `hugepages-${size}kB/shmem_enabled`)];
  return files.some((file) => !harmless.test(chosen(file)));
}
