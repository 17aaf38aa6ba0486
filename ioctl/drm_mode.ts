/**
 * `<drm/drm_mode.h>`: displays. Objects (CRTCs, connectors, planes …) have numbers; all arrays are given by
 * their addresses, with the room that there is. The ioctls are in drm.ts, the constants in drm_mode_constants.ts.
 */

import { array } from './array.js';
import { charArray, ptr, s32, u8, u16, u32, u64, type View } from './ctype.js';
import {
  DRM_MODE_ATOMIC_ALLOW_MODESET,
  DRM_MODE_ATOMIC_NONBLOCK,
  DRM_MODE_ATOMIC_TEST_ONLY,
  DRM_MODE_CURSOR_BO,
  DRM_MODE_CURSOR_MOVE,
  DRM_MODE_FB_DIRTY_ANNOTATE_COPY,
  DRM_MODE_FB_DIRTY_ANNOTATE_FILL,
  DRM_MODE_FB_INTERLACED,
  DRM_MODE_FB_MODIFIERS,
  DRM_MODE_PAGE_FLIP_ASYNC,
  DRM_MODE_PAGE_FLIP_EVENT,
  DRM_MODE_PAGE_FLIP_TARGET_ABSOLUTE,
  DRM_MODE_PAGE_FLIP_TARGET_RELATIVE,
  DRM_MODE_PRESENT_BOTTOM_FIELD,
  DRM_MODE_PRESENT_TOP_FIELD,
  DRM_MODE_TYPE_DRIVER,
  DRM_MODE_TYPE_PREFERRED,
  DRM_MODE_TYPE_USERDEF,
  MODE_PROPERTY_FLAGS,
  MODE_SIGNAL_FLAGS,
} from './drm_mode_constants.js';
import { flags } from './flags.js';
import { anonymous, doc, field, struct, union } from './struct.js';

const TYPE = flags({ DRM_MODE_TYPE_PREFERRED, DRM_MODE_TYPE_USERDEF, DRM_MODE_TYPE_DRIVER });

/** A mode: timings in pixels and lines. */
export const drm_mode_modeinfo = struct('drm_mode_modeinfo', {
  clock: doc(u32, 'kHz'),
  hdisplay: u16,
  hsync_start: u16,
  hsync_end: u16,
  htotal: u16,
  hskew: u16,
  vdisplay: u16,
  vsync_start: u16,
  vsync_end: u16,
  vtotal: u16,
  vscan: u16,
  vrefresh: doc(u32, 'Hz, about'),
  flags: field(u32, { doc: 'DRM_MODE_FLAG_*', flags: MODE_SIGNAL_FLAGS }),
  type: field(u32, { doc: 'DRM_MODE_TYPE_*', flags: TYPE }),
  name: charArray(32),
});
export type drm_mode_modeinfo = View<typeof drm_mode_modeinfo>;

/** Argument of DRM_IOCTL_MODE_GETRESOURCES. An array is filled as far as there is room. */
export const drm_mode_card_res = struct('drm_mode_card_res', {
  fb_id_ptr: doc(ptr, 'in: array of u32'),
  crtc_id_ptr: doc(ptr, 'in: array of u32'),
  connector_id_ptr: doc(ptr, 'in: array of u32'),
  encoder_id_ptr: doc(ptr, 'in: array of u32'),
  count_fbs: doc(u32, 'in: room; out: how many there are'),
  count_crtcs: doc(u32, 'as count_fbs'),
  count_connectors: doc(u32, 'as count_fbs'),
  count_encoders: doc(u32, 'as count_fbs'),
  min_width: doc(u32, 'out: pixels of a framebuffer'),
  max_width: u32,
  min_height: u32,
  max_height: u32,
});
export type drm_mode_card_res = View<typeof drm_mode_card_res>;

