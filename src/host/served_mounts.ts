/**
 * Where file systems are mounted, above all those that programs serve (FUSE). To look into one is to wait for such a program, which may
 * itself be waiting for us.
 */
import { readFileSync } from 'node:fs';
import { O_CLOEXEC, POLLPRI } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';

const MOUNTINFO = '/proc/self/mountinfo';
const NOW = 0;

/** id parent device root point options [tag ...] - type source options */
const MOUNT = /^\S+ \S+ (\S+) \S+ (\S+) /gm;
const FUSE_MOUNT = /^\S+ \S+ \S+ \S+ (\S+) .* - fuse\S* /gm;
/** Blanks and the like are written in octal. */
const ESCAPE = /\\([0-7]{3})/g;
const character = (_: string, octal: string) => String.fromCharCode(Number.parseInt(octal, 8));

/** struct pollfd of the table of mounts: ready when that has changed since it was last asked. */
let changes: Uint8Array | undefined;
/** Who tells us of changes, so that we need not ask. */
let watchers = 0;
let points: string[] = [];
/** Where each file system is mounted, by its st_dev, `major:minor`. */
let pointsByDev: ReadonlyMap<string, readonly string[]> = new Map();

function refresh(): void {
  if (changes === undefined || watchers === 0) lookAtMounts();
}

/** Asks whether mounts have changed, by a descriptor that nobody else asks: each is told of a change once. */
export function lookAtMounts(): void {
  if (changes === undefined) {
    const fd = orThrow(native.open(MOUNTINFO, O_CLOEXEC, 0));
    changes = new Uint8Array(new Int32Array([fd, POLLPRI]).buffer);
  } else if (native.poll(changes, NOW) === 0) return;
  read();
}

function read(): void {
  const text = readFileSync(MOUNTINFO, 'latin1');
  points = [...text.matchAll(FUSE_MOUNT)].map(([, point]) => pathOf(point as string));
  const byDev = new Map<string, string[]>();
  for (const [, dev, point] of text.matchAll(MOUNT)) {
    const others = byDev.get(dev as string) ?? [];
    byDev.set(dev as string, [...others, pathOf(point as string)]);
  }
  pointsByDev = byDev;
}

/**
 * A descriptor that has EPOLLPRI when mounts have changed, for an epoll instance. Until {@link unwatchMounts} whoever has it
 * says so by {@link mountsChanged} before anything is asked here, and calls {@link lookAtMounts} whenever somebody else may
 * have polled that instance: the poll takes the event away.
 */
export function watchMounts(): number {
  const fd = orThrow(native.open(MOUNTINFO, O_CLOEXEC, 0));
  watchers++;
  read();
  return fd;
}

export function unwatchMounts(fd: number): void {
  watchers--;
  native.close(fd);
}

export const mountsChanged = read;

function pathOf(field: string): string {
  return Buffer.from(field.replace(ESCAPE, character), 'latin1').toString();
}

/**
 * Where file systems are mounted, by st_dev, `major:minor`, as {@link anyServed} has found it last; another object when
 * anything has changed.
 */
export function mountPoints(): ReadonlyMap<string, readonly string[]> {
  if (changes === undefined) refresh();
  return pointsByDev;
}

/** Whether an absolute path, in which nothing is followed, lies within such a file system, of those that {@link anyServed} has found. */
export function isServed(path: string): boolean {
  return points.some((point) => path === point || path.startsWith(`${point}/`));
}

/** Whether there is any, as of now. */
export function anyServed(): boolean {
  refresh();
  return points.length > 0;
}
