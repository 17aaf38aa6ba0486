/**
 * Where file systems are mounted that programs serve (FUSE). To look into one is to wait for such a program, which may
 * itself be waiting for us.
 */
import { readFileSync } from 'node:fs';
import { O_CLOEXEC } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';

const MOUNTINFO = '/proc/self/mountinfo';
const POLLPRI = 0x2;
const NOW = 0;

/** id parent device root point options [tag ...] - type source options */
const FUSE_MOUNT = /^\S+ \S+ \S+ \S+ (\S+) .* - fuse\S* /gm;
/** Blanks and the like are written in octal. */
const ESCAPE = /\\([0-7]{3})/g;
const character = (_: string, octal: string) => String.fromCharCode(Number.parseInt(octal, 8));

/** struct pollfd of the table of mounts: ready when that has changed since it was last asked. */
let changes: Uint8Array | undefined;
let points: string[] = [];

function refresh(): void {
  if (changes === undefined) {
    const fd = orThrow(native.open(MOUNTINFO, O_CLOEXEC, 0));
    changes = new Uint8Array(new Int32Array([fd, POLLPRI]).buffer);
  } else if (native.poll(changes, NOW) === 0) return;
  points = [...readFileSync(MOUNTINFO, 'latin1').matchAll(FUSE_MOUNT)].map(([, point]) =>
    Buffer.from((point as string).replace(ESCAPE, character), 'latin1').toString(),
  );
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