/** Argument of DRM_IOCTL_MODE_GETCRTC and DRM_IOCTL_MODE_SETCRTC. */
export const drm_mode_crtc = struct('drm_mode_crtc', {
  set_connectors_ptr: doc(ptr, 'in: array of u32, for SETCRTC'),
  count_connectors: u32,
  crtc_id: doc(u32, 'in'),
  fb_id: doc(u32, 'the framebuffer; 0: none'),
  x: doc(u32, 'where the picture begins in the framebuffer'),
  y: u32,
  gamma_size: doc(u32, 'out: entries of the gamma table'),
  mode_valid: doc(u32, 'whether there is a mode'),
  mode: drm_mode_modeinfo,
});
export type drm_mode_crtc = View<typeof drm_mode_crtc>;

/** Argument of DRM_IOCTL_MODE_SETPLANE. */
export const drm_mode_set_plane = struct('drm_mode_set_plane', {
  plane_id: u32,
  crtc_id: u32,
  fb_id: doc(u32, '0: the plane is switched off'),
  flags: field(u32, {
    flags: flags({ DRM_MODE_PRESENT_TOP_FIELD, DRM_MODE_PRESENT_BOTTOM_FIELD }),
  }),
  crtc_x: doc(s32, 'where it is shown, in pixels of the CRTC; may lie outside'),
  crtc_y: s32,
  crtc_w: u32,
  crtc_h: u32,
  src_x: doc(u32, 'the part of the framebuffer, in 16.16 fixed point'),
  src_y: u32,
  src_h: u32,
  src_w: u32,
});
export type drm_mode_set_plane = View<typeof drm_mode_set_plane>;

/** Argument of DRM_IOCTL_MODE_GETPLANE. */
export const drm_mode_get_plane = struct('drm_mode_get_plane', {
  plane_id: doc(u32, 'in'),
  crtc_id: doc(u32, 'out: where it is shown; 0: nowhere'),
  fb_id: doc(u32, 'out'),
  possible_crtcs: doc(u32, 'out: a bit for each CRTC, by its index'),
  gamma_size: doc(u32, 'out: 0'),
  count_format_types: doc(u32, 'in: room; out: how many there are'),
  format_type_ptr: doc(ptr, 'in: array of u32, DRM_FORMAT_*'),
});
export type drm_mode_get_plane = View<typeof drm_mode_get_plane>;

/** Argument of DRM_IOCTL_MODE_GETPLANERESOURCES. */
export const drm_mode_get_plane_res = struct('drm_mode_get_plane_res', {
  plane_id_ptr: doc(ptr, 'in: array of u32'),
  count_planes: doc(u32, 'in: room; out: how many there are'),
});
export type drm_mode_get_plane_res = View<typeof drm_mode_get_plane_res>;

/** Argument of DRM_IOCTL_MODE_GETENCODER. */
export const drm_mode_get_encoder = struct('drm_mode_get_encoder', {
  encoder_id: doc(u32, 'in'),
  encoder_type: doc(u32, 'DRM_MODE_ENCODER_*'),
  crtc_id: doc(u32, 'out: 0: none'),
  possible_crtcs: doc(u32, 'out: a bit for each CRTC, by its index'),
  possible_clones: u32,
});
export type drm_mode_get_encoder = View<typeof drm_mode_get_encoder>;

/**
 * Argument of DRM_IOCTL_MODE_GETCONNECTOR. With count_modes 0 the connector is probed, which takes time. Encoders and
 * modes are given if there is room for all.
 */
export const drm_mode_get_connector = struct('drm_mode_get_connector', {
  encoders_ptr: doc(ptr, 'in: array of u32'),
  modes_ptr: doc(ptr, 'in: array of struct drm_mode_modeinfo'),
  props_ptr: doc(ptr, 'in: array of u32'),
  prop_values_ptr: doc(ptr, 'in: array of u64'),
  count_modes: doc(u32, 'in: room; out: how many there are'),
  count_props: doc(u32, 'as count_modes'),
  count_encoders: doc(u32, 'as count_modes'),
  encoder_id: doc(u32, 'out: 0: none'),
  connector_id: doc(u32, 'in'),
  connector_type: doc(u32, 'DRM_MODE_CONNECTOR_*'),
  connector_type_id: doc(u32, 'out: number among those of its type, from 1 on'),
  connection: doc(u32, 'out: 1 connected, 2 disconnected, 3 not known'),
  mm_width: doc(u32, 'out: of the display, in mm'),
  mm_height: u32,
  subpixel: u32,
  pad: u32,
});
export type drm_mode_get_connector = View<typeof drm_mode_get_connector>;

