/**
 * Two nodes with as much of a DRM card and of a video device as the probe eventnode asks for: events that are read, and
 * events that are waited for by POLLPRI and taken with an ioctl.
 */
import { array, ioctls, ior, iow, iowr, s32, struct, u8, u32, u64 } from '../ioctl/index.js';
import { defineDevice, errno, ktimeGet } from '../src/index.js';

const drm_mode_card_res = struct('drm_mode_card_res', {
  fb_id_ptr: u64,
  crtc_id_ptr: u64,
  connector_id_ptr: u64,
  encoder_id_ptr: u64,
  count_fbs: u32,
  count_crtcs: u32,
  count_connectors: u32,
  count_encoders: u32,
  sizes: array(u32, 4),
});
const drm_crtc_get_sequence = struct('drm_crtc_get_sequence', {
  crtc_id: u32,
  active: u32,
  sequence: u64,
  sequence_ns: u64,
});
const drm_crtc_queue_sequence = struct('drm_crtc_queue_sequence', {
  crtc_id: u32,
  flags: u32,
  sequence: u64,
  user_data: u64,
});
const drm_event_crtc_sequence = struct('drm_event_crtc_sequence', {
  type: u32,
  length: u32,
  user_data: u64,
  time_ns: u64,
  sequence: u64,
});
const DRM_EVENT_CRTC_SEQUENCE = 3;
const DRM_CRTC_SEQUENCE_RELATIVE = 1;
/** Milliseconds. */
const FRAME = 50;

const opaque = (name: string, size: number) => struct(name, { all: array(u8, size) });
const card_ioctls = ioctls({
  DRM_IOCTL_MODE_GETRESOURCES: iowr('d', 0xa0, drm_mode_card_res),
  DRM_IOCTL_MODE_CREATE_DUMB: iowr('d', 0xb2, opaque('drm_mode_create_dumb', 32)),
  DRM_IOCTL_MODE_ADDFB2: iowr('d', 0xb8, opaque('drm_mode_fb_cmd2', 104)),
  DRM_IOCTL_MODE_SETCRTC: iowr('d', 0xa2, opaque('drm_mode_crtc', 104)),
  DRM_IOCTL_CRTC_GET_SEQUENCE: iowr('d', 0x3b, drm_crtc_get_sequence),
  DRM_IOCTL_CRTC_QUEUE_SEQUENCE: iowr('d', 0x3c, drm_crtc_queue_sequence),
});

export const card = defineDevice({
  name: 'dri/card0',
  className: 'drm',
  major: 226,
  minor: 0,
  ioctls: card_ioctls,
  events: drm_event_crtc_sequence,
  ioctl: {
    DRM_IOCTL_MODE_GETRESOURCES() {},
    DRM_IOCTL_MODE_CREATE_DUMB() {},
    DRM_IOCTL_MODE_ADDFB2() {},
    DRM_IOCTL_MODE_SETCRTC() {},
    DRM_IOCTL_CRTC_GET_SEQUENCE(_file, arg) {
      arg.sequence = 1n;
    },
    DRM_IOCTL_CRTC_QUEUE_SEQUENCE(file, { flags, sequence, user_data }) {
      const [type, length] = [DRM_EVENT_CRTC_SEQUENCE, drm_event_crtc_sequence.size];
      const send = () => {
        file.queueEvent({ type, length, user_data, time_ns: ktimeGet(), sequence });
      };
      if (flags & DRM_CRTC_SEQUENCE_RELATIVE) setTimeout(send, Number(sequence) * FRAME);
      else send();
    },
  },
});

const v4l2_control = struct('v4l2_control', { id: u32, value: s32 });
const v4l2_event_subscription = struct('v4l2_event_subscription', {
  type: u32,
  id: u32,
  flags: u32,
  reserved: array(u32, 5),
});
const v4l2_event = struct('v4l2_event', { type: u32, rest: array(u8, 132) });
const V4L2_EVENT_CTRL = 3;
const POLLPRI = 0x2;

const video_ioctls = ioctls({
  VIDIOC_SUBSCRIBE_EVENT: iow('V', 0x5a, v4l2_event_subscription),
  VIDIOC_G_CTRL: iowr('V', 0x1b, v4l2_control),
  VIDIOC_S_CTRL: iowr('V', 0x1c, v4l2_control),
  VIDIOC_DQEVENT: ior('V', 0x59, v4l2_event),
});

interface Subscriber {
  /** Controls whose changes it is told of, and those that have changed. */
  readonly controls: Set<number>;
  readonly changed: Set<number>;
  wake(): void;
}

export const video = defineDevice({
  name: 'video0',
  className: 'video4linux',
  major: 81,
  minor: 0,
  ioctls: video_ioctls,
  probe: () => ({ values: new Map<number, number>(), files: new Set<Subscriber>() }),
  open(file): Subscriber {
    const state = {
      controls: new Set<number>(),
      changed: new Set<number>(),
      wake: () => file.wake(),
    };
    file.device.files.add(state);
    return state;
  },
  release({ device, state }) {
    device.files.delete(state);
  },
  poll: ({ state }) => (state.changed.size > 0 ? POLLPRI : 0),
  ioctl: {
    VIDIOC_SUBSCRIBE_EVENT({ state }, { id }) {
      state.controls.add(id);
    },
    VIDIOC_G_CTRL({ device }, arg) {
      arg.value = device.values.get(arg.id) ?? 0;
    },
    VIDIOC_S_CTRL({ device }, { id, value }) {
      device.values.set(id, value);
      for (const { changed, controls, wake } of device.files) {
        if (!controls.has(id)) continue;
        changed.add(id);
        wake();
      }
    },
    async VIDIOC_DQEVENT(file, arg, call) {
      const { changed } = file.state;
      if (changed.size === 0 && call.nonblocking) throw errno('ENOENT');
      await call.waitEvent(() => changed.size > 0);
      const [first] = changed;
      changed.delete(first as number);
      arg.type = V4L2_EVENT_CTRL;
    },
  },
});
