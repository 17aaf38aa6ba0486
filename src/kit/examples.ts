/** Arguments that a device takes, for `dmabuf-shim lint-uapi` to try: as they are, and spoiled in one place. */
import {
  type CType,
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_SYNC_RW,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_export_sync_file,
  dma_heap_allocation_data,
  type Init,
  type IoctlTable,
  O_CLOEXEC,
  O_RDWR,
} from '../../ioctl/index.js';
import { native } from '../native.js';
import type { Posix } from '../syscall/calls.js';

/**
 * What an example can use, also taken apart: `({ buffer }) => …`. All that it makes is closed when the example has
 * been tried.
 */
export class ExampleSetting {
  readonly sys: Posix;
  /** The open file of the device, for requests that have to come before: `sys.ioctl(fd, …)`. */
  readonly fd: number;
  readonly #fds: number[] = [];
  /** Memory whose address was given: it must stay where it is. */
  readonly #memory: Uint8Array[] = [];

  constructor(sys: Posix, fd: number) {
    this.sys = sys;
    this.fd = fd;
  }

  /** A descriptor of a new dma-buf of so many bytes. */
  readonly buffer = (size: number): number => {
    const heap = this.sys.open('/dev/dma_heap/system', O_RDWR);
    try {
      const data = dma_heap_allocation_data.create({
        len: BigInt(size),
        fd_flags: O_RDWR | O_CLOEXEC,
      });
      this.sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data);
      this.#fds.push(data.fd);
      return data.fd;
    } finally {
      this.sys.close(heap);
    }
  };

  /** A descriptor of a sync_file that is signalled. */
  readonly fence = (): number => {
    const data = dma_buf_export_sync_file.create({ flags: DMA_BUF_SYNC_RW });
    this.sys.ioctl(this.buffer(4096), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, data);
    this.#fds.push(data.fd);
    return data.fd;
  };

  /** The address of memory, for a field that is a `ptr`. */
  readonly address = (memory: Uint8Array | { readonly bytes: Uint8Array }): bigint => {
    const bytes = memory instanceof Uint8Array ? memory : memory.bytes;
    this.#memory.push(bytes);
    return BigInt(native.addressOf(bytes));
  };

  /** @internal */
  close(): void {
    for (const fd of this.#fds.splice(0)) this.sys.close(fd);
    this.#memory.length = 0;
  }
}

type Argument<A> = A extends CType ? Init<A> : number;

/** By ioctl: its argument, or what makes it; for an ioctl without a struct, the number. */
export type Examples<T extends IoctlTable> = {
  readonly [K in keyof T]?:
    | Argument<T[K]['arg']>
    | ((setting: ExampleSetting) => Argument<T[K]['arg']>);
};
