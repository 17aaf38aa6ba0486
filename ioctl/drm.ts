/**
 * `<drm/drm.h>`: what every DRM device answers; drm_mode.ts has the structs of its displays, drm_syncobj.ts
 * those of its syncobjs.
 * Requests are matched by number: a shorter or longer struct is filled up with zeros or cut off. EINVAL for an
 * unknown number. Left out is what only drivers of the time before GEM had (DRM1: locks, contexts, maps, AGP, DMA
 * by buffer lists, interrupts, statistics).
 */

import { ptr, s32, s64, u16, u32, u64, type View } from './ctype.js';
import {
  drm_mode_atomic,
  drm_mode_card_res,
  drm_mode_connector_set_property,
  drm_mode_create_blob,
  drm_mode_create_dumb,
  drm_mode_create_lease,
  drm_mode_crtc,
  drm_mode_crtc_lut,
  drm_mode_crtc_page_flip,
  drm_mode_cursor,
  drm_mode_cursor2,
  drm_mode_destroy_blob,
  drm_mode_destroy_dumb,
  drm_mode_fb_cmd,
  drm_mode_fb_cmd2,
  drm_mode_fb_dirty_cmd,
  drm_mode_get_blob,
  drm_mode_get_connector,
  drm_mode_get_encoder,
  drm_mode_get_lease,
  drm_mode_get_plane,
  drm_mode_get_plane_res,
  drm_mode_get_property,
  drm_mode_list_lessees,
  drm_mode_map_dumb,
  drm_mode_mode_cmd,
  drm_mode_obj_get_properties,
  drm_mode_obj_set_property,
  drm_mode_revoke_lease,
  drm_mode_set_plane,
} from './drm_mode.js';
import {
  drm_syncobj_array,
  drm_syncobj_create,
  drm_syncobj_destroy,
  drm_syncobj_handle,
  drm_syncobj_timeline_array,
  drm_syncobj_timeline_wait,
  drm_syncobj_transfer,
  drm_syncobj_wait,
} from './drm_syncobj.js';
import { O_CLOEXEC, O_RDWR } from './fcntl.js';
import { choice, flags } from './flags.js';
import { io, ioctls, ior, iow, iowr, requests } from './ioctl.js';
import { doc, field, struct, union } from './struct.js';

/** A rectangle; x2 and y2 are outside. */
export const drm_clip_rect = struct('drm_clip_rect', {
  x1: u16,
  y1: u16,
  x2: u16,
  y2: u16,
});
export type drm_clip_rect = View<typeof drm_clip_rect>;

/** Argument of DRM_IOCTL_VERSION. A string is filled as far as there is room; it has no NUL. */
export const drm_version = struct('drm_version', {
  version_major: doc(s32, 'out'),
  version_minor: s32,
  version_patchlevel: s32,
  name_len: doc(u64, 'in: room; out: bytes'),
  name: ptr,
  date_len: doc(u64, 'in: room; out: bytes'),
  date: ptr,
  desc_len: doc(u64, 'in: room; out: bytes'),
  desc: ptr,
});
export type drm_version = View<typeof drm_version>;

/** Argument of DRM_IOCTL_GET_UNIQUE. The string is given if there is room for all of it; it has no NUL. */
export const drm_unique = struct('drm_unique', {
  unique_len: doc(u64, 'in: room; out: bytes'),
  unique: ptr,
});
export type drm_unique = View<typeof drm_unique>;

/** Argument of DRM_IOCTL_GET_MAGIC and DRM_IOCTL_AUTH_MAGIC. */
export const drm_auth = struct('drm_auth', {
  magic: u32,
});
export type drm_auth = View<typeof drm_auth>;

/** Argument of DRM_IOCTL_SET_VERSION: -1 leaves a version as it is. What there is comes back. */
export const drm_set_version = struct('drm_set_version', {
  drm_di_major: s32,
  drm_di_minor: s32,
  drm_dd_major: s32,
  drm_dd_minor: s32,
});
export type drm_set_version = View<typeof drm_set_version>;

