/**
 * A camera's frames: memory of the driver that programs map, and that is not freed meanwhile.
 *
 * Linux's drivers count mappings in vm_operations, open and close, to know one thing: is there any? A TrackedMemory
 * knows that. FRAMES_FREE fails with EBUSY while a frame is mapped, by whomever, as VIDIOC_REQBUFS did.
 *
 *     dmabuf-shim run --device examples/frames.ts -- ./client
 */
import { defineDevice, errno, type KernelCore, makeShmem, TrackedMemory } from 'dmabuf-shim';
import { io, ioctls, iow, struct, u32 } from 'dmabuf-shim/ioctl';

/** Argument of FRAMES_ALLOCATE. */
export const frames_allocate = struct('frames_allocate', {
  /** in: how many, 1 to 32 */
  count: u32,
  /** in: bytes of each, whole pages */
  size: u32,
});

export const frames_ioctls = ioctls({
  /** One lies behind the other, from offset 0 on. EINVAL; EBUSY: there are some. */
  FRAMES_ALLOCATE: iow('F', 1, frames_allocate, { errors: ['EINVAL', 'EBUSY'] }),
  /** All of them. EBUSY: one is mapped. */
  FRAMES_FREE: io('F', 2, { errors: ['EBUSY'] }),
});

const PAGE = 4096;

/** A frame, as the driver has it and as programs map it. */
function makeFrame(kernel: KernelCore, size: number) {
  const memory = makeShmem(kernel, 'frame', size);
  // With a third argument, a function, it would also tell: true at the first mapping, false after the last.
  return { memory, mapped: new TrackedMemory(kernel, memory) };
}

type Frame = ReturnType<typeof makeFrame>;

function free(frames: Frame[]): void {
  for (const { memory } of frames.splice(0)) memory.close();
}

export default defineDevice({
  name: 'frames',
  doc: 'Frames of a camera, which are not freed while they are mapped.',
  ioctls: frames_ioctls,
  probe: (kernel) => ({ kernel, frames: [] as Frame[] }),
  remove: ({ frames }) => free(frames),
  ioctl: {
    FRAMES_ALLOCATE({ device: { kernel, frames } }, { count, size }) {
      if (count < 1 || count > 32 || size === 0 || size % PAGE !== 0) throw errno('EINVAL');
      if (frames.length > 0) throw errno('EBUSY');
      while (frames.length < count) frames.push(makeFrame(kernel, size));
    },
    FRAMES_FREE({ device: { frames } }) {
      // Asked now, so that it is right now: nothing needs to have told of the last munmap before.
      if (frames.some(({ mapped }) => mapped.isMapped)) throw errno('EBUSY');
      free(frames);
    },
  },
  mmap({ device: { frames } }, { offset, length }) {
    const size = frames[0]?.memory.size ?? 0;
    const frame = frames[Math.floor(offset / size)];
    if (!frame || (offset % size) + length > size) throw errno('EINVAL');
    return [{ memory: frame.mapped, offset: offset % size, length }];
  },
});
