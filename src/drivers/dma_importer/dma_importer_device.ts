/** A device of /dev/dma_importer: what is attached to it, and its engine. */
import {
  DMA_IMPORTER_DESC_DONE,
  DMA_IMPORTER_DESC_FAULT,
  DMA_IMPORTER_DESC_INVALID,
  DMA_IMPORTER_DESC_OWN,
  DMA_IMPORTER_OP_COPY,
  DMA_IMPORTER_OP_FILL,
  dma_importer_descriptor,
} from '../../../ioctl/index.js';
import { errno } from '../../errno.js';
import type { File } from '../../fs/file.js';
import { HandleTable } from '../../fs/handle_table.js';
import {
  type Device,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDataDirection,
  DmaFault,
} from '../../mm/dma-mapping.js';
import type { SgTable } from '../../mm/scatterlist.js';
import type { Task } from '../../task.js';
import {
  type DmaBuf,
  dmaBufBeginCpuAccess,
  dmaBufEndCpuAccess,
  dmaBufGet,
  dmaBufPut,
} from '../dma-buf/dma-buf.js';
import {
  type DmaBufAttachment,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufDynamicAttach,
  dmaBufMapAttachmentUnlocked,
  dmaBufPin,
  dmaBufUnmapAttachment,
  dmaBufUnmapAttachmentUnlocked,
  dmaBufUnpin,
} from '../dma-buf/dma-buf-attach.js';
import { dmaBufVmapUnlocked, dmaBufVunmapUnlocked } from '../dma-buf/dma-buf-vmap.js';

/** Descriptors of a ring. */
export const MAX_RING = 65536;

/** A buffer that is attached to the device. */
export class Import {
  readonly handle: number;
  readonly attachment: DmaBufAttachment;
  #table: SgTable | undefined;
  #direction: DmaDataDirection = 0;
  readonly #maps: Uint8Array[] = [];
  /** The buffer has moved since it was mapped last. */
  moved = false;
  moves = 0;

