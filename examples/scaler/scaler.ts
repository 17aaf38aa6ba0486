/** A frame scaler: it takes a picture in one dma-buf and writes it, larger or smaller, to another. */
import { type DmaBuf, defineDevice, Engine, errno, ktimeGet } from 'dmabuf-shim';
import {
  doc,
  field,
  flags,
  ioctls,
  iowr,
  requests,
  s32,
  struct,
  u32,
  u64,
} from 'dmabuf-shim/ioctl';

/** Interpolate between four pixels; without it each pixel is that of the nearest one. */
export const SCALER_BILINEAR = 1 << 0;
/** The job waits for the fence in in_fence_fd. */
export const SCALER_IN_FENCE = 1 << 1;

/** Largest width and height of a picture. */
export const SCALER_MAX_SIZE = 8192;

/** A picture in a dma-buf: from its first byte on, in XRGB8888 (4 bytes a pixel, blue first). */
export const scaler_image = struct('scaler_image', {
  fd: doc(s32, 'in: the dma-buf'),
  width: doc(u32, 'in: pixels in a row, 1 to SCALER_MAX_SIZE'),
  height: doc(u32, 'in: rows, 1 to SCALER_MAX_SIZE'),
  stride: doc(u32, 'in: bytes from row to row, a multiple of 4'),
});

/** Argument of SCALER_IOC_SCALE. */
export const scaler_job = struct('scaler_job', {
  src: doc(scaler_image, 'in: what is read'),
  dst: doc(scaler_image, 'in: what is written'),
  flags: field(u32, {
    doc: 'in: SCALER_BILINEAR, SCALER_IN_FENCE',
    flags: flags({ SCALER_BILINEAR, SCALER_IN_FENCE }),
  }),
  in_fence_fd: doc(s32, 'in: a sync_file, with SCALER_IN_FENCE; 0 without'),
  out_fence_fd: doc(s32, 'out: a sync_file, signalled when dst is written'),
  reserved: doc(u32, 'in: 0'),
  id: doc(u64, 'out: the number of the job, which its event has too'),
});

/** What read(2) gives: a job is over. */
export const scaler_event = struct('scaler_event', {
  id: doc(u64, 'the number of the job'),
  timestamp: doc(u64, 'when it was over: CLOCK_MONOTONIC, in ns'),
  status: doc(s32, '0, or a negative errno'),
  reserved: doc(u32, '0'),
});

export const scaler_ioctls = ioctls({
  /**
   * Queues a job and is back at once. Jobs are done in order. EINVAL: an unknown flag, a reserved field that is not 0,
   * a picture that is empty, too large or does not fit into its dma-buf, a descriptor of something else. EBADF: a
   * descriptor that is not open.
   */
  SCALER_IOC_SCALE: iowr('\xb9', 0x01, scaler_job, {
    errors: ['EINVAL', 'EBADF', 'EMFILE', 'ENOMEM'],
  }),
});
export const { SCALER_IOC_SCALE } = requests(scaler_ioctls);

export default defineDevice({
  name: 'scaler',
  doc: 'A frame scaler.',
  options: { delay: 0, coherent: true },
  ioctls: scaler_ioctls,
  events: scaler_event,

  probe(kernel, { delay, coherent }) {
    return { engine: new Engine(kernel, 'scaler', { dma_coherent: coherent }), delay };
  },

  open() {
    return { jobs: 0n };
  },

  examples: {
    SCALER_IOC_SCALE: ({ buffer }) => ({
      src: { fd: buffer(4096), width: 16, height: 16, stride: 64 },
      dst: { fd: buffer(4096), width: 32, height: 32, stride: 128 },
    }),
  },

  ioctl: {
    SCALER_IOC_SCALE(file, arg, call) {
      const { src, dst, flags } = arg;
      const waits = (flags & SCALER_IN_FENCE) !== 0;
      if (flags & ~(SCALER_BILINEAR | SCALER_IN_FENCE) || arg.reserved) throw errno('EINVAL');
      if (!waits && arg.in_fence_fd !== 0) throw errno('EINVAL');
      const source = call.getDmaBuf(src.fd);
      const destination = call.getDmaBuf(dst.fd);
      checkImage(src, source);
      checkImage(dst, destination);
      const after = waits ? [call.getFence(arg.in_fence_fd)] : [];

      const { engine, delay } = file.device;
      const id = ++file.state.jobs;
      const fence = engine.submit({
        name: `scale ${id}`,
        reads: [source],
        writes: [destination],
        after,
        call,
        async run(memory) {
          await new Promise((resolve) => setTimeout(resolve, delay));
          const pixels = memory.read(source, 0, bytesOf(src));
          const scale = flags & SCALER_BILINEAR ? bilinear : nearest;
          for (let y = 0; y < dst.height; y++) {
            memory.write(destination, scale(pixels, src, dst, y), y * dst.stride);
          }
        },
        done: (status) => file.queueEvent({ id, status, timestamp: ktimeGet() }),
      });
      arg.id = id;
      arg.out_fence_fd = call.installFence(fence);
    },
  },
});

/** What is known of a picture, in pixels and bytes. */
interface Image {
  width: number;
  height: number;
  stride: number;
}

function checkImage(image: Image, { size }: DmaBuf): void {
  const { width, height, stride } = image;
  const sizes = [width, height];
  if (sizes.some((pixels) => pixels < 1 || pixels > SCALER_MAX_SIZE)) throw errno('EINVAL');
  if (stride % 4 !== 0 || stride < width * 4) throw errno('EINVAL');
  if (bytesOf(image) > size) throw errno('EINVAL');
}

/** From the first byte of a picture to its last: the last row has no padding. */
function bytesOf({ width, height, stride }: Image): number {
  return stride * (height - 1) + width * 4;
}

/** Row y of the destination: each pixel is the nearest one of the source. */
function nearest(pixels: Uint8Array, from: Image, to: Image, y: number): Uint8Array {
  const row = new Uint8Array(to.width * 4);
  const start = Math.floor(((y + 0.5) * from.height) / to.height) * from.stride;
  for (let x = 0; x < to.width; x++) {
    const at = start + Math.floor(((x + 0.5) * from.width) / to.width) * 4;
    row.set(pixels.subarray(at, at + 4), x * 4);
  }
  return row;
}

/** Row y of the destination: each pixel is mixed of the four around its place in the source. */
function bilinear(pixels: Uint8Array, from: Image, to: Image, y: number): Uint8Array {
  const row = new Uint8Array(to.width * 4);
  const [top, bottom, down] = neighbours(y, to.height, from.height);
  for (let x = 0; x < to.width; x++) {
    const [left, right, across] = neighbours(x, to.width, from.width);
    for (let channel = 0; channel < 4; channel++) {
      const at = (line: number, column: number) =>
        pixels[line * from.stride + column * 4 + channel] ?? 0;
      const above = mix(at(top, left), at(top, right), across);
      const below = mix(at(bottom, left), at(bottom, right), across);
      row[x * 4 + channel] = Math.round(mix(above, below, down));
    }
  }
  return row;
}

/** Between which two of `from` pixels the one at `index` of `to` lies, and how near it is to the second. */
function neighbours(index: number, to: number, from: number): [number, number, number] {
  const place = Math.max(((index + 0.5) * from) / to - 0.5, 0);
  const first = Math.min(Math.floor(place), from - 1);
  return [first, Math.min(first + 1, from - 1), place - first];
}

function mix(a: number, b: number, part: number): number {
  return a + (b - a) * part;
}
