import { constants } from 'node:fs';
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { errno, orThrow } from '../errno.js';
import type { GeneratedFile } from '../fs/tree.js';
import { native } from '../native.js';

const MFD_CLOEXEC = 0x1;

/**
 * open(2) of a file in sysfs or debugfs: its content as of now, in a memory file that the caller reads
 * like any other. EACCES for writing.
 */
export function openGenerated(file: GeneratedFile, flags: number): number {
  if ((flags & O_ACCMODE) !== constants.O_RDONLY) throw errno('EACCES');
  return openContent(file.content(), flags);
}

/** A read-only descriptor of a text, close-on-exec. */
export function openContent(content: string, flags: number): number {
  const memfd = orThrow(native.memfdCreate('generated', MFD_CLOEXEC));
  try {
    orThrow(native.write(memfd, Buffer.from(content)));
    return orThrow(native.reopen(memfd, (flags & constants.O_NONBLOCK) | O_CLOEXEC));
  } finally {
    native.close(memfd);
  }
}
