// Two pixels become four, and four become eight: the second job waits for the first.
import * as uapi from 'dmabuf-shim/ioctl';
import { loadModule } from 'dmabuf-shim/load';
import * as posix from 'dmabuf-shim/posix';

const scaler = await loadModule(new URL('scaler.ts', import.meta.url));

const heap = posix.open('/dev/dma_heap/system', posix.O_RDONLY);
const device = posix.open('/dev/scaler', posix.O_RDWR);

/** A picture of one row, and its memory. */
function picture(width) {
  const data = uapi.dma_heap_allocation_data.create({
    len: BigInt(width * 4),
    fd_flags: posix.O_RDWR,
  });
  posix.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  const memory = posix.mmap(
    width * 4,
    posix.PROT_READ | posix.PROT_WRITE,
    posix.MAP_SHARED,
    data.fd,
  );
  const image = { fd: data.fd, width, height: 1, stride: width * 4 };
  return { image, pixels: new Uint32Array(memory) };
}

/** `action`, between START and END. */
function access({ image: { fd } }, direction, action) {
  const sync = (flags) =>
    posix.ioctl(
      fd,
      uapi.DMA_BUF_IOCTL_SYNC,
      uapi.dma_buf_sync.create({ flags: BigInt(flags | direction) }),
    );
  sync(uapi.DMA_BUF_SYNC_START);
  action();
  sync(uapi.DMA_BUF_SYNC_END);
}

function scale(src, dst, more = {}) {
  const job = scaler.scaler_job.create({ src: src.image, dst: dst.image, ...more });
  posix.ioctl(device, scaler.SCALER_IOC_SCALE, job);
  return job;
}

const [two, four, eight] = [picture(2), picture(4), picture(8)];
access(two, uapi.DMA_BUF_SYNC_WRITE, () => two.pixels.set([0xaa0000, 0x0000bb]));
const first = scale(two, four);
const second = scale(four, eight, {
  flags: scaler.SCALER_IN_FENCE,
  in_fence_fd: first.out_fence_fd,
});
await posix.fenceSignaled(second.out_fence_fd);

const events = Buffer.alloc(64 * scaler.scaler_event.size);
const size = posix.read(device, events);
for (let at = 0; at < size; at += scaler.scaler_event.size) {
  console.log(scaler.scaler_event.view(events, at).toObject());
}
access(eight, uapi.DMA_BUF_SYNC_READ, () => {
  console.log(Array.from(eight.pixels, (pixel) => pixel.toString(16)).join(' '));
});
