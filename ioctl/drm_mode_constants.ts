/**
 * The constants of `<drm/drm_mode.h>`: bits and values of modes, planes, connectors, properties and framebuffers.
 * drm_mode.ts has the structs.
 */

import { flags } from './flags.js';

/** Bytes of names, the NUL included. */
export const DRM_CONNECTOR_NAME_LEN = 32;
export const DRM_DISPLAY_MODE_LEN = 32;
export const DRM_PROP_NAME_LEN = 32;

/** What a mode is, in `type`; BUILTIN, CLOCK_C, CRTC_C and DEFAULT are not used any more. */
export const DRM_MODE_TYPE_BUILTIN = 1 << 0;
export const DRM_MODE_TYPE_CLOCK_C = (1 << 1) | DRM_MODE_TYPE_BUILTIN;
export const DRM_MODE_TYPE_CRTC_C = (1 << 2) | DRM_MODE_TYPE_BUILTIN;
export const DRM_MODE_TYPE_PREFERRED = 1 << 3;
export const DRM_MODE_TYPE_DEFAULT = 1 << 4;
export const DRM_MODE_TYPE_USERDEF = 1 << 5;
export const DRM_MODE_TYPE_DRIVER = 1 << 6;
export const DRM_MODE_TYPE_ALL =
  DRM_MODE_TYPE_PREFERRED | DRM_MODE_TYPE_USERDEF | DRM_MODE_TYPE_DRIVER;

/** Signals of a mode: polarity of the syncs, interlacing, doubled lines and clocks. */
export const DRM_MODE_FLAG_PHSYNC = 1 << 0;
export const DRM_MODE_FLAG_NHSYNC = 1 << 1;
export const DRM_MODE_FLAG_PVSYNC = 1 << 2;
export const DRM_MODE_FLAG_NVSYNC = 1 << 3;
export const DRM_MODE_FLAG_INTERLACE = 1 << 4;
export const DRM_MODE_FLAG_DBLSCAN = 1 << 5;
export const DRM_MODE_FLAG_CSYNC = 1 << 6;
export const DRM_MODE_FLAG_PCSYNC = 1 << 7;
export const DRM_MODE_FLAG_NCSYNC = 1 << 8;
export const DRM_MODE_FLAG_HSKEW = 1 << 9;
export const DRM_MODE_FLAG_BCAST = 1 << 10;
export const DRM_MODE_FLAG_PIXMUX = 1 << 11;
export const DRM_MODE_FLAG_DBLCLK = 1 << 12;
export const DRM_MODE_FLAG_CLKDIV2 = 1 << 13;

/** Layout of a stereoscopic picture: one of these, for clients that asked for DRM_CLIENT_CAP_STEREO_3D. */
export const DRM_MODE_FLAG_3D_MASK = 0x1f << 14;
export const DRM_MODE_FLAG_3D_NONE = 0 << 14;
export const DRM_MODE_FLAG_3D_FRAME_PACKING = 1 << 14;
export const DRM_MODE_FLAG_3D_FIELD_ALTERNATIVE = 2 << 14;
export const DRM_MODE_FLAG_3D_LINE_ALTERNATIVE = 3 << 14;
export const DRM_MODE_FLAG_3D_SIDE_BY_SIDE_FULL = 4 << 14;
export const DRM_MODE_FLAG_3D_L_DEPTH = 5 << 14;
export const DRM_MODE_FLAG_3D_L_DEPTH_GFX_GFX_DEPTH = 6 << 14;
export const DRM_MODE_FLAG_3D_TOP_AND_BOTTOM = 7 << 14;
export const DRM_MODE_FLAG_3D_SIDE_BY_SIDE_HALF = 8 << 14;

/** Aspect ratio of the picture. */
export const DRM_MODE_PICTURE_ASPECT_NONE = 0;
export const DRM_MODE_PICTURE_ASPECT_4_3 = 1;
export const DRM_MODE_PICTURE_ASPECT_16_9 = 2;
export const DRM_MODE_PICTURE_ASPECT_64_27 = 3;
export const DRM_MODE_PICTURE_ASPECT_256_135 = 4;

