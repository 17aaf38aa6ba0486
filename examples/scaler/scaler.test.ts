import * as uapi from 'dmabuf-shim/ioctl';
import { checkedKernel } from 'dmabuf-shim/vitest';
import { expect, onTestFinished, test } from 'vitest';
import scaler, { SCALER_IN_FENCE, SCALER_IOC_SCALE, scaler_event, scaler_job } from './scaler.js';

/** A kernel with the scaler and a buffer of a page for each end; all is closed when the test is over. */
function setUp(options = {}) {
  const kernel = checkedKernel();
  kernel.addDevice(scaler, options);
  const { sys } = kernel;
  const fds: number[] = [];
  const keep = (fd: number) => {
    fds.push(fd);
    return fd;
  };
  onTestFinished(() => {
    for (const fd of fds) sys.close(fd);
  });

  const heap = keep(sys.open('/dev/dma_heap/system', uapi.O_RDONLY));
  const buffer = () => {
    const data = uapi.dma_heap_allocation_data.create({ len: 4096n, fd_flags: uapi.O_RDWR });
    sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
    return keep(data.fd);
  };
  const device = keep(sys.open('/dev/scaler', uapi.O_RDWR));
  const image = { width: 4, height: 4, stride: 16 };
  const src = { fd: buffer(), ...image };
  const dst = { fd: buffer(), ...image };
  const submit = (change: uapi.Init<typeof scaler_job> = {}) => {
    const job = scaler_job.create({ src, dst, ...change });
    sys.ioctl(device, SCALER_IOC_SCALE, job);
    keep(job.out_fence_fd);
    return job;
  };
  return { sys, device, src, submit };
}

test('a job is over when its fence is signalled; its event is there by then', async () => {
  const { sys, device, submit } = setUp();
  const job = submit();
  expect(sys.poll([{ fd: device, events: uapi.POLLIN }], 0)).toBe(0);
  await sys.fenceSignaled(job.out_fence_fd);
  const event = scaler_event.create();
  expect(sys.read(device, event.bytes)).toBe(scaler_event.size);
  expect(event).toMatchObject({ id: job.id, status: 0 });
});

test.each([
  ['EINVAL', 'an unknown flag', {}, { flags: 4 }],
  ['EINVAL', 'a reserved field', {}, { reserved: 1 }],
  ['EINVAL', 'an empty picture', { width: 0 }, {}],
  ['EINVAL', 'rows that overlap', { stride: 12 }, {}],
  ['EINVAL', 'a picture that its buffer is too small for', { stride: 4096 }, {}],
  ['EBADF', 'a descriptor that is not open', { fd: 1000 }, {}],
  ['EINVAL', 'a fence that is none', {}, { flags: SCALER_IN_FENCE, in_fence_fd: 0 }],
])('%s: %s', (code, _what, image, job) => {
  const { src, submit } = setUp();
  expect(() => submit({ src: { ...src, ...image }, ...job })).toThrow(
    expect.objectContaining({ code }),
  );
});
