/**
 * The part of `<drm/drm.h>` that is on syncobjs: objects of a DRM device that hold a fence each, or, with a timeline, a
 * fence for each of their points. The ioctls are in drm.ts.
 */

import { ptr, s32, s64, u32, u64, type View } from './ctype.js';
import { flags } from './flags.js';
import { doc, field, struct } from './struct.js';

/** The syncobj has a fence that is signalled. */
export const DRM_SYNCOBJ_CREATE_SIGNALED = 1 << 0;

/** Argument of DRM_IOCTL_SYNCOBJ_CREATE. */
export const drm_syncobj_create = struct('drm_syncobj_create', {
  handle: doc(u32, 'out'),
  flags: field(u32, { flags: flags({ DRM_SYNCOBJ_CREATE_SIGNALED }) }),
});
export type drm_syncobj_create = View<typeof drm_syncobj_create>;

/** Argument of DRM_IOCTL_SYNCOBJ_DESTROY. */
export const drm_syncobj_destroy = struct('drm_syncobj_destroy', {
  handle: u32,
  pad: doc(u32, 'in: 0'),
});
export type drm_syncobj_destroy = View<typeof drm_syncobj_destroy>;

/** The descriptor is that of a sync_file, not of the syncobj itself. */
export const DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE = 1 << 0;
export const DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE = 1 << 0;

/** Argument of DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD and DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE. */
export const drm_syncobj_handle = struct('drm_syncobj_handle', {
  handle: u32,
  flags: u32,
  fd: s32,
  pad: doc(u32, 'in: 0'),
});
export type drm_syncobj_handle = View<typeof drm_syncobj_handle>;

/** Argument of DRM_IOCTL_SYNCOBJ_TRANSFER. Point 0 is that of a syncobj without timeline. */
export const drm_syncobj_transfer = struct('drm_syncobj_transfer', {
  src_handle: u32,
  dst_handle: u32,
  src_point: u64,
  dst_point: u64,
  flags: u32,
  pad: doc(u32, 'in: 0'),
});
export type drm_syncobj_transfer = View<typeof drm_syncobj_transfer>;

/**
 * WAIT_ALL: until all are signalled, not only one. WAIT_FOR_SUBMIT: a syncobj may have no fence yet. WAIT_AVAILABLE:
 * until there are fences, signalled or not.
 */
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL = 1 << 0;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT = 1 << 1;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE = 1 << 2;

const WAIT = flags({
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL,
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE,
});

/** Argument of DRM_IOCTL_SYNCOBJ_WAIT. */
export const drm_syncobj_wait = struct('drm_syncobj_wait', {
  handles: doc(ptr, 'in: array of u32'),
  timeout_nsec: doc(s64, 'in: until when, in ns of CLOCK_MONOTONIC'),
  count_handles: u32,
  flags: field(u32, { flags: WAIT }),
  first_signaled: doc(u32, 'out: index of one that is signalled, without WAIT_ALL'),
  pad: u32,
});
export type drm_syncobj_wait = View<typeof drm_syncobj_wait>;

/** Argument of DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT. */
export const drm_syncobj_timeline_wait = struct('drm_syncobj_timeline_wait', {
  handles: doc(ptr, 'in: array of u32'),
  points: doc(ptr, 'in: array of u64'),
  timeout_nsec: doc(s64, 'in: until when, in ns of CLOCK_MONOTONIC'),
  count_handles: u32,
  flags: field(u32, { flags: WAIT }),
  first_signaled: doc(u32, 'out: index of one that is signalled, without WAIT_ALL'),
  pad: u32,
});
export type drm_syncobj_timeline_wait = View<typeof drm_syncobj_timeline_wait>;

/** Argument of DRM_IOCTL_SYNCOBJ_RESET and DRM_IOCTL_SYNCOBJ_SIGNAL. */
export const drm_syncobj_array = struct('drm_syncobj_array', {
  handles: doc(ptr, 'in: array of u32'),
  count_handles: u32,
  pad: doc(u32, 'in: 0'),
});
export type drm_syncobj_array = View<typeof drm_syncobj_array>;

/** The last point that there is a fence for, not the last that is signalled. */
export const DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED = 1 << 0;

/** Argument of DRM_IOCTL_SYNCOBJ_QUERY and DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL. */
export const drm_syncobj_timeline_array = struct('drm_syncobj_timeline_array', {
  handles: doc(ptr, 'in: array of u32'),
  points: doc(ptr, 'array of u64'),
  count_handles: u32,
  flags: field(u32, { flags: flags({ DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED }) }),
});
export type drm_syncobj_timeline_array = View<typeof drm_syncobj_timeline_array>;