/** Values of the property "content type" of HDMI. */
export const DRM_MODE_CONTENT_TYPE_NO_DATA = 0;
export const DRM_MODE_CONTENT_TYPE_GRAPHICS = 1;
export const DRM_MODE_CONTENT_TYPE_PHOTO = 2;
export const DRM_MODE_CONTENT_TYPE_CINEMA = 3;
export const DRM_MODE_CONTENT_TYPE_GAME = 4;

/** Aspect ratio of a mode: one of these, for clients that asked for DRM_CLIENT_CAP_ASPECT_RATIO. */
export const DRM_MODE_FLAG_PIC_AR_MASK = 0xf << 19;
export const DRM_MODE_FLAG_PIC_AR_NONE = DRM_MODE_PICTURE_ASPECT_NONE << 19;
export const DRM_MODE_FLAG_PIC_AR_4_3 = DRM_MODE_PICTURE_ASPECT_4_3 << 19;
export const DRM_MODE_FLAG_PIC_AR_16_9 = DRM_MODE_PICTURE_ASPECT_16_9 << 19;
export const DRM_MODE_FLAG_PIC_AR_64_27 = DRM_MODE_PICTURE_ASPECT_64_27 << 19;
export const DRM_MODE_FLAG_PIC_AR_256_135 = DRM_MODE_PICTURE_ASPECT_256_135 << 19;

/** All flags that a mode of a program may have, besides its aspect ratio. */
export const DRM_MODE_FLAG_ALL = 0x7f3ff;

/** Values of the property "DPMS". */
export const DRM_MODE_DPMS_ON = 0;
export const DRM_MODE_DPMS_STANDBY = 1;
export const DRM_MODE_DPMS_SUSPEND = 2;
export const DRM_MODE_DPMS_OFF = 3;

/** Values of the property "scaling mode". */
export const DRM_MODE_SCALE_NONE = 0;
export const DRM_MODE_SCALE_FULLSCREEN = 1;
export const DRM_MODE_SCALE_CENTER = 2;
export const DRM_MODE_SCALE_ASPECT = 3;

/** Values of the property "dithering". */
export const DRM_MODE_DITHERING_OFF = 0;
export const DRM_MODE_DITHERING_ON = 1;
export const DRM_MODE_DITHERING_AUTO = 2;

/** Values of the property "dirty". */
export const DRM_MODE_DIRTY_OFF = 0;
export const DRM_MODE_DIRTY_ON = 1;
export const DRM_MODE_DIRTY_ANNOTATE = 2;

/** Values of the property "link-status". */
export const DRM_MODE_LINK_STATUS_GOOD = 0;
export const DRM_MODE_LINK_STATUS_BAD = 1;

/** Bits of the property "rotation", counter-clockwise; reflection comes before rotation. */
export const DRM_MODE_ROTATE_0 = 1 << 0;
export const DRM_MODE_ROTATE_90 = 1 << 1;
export const DRM_MODE_ROTATE_180 = 1 << 2;
export const DRM_MODE_ROTATE_270 = 1 << 3;
export const DRM_MODE_ROTATE_MASK =
  DRM_MODE_ROTATE_0 | DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_180 | DRM_MODE_ROTATE_270;
export const DRM_MODE_REFLECT_X = 1 << 4;
export const DRM_MODE_REFLECT_Y = 1 << 5;
export const DRM_MODE_REFLECT_MASK = DRM_MODE_REFLECT_X | DRM_MODE_REFLECT_Y;

/** Values of the property "Content Protection". */
export const DRM_MODE_CONTENT_PROTECTION_UNDESIRED = 0;
export const DRM_MODE_CONTENT_PROTECTION_DESIRED = 1;
export const DRM_MODE_CONTENT_PROTECTION_ENABLED = 2;

/** Which field of an interlaced picture is shown. */
export const DRM_MODE_PRESENT_TOP_FIELD = 1 << 0;
export const DRM_MODE_PRESENT_BOTTOM_FIELD = 1 << 1;

/** What an encoder is. */
export const DRM_MODE_ENCODER_NONE = 0;
export const DRM_MODE_ENCODER_DAC = 1;
export const DRM_MODE_ENCODER_TMDS = 2;
export const DRM_MODE_ENCODER_LVDS = 3;
export const DRM_MODE_ENCODER_TVDAC = 4;
export const DRM_MODE_ENCODER_VIRTUAL = 5;
export const DRM_MODE_ENCODER_DSI = 6;
export const DRM_MODE_ENCODER_DPMST = 7;
export const DRM_MODE_ENCODER_DPI = 8;