/** A value of a property that is an enum or a set of bits. */
export const drm_mode_property_enum = struct('drm_mode_property_enum', {
  value: u64,
  name: charArray(32),
});
export type drm_mode_property_enum = View<typeof drm_mode_property_enum>;

/** Argument of DRM_IOCTL_MODE_GETPROPERTY. */
export const drm_mode_get_property = struct('drm_mode_get_property', {
  values_ptr: doc(ptr, 'in: array of u64'),
  enum_blob_ptr: doc(ptr, 'in: array of struct drm_mode_property_enum'),
  prop_id: doc(u32, 'in'),
  flags: field(u32, { doc: 'DRM_MODE_PROP_*', flags: MODE_PROPERTY_FLAGS }),
  name: charArray(32),
  count_values: doc(u32, 'in: room; out: how many there are'),
  count_enum_blobs: doc(u32, 'as count_values'),
});
export type drm_mode_get_property = View<typeof drm_mode_get_property>;

/** Argument of DRM_IOCTL_MODE_SETPROPERTY. */
export const drm_mode_connector_set_property = struct('drm_mode_connector_set_property', {
  value: u64,
  prop_id: u32,
  connector_id: u32,
});
export type drm_mode_connector_set_property = View<typeof drm_mode_connector_set_property>;

/** Argument of DRM_IOCTL_MODE_OBJ_GETPROPERTIES. */
export const drm_mode_obj_get_properties = struct('drm_mode_obj_get_properties', {
  props_ptr: doc(ptr, 'in: array of u32'),
  prop_values_ptr: doc(ptr, 'in: array of u64'),
  count_props: doc(u32, 'in: room; out: how many there are'),
  obj_id: u32,
  obj_type: doc(u32, 'DRM_MODE_OBJECT_*'),
});
export type drm_mode_obj_get_properties = View<typeof drm_mode_obj_get_properties>;

/** Argument of DRM_IOCTL_MODE_OBJ_SETPROPERTY. */
export const drm_mode_obj_set_property = struct('drm_mode_obj_set_property', {
  value: u64,
  prop_id: u32,
  obj_id: u32,
  obj_type: doc(u32, 'DRM_MODE_OBJECT_*'),
});
export type drm_mode_obj_set_property = View<typeof drm_mode_obj_set_property>;

/** Argument of DRM_IOCTL_MODE_GETPROPBLOB. */
export const drm_mode_get_blob = struct('drm_mode_get_blob', {
  blob_id: doc(u32, 'in'),
  length: doc(u32, 'in: room; out: bytes'),
  data: doc(ptr, 'in: where they go'),
});
export type drm_mode_get_blob = View<typeof drm_mode_get_blob>;

/** Argument of DRM_IOCTL_MODE_GETFB and DRM_IOCTL_MODE_ADDFB. */
export const drm_mode_fb_cmd = struct('drm_mode_fb_cmd', {
  fb_id: u32,
  width: doc(u32, 'pixels'),
  height: u32,
  pitch: doc(u32, 'bytes from line to line'),
  bpp: u32,
  depth: u32,
  handle: doc(u32, 'the GEM object'),
});
export type drm_mode_fb_cmd = View<typeof drm_mode_fb_cmd>;

