/** A timeline of a program's own: its fences say how far its work is. */
import {
  O_CLOEXEC,
  O_RDWR,
  SW_SYNC_IOC_CREATE_FENCE,
  SW_SYNC_IOC_INC,
  sw_sync_create_fence_data,
} from '../../ioctl/index.js';
import { close, ioctl, open } from '../posix.js';

/** Closed with the program at the latest, however that ends: the fences that are left are signalled with ENOENT. */
export class Timeline {
  readonly #fd = open('/sys/kernel/debug/sync/sw_sync', O_RDWR | O_CLOEXEC);
  #created = 0;

  /** A fence for the next piece of work: the descriptor of a sync_file. */
  createFence(): number {
    const data = sw_sync_create_fence_data.create({ value: ++this.#created });
    ioctl(this.#fd, SW_SYNC_IOC_CREATE_FENCE, data);
    return data.fence;
  }

  /** The oldest piece of work that was not done is done. */
  signal(): void {
    ioctl(this.#fd, SW_SYNC_IOC_INC, Uint32Array.of(1));
  }

  close(): void {
    close(this.#fd);
  }
}