/** Values of the properties "select subconnector" and "subconnector". */
export const DRM_MODE_SUBCONNECTOR_Automatic = 0;
export const DRM_MODE_SUBCONNECTOR_Unknown = 0;
export const DRM_MODE_SUBCONNECTOR_VGA = 1;
export const DRM_MODE_SUBCONNECTOR_DVID = 3;
export const DRM_MODE_SUBCONNECTOR_DVIA = 4;
export const DRM_MODE_SUBCONNECTOR_Composite = 5;
export const DRM_MODE_SUBCONNECTOR_SVIDEO = 6;
export const DRM_MODE_SUBCONNECTOR_Component = 8;
export const DRM_MODE_SUBCONNECTOR_SCART = 9;
export const DRM_MODE_SUBCONNECTOR_DisplayPort = 10;
export const DRM_MODE_SUBCONNECTOR_HDMIA = 11;
export const DRM_MODE_SUBCONNECTOR_Native = 15;
export const DRM_MODE_SUBCONNECTOR_Wireless = 18;

/** What a connector is. */
export const DRM_MODE_CONNECTOR_Unknown = 0;
export const DRM_MODE_CONNECTOR_VGA = 1;
export const DRM_MODE_CONNECTOR_DVII = 2;
export const DRM_MODE_CONNECTOR_DVID = 3;
export const DRM_MODE_CONNECTOR_DVIA = 4;
export const DRM_MODE_CONNECTOR_Composite = 5;
export const DRM_MODE_CONNECTOR_SVIDEO = 6;
export const DRM_MODE_CONNECTOR_LVDS = 7;
export const DRM_MODE_CONNECTOR_Component = 8;
export const DRM_MODE_CONNECTOR_9PinDIN = 9;
export const DRM_MODE_CONNECTOR_DisplayPort = 10;
export const DRM_MODE_CONNECTOR_HDMIA = 11;
export const DRM_MODE_CONNECTOR_HDMIB = 12;
export const DRM_MODE_CONNECTOR_TV = 13;
export const DRM_MODE_CONNECTOR_eDP = 14;
export const DRM_MODE_CONNECTOR_VIRTUAL = 15;
export const DRM_MODE_CONNECTOR_DSI = 16;
export const DRM_MODE_CONNECTOR_DPI = 17;
export const DRM_MODE_CONNECTOR_WRITEBACK = 18;
export const DRM_MODE_CONNECTOR_SPI = 19;
export const DRM_MODE_CONNECTOR_USB = 20;

/** What a property is, in `flags`. */
export const DRM_MODE_PROP_PENDING = 1 << 0;
export const DRM_MODE_PROP_RANGE = 1 << 1;
export const DRM_MODE_PROP_IMMUTABLE = 1 << 2;
export const DRM_MODE_PROP_ENUM = 1 << 3;
export const DRM_MODE_PROP_BLOB = 1 << 4;
export const DRM_MODE_PROP_BITMASK = 1 << 5;
export const DRM_MODE_PROP_LEGACY_TYPE =
  DRM_MODE_PROP_RANGE | DRM_MODE_PROP_ENUM | DRM_MODE_PROP_BLOB | DRM_MODE_PROP_BITMASK;
export const DRM_MODE_PROP_EXTENDED_TYPE = 0x0000ffc0;
export const DRM_MODE_PROP_OBJECT = 1 << 6;
export const DRM_MODE_PROP_SIGNED_RANGE = 2 << 6;
export const DRM_MODE_PROP_ATOMIC = 0x80000000;

/** What an object is, in `obj_type`. */
export const DRM_MODE_OBJECT_CRTC = 0xcccccccc;
export const DRM_MODE_OBJECT_CONNECTOR = 0xc0c0c0c0;
export const DRM_MODE_OBJECT_ENCODER = 0xe0e0e0e0;
export const DRM_MODE_OBJECT_MODE = 0xdededede;
export const DRM_MODE_OBJECT_PROPERTY = 0xb0b0b0b0;
export const DRM_MODE_OBJECT_FB = 0xfbfbfbfb;
export const DRM_MODE_OBJECT_BLOB = 0xbbbbbbbb;
export const DRM_MODE_OBJECT_PLANE = 0xeeeeeeee;
export const DRM_MODE_OBJECT_ANY = 0;