/** Argument of DRM_IOCTL_MODE_ADDFB2 and DRM_IOCTL_MODE_GETFB2. Unused planes are 0. */
export const drm_mode_fb_cmd2 = struct('drm_mode_fb_cmd2', {
  fb_id: u32,
  width: doc(u32, 'pixels'),
  height: u32,
  pixel_format: doc(u32, 'DRM_FORMAT_*'),
  flags: field(u32, { flags: flags({ DRM_MODE_FB_INTERLACED, DRM_MODE_FB_MODIFIERS }) }),
  handles: doc(array(u32, 4), 'the GEM object of each plane'),
  pitches: doc(array(u32, 4), 'bytes from line to line'),
  offsets: doc(array(u32, 4), 'bytes'),
  modifier: doc(array(u64, 4), 'DRM_FORMAT_MOD_*, the same for all planes'),
});
export type drm_mode_fb_cmd2 = View<typeof drm_mode_fb_cmd2>;

/** Argument of DRM_IOCTL_MODE_DIRTYFB. */
export const drm_mode_fb_dirty_cmd = struct('drm_mode_fb_dirty_cmd', {
  fb_id: u32,
  flags: field(u32, {
    flags: flags({ DRM_MODE_FB_DIRTY_ANNOTATE_COPY, DRM_MODE_FB_DIRTY_ANNOTATE_FILL }),
  }),
  color: u32,
  num_clips: u32,
  clips_ptr: doc(ptr, 'in: array of struct drm_clip_rect'),
});
export type drm_mode_fb_dirty_cmd = View<typeof drm_mode_fb_dirty_cmd>;

/** Argument of DRM_IOCTL_MODE_ATTACHMODE and DRM_IOCTL_MODE_DETACHMODE, which do nothing. */
export const drm_mode_mode_cmd = struct('drm_mode_mode_cmd', {
  connector_id: u32,
  mode: drm_mode_modeinfo,
});
export type drm_mode_mode_cmd = View<typeof drm_mode_mode_cmd>;

const CURSOR = flags({ DRM_MODE_CURSOR_BO, DRM_MODE_CURSOR_MOVE });

/** Argument of DRM_IOCTL_MODE_CURSOR. */
export const drm_mode_cursor = struct('drm_mode_cursor', {
  flags: field(u32, { flags: CURSOR }),
  crtc_id: u32,
  x: s32,
  y: s32,
  width: u32,
  height: u32,
  handle: doc(u32, 'the GEM object; 0: no cursor'),
});
export type drm_mode_cursor = View<typeof drm_mode_cursor>;

/** Argument of DRM_IOCTL_MODE_CURSOR2. */
export const drm_mode_cursor2 = struct('drm_mode_cursor2', {
  flags: field(u32, { flags: CURSOR }),
  crtc_id: u32,
  x: s32,
  y: s32,
  width: u32,
  height: u32,
  handle: doc(u32, 'the GEM object; 0: no cursor'),
  hot_x: s32,
  hot_y: s32,
});
export type drm_mode_cursor2 = View<typeof drm_mode_cursor2>;

/** Argument of DRM_IOCTL_MODE_GETGAMMA and DRM_IOCTL_MODE_SETGAMMA. */
export const drm_mode_crtc_lut = struct('drm_mode_crtc_lut', {
  crtc_id: u32,
  gamma_size: doc(u32, 'entries of each array'),
  red: doc(ptr, 'in: array of u16'),
  green: doc(ptr, 'in: array of u16'),
  blue: doc(ptr, 'in: array of u16'),
});
export type drm_mode_crtc_lut = View<typeof drm_mode_crtc_lut>;

/** The property "CTM": a matrix in sign and magnitude, S31.32. */
export const drm_color_ctm = struct('drm_color_ctm', {
  matrix: array(u64, 9),
});
export type drm_color_ctm = View<typeof drm_color_ctm>;

/** An entry of the properties "GAMMA_LUT" and "DEGAMMA_LUT". */
export const drm_color_lut = struct('drm_color_lut', {
  red: u16,
  green: u16,
  blue: u16,
  reserved: u16,
});
export type drm_color_lut = View<typeof drm_color_lut>;

