// A device whose ioctl does next to nothing, for `node bench/run.mjs tracedevice`.
import { defineDevice } from 'dmabuf-shim';
import { field, flags, ioctls, iowr, s32, struct, u32 } from 'dmabuf-shim/ioctl';

const bench_job = struct('bench_job', {
  source: s32,
  target: s32,
  flags: field(u32, { flags: flags({ BENCH_FLIP: 1, BENCH_FAST: 2 }) }),
  fence: s32,
});

export default defineDevice({
  name: 'bench',
  ioctls: ioctls({ BENCH_IOC_RUN: iowr('\xb9', 1, bench_job) }),
  ioctl: {
    BENCH_IOC_RUN(_file, arg) {
      arg.fence++;
    },
  },
});
