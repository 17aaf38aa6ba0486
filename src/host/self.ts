/** What /proc shows of this process, which Node makes text of, or does not tell. */
import { readFileSync } from 'node:fs';
import { descriptorsOf, linkOfDescriptor } from './descriptors.js';

/** The arguments that this process was started with, each ended by NUL. */
export function commandLine(): Buffer {
  return readFileSync('/proc/self/cmdline');
}

/** The environment that it was started with, each string ended by NUL. */
export function environment(): Buffer {
  return readFileSync('/proc/self/environ');
}

/** The descriptors that it has, each with what it is of. */
export function openFiles(): { fd: number; link: string }[] {
  return descriptorsOf(process.pid).flatMap((fd) => {
    // The listing has its own descriptor, which is gone.
    const link = linkOfDescriptor(process.pid, fd);
    return link === undefined ? [] : [{ fd, link }];
  });
}
