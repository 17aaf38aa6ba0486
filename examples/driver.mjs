// A device of one's own that works in the background: its ioctl is back at once and leaves a fence on
// the buffer, for which a client, another process, waits with poll(2): node examples/driver.mjs
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as shim from 'dmabuf-shim';
import * as uapi from 'dmabuf-shim/ioctl';
import * as posix from 'dmabuf-shim/posix';

const SIZE = 4096;
const ink_job = uapi.struct('ink_job', { buffer: uapi.s32 });
const ink_ioctls = uapi.ioctls({ INK_IOC_DRAW: uapi.iow('I', 0, ink_job) });
const { INK_IOC_DRAW } = uapi.requests(ink_ioctls);
const map = (fd) => posix.mmap(SIZE, posix.PROT_READ | posix.PROT_WRITE, posix.MAP_SHARED, fd);

function inkInit(kernel) {
  const ops = { getDriverName: () => 'ink', getTimelineName: () => 'pen' };
  const context = shim.dmaFenceContextAlloc(kernel);
  let jobs = 0;
  let ink = 1; // enough for one job: the next fails

  async function draw(buffer, before, fence) {
    if (before) await shim.dmaFenceWait(before);
    await sleep(50);
    if (ink-- > 0) {
      const memory = map(buffer.memory.fd);
      Buffer.from(memory).write('in ink');
      posix.munmap(memory);
    } else shim.dmaFenceSetError(fence, -shim.Errno.ENOSPC);
    shim.dmaFenceSignal(fence);
    for (const each of [before, fence]) each?.put();
    shim.dmaBufPut(buffer);
  }

  function ioctl(_file, request, arg, task) {
    if (request !== INK_IOC_DRAW) throw shim.errno('ENOTTY');
    const buffer = shim.dmaBufGet(task, shim.copyFromUser(task.mm, arg, ink_job).buffer);
    const { resv } = buffer;
    const before = resv.getSingleton(shim.dmaResvUsageRw(true)); // what has to be over first
    const fence = new shim.DmaFence(kernel, { ops, context, seqno: ++jobs });
    resv.lock();
    resv.reserveFences(1);
    resv.addFence(fence, shim.DMA_RESV_USAGE_WRITE);
    resv.unlock();
    draw(buffer, before, fence);
    return 0;
  }
  shim.miscRegister(kernel, 'ink', { ioctl, ioctls: ink_ioctls });
}

async function client() {
  const [heap, ink] = ['/dev/dma_heap/system', '/dev/ink'].map((path) =>
    posix.open(path, posix.O_RDWR),
  );
  const data = uapi.dma_heap_allocation_data.create({ len: BigInt(SIZE), fd_flags: posix.O_RDWR });
  posix.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
  const { fd } = data;
  const text = Buffer.from(map(fd), 0, 6);
  for (const before of ['pencil', 'chalk.']) {
    text.write(before);
    posix.ioctl(ink, INK_IOC_DRAW, ink_job.create({ buffer: fd }));
    console.log(`the ioctl is back: "${text}"`);
    // A fence that is signalled leaves the buffer: who wants its result takes it along before.
    const fence = uapi.dma_buf_export_sync_file.create({ flags: uapi.DMA_BUF_SYNC_READ });
    posix.ioctl(fd, uapi.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, fence);
    await posix.promises.poll([{ fd, events: posix.POLLIN }], -1);
    const info = uapi.sync_file_info.create();
    posix.ioctl(fence.fd, uapi.SYNC_IOC_FILE_INFO, info);
    console.log(`the buffer is readable: "${text}", status ${info.status}`);
  }
}

if (process.argv[2] === 'client') await client();
else {
  const kernel = new shim.Kernel();
  inkInit(kernel);
  const args = [fileURLToPath(import.meta.url), 'client'];
  const child = kernel.spawn(process.execPath, args, { stdio: 'inherit' });
  [process.exitCode] = await once(child, 'exit');
}
