/**
 * Nodes with as much of two DRM cards and of a video device as the probe vma asks for: buffers that are mapped through the
 * node, where the driver says, and exported.
 */
import {
  array,
  ioctls,
  iow,
  iowr,
  O_ACCMODE,
  O_CLOEXEC,
  s32,
  struct,
  u8,
  u32,
  u64,
} from '../ioctl/index.js';
import {
  type DeviceDefinition,
  type DmaBuf,
  type DmaBufOps,
  defineDevice,
  dmaBufExport,
  errno,
  getDmaBuf,
  type KernelCore,
  type KernelVersion,
  PROT_READ,
  VM_DONTEXPAND,
  VM_MIXEDMAP,
} from '../src/index.js';
import { BufferObject } from './exporter.js';

const PAGE = 4096;

/** Where each object of a node is mapped by: only at its first byte. */
const objectAt = (objects: Map<number, BufferObject>, offset: number) => {
  const object = objects.get(offset);
  if (!object) throw errno('EINVAL');
  return object;
};

/** Of a video device: a buffer that is shown from its first byte on, whatever offset is asked for. */
const exported: DmaBufOps = {
  mapDmaBuf() {
    throw errno('EINVAL');
  },
  unmapDmaBuf() {},
  mmap: ({ memory }, { length }) => [{ memory, offset: 0, length }],
  release: ({ priv }) => (priv as BufferObject).put(),
};

/** Of a card: the same, without private mappings. */
const prime: DmaBufOps = {
  ...exported,
  mmap({ memory }, { length, shared }) {
    if (!shared) throw errno('EINVAL');
    return [{ memory, offset: 0, length }];
  },
};

/** A new dma-buf of an object. */
function share(kernel: KernelCore, object: BufferObject, ops: DmaBufOps, flags: number): DmaBuf {
  const { memory } = object;
  const dmabuf = dmaBufExport(kernel, {
    ...{ exp_name: 'test', ops, size: memory.size, flags: flags & O_ACCMODE, memory },
    priv: object,
  });
  object.get();
  return dmabuf;
}

const drm_ioctls = ioctls({
  DRM_IOCTL_GEM_CLOSE: iow('d', 0x09, struct('drm_gem_close', { handle: u32, pad: u32 })),
  DRM_IOCTL_PRIME_HANDLE_TO_FD: iowr(
    'd',
    0x2d,
    struct('drm_prime_handle', { handle: u32, flags: u32, fd: s32 }),
  ),
  DRM_IOCTL_MODE_CREATE_DUMB: iowr(
    'd',
    0xb2,
    struct('drm_mode_create_dumb', {
      ...{ height: u32, width: u32, bpp: u32, flags: u32 },
      ...{ handle: u32, pitch: u32, size: u64 },
    }),
  ),
  DRM_IOCTL_MODE_MAP_DUMB: iowr(
    'd',
    0xb3,
    struct('drm_mode_map_dumb', { handle: u32, pad: u32, offset: u64 }),
  ),
});

/** Where the first object is mapped, in bytes: beyond any size, as DRM has it. */
const FAKE_OFFSETS = 2 ** 32;

const card = (minor: number) =>
  defineDevice({
    ...{ name: `dri/card${minor}`, className: 'drm', major: 226, minor, ioctls: drm_ioctls },
    probe: (kernel) => ({ kernel }),
    open: () => new Map<number, BufferObject>(),
    release({ state }) {
      for (const object of state.values()) object.put();
    },
    ioctl: {
      DRM_IOCTL_MODE_CREATE_DUMB({ device, state }, arg) {
        arg.pitch = (arg.width * arg.bpp) / 8;
        arg.size = BigInt(arg.pitch * arg.height);
        arg.handle = state.size + 1;
        const pages = Math.ceil(Number(arg.size) / PAGE);
        state.set(arg.handle, new BufferObject(device.kernel, pages, () => {}));
      },
      DRM_IOCTL_MODE_MAP_DUMB(_file, arg) {
        arg.offset = BigInt(arg.handle * FAKE_OFFSETS);
      },
      DRM_IOCTL_PRIME_HANDLE_TO_FD({ device, state }, arg, call) {
        const object = objectAt(state, arg.handle);
        if (object.dmabuf) getDmaBuf(object.dmabuf);
        else object.dmabuf = share(device.kernel, object, prime, arg.flags);
        arg.fd = call.installDmaBuf(object.dmabuf, arg.flags & O_CLOEXEC);
      },
      DRM_IOCTL_GEM_CLOSE({ state }, { handle }) {
        objectAt(state, handle).put();
        state.delete(handle);
      },
    },
    mmap({ state }, { offset, length, shared }) {
      const object = objectAt(state, offset / FAKE_OFFSETS);
      if (length > object.memory.size || !shared) throw errno('EINVAL');
      return [{ memory: object.mapped, offset: 0, length }];
    },
  });