/** Argument of DRM_IOCTL_GEM_CLOSE. */
export const drm_gem_close = struct('drm_gem_close', {
  handle: u32,
  pad: u32,
});
export type drm_gem_close = View<typeof drm_gem_close>;

/** Argument of DRM_IOCTL_GEM_FLINK. */
export const drm_gem_flink = struct('drm_gem_flink', {
  handle: doc(u32, 'in'),
  name: doc(u32, 'out: a number that all clients know'),
});
export type drm_gem_flink = View<typeof drm_gem_flink>;

/** Argument of DRM_IOCTL_GEM_OPEN. */
export const drm_gem_open = struct('drm_gem_open', {
  name: doc(u32, 'in'),
  handle: doc(u32, 'out'),
  size: doc(u64, 'out: bytes'),
});
export type drm_gem_open = View<typeof drm_gem_open>;

/** What a device can be asked for with DRM_IOCTL_GET_CAP. */
export const DRM_CAP_DUMB_BUFFER = 0x1;
export const DRM_CAP_VBLANK_HIGH_CRTC = 0x2;
export const DRM_CAP_DUMB_PREFERRED_DEPTH = 0x3;
export const DRM_CAP_DUMB_PREFER_SHADOW = 0x4;
export const DRM_CAP_PRIME = 0x5;
export const DRM_CAP_TIMESTAMP_MONOTONIC = 0x6;
export const DRM_CAP_ASYNC_PAGE_FLIP = 0x7;
export const DRM_CAP_CURSOR_WIDTH = 0x8;
export const DRM_CAP_CURSOR_HEIGHT = 0x9;
export const DRM_CAP_ADDFB2_MODIFIERS = 0x10;
export const DRM_CAP_PAGE_FLIP_TARGET = 0x11;
export const DRM_CAP_CRTC_IN_VBLANK_EVENT = 0x12;
export const DRM_CAP_SYNCOBJ = 0x13;
export const DRM_CAP_SYNCOBJ_TIMELINE = 0x14;

/** The value of DRM_CAP_PRIME. */
export const DRM_PRIME_CAP_IMPORT = 0x1;
export const DRM_PRIME_CAP_EXPORT = 0x2;

/** Argument of DRM_IOCTL_GET_CAP. */
export const drm_get_cap = struct('drm_get_cap', {
  capability: doc(u64, 'in: DRM_CAP_*'),
  value: doc(u64, 'out'),
});
export type drm_get_cap = View<typeof drm_get_cap>;

/** What a client can ask for with DRM_IOCTL_SET_CLIENT_CAP. */
export const DRM_CLIENT_CAP_STEREO_3D = 1;
export const DRM_CLIENT_CAP_UNIVERSAL_PLANES = 2;
export const DRM_CLIENT_CAP_ATOMIC = 3;
export const DRM_CLIENT_CAP_ASPECT_RATIO = 4;
export const DRM_CLIENT_CAP_WRITEBACK_CONNECTORS = 5;

/** Argument of DRM_IOCTL_SET_CLIENT_CAP. */
export const drm_set_client_cap = struct('drm_set_client_cap', {
  capability: doc(u64, 'in: DRM_CLIENT_CAP_*'),
  value: doc(u64, 'in'),
});
export type drm_set_client_cap = View<typeof drm_set_client_cap>;

/** Of the descriptor of a dma-buf. */
export const DRM_RDWR = O_RDWR;
export const DRM_CLOEXEC = O_CLOEXEC;

/** Argument of DRM_IOCTL_PRIME_HANDLE_TO_FD and DRM_IOCTL_PRIME_FD_TO_HANDLE. */
export const drm_prime_handle = struct('drm_prime_handle', {
  handle: doc(u32, 'the GEM object'),
  flags: field(u32, {
    doc: 'in: DRM_RDWR, DRM_CLOEXEC, for HANDLE_TO_FD',
    flags: flags({ DRM_RDWR, DRM_CLOEXEC }),
  }),
  fd: doc(s32, 'the descriptor of the dma-buf'),
});
export type drm_prime_handle = View<typeof drm_prime_handle>;

