/** A dma-buf with a frame in it, as an application handles one. */
import {
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SET_NAME_B,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_START,
  DMA_BUF_SYNC_WRITE,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_import_sync_file,
  dma_buf_sync,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDWR,
} from '../../ioctl/index.js';
import {
  close,
  ioctl,
  MAP_SHARED,
  mmap,
  munmap,
  POLLIN,
  PROT_READ,
  PROT_WRITE,
  poll,
  promises,
} from '../posix.js';

/** The size of a frame, in pixels of 4 bytes. */
export interface FrameSize {
  width: number;
  height: number;
}

export class FrameBuffer {
  readonly fd: number;
  readonly size: FrameSize;
  readonly #pixels: Uint32Array;

  /** A buffer that somebody gave us: mapped here, and never again. */
  constructor(fd: number, size: FrameSize) {
    this.fd = fd;
    this.size = size;
    this.#pixels = new Uint32Array(mmap(byteLength(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd));
  }

  /** A buffer of our own, with a name for who looks at the kernel's list of buffers. */
  static allocate(heap: number, size: FrameSize, name: string): FrameBuffer {
    const data = dma_heap_allocation_data.create({
      len: BigInt(byteLength(size)),
      fd_flags: O_RDWR | O_CLOEXEC,
    });
    ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data);
    ioctl(data.fd, DMA_BUF_SET_NAME_B, Buffer.from(`${name}\0`));
    return new FrameBuffer(data.fd, size);
  }

  /**
   * Lets `use` at the pixels. `direction` is DMA_BUF_SYNC_READ, _WRITE or _RW: on machines whose
   * devices do not see the processor's caches, the pixels are right only between START and END.
   */
  access<T>(direction: number, use: (pixels: Uint32Array) => T): T {
    this.#sync(DMA_BUF_SYNC_START | direction);
    try {
      return use(this.#pixels);
    } finally {
      this.#sync(DMA_BUF_SYNC_END | direction);
    }
  }

  /** Puts a fence on the buffer, a sync_file of who writes it: from now on readers wait for it. */
  importFence(fence: number): void {
    const data = dma_buf_import_sync_file.create({ flags: DMA_BUF_SYNC_WRITE, fd: fence });
    ioctl(this.fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, data);
  }

  /** Resolves when nobody writes the buffer any more; whether there was something to wait for. */
  async readable(): Promise<boolean> {
    const fds = [{ fd: this.fd, events: POLLIN }];
    if (poll(fds, 0) > 0) return false;
    await promises.poll(fds, -1);
    return true;
  }

  /** Lets go of it: this process cannot use it any more. */
  close(): void {
    munmap(this.#pixels.buffer as ArrayBuffer);
    close(this.fd);
  }

  #sync(flags: number): void {
    ioctl(this.fd, DMA_BUF_IOCTL_SYNC, dma_buf_sync.create({ flags: BigInt(flags) }));
  }
}

export function byteLength({ width, height }: FrameSize): number {
  return width * height * Uint32Array.BYTES_PER_ELEMENT;
}
