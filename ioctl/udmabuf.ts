/**
 * `<linux/udmabuf.h>`: dma-bufs made of memory that a program has already, in memfds.
 * Requests are matched exactly; ENOTTY for any other. The new descriptor is the ioctl's result.
 */

import { flexible } from './array.js';
import { u32, u64, type View } from './ctype.js';
import { flags } from './flags.js';
import { ioctls, iow, requests } from './ioctl.js';
import { doc, field, struct } from './struct.js';

/** The descriptor of the dma-buf gets FD_CLOEXEC. */
export const UDMABUF_FLAGS_CLOEXEC = 0x01;

const FLAGS = flags({ UDMABUF_FLAGS_CLOEXEC });
const MEMFD = 'in: a memfd sealed with F_SEAL_SHRINK and without F_SEAL_WRITE, else EINVAL';
const OFFSET = 'in: bytes from the start of the memfd to the window; whole pages';
const SIZE = 'in: bytes in the window; whole pages, not 0';

/** Argument of UDMABUF_CREATE. */
export const udmabuf_create = struct('udmabuf_create', {
  memfd: doc(u32, MEMFD),
  flags: field(u32, {
    doc: 'in: UDMABUF_FLAGS_CLOEXEC or 0; other bits are ignored',
    flags: FLAGS,
  }),
  offset: doc(u64, OFFSET),
  size: doc(u64, SIZE),
});
export type udmabuf_create = View<typeof udmabuf_create>;

/** One window of a udmabuf_create_list. */
export const udmabuf_create_item = struct('udmabuf_create_item', {
  memfd: doc(u32, MEMFD),
  __pad: doc(u32, 'not looked at'),
  offset: doc(u64, OFFSET),
  size: doc(u64, SIZE),
});
export type udmabuf_create_item = View<typeof udmabuf_create_item>;

/** Argument of UDMABUF_CREATE_LIST: windows that follow each other in the buffer. */
export const udmabuf_create_list = struct('udmabuf_create_list', {
  flags: field(u32, {
    doc: 'in: UDMABUF_FLAGS_CLOEXEC or 0; other bits are ignored',
    flags: FLAGS,
  }),
  count: doc(u32, 'in: number of items, from 1 to the parameter list_limit of the module (1024)'),
  list: field(flexible(udmabuf_create_item), { doc: 'in: the windows', countedBy: 'count' }),
});
export type udmabuf_create_list = View<typeof udmabuf_create_list>;

/** The ioctls of /dev/udmabuf. */
export const udmabuf_ioctls = ioctls({
  /**
   * Makes a dma-buf of one window and returns its descriptor.
   * EINVAL: a seal, an alignment, a size out of range. EBADFD: no memfd. ENOMEM. EFAULT.
   * EMFILE. ENFILE.
   */
  UDMABUF_CREATE: iow('u', 0x42, udmabuf_create, { errors: ['EMFILE', 'ENFILE', 'ENOMEM'] }),
  /** Makes one dma-buf of several windows. Errors as for UDMABUF_CREATE; EINVAL for the count. */
  UDMABUF_CREATE_LIST: iow('u', 0x43, udmabuf_create_list, {
    errors: ['EMFILE', 'ENFILE', 'ENOMEM'],
  }),
});
export const { UDMABUF_CREATE, UDMABUF_CREATE_LIST } = requests(udmabuf_ioctls);