const opaque = (name: string, size: number) => struct(name, { all: array(u8, size) });

const video_ioctls = ioctls({
  VIDIOC_G_FMT: iowr('V', 4, opaque('v4l2_format', 208)),
  VIDIOC_S_FMT: iowr('V', 5, opaque('v4l2_format', 208)),
  VIDIOC_REQBUFS: iowr(
    'V',
    8,
    struct('v4l2_requestbuffers', {
      ...{ count: u32, type: u32, memory: u32, capabilities: u32, reserved: u32 },
    }),
  ),
  VIDIOC_QUERYBUF: iowr(
    'V',
    9,
    struct('v4l2_buffer', {
      index: u32,
      between: array(u8, 60),
      offset: u64,
      length: u32,
      rest: array(u8, 8),
    }),
  ),
  VIDIOC_EXPBUF: iowr(
    'V',
    16,
    struct('v4l2_exportbuffer', {
      ...{ type: u32, index: u32, plane: u32, flags: u32, fd: s32, reserved: array(u32, 11) },
    }),
  ),
});

/** Bytes of a frame. */
const FRAME = 230_400;

const video = (version: KernelVersion) =>
  defineDevice({
    ...{ name: 'video0', className: 'video4linux', major: 81, minor: 0, ioctls: video_ioctls },
    probe: (kernel) => ({ kernel }),
    open: (): BufferObject[] => [],
    release({ state }) {
      for (const object of state) object.put();
    },
    ioctl: {
      VIDIOC_G_FMT() {},
      VIDIOC_S_FMT() {},
      VIDIOC_REQBUFS({ device, state }, { count }) {
        for (let i = 0; i < count; i++) {
          const object = new BufferObject(device.kernel, Math.ceil(FRAME / PAGE), () => {});
          // They are pages of vmalloc().
          object.memory.vm_flags = VM_DONTEXPAND | VM_MIXEDMAP;
          state.push(object);
        }
      },
      VIDIOC_QUERYBUF(_file, arg) {
        arg.length = FRAME;
        arg.offset = BigInt(arg.index * offsetStep(version));
      },
      VIDIOC_EXPBUF({ device, state }, arg, call) {
        const object = state[arg.index];
        if (!object) throw errno('EINVAL');
        const dmabuf = share(device.kernel, object, exported, arg.flags);
        arg.fd = call.installDmaBuf(dmabuf, arg.flags & O_CLOEXEC);
      },
    },
    mmap({ state }, { offset, length, prot, shared }) {
      const object = state[offset / offsetStep(version)];
      if (!shared || !(prot & PROT_READ)) throw errno('EINVAL');
      if (!object || length > object.memory.size) throw errno('EINVAL');
      return [{ memory: object.mapped, offset: 0, length }];
    },
  });

/** Buffers lay side by side once, and have numbers of eight pages since. */
const offsetStep = (version: KernelVersion) =>
  version === '6.1' ? Math.ceil(FRAME / PAGE) * PAGE : 8 * PAGE;

/** What the probe vma was recorded with. */
export const mappedNodes = (version: KernelVersion): DeviceDefinition[] => [
  card(0),
  card(1),
  video(version),
];