/** Of drm_mode_fb_cmd2: the picture is interlaced; `modifier` counts. */
export const DRM_MODE_FB_INTERLACED = 1 << 0;
export const DRM_MODE_FB_MODIFIERS = 1 << 1;

/** How the clips of DRM_IOCTL_MODE_DIRTYFB have changed, and how many there may be. */
export const DRM_MODE_FB_DIRTY_ANNOTATE_COPY = 0x01;
export const DRM_MODE_FB_DIRTY_ANNOTATE_FILL = 0x02;
export const DRM_MODE_FB_DIRTY_FLAGS = 0x03;
export const DRM_MODE_FB_DIRTY_MAX_CLIPS = 256;

/** What DRM_IOCTL_MODE_CURSOR does: sets the image, or moves it. */
export const DRM_MODE_CURSOR_BO = 0x01;
export const DRM_MODE_CURSOR_MOVE = 0x02;
export const DRM_MODE_CURSOR_FLAGS = 0x03;

/** Bits of DRM_IOCTL_MODE_PAGE_FLIP: an event when it is done; at once; at a given frame. */
export const DRM_MODE_PAGE_FLIP_EVENT = 0x01;
export const DRM_MODE_PAGE_FLIP_ASYNC = 0x02;
export const DRM_MODE_PAGE_FLIP_TARGET_ABSOLUTE = 0x4;
export const DRM_MODE_PAGE_FLIP_TARGET_RELATIVE = 0x8;
export const DRM_MODE_PAGE_FLIP_TARGET =
  DRM_MODE_PAGE_FLIP_TARGET_ABSOLUTE | DRM_MODE_PAGE_FLIP_TARGET_RELATIVE;
export const DRM_MODE_PAGE_FLIP_FLAGS =
  DRM_MODE_PAGE_FLIP_EVENT | DRM_MODE_PAGE_FLIP_ASYNC | DRM_MODE_PAGE_FLIP_TARGET;

/** Bits of DRM_IOCTL_MODE_ATOMIC, with those of a page flip. */
export const DRM_MODE_ATOMIC_TEST_ONLY = 0x0100;
export const DRM_MODE_ATOMIC_NONBLOCK = 0x0200;
export const DRM_MODE_ATOMIC_ALLOW_MODESET = 0x0400;
export const DRM_MODE_ATOMIC_FLAGS =
  DRM_MODE_PAGE_FLIP_EVENT |
  DRM_MODE_PAGE_FLIP_ASYNC |
  DRM_MODE_ATOMIC_TEST_ONLY |
  DRM_MODE_ATOMIC_NONBLOCK |
  DRM_MODE_ATOMIC_ALLOW_MODESET;

/** The version of drm_format_modifier_blob. */
export const FORMAT_BLOB_CURRENT = 1;

/** Names of the bits of a mode, for decoding. */
export const MODE_SIGNAL_FLAGS = flags({
  DRM_MODE_FLAG_PHSYNC,
  DRM_MODE_FLAG_NHSYNC,
  DRM_MODE_FLAG_PVSYNC,
  DRM_MODE_FLAG_NVSYNC,
  DRM_MODE_FLAG_INTERLACE,
  DRM_MODE_FLAG_DBLSCAN,
  DRM_MODE_FLAG_CSYNC,
  DRM_MODE_FLAG_PCSYNC,
  DRM_MODE_FLAG_NCSYNC,
  DRM_MODE_FLAG_HSKEW,
  DRM_MODE_FLAG_BCAST,
  DRM_MODE_FLAG_PIXMUX,
  DRM_MODE_FLAG_DBLCLK,
  DRM_MODE_FLAG_CLKDIV2,
});

/** Names of the bits of a property, for decoding. */
export const MODE_PROPERTY_FLAGS = flags({
  DRM_MODE_PROP_PENDING,
  DRM_MODE_PROP_RANGE,
  DRM_MODE_PROP_IMMUTABLE,
  DRM_MODE_PROP_ENUM,
  DRM_MODE_PROP_BLOB,
  DRM_MODE_PROP_BITMASK,
  DRM_MODE_PROP_OBJECT,
  DRM_MODE_PROP_SIGNED_RANGE,
  DRM_MODE_PROP_ATOMIC,
});
