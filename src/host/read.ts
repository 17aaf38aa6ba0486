import { O_CLOEXEC } from '../../ioctl/index.js';
import { native } from '../native.js';

/** As long as most files of /proc are; a longer one grows it. */
let buffer = Buffer.alloc(16 * 1024);

/** The text of a file of /proc, byte by byte (latin1); empty where there is nothing, or nothing for us to read. */
export function readText(path: string): string {
  const fd = native.open(path, O_CLOEXEC, 0);
  if (fd < 0) return '';
  let length = 0;
  for (;;) {
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(length)]);
    const read = native.read(fd, buffer.subarray(length));
    if (read <= 0) break;
    length += read;
  }
  native.close(fd);
  return buffer.toString('latin1', 0, length);
}
