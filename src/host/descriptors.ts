/** /proc/TID/fd and fdinfo, /proc/TID/cwd: what processes have open. */
import { readdirSync } from 'node:fs';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../ioctl/index.js';
import { AT_FDCWD, AT_STATX_DONT_SYNC } from '../abi/constants.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { readText } from './read.js';
import { processes } from './threads.js';

/** An inode, by the fields that stat(2) gives. */
export interface Inode {
  dev: number;
  ino: number;
}

const stat = new Float64Array(STAT_FIELDS);

/** The path of a descriptor of a thread's: to open what it is of once more. */
export function pathOfDescriptor(tid: number, fd: number): string {
  return `/proc/${tid}/fd/${fd}`;
}

/** The same for one of this process's. */
export function pathOfOwn(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** A thread's descriptors as a directory, for {@link Native.fstatNumber}: a negative errno if it is gone. */
export function openDescriptors(tid: number): number {
  return native.open(`/proc/${tid}/fd`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/**
 * fstat(2) of a thread's descriptor; a negative errno if there is none. A program that serves the file is not asked
 * for the latest: it may be waiting for us.
 */
export function statDescriptor(tid: number, fd: number, out: Float64Array): number {
  return native.fstatat(AT_FDCWD, pathOfDescriptor(tid, fd), AT_STATX_DONT_SYNC, out);
}

/** What a thread's descriptor points at, as the machine has it. */
export function linkOfDescriptor(tid: number, fd: number): string | undefined {
  return textOf(native.readlink(pathOfDescriptor(tid, fd)));
}

/** What leads to a thread's working directory. */
export function pathOfCwd(tid: number): string {
  return `/proc/${tid}/cwd`;
}

/** The working directory, as the machine has it. */
export function cwdOf(tid: number): string | undefined {
  return textOf(native.readlink(pathOfCwd(tid)));
}

function textOf(link: string | number): string | undefined {
  return typeof link === 'string' ? link : undefined;
}

/** The descriptors of a thread that runs; none if it is gone, or another user's. */
export function descriptorsOf(tid: number): number[] {
  try {
    return readdirSync(`/proc/${tid}/fd`).map(Number);
  } catch {
    return [];
  }
}

/** Those of them that are of an inode. */
export function descriptorsOfInode(tid: number, { dev, ino }: Inode): number[] {
  // By names in an open directory: most of the path is looked up once for all of them.
  const folder = openDescriptors(tid);
  if (folder < 0) return [];
  const found = descriptorsOf(tid).filter((fd) => {
    if (native.fstatNumber(folder, fd, stat) < 0) return false;
    return stat[Stat.ino] === ino && stat[Stat.dev] === dev;
  });
  native.close(folder);
  return found;
}

/** The processes, other than this one, that have a descriptor of an inode. */
export function holdersOf(inode: Inode): number[] {
  return [...processes()]
    .filter(({ pid, tid }) => pid !== process.pid && descriptorsOfInode(tid, inode).length > 0)
    .map(({ pid }) => pid);
}

/** /proc/TID/fdinfo/N; empty if there is no such descriptor. */
export function fdinfoOf(tid: number, fd: number): string {
  return readText(`/proc/${tid}/fdinfo/${fd}`);
}

const FLAGS = /^flags:\t(\d+)$/m;

/** The flags of a thread's descriptor, as open(2) and fcntl(2) have set them, and O_CLOEXEC; undefined if there is none. */
export function flagsOfDescriptor(tid: number, fd: number): number | undefined {
  return flagsIn(fdinfoOf(tid, fd));
}

/** The same of a text that was read. */
export function flagsIn(fdinfo: string): number | undefined {
  const flags = FLAGS.exec(fdinfo)?.[1];
  return flags === undefined ? undefined : Number.parseInt(flags, 8);
}

/** The watches that an inotify descriptor of this process has. */
export function inotifyWatches(fd: number): Set<number> {
  const watches = fdinfoOf(process.pid, fd).matchAll(/^inotify wd:([0-9a-f]+)/gm);
  return new Set([...watches].map(([, wd]) => Number.parseInt(wd as string, 16)));
}