/** What to wait for, in `type` of DRM_IOCTL_WAIT_VBLANK: how `sequence` counts, whose blanking, and how to be told. */
export const _DRM_VBLANK_ABSOLUTE = 0;
export const _DRM_VBLANK_RELATIVE = 1;
export const _DRM_VBLANK_HIGH_CRTC_MASK = 0x3e;
export const _DRM_VBLANK_EVENT = 0x4000000;
export const _DRM_VBLANK_FLIP = 0x8000000;
export const _DRM_VBLANK_NEXTONMISS = 0x10000000;
export const _DRM_VBLANK_SECONDARY = 0x20000000;
export const _DRM_VBLANK_SIGNAL = 0x40000000;
export const _DRM_VBLANK_HIGH_CRTC_SHIFT = 1;
export const _DRM_VBLANK_TYPES_MASK = _DRM_VBLANK_ABSOLUTE | _DRM_VBLANK_RELATIVE;
export const _DRM_VBLANK_FLAGS_MASK =
  _DRM_VBLANK_EVENT | _DRM_VBLANK_SIGNAL | _DRM_VBLANK_SECONDARY | _DRM_VBLANK_NEXTONMISS;

const VBLANK = [
  ...choice(_DRM_VBLANK_TYPES_MASK, { _DRM_VBLANK_ABSOLUTE, _DRM_VBLANK_RELATIVE }),
  ...flags({
    _DRM_VBLANK_EVENT,
    _DRM_VBLANK_FLIP,
    _DRM_VBLANK_NEXTONMISS,
    _DRM_VBLANK_SECONDARY,
    _DRM_VBLANK_SIGNAL,
  }),
];

/** What DRM_IOCTL_WAIT_VBLANK is given. */
export const drm_wait_vblank_request = struct('drm_wait_vblank_request', {
  type: field(u32, { flags: VBLANK }),
  sequence: u32,
  signal: doc(u64, 'comes back in the event'),
});
export type drm_wait_vblank_request = View<typeof drm_wait_vblank_request>;

/** What DRM_IOCTL_WAIT_VBLANK gives. */
export const drm_wait_vblank_reply = struct('drm_wait_vblank_reply', {
  type: field(u32, { flags: VBLANK }),
  sequence: u32,
  tval_sec: s64,
  tval_usec: s64,
});
export type drm_wait_vblank_reply = View<typeof drm_wait_vblank_reply>;

/** Argument of DRM_IOCTL_WAIT_VBLANK. */
export const drm_wait_vblank = union('drm_wait_vblank', {
  request: drm_wait_vblank_request,
  reply: drm_wait_vblank_reply,
});
export type drm_wait_vblank = View<typeof drm_wait_vblank>;

/** Argument of DRM_IOCTL_CRTC_GET_SEQUENCE. */
export const drm_crtc_get_sequence = struct('drm_crtc_get_sequence', {
  crtc_id: doc(u32, 'in'),
  active: doc(u32, 'out: whether it is on'),
  sequence: doc(u64, 'out: number of the last vertical blanking'),
  sequence_ns: doc(s64, 'out: when the first pixel behind it went out, in ns of CLOCK_MONOTONIC'),
});
export type drm_crtc_get_sequence = View<typeof drm_crtc_get_sequence>;

/** The frame counts from the current one; the next one if it was missed. */
export const DRM_CRTC_SEQUENCE_RELATIVE = 0x00000001;
export const DRM_CRTC_SEQUENCE_NEXT_ON_MISS = 0x00000002;

/** Argument of DRM_IOCTL_CRTC_QUEUE_SEQUENCE. */
export const drm_crtc_queue_sequence = struct('drm_crtc_queue_sequence', {
  crtc_id: u32,
  flags: field(u32, {
    flags: flags({ DRM_CRTC_SEQUENCE_RELATIVE, DRM_CRTC_SEQUENCE_NEXT_ON_MISS }),
  }),
  sequence: doc(u64, 'in: the frame; out: which one it will be'),
  user_data: doc(u64, 'in: comes back in the event'),
});
export type drm_crtc_queue_sequence = View<typeof drm_crtc_queue_sequence>;