/** Static metadata of HDR, as CTA-861-G has it. */
export const hdr_metadata_infoframe = struct('hdr_metadata_infoframe', {
  eotf: u8,
  metadata_type: u8,
  display_primaries: doc(array(struct({ x: u16, y: u16 }), 3), 'in units of 0.00002'),
  white_point: struct({ x: u16, y: u16 }),
  max_display_mastering_luminance: doc(u16, 'cd/m²'),
  min_display_mastering_luminance: doc(u16, '0.0001 cd/m²'),
  max_cll: doc(u16, 'cd/m²'),
  max_fall: doc(u16, 'cd/m²'),
});
export type hdr_metadata_infoframe = View<typeof hdr_metadata_infoframe>;

/** The property "HDR_OUTPUT_METADATA". */
export const hdr_output_metadata = struct('hdr_output_metadata', {
  metadata_type: u32,
  _: anonymous(union({ hdmi_metadata_type1: hdr_metadata_infoframe })),
});
export type hdr_output_metadata = View<typeof hdr_output_metadata>;

const PAGE_FLIP = flags({
  DRM_MODE_PAGE_FLIP_EVENT,
  DRM_MODE_PAGE_FLIP_ASYNC,
  DRM_MODE_PAGE_FLIP_TARGET_ABSOLUTE,
  DRM_MODE_PAGE_FLIP_TARGET_RELATIVE,
});

/** Argument of DRM_IOCTL_MODE_PAGE_FLIP. */
export const drm_mode_crtc_page_flip = struct('drm_mode_crtc_page_flip', {
  crtc_id: u32,
  fb_id: u32,
  flags: field(u32, { flags: PAGE_FLIP }),
  reserved: doc(u32, 'in: 0'),
  user_data: doc(u64, 'in: comes back in the event'),
});
export type drm_mode_crtc_page_flip = View<typeof drm_mode_crtc_page_flip>;

/** The same with a frame. */
export const drm_mode_crtc_page_flip_target = struct('drm_mode_crtc_page_flip_target', {
  crtc_id: u32,
  fb_id: u32,
  flags: field(u32, { flags: PAGE_FLIP }),
  sequence: doc(u32, 'in: the frame, with DRM_MODE_PAGE_FLIP_TARGET_*'),
  user_data: doc(u64, 'in: comes back in the event'),
});
export type drm_mode_crtc_page_flip_target = View<typeof drm_mode_crtc_page_flip_target>;

/** Argument of DRM_IOCTL_MODE_CREATE_DUMB. */
export const drm_mode_create_dumb = struct('drm_mode_create_dumb', {
  height: doc(u32, 'in: pixels'),
  width: u32,
  bpp: doc(u32, 'in: bits of a pixel'),
  flags: doc(u32, 'in: 0'),
  handle: doc(u32, 'out: the GEM object'),
  pitch: doc(u32, 'out: bytes from line to line'),
  size: doc(u64, 'out: bytes'),
});
export type drm_mode_create_dumb = View<typeof drm_mode_create_dumb>;

/** Argument of DRM_IOCTL_MODE_MAP_DUMB. */
export const drm_mode_map_dumb = struct('drm_mode_map_dumb', {
  handle: doc(u32, 'in'),
  pad: u32,
  offset: doc(u64, 'out: what to give mmap(2)'),
});
export type drm_mode_map_dumb = View<typeof drm_mode_map_dumb>;

/** Argument of DRM_IOCTL_MODE_DESTROY_DUMB. */
export const drm_mode_destroy_dumb = struct('drm_mode_destroy_dumb', {
  handle: u32,
});
export type drm_mode_destroy_dumb = View<typeof drm_mode_destroy_dumb>;

