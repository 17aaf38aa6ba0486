/** A client of /dev/dma_importer: the requests as methods. */
import * as uapi from '../ioctl/index.js';
import type { Kernel } from '../src/index.js';
import { native } from '../src/native.js';

export interface Segment {
  address: number;
  length: number;
}

type Limits = Parameters<typeof uapi.dma_importer_setup.create>[0];

export class Importer {
  readonly fd: number;
  readonly #sys: Kernel['sys'];

  constructor({ sys }: Kernel, limits: Limits = {}) {
    this.#sys = sys;
    this.fd = sys.open('/dev/dma_importer', uapi.O_RDWR | uapi.O_CLOEXEC);
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_SETUP, uapi.dma_importer_setup.create(limits));
  }

  ioctl(request: number, argument: uapi.IoctlArg | null): void {
    this.#sys.ioctl(this.fd, request, argument);
  }

  attach(fd: number, flags = 0): number {
    const data = uapi.dma_importer_attach.create({ fd, flags });
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_ATTACH, data);
    return data.handle;
  }

  map(handle: number, direction: number = uapi.DMA_IMPORTER_BIDIRECTIONAL): Segment[] {
    const data = uapi.dma_importer_map.create({ handle, direction });
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_MAP, data);
    return this.segments(handle);
  }

  /** What the device sees; with DMA_IMPORTER_PAGES, where that is. */
  segments(handle: number, flags = 0): Segment[] {
    const data = uapi.dma_importer_segments.create({ handle, flags });
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_GET_SEGMENTS, data);
    const { size } = uapi.dma_importer_segment;
    const bytes = outside(data.count * size);
    data.segments = BigInt(native.addressOf(bytes));
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_GET_SEGMENTS, data);
    return Array.from({ length: data.count }, (_, i) => {
      const { address, length } = uapi.dma_importer_segment.view(bytes, i * size);
      return { address: Number(address), length: Number(length) };
    });
  }

  /** UNMAP, DETACH, PIN … */
  on(request: number, handle: number): void {
    this.ioctl(request, uapi.dma_importer_handle.create({ handle }));
  }

  info(handle: number): uapi.dma_importer_info {
    const data = uapi.dma_importer_info.create({ handle });
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_INFO, data);
    return data;
  }

  #transfer(init: Parameters<typeof uapi.dma_importer_transfer.create>[0]): void {
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_TRANSFER, uapi.dma_importer_transfer.create(init));
  }

  /** What the device reads. */
  read(source: number, length: number): Uint8Array {
    const bytes = outside(length);
    const data = BigInt(native.addressOf(bytes));
    const op = uapi.DMA_IMPORTER_OP_READ;
    this.#transfer({ op, source: BigInt(source), data, length: BigInt(length) });
    return bytes;
  }

  write(destination: number, text: string): void {
    const bytes = outside(text.length);
    bytes.set(Buffer.from(text, 'latin1'));
    const data = BigInt(native.addressOf(bytes));
    const [op, length] = [uapi.DMA_IMPORTER_OP_WRITE, BigInt(text.length)];
    this.#transfer({ op, destination: BigInt(destination), data, length });
  }

  fill(destination: number, length: number, value: number): void {
    const op = uapi.DMA_IMPORTER_OP_FILL;
    this.#transfer({ op, destination: BigInt(destination), length: BigInt(length), value });
  }

  copy(destination: number, source: number, length: number): void {
    const [op, from, to] = [uapi.DMA_IMPORTER_OP_COPY, BigInt(source), BigInt(destination)];
    this.#transfer({ op, source: from, destination: to, length: BigInt(length) });
  }

  /** Kernel code reads the buffer through its vmap. */
  peek(handle: number, length: number): Uint8Array {
    const bytes = outside(length);
    this.ioctl(
      uapi.DMA_IMPORTER_IOCTL_CPU_ACCESS,
      uapi.dma_importer_cpu_access.create({
        handle,
        data: BigInt(native.addressOf(bytes)),
        length: BigInt(length),
      }),
    );
    return bytes;
  }

  fault(): uapi.dma_importer_fault {
    const data = uapi.dma_importer_fault.create();
    this.ioctl(uapi.DMA_IMPORTER_IOCTL_GET_FAULT, data);
    return data;
  }

  close(): void {
    this.#sys.close(this.fd);
  }
}

/** Bytes that the garbage collector does not move. */
function outside(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(Math.max(length, 4096)), 0, length);
}