/** What read(2) of a device gives: events, each as long as it says. */
export const drm_event = struct('drm_event', {
  type: doc(u32, 'DRM_EVENT_*'),
  length: doc(u32, 'bytes, this header included'),
});
export type drm_event = View<typeof drm_event>;

export const DRM_EVENT_VBLANK = 0x01;
export const DRM_EVENT_FLIP_COMPLETE = 0x02;
export const DRM_EVENT_CRTC_SEQUENCE = 0x03;

/** DRM_EVENT_VBLANK and DRM_EVENT_FLIP_COMPLETE. */
export const drm_event_vblank = struct('drm_event_vblank', {
  base: drm_event,
  user_data: u64,
  tv_sec: u32,
  tv_usec: u32,
  sequence: u32,
  crtc_id: doc(u32, '0 on old kernels'),
});
export type drm_event_vblank = View<typeof drm_event_vblank>;

/** DRM_EVENT_CRTC_SEQUENCE. */
export const drm_event_crtc_sequence = struct('drm_event_crtc_sequence', {
  base: drm_event,
  user_data: u64,
  time_ns: doc(s64, 'ns of CLOCK_MONOTONIC'),
  sequence: u64,
});
export type drm_event_crtc_sequence = View<typeof drm_event_crtc_sequence>;

export const DRM_IOCTL_BASE = 'd';

/** The numbers that are the drivers' own: from the first up to the second, which is none. */
export const DRM_COMMAND_BASE = 0x40;
export const DRM_COMMAND_END = 0xa0;

