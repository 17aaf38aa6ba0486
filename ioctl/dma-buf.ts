/**
 * `<linux/dma-buf.h>`: what every dma-buf descriptor answers, whoever exported it.
 * Requests are matched exactly; ENOTTY for any other.
 */

import { cstring, ptr, s32, u32, u64, type View } from './ctype.js';
import { choice, flags } from './flags.js';
import { ioctls, iow, iowr, requests } from './ioctl.js';
import { doc, field, struct } from './struct.js';

/** The processor reads the mapping. */
export const DMA_BUF_SYNC_READ = 1 << 0;
/** The processor writes the mapping. */
export const DMA_BUF_SYNC_WRITE = 2 << 0;
export const DMA_BUF_SYNC_RW = DMA_BUF_SYNC_READ | DMA_BUF_SYNC_WRITE;
/** Access begins: the absence of DMA_BUF_SYNC_END. */
export const DMA_BUF_SYNC_START = 0 << 2;
/** Access is over. */
export const DMA_BUF_SYNC_END = 1 << 2;
export const DMA_BUF_SYNC_VALID_FLAGS_MASK = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END;

/** Bytes of a buffer's name, its NUL included. */
export const DMA_BUF_NAME_LEN = 32;

const ACCESS = flags({ DMA_BUF_SYNC_RW, DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE });

/** Argument of DMA_BUF_IOCTL_SYNC: brackets the processor's access to a mapping. */
export const dma_buf_sync = struct('dma_buf_sync', {
  flags: field(u64, {
    doc: 'in: DMA_BUF_SYNC_START or _END, with the same _READ, _WRITE or _RW in both',
    flags: [...choice(DMA_BUF_SYNC_END, { DMA_BUF_SYNC_START, DMA_BUF_SYNC_END }), ...ACCESS],
  }),
});
export type dma_buf_sync = View<typeof dma_buf_sync>;

/** Argument of DMA_BUF_IOCTL_EXPORT_SYNC_FILE. */
export const dma_buf_export_sync_file = struct('dma_buf_export_sync_file', {
  flags: field(u32, {
    doc: 'in: DMA_BUF_SYNC_READ to wait for the writers, _WRITE or _RW for all users; not 0',
    flags: ACCESS,
  }),
  fd: doc(s32, 'out: the descriptor of the sync_file'),
});
export type dma_buf_export_sync_file = View<typeof dma_buf_export_sync_file>;

/** Argument of DMA_BUF_IOCTL_IMPORT_SYNC_FILE. */
export const dma_buf_import_sync_file = struct('dma_buf_import_sync_file', {
  flags: field(u32, {
    doc: 'in: DMA_BUF_SYNC_READ to hold up later writers, _WRITE or _RW all later users; not 0',
    flags: ACCESS,
  }),
  fd: doc(s32, 'in: the descriptor of a sync_file'),
});
export type dma_buf_import_sync_file = View<typeof dma_buf_import_sync_file>;

export const DMA_BUF_BASE = 'b';

/** The ioctls of a dma-buf. */
export const dma_buf_ioctls = ioctls({
  /**
   * Makes memory and caches agree at the start and at the end of the processor's access.
   * It does not wait for devices that are no part of the buffer's fences, nor lock anybody out.
   * EINVAL: unknown flags, or neither read nor write. EFAULT. EAGAIN, EINTR: to be made again.
   */
  DMA_BUF_IOCTL_SYNC: iow(DMA_BUF_BASE, 0, dma_buf_sync, { errors: ['EAGAIN', 'EINTR'] }),
  /** DMA_BUF_SET_NAME with the number that 32-bit Android took for it. */
  DMA_BUF_SET_NAME_A: iow(DMA_BUF_BASE, 1, u32, { arg: cstring, errors: ['ENOMEM'] }),
  /**
   * Names the buffer for `fdinfo` and debugfs; an empty string is a name too.
   * EINVAL: DMA_BUF_NAME_LEN bytes or more without the NUL. ENOMEM. EFAULT.
   */
  DMA_BUF_SET_NAME_B: iow(DMA_BUF_BASE, 1, u64, { arg: cstring, errors: ['ENOMEM'] }),
  /**
   * Gives the fences that are on the buffer now as a sync_file (since Linux 6.0).
   * EINVAL: unknown flags, or neither read nor write. ENOMEM. EMFILE. EFAULT.
   */
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE: iowr(DMA_BUF_BASE, 2, dma_buf_export_sync_file, {
    errors: ['EMFILE', 'ENOMEM'],
  }),
  /**
   * Adds the fence of a sync_file to the buffer (since Linux 6.0).
   * EINVAL: as above, or `fd` is no sync_file. ENOMEM. EFAULT.
   */
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE: iow(DMA_BUF_BASE, 3, dma_buf_import_sync_file, {
    errors: ['ENOMEM'],
  }),
});
export const {
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
} = requests(dma_buf_ioctls);

/** The number as C computes it from `const char *`: that of DMA_BUF_SET_NAME_B on 64-bit hosts. */
export const DMA_BUF_SET_NAME = iow(DMA_BUF_BASE, 1, ptr, { arg: cstring }).request;
