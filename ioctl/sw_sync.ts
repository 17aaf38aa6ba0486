/**
 * The interface of `<debugfs>/sync/sw_sync`: timelines of fences that a program signals itself.
 * Each open file is a timeline. No header is installed for it; the layout is that of Linux's
 * drivers/dma-buf/sw_sync.c. Requests are matched exactly; ENOTTY for any other.
 */

import { charArray, s32, u32, u64, type View } from './ctype.js';
import { ioctls, iow, iowr, requests } from './ioctl.js';
import { doc, struct } from './struct.js';

/** Argument of SW_SYNC_IOC_CREATE_FENCE. */
export const sw_sync_create_fence_data = struct('sw_sync_create_fence_data', {
  value: doc(u32, 'in: the timeline value that signals the fence'),
  name: doc(charArray(32), 'in: name of the fence'),
  fence: doc(s32, 'out: the descriptor of the fence, a sync_file'),
});
export type sw_sync_create_fence_data = View<typeof sw_sync_create_fence_data>;

/** Argument of SW_SYNC_GET_DEADLINE. */
export const sw_sync_get_deadline = struct('sw_sync_get_deadline', {
  deadline_ns: doc(u64, 'in: 0, else EINVAL; out: the earliest deadline, in ns of CLOCK_MONOTONIC'),
  pad: doc(u32, 'in: 0, else EINVAL'),
  fence_fd: doc(s32, 'in: the descriptor of a sw_sync fence'),
});
export type sw_sync_get_deadline = View<typeof sw_sync_get_deadline>;

export const SW_SYNC_IOC_MAGIC = 'W';

/** The ioctls of a sw_sync timeline. */
export const sw_sync_ioctls = ioctls({
  /** Makes a fence on this timeline; it may be signalled already. ENOMEM. EMFILE. EFAULT. */
  SW_SYNC_IOC_CREATE_FENCE: iowr(SW_SYNC_IOC_MAGIC, 0, sw_sync_create_fence_data, {
    errors: ['EMFILE', 'ENOMEM'],
  }),
  /** Moves the timeline on by the given number and signals what it reaches. EFAULT. */
  SW_SYNC_IOC_INC: iow(SW_SYNC_IOC_MAGIC, 1, u32, { errors: [] }),
  /**
   * Tells the deadline of a fence.
   * EINVAL: a field not 0 that must be, or no sw_sync fence. ENOENT: no deadline was set. EFAULT.
   */
  SW_SYNC_GET_DEADLINE: iowr(SW_SYNC_IOC_MAGIC, 2, sw_sync_get_deadline, { errors: [] }),
});
export const { SW_SYNC_IOC_CREATE_FENCE, SW_SYNC_IOC_INC, SW_SYNC_GET_DEADLINE } =
  requests(sw_sync_ioctls);