/** Argument of DRM_IOCTL_MODE_ATOMIC. */
export const drm_mode_atomic = struct('drm_mode_atomic', {
  flags: field(u32, {
    flags: [
      ...PAGE_FLIP,
      ...flags({
        DRM_MODE_ATOMIC_TEST_ONLY,
        DRM_MODE_ATOMIC_NONBLOCK,
        DRM_MODE_ATOMIC_ALLOW_MODESET,
      }),
    ],
  }),
  count_objs: u32,
  objs_ptr: doc(ptr, 'in: array of u32'),
  count_props_ptr: doc(ptr, 'in: array of u32, how many properties each object has'),
  props_ptr: doc(ptr, 'in: array of u32'),
  prop_values_ptr: doc(ptr, 'in: array of u64'),
  reserved: doc(u64, 'in: 0'),
  user_data: doc(u64, 'in: comes back in the event'),
});
export type drm_mode_atomic = View<typeof drm_mode_atomic>;

/** The property "IN_FORMATS": formats, an array of u32, and drm_format_modifiers. */
export const drm_format_modifier_blob = struct('drm_format_modifier_blob', {
  version: u32,
  flags: u32,
  count_formats: u32,
  formats_offset: doc(u32, 'bytes'),
  count_modifiers: u32,
  modifiers_offset: doc(u32, 'bytes'),
});
export type drm_format_modifier_blob = View<typeof drm_format_modifier_blob>;

/** Which formats go with a modifier. */
export const drm_format_modifier = struct('drm_format_modifier', {
  formats: doc(u64, 'a bit for each of 64 formats, from `offset` on'),
  offset: u32,
  pad: u32,
  modifier: u64,
});
export type drm_format_modifier = View<typeof drm_format_modifier>;

/** Argument of DRM_IOCTL_MODE_CREATEPROPBLOB. */
export const drm_mode_create_blob = struct('drm_mode_create_blob', {
  data: doc(ptr, 'in'),
  length: doc(u32, 'in: bytes'),
  blob_id: doc(u32, 'out'),
});
export type drm_mode_create_blob = View<typeof drm_mode_create_blob>;

/** Argument of DRM_IOCTL_MODE_DESTROYPROPBLOB. */
export const drm_mode_destroy_blob = struct('drm_mode_destroy_blob', {
  blob_id: u32,
});
export type drm_mode_destroy_blob = View<typeof drm_mode_destroy_blob>;

/** Argument of DRM_IOCTL_MODE_CREATE_LEASE. */
export const drm_mode_create_lease = struct('drm_mode_create_lease', {
  object_ids: doc(ptr, 'in: array of u32'),
  object_count: u32,
  flags: doc(u32, 'in: O_CLOEXEC, O_NONBLOCK'),
  lessee_id: doc(u32, 'out'),
  fd: doc(u32, 'out: the descriptor'),
});
export type drm_mode_create_lease = View<typeof drm_mode_create_lease>;

/** Argument of DRM_IOCTL_MODE_LIST_LESSEES. */
export const drm_mode_list_lessees = struct('drm_mode_list_lessees', {
  count_lessees: doc(u32, 'in: room; out: how many there are'),
  pad: u32,
  lessees_ptr: doc(ptr, 'in: array of u32'),
});
export type drm_mode_list_lessees = View<typeof drm_mode_list_lessees>;

/** Argument of DRM_IOCTL_MODE_GET_LEASE. */
export const drm_mode_get_lease = struct('drm_mode_get_lease', {
  count_objects: doc(u32, 'in: room; out: how many there are'),
  pad: u32,
  objects_ptr: doc(ptr, 'in: array of u32'),
});
export type drm_mode_get_lease = View<typeof drm_mode_get_lease>;

/** Argument of DRM_IOCTL_MODE_REVOKE_LEASE. */
export const drm_mode_revoke_lease = struct('drm_mode_revoke_lease', {
  lessee_id: u32,
});
export type drm_mode_revoke_lease = View<typeof drm_mode_revoke_lease>;

/** A rectangle; x2 and y2 are outside. */
export const drm_mode_rect = struct('drm_mode_rect', {
  x1: s32,
  y1: s32,
  x2: s32,
  y2: s32,
});
export type drm_mode_rect = View<typeof drm_mode_rect>;
