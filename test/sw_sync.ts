/** Timelines, sync_files and fences on buffers, for this process: by way of `kernel.sys`. */
import { readFileSync } from 'node:fs';
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_export_sync_file,
  dma_buf_import_sync_file,
  dma_heap_allocation_data,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  SW_SYNC_IOC_CREATE_FENCE,
  SW_SYNC_IOC_INC,
  SYNC_IOC_FILE_INFO,
  SYNC_IOC_MERGE,
  sw_sync_create_fence_data,
  sync_file_info,
  sync_merge_data,
} from '../ioctl/index.js';
import type { Kernel } from '../src/index.js';

export class Timeline {
  readonly fd: number;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.fd = kernel.sys.open('/sys/kernel/debug/sync/sw_sync', O_RDWR);
  }

  /** A descriptor of a sync_file. */
  fence(value: number): number {
    const data = sw_sync_create_fence_data.create({ value });
    this.#kernel.sys.ioctl(this.fd, SW_SYNC_IOC_CREATE_FENCE, data);
    return data.fence;
  }

  advance(by = 1): void {
    this.#kernel.sys.ioctl(this.fd, SW_SYNC_IOC_INC, Uint32Array.of(by));
  }

  close(): void {
    this.#kernel.sys.close(this.fd);
  }
}

export function merge(kernel: Kernel, one: number, other: number, name = 'merged'): number {
  const data = sync_merge_data.create({ fd2: other, name });
  kernel.sys.ioctl(one, SYNC_IOC_MERGE, data);
  return data.fence;
}

/** Name, status and number of fences of a sync_file. */
export function fileInfo(kernel: Kernel, fd: number) {
  const info = sync_file_info.create();
  kernel.sys.ioctl(fd, SYNC_IOC_FILE_INFO, info);
  return { name: info.name, status: info.status, num_fences: info.num_fences };
}

export function allocateBuffer(kernel: Kernel, length = 4096): number {
  const heap = kernel.sys.open('/dev/dma_heap/system', O_RDWR);
  const data = dma_heap_allocation_data.create({
    len: BigInt(length),
    fd_flags: O_RDWR | O_CLOEXEC,
  });
  kernel.sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data);
  kernel.sys.close(heap);
  return data.fd;
}

/** `flags`: DMA_BUF_SYNC_READ, WRITE or RW. */
export function importFence(kernel: Kernel, buffer: number, fd: number, flags: number): void {
  const data = dma_buf_import_sync_file.create({ flags, fd });
  kernel.sys.ioctl(buffer, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, data);
}

export function exportFence(kernel: Kernel, buffer: number, flags: number): number {
  const data = dma_buf_export_sync_file.create({ flags });
  kernel.sys.ioctl(buffer, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, data);
  return data.fd;
}

/** The lines of /sys/kernel/debug/sync/info that tell of a timeline or a fence. */
export function syncInfo(kernel: Kernel): string[] {
  const fd = kernel.sys.open('/sys/kernel/debug/sync/info', O_RDONLY);
  const text = readFileSync(fd, 'utf8');
  kernel.sys.close(fd);
  return text.split('\n').filter((line) => line !== '' && !/^(objs:|fences:|-+)$/.test(line));
}