/** The ioctls of a DRM device. */
export const drm_ioctls = ioctls({
  /** Names the driver. */
  DRM_IOCTL_VERSION: iowr(DRM_IOCTL_BASE, 0x00, drm_version),
  DRM_IOCTL_GET_UNIQUE: iowr(DRM_IOCTL_BASE, 0x01, drm_unique),
  DRM_IOCTL_GET_MAGIC: ior(DRM_IOCTL_BASE, 0x02, drm_auth),
  /** Says which version of the interface the client speaks. EINVAL: none that there is. */
  DRM_IOCTL_SET_VERSION: iowr(DRM_IOCTL_BASE, 0x07, drm_set_version),
  /** Gives a GEM object back. EINVAL: no such handle. */
  DRM_IOCTL_GEM_CLOSE: iow(DRM_IOCTL_BASE, 0x09, drm_gem_close),
  DRM_IOCTL_GEM_FLINK: iowr(DRM_IOCTL_BASE, 0x0a, drm_gem_flink),
  DRM_IOCTL_GEM_OPEN: iowr(DRM_IOCTL_BASE, 0x0b, drm_gem_open),
  /** Asks what the device can do. EINVAL: it does not know. */
  DRM_IOCTL_GET_CAP: iowr(DRM_IOCTL_BASE, 0x0c, drm_get_cap),
  /** Asks for what old clients would not expect. EINVAL: not known. EOPNOTSUPP. */
  DRM_IOCTL_SET_CLIENT_CAP: iow(DRM_IOCTL_BASE, 0x0d, drm_set_client_cap),
  DRM_IOCTL_AUTH_MAGIC: iow(DRM_IOCTL_BASE, 0x11, drm_auth),
  /** Becomes the one who may set modes. EBUSY: another is. EACCES. */
  DRM_IOCTL_SET_MASTER: io(DRM_IOCTL_BASE, 0x1e),
  /** Ends that. EINVAL: it was not. */
  DRM_IOCTL_DROP_MASTER: io(DRM_IOCTL_BASE, 0x1f),
  /** Exports a GEM object as a dma-buf. ENOENT: no such handle. EINVAL. EMFILE. */
  DRM_IOCTL_PRIME_HANDLE_TO_FD: iowr(DRM_IOCTL_BASE, 0x2d, drm_prime_handle),
  /** Imports a dma-buf as a GEM object. EBADF. EINVAL: no dma-buf. */
  DRM_IOCTL_PRIME_FD_TO_HANDLE: iowr(DRM_IOCTL_BASE, 0x2e, drm_prime_handle),
  /** Waits for a frame, or has an event sent. */
  DRM_IOCTL_WAIT_VBLANK: iowr(DRM_IOCTL_BASE, 0x3a, drm_wait_vblank),
  DRM_IOCTL_CRTC_GET_SEQUENCE: iowr(DRM_IOCTL_BASE, 0x3b, drm_crtc_get_sequence),
  DRM_IOCTL_CRTC_QUEUE_SEQUENCE: iowr(DRM_IOCTL_BASE, 0x3c, drm_crtc_queue_sequence),
  DRM_IOCTL_MODE_GETRESOURCES: iowr(DRM_IOCTL_BASE, 0xa0, drm_mode_card_res),
  DRM_IOCTL_MODE_GETCRTC: iowr(DRM_IOCTL_BASE, 0xa1, drm_mode_crtc),
  DRM_IOCTL_MODE_SETCRTC: iowr(DRM_IOCTL_BASE, 0xa2, drm_mode_crtc),
  DRM_IOCTL_MODE_CURSOR: iowr(DRM_IOCTL_BASE, 0xa3, drm_mode_cursor),
  DRM_IOCTL_MODE_GETGAMMA: iowr(DRM_IOCTL_BASE, 0xa4, drm_mode_crtc_lut),
  DRM_IOCTL_MODE_SETGAMMA: iowr(DRM_IOCTL_BASE, 0xa5, drm_mode_crtc_lut),
  DRM_IOCTL_MODE_GETENCODER: iowr(DRM_IOCTL_BASE, 0xa6, drm_mode_get_encoder),
  DRM_IOCTL_MODE_GETCONNECTOR: iowr(DRM_IOCTL_BASE, 0xa7, drm_mode_get_connector),
  DRM_IOCTL_MODE_ATTACHMODE: iowr(DRM_IOCTL_BASE, 0xa8, drm_mode_mode_cmd),
  DRM_IOCTL_MODE_DETACHMODE: iowr(DRM_IOCTL_BASE, 0xa9, drm_mode_mode_cmd),
  DRM_IOCTL_MODE_GETPROPERTY: iowr(DRM_IOCTL_BASE, 0xaa, drm_mode_get_property),
  DRM_IOCTL_MODE_SETPROPERTY: iowr(DRM_IOCTL_BASE, 0xab, drm_mode_connector_set_property),
  DRM_IOCTL_MODE_GETPROPBLOB: iowr(DRM_IOCTL_BASE, 0xac, drm_mode_get_blob),
  DRM_IOCTL_MODE_GETFB: iowr(DRM_IOCTL_BASE, 0xad, drm_mode_fb_cmd),
  DRM_IOCTL_MODE_ADDFB: iowr(DRM_IOCTL_BASE, 0xae, drm_mode_fb_cmd),
  /** Removes a framebuffer, given by its number. ENOENT: there is none. */
  DRM_IOCTL_MODE_RMFB: iowr(DRM_IOCTL_BASE, 0xaf, u32),
  /** Shows another framebuffer from the next frame on. EBUSY: one is waiting already. */
  DRM_IOCTL_MODE_PAGE_FLIP: iowr(DRM_IOCTL_BASE, 0xb0, drm_mode_crtc_page_flip),
  DRM_IOCTL_MODE_DIRTYFB: iowr(DRM_IOCTL_BASE, 0xb1, drm_mode_fb_dirty_cmd),
  /** Makes a buffer that the device can show, and the processor draw into. ENOSYS: it has none. */
  DRM_IOCTL_MODE_CREATE_DUMB: iowr(DRM_IOCTL_BASE, 0xb2, drm_mode_create_dumb),
  /** Gives the offset for mmap(2). */
  DRM_IOCTL_MODE_MAP_DUMB: iowr(DRM_IOCTL_BASE, 0xb3, drm_mode_map_dumb),
  DRM_IOCTL_MODE_DESTROY_DUMB: iowr(DRM_IOCTL_BASE, 0xb4, drm_mode_destroy_dumb),
  DRM_IOCTL_MODE_GETPLANERESOURCES: iowr(DRM_IOCTL_BASE, 0xb5, drm_mode_get_plane_res),
  DRM_IOCTL_MODE_GETPLANE: iowr(DRM_IOCTL_BASE, 0xb6, drm_mode_get_plane),
  DRM_IOCTL_MODE_SETPLANE: iowr(DRM_IOCTL_BASE, 0xb7, drm_mode_set_plane),
  /** Makes a framebuffer of GEM objects. EINVAL: a format, a size. ENOENT: no such handle. */
  DRM_IOCTL_MODE_ADDFB2: iowr(DRM_IOCTL_BASE, 0xb8, drm_mode_fb_cmd2),
  DRM_IOCTL_MODE_OBJ_GETPROPERTIES: iowr(DRM_IOCTL_BASE, 0xb9, drm_mode_obj_get_properties),
  DRM_IOCTL_MODE_OBJ_SETPROPERTY: iowr(DRM_IOCTL_BASE, 0xba, drm_mode_obj_set_property),
  DRM_IOCTL_MODE_CURSOR2: iowr(DRM_IOCTL_BASE, 0xbb, drm_mode_cursor2),
  /** Sets properties of many objects, all or none. */
  DRM_IOCTL_MODE_ATOMIC: iowr(DRM_IOCTL_BASE, 0xbc, drm_mode_atomic),
  DRM_IOCTL_MODE_CREATEPROPBLOB: iowr(DRM_IOCTL_BASE, 0xbd, drm_mode_create_blob),
  DRM_IOCTL_MODE_DESTROYPROPBLOB: iowr(DRM_IOCTL_BASE, 0xbe, drm_mode_destroy_blob),
  DRM_IOCTL_SYNCOBJ_CREATE: iowr(DRM_IOCTL_BASE, 0xbf, drm_syncobj_create),
  DRM_IOCTL_SYNCOBJ_DESTROY: iowr(DRM_IOCTL_BASE, 0xc0, drm_syncobj_destroy),
  DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD: iowr(DRM_IOCTL_BASE, 0xc1, drm_syncobj_handle),
  DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE: iowr(DRM_IOCTL_BASE, 0xc2, drm_syncobj_handle),
  /** Waits for fences. ETIME: they were not signalled by then. EINVAL: a syncobj without a fence. */
  DRM_IOCTL_SYNCOBJ_WAIT: iowr(DRM_IOCTL_BASE, 0xc3, drm_syncobj_wait),
  DRM_IOCTL_SYNCOBJ_RESET: iowr(DRM_IOCTL_BASE, 0xc4, drm_syncobj_array),
  DRM_IOCTL_SYNCOBJ_SIGNAL: iowr(DRM_IOCTL_BASE, 0xc5, drm_syncobj_array),
  DRM_IOCTL_MODE_CREATE_LEASE: iowr(DRM_IOCTL_BASE, 0xc6, drm_mode_create_lease),
  DRM_IOCTL_MODE_LIST_LESSEES: iowr(DRM_IOCTL_BASE, 0xc7, drm_mode_list_lessees),
  DRM_IOCTL_MODE_GET_LEASE: iowr(DRM_IOCTL_BASE, 0xc8, drm_mode_get_lease),
  DRM_IOCTL_MODE_REVOKE_LEASE: iowr(DRM_IOCTL_BASE, 0xc9, drm_mode_revoke_lease),
  DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT: iowr(DRM_IOCTL_BASE, 0xca, drm_syncobj_timeline_wait),
  DRM_IOCTL_SYNCOBJ_QUERY: iowr(DRM_IOCTL_BASE, 0xcb, drm_syncobj_timeline_array),
  DRM_IOCTL_SYNCOBJ_TRANSFER: iowr(DRM_IOCTL_BASE, 0xcc, drm_syncobj_transfer),
  DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL: iowr(DRM_IOCTL_BASE, 0xcd, drm_syncobj_timeline_array),
  DRM_IOCTL_MODE_GETFB2: iowr(DRM_IOCTL_BASE, 0xce, drm_mode_fb_cmd2),
});
export const {
  DRM_IOCTL_VERSION,
  DRM_IOCTL_GET_UNIQUE,
  DRM_IOCTL_GET_MAGIC,
  DRM_IOCTL_SET_VERSION,
  DRM_IOCTL_GEM_CLOSE,
  DRM_IOCTL_GEM_FLINK,
  DRM_IOCTL_GEM_OPEN,
  DRM_IOCTL_GET_CAP,
  DRM_IOCTL_SET_CLIENT_CAP,
  DRM_IOCTL_AUTH_MAGIC,
  DRM_IOCTL_SET_MASTER,
  DRM_IOCTL_DROP_MASTER,
  DRM_IOCTL_PRIME_HANDLE_TO_FD,
  DRM_IOCTL_PRIME_FD_TO_HANDLE,
  DRM_IOCTL_WAIT_VBLANK,
  DRM_IOCTL_CRTC_GET_SEQUENCE,
  DRM_IOCTL_CRTC_QUEUE_SEQUENCE,
  DRM_IOCTL_MODE_GETRESOURCES,
  DRM_IOCTL_MODE_GETCRTC,
  DRM_IOCTL_MODE_SETCRTC,
  DRM_IOCTL_MODE_CURSOR,
  DRM_IOCTL_MODE_GETGAMMA,
  DRM_IOCTL_MODE_SETGAMMA,
  DRM_IOCTL_MODE_GETENCODER,
  DRM_IOCTL_MODE_GETCONNECTOR,
  DRM_IOCTL_MODE_ATTACHMODE,
  DRM_IOCTL_MODE_DETACHMODE,
  DRM_IOCTL_MODE_GETPROPERTY,
  DRM_IOCTL_MODE_SETPROPERTY,
  DRM_IOCTL_MODE_GETPROPBLOB,
  DRM_IOCTL_MODE_GETFB,
  DRM_IOCTL_MODE_ADDFB,
  DRM_IOCTL_MODE_RMFB,
  DRM_IOCTL_MODE_PAGE_FLIP,
  DRM_IOCTL_MODE_DIRTYFB,
  DRM_IOCTL_MODE_CREATE_DUMB,
  DRM_IOCTL_MODE_MAP_DUMB,
  DRM_IOCTL_MODE_DESTROY_DUMB,
  DRM_IOCTL_MODE_GETPLANERESOURCES,
  DRM_IOCTL_MODE_GETPLANE,
  DRM_IOCTL_MODE_SETPLANE,
  DRM_IOCTL_MODE_ADDFB2,
  DRM_IOCTL_MODE_OBJ_GETPROPERTIES,
  DRM_IOCTL_MODE_OBJ_SETPROPERTY,
  DRM_IOCTL_MODE_CURSOR2,
  DRM_IOCTL_MODE_ATOMIC,
  DRM_IOCTL_MODE_CREATEPROPBLOB,
  DRM_IOCTL_MODE_DESTROYPROPBLOB,
  DRM_IOCTL_SYNCOBJ_CREATE,
  DRM_IOCTL_SYNCOBJ_DESTROY,
  DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD,
  DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE,
  DRM_IOCTL_SYNCOBJ_WAIT,
  DRM_IOCTL_SYNCOBJ_RESET,
  DRM_IOCTL_SYNCOBJ_SIGNAL,
  DRM_IOCTL_MODE_CREATE_LEASE,
  DRM_IOCTL_MODE_LIST_LESSEES,
  DRM_IOCTL_MODE_GET_LEASE,
  DRM_IOCTL_MODE_REVOKE_LEASE,
  DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT,
  DRM_IOCTL_SYNCOBJ_QUERY,
  DRM_IOCTL_SYNCOBJ_TRANSFER,
  DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL,
  DRM_IOCTL_MODE_GETFB2,
} = requests(drm_ioctls);
