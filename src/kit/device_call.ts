/** A call on a device of one's own, as its handlers see it. */
import { O_ACCMODE, O_CLOEXEC } from '../../ioctl/index.js';
import { type DmaBuf, dmaBufGet, dmaBufPut } from '../drivers/dma-buf/dma-buf.js';
import type { DmaFence } from '../drivers/dma-buf/dma-fence.js';
import { syncFileCreate, syncFileGetFence } from '../drivers/dma-buf/sync_file.js';
import { errno } from '../errno.js';
import { FileCall } from '../fs/file_call.js';
import type { DeviceCall } from './define_device.js';

export class DeviceCallImpl extends FileCall implements DeviceCall {
  getDmaBuf(fd: number): DmaBuf {
    this.assertAwaited();
    const dmabuf = dmaBufGet(this.task, fd);
    this.onEnd(() => dmaBufPut(dmabuf));
    return dmabuf;
  }

  installDmaBuf(dmabuf: DmaBuf, flags: number = O_CLOEXEC): number {
    try {
      const { openFlags } = dmabuf.file;
      return this.installFd(dmabuf.file, (openFlags & O_ACCMODE) | (flags & O_CLOEXEC));
    } finally {
      dmaBufPut(dmabuf);
    }
  }

  getFence(fd: number): DmaFence {
    this.assertAwaited();
    const fence = syncFileGetFence(this.task, fd);
    if (!fence) throw errno('EINVAL');
    this.onEnd(() => fence.put());
    return fence;
  }

  installFence(fence: DmaFence): number {
    const { file } = syncFileCreate(this.task.kernel, fence);
    try {
      return this.installFd(file, O_CLOEXEC);
    } finally {
      file.put();
    }
  }
}
