/**
 * `<linux/sync_file.h>`: descriptors that stand for fences.
 * Requests are matched exactly; ENOTTY for any other. Numbers 0 to 2 belonged to an interface that
 * is gone.
 */

import { charArray, ptr, s32, u32, u64, type View } from './ctype.js';
import { ioctls, iow, iowr, requests } from './ioctl.js';
import { doc, struct } from './struct.js';

/** Argument of SYNC_IOC_MERGE. */
export const sync_merge_data = struct('sync_merge_data', {
  name: doc(charArray(32), 'in: name of the new sync_file'),
  fd2: doc(s32, 'in: the descriptor of the second sync_file'),
  fence: doc(s32, 'out: the descriptor of the new sync_file'),
  flags: doc(u32, 'in: 0, else EINVAL'),
  pad: doc(u32, 'in: 0, else EINVAL'),
});
export type sync_merge_data = View<typeof sync_merge_data>;

/** What SYNC_IOC_FILE_INFO tells of one fence. */
export const sync_fence_info = struct('sync_fence_info', {
  obj_name: doc(charArray(32), 'out: name of the timeline'),
  driver_name: doc(charArray(32), 'out: name of the driver'),
  status: doc(s32, 'out: 0 active, 1 signalled, negative errno'),
  flags: doc(u32, 'out: 0'),
  timestamp_ns: doc(u64, 'out: when it was signalled, in ns of CLOCK_MONOTONIC; 0 before'),
});
export type sync_fence_info = View<typeof sync_fence_info>;

/** Argument of SYNC_IOC_FILE_INFO. */
export const sync_file_info = struct('sync_file_info', {
  name: doc(charArray(32), 'out: name of the sync_file'),
  status: doc(s32, 'out: 0 active, 1 signalled, negative errno'),
  flags: doc(u32, 'in: 0, else EINVAL'),
  num_fences: doc(u32, 'in: room in the array, 0 to ask how many; out: number of fences'),
  pad: doc(u32, 'in: 0, else EINVAL'),
  sync_fence_info: doc(ptr, 'in: address of an array of struct sync_fence_info'),
});
export type sync_file_info = View<typeof sync_file_info>;

/** Argument of SYNC_IOC_SET_DEADLINE. */
export const sync_set_deadline = struct('sync_set_deadline', {
  deadline_ns: doc(u64, 'in: when the fence is wanted by, in ns of CLOCK_MONOTONIC'),
  pad: doc(u64, 'in: 0, else EINVAL'),
});
export type sync_set_deadline = View<typeof sync_set_deadline>;

export const SYNC_IOC_MAGIC = '>';

/** The ioctls of a sync_file. */
export const sync_file_ioctls = ioctls({
  /**
   * Makes a sync_file that is signalled when both are.
   * EINVAL: flags or pad not 0. ENOENT: fd2 is no sync_file. ENOMEM. EMFILE. EFAULT.
   */
  SYNC_IOC_MERGE: iowr(SYNC_IOC_MAGIC, 3, sync_merge_data, { errors: ['EMFILE', 'ENOMEM'] }),
  /**
   * Tells the state of the sync_file and, if there is room, of each of its fences.
   * EINVAL: flags or pad not 0, or room for some fences but not for all. ENOMEM. EFAULT.
   */
  SYNC_IOC_FILE_INFO: iowr(SYNC_IOC_MAGIC, 4, sync_file_info, { errors: ['ENOMEM'] }),
  /** Hints to the fence's driver when the fence is wanted. EINVAL: pad not 0. EFAULT. */
  SYNC_IOC_SET_DEADLINE: iow(SYNC_IOC_MAGIC, 5, sync_set_deadline, { errors: [] }),
});
export const { SYNC_IOC_MERGE, SYNC_IOC_FILE_INFO, SYNC_IOC_SET_DEADLINE } =
  requests(sync_file_ioctls);