  constructor(handle: number, dmabuf: DmaBuf, device: Device, dynamic: boolean) {
    this.handle = handle;
    this.attachment = dynamic
      ? dmaBufDynamicAttach(dmabuf, device, { moveNotify: () => this.#moveNotify() })
      : dmaBufAttach(dmabuf, device);
  }

  get isMapped(): boolean {
    return this.#table !== undefined;
  }

  /** EINVAL if it is not mapped. */
  get table(): SgTable {
    if (!this.#table) throw errno('EINVAL');
    return this.#table;
  }

  get vmaps(): number {
    return this.#maps.length;
  }

  map(direction: DmaDataDirection): SgTable {
    if (this.#table) throw errno('EBUSY');
    const { attachment } = this;
    const table = dmaBufMapAttachmentUnlocked(attachment, direction);
    if (table.nents > attachment.dev.dma_parms.max_segments) {
      dmaBufUnmapAttachmentUnlocked(attachment, table, direction);
      throw errno('EINVAL');
    }
    this.#table = table;
    this.#direction = direction;
    this.moved = false;
    return table;
  }

  unmap(): void {
    dmaBufUnmapAttachmentUnlocked(this.attachment, this.table, this.#direction);
    this.#table = undefined;
  }

  #moveNotify(): void {
    this.moves++;
    if (!this.#table) return;
    dmaBufUnmapAttachment(this.attachment, this.#table, this.#direction);
    this.#table = undefined;
    this.moved = true;
  }

  pin(): void {
    if (!this.attachment.importer_ops) throw errno('EINVAL');
    this.attachment.dmabuf.resv.locked(() => dmaBufPin(this.attachment));
  }

  unpin(): void {
    if (this.attachment.pins === 0) throw errno('EINVAL');
    this.attachment.dmabuf.resv.locked(() => dmaBufUnpin(this.attachment));
  }

  vmap(): void {
    this.#maps.push(dmaBufVmapUnlocked(this.attachment.dmabuf));
  }

  vunmap(): void {
    const map = this.#maps.pop();
    if (!map) throw errno('EINVAL');
    dmaBufVunmapUnlocked(this.attachment.dmabuf, map);
  }

  /** Gives `access` the bytes. EINVAL if they are not mapped into the kernel. */
  accessByCpu(write: boolean, access: (bytes: Uint8Array) => void): void {
    const [map] = this.#maps;
    if (!map) throw errno('EINVAL');
    const direction = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
    dmaBufBeginCpuAccess(this.attachment.dmabuf, direction);
    try {
      access(map);
    } finally {
      dmaBufEndCpuAccess(this.attachment.dmabuf, direction);
    }
  }

  /** Undoes everything, and lets go of the buffer. */
  close(): void {
    while (this.#maps.length > 0) this.vunmap();
    if (this.#table) this.unmap();
    while (this.attachment.pins > 0) this.unpin();
    dmaBufDetach(this.attachment.dmabuf, this.attachment);
    dmaBufPut(this.attachment.dmabuf);
  }
}

/** Has the engine do something; EIO if it runs into a fault. */
export function carryOut(action: () => void): void {
  try {
    action();
  } catch (error) {
    throw error instanceof DmaFault ? errno('EIO') : error;
  }
}

export class DmaImporterDevice {
  readonly device: Device;
  readonly #imports: HandleTable<Import>;
  #ring = { address: 0, entries: 0 };
  /** The descriptor that the engine looks at next. */
  #head = 0;

  constructor(file: File, device: Device) {
    this.device = device;
    this.#imports = new HandleTable(file, 'attachment');
  }

  /** ENOENT */
  find(handle: number): Import {
    return this.#imports.find(handle);
  }

  attach(task: Task, fd: number, dynamic: boolean): Import {
    const dmabuf = dmaBufGet(task, fd);
    try {
      const make = (number: number) => new Import(number, dmabuf, this.device, dynamic);
      return this.#imports.find(this.#imports.alloc(make));
    } catch (error) {
      dmaBufPut(dmabuf);
      throw error;
    }
  }

  detach(which: Import): void {
    if (which.isMapped || which.attachment.pins > 0 || which.vmaps > 0) throw errno('EBUSY');
    this.#imports.remove(which.handle);
    which.close();
  }

  setRing(address: number, entries: number): void {
    this.#ring = { address, entries };
    this.#head = 0;
  }

  /** The engine goes on until a descriptor is not its own, or it has been round once. */
  kick(): { done: number; failed: boolean } {
    const { address, entries } = this.#ring;
    if (entries === 0) throw errno('EINVAL');
    const descriptor = dma_importer_descriptor.create();
    for (let done = 0; ; done++) {
      const at = address + this.#head * dma_importer_descriptor.size;
      try {
        this.device.read(at, descriptor.bytes);
        if (done === entries || !(descriptor.control & DMA_IMPORTER_DESC_OWN)) {
          return { done, failed: false };
        }
        descriptor.status = this.#execute(descriptor);
        descriptor.control &= ~DMA_IMPORTER_DESC_OWN;
        this.device.write(at, descriptor.bytes);
      } catch (error) {
        if (!(error instanceof DmaFault)) throw error;
        return { done, failed: true };
      }
      this.#head = (this.#head + 1) % entries;
      if (descriptor.status !== DMA_IMPORTER_DESC_DONE) return { done: done + 1, failed: true };
    }
  }

  #execute(descriptor: dma_importer_descriptor): number {
    const source = Number(descriptor.source);
    const destination = Number(descriptor.destination);
    const { length, value, control } = descriptor;
    try {
      switch ((control & ~DMA_IMPORTER_DESC_OWN) >>> 0) {
        case DMA_IMPORTER_OP_FILL:
          this.device.fill(destination, length, value & 0xff);
          return DMA_IMPORTER_DESC_DONE;
        case DMA_IMPORTER_OP_COPY:
          this.device.copy(destination, source, length);
          return DMA_IMPORTER_DESC_DONE;
        default:
          return DMA_IMPORTER_DESC_INVALID;
      }
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      return DMA_IMPORTER_DESC_FAULT;
    }
  }

  reset(): void {
    for (const which of this.#imports.clear()) which.close();
    this.setRing(0, 0);
    this.device.clearFaults();
  }

  close(): void {
    this.reset();
    this.device.close();
  }
}
