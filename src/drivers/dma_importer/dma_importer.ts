/**
 * /dev/dma_importer: devices that import dma-bufs, for programs to drive. Not a driver of Linux's: what
 * an importing driver does with a buffer, a request each. UAPI: ioctl/dma_importer.ts.
 */
import {
  DMA_IMPORTER_CPU_WRITE,
  DMA_IMPORTER_DYNAMIC,
  DMA_IMPORTER_FROM_DEVICE,
  DMA_IMPORTER_IOCTL_ATTACH,
  DMA_IMPORTER_IOCTL_CPU_ACCESS,
  DMA_IMPORTER_IOCTL_DETACH,
  DMA_IMPORTER_IOCTL_GET_FAULT,
  DMA_IMPORTER_IOCTL_GET_SEGMENTS,
  DMA_IMPORTER_IOCTL_INFO,
  DMA_IMPORTER_IOCTL_KICK,
  DMA_IMPORTER_IOCTL_MAP,
  DMA_IMPORTER_IOCTL_PIN,
  DMA_IMPORTER_IOCTL_RESET,
  DMA_IMPORTER_IOCTL_SET_RING,
  DMA_IMPORTER_IOCTL_SETUP,
  DMA_IMPORTER_IOCTL_TRANSFER,
  DMA_IMPORTER_IOCTL_UNMAP,
  DMA_IMPORTER_IOCTL_UNPIN,
  DMA_IMPORTER_IOCTL_VMAP,
  DMA_IMPORTER_IOCTL_VUNMAP,
  DMA_IMPORTER_IOMMU,
  DMA_IMPORTER_MAPPED,
  DMA_IMPORTER_MOVED,
  DMA_IMPORTER_NO_SWIOTLB,
  DMA_IMPORTER_NONCOHERENT,
  DMA_IMPORTER_OP_COPY,
  DMA_IMPORTER_OP_FILL,
  DMA_IMPORTER_OP_READ,
  DMA_IMPORTER_OP_WRITE,
  DMA_IMPORTER_PAGES,
  dma_importer_attach,
  dma_importer_cpu_access,
  dma_importer_fault,
  dma_importer_handle,
  dma_importer_info,
  dma_importer_ioctls,
  dma_importer_kick,
  dma_importer_map,
  dma_importer_ring,
  dma_importer_segment,
  dma_importer_segments,
  dma_importer_setup,
  dma_importer_transfer,
} from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import type { CharDeviceOperations } from '../../fs/char_dev.js';
import type { File } from '../../fs/file.js';
import { Device, DMA_BIT_MASK } from '../../mm/dma-mapping.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { forEachSgtableDmaSg, forEachSgtableSg } from '../../mm/scatterlist.js';
import { copyFromUser, copyToUser } from '../../mm/uaccess.js';
import type { Task } from '../../task.js';
import { miscRegister } from '../char/misc.js';
import { carryOut, DmaImporterDevice, type Import, MAX_RING } from './dma_importer_device.js';

/** Bytes of one transfer. */
const MAX_TRANSFER = 2n ** 30n;

const devices = new WeakMap<KernelCore, number>();

export function dmaImporterInit(kernel: KernelCore): void {
  miscRegister(kernel, 'dma_importer', dmaImporterFops, { optional: true });
}

const dmaImporterFops: CharDeviceOperations = {
  ioctls: dma_importer_ioctls,

  ioctl(file, request, arg, task) {
    if (request === DMA_IMPORTER_IOCTL_SETUP) return setup(file, task, arg);
    const handler = handlers.get(request);
    if (!handler) throw errno('ENOTTY');
    const device = file.private_data as DmaImporterDevice | undefined;
    if (!device) throw errno('ENODEV');
    handler(device, task, arg);
    return 0;
  },

  release(file) {
    (file.private_data as DmaImporterDevice | undefined)?.close();
  },
};

function setup(file: File, task: Task, arg: number): number {
  const { kernel } = file;
  const data = copyFromUser(task.mm, arg, dma_importer_setup);
  const { flags, dma_mask, segment_boundary_mask, max_segment_size, max_segments } = data;
  const known = DMA_IMPORTER_IOMMU | DMA_IMPORTER_NONCOHERENT | DMA_IMPORTER_NO_SWIOTLB;
  if (flags & ~known || data.pad) throw errno('EINVAL');
  if (max_segment_size !== 0 && max_segment_size < PAGE_SIZE) throw errno('EINVAL');
  for (const mask of [dma_mask, segment_boundary_mask]) {
    if (mask & (mask + 1n)) throw errno('EINVAL');
    if (mask !== 0n && mask + 1n < PAGE_SIZE) throw errno('EINVAL');
  }
  if (file.private_data) throw errno('EBUSY');
  const number = devices.get(kernel) ?? 0;
  devices.set(kernel, number + 1);
  file.private_data = new DmaImporterDevice(
    file,
    new Device(kernel, {
      name: data.name || `dma_importer.${number}`,
      dma_mask: dma_mask ? Number(dma_mask) : DMA_BIT_MASK(32),
      dma_parms: {
        ...(max_segment_size && { max_segment_size }),
        ...(segment_boundary_mask && { segment_boundary_mask: Number(segment_boundary_mask) }),
        ...(max_segments && { max_segments }),
      },
      dma_coherent: !(flags & DMA_IMPORTER_NONCOHERENT),
      iommu: (flags & DMA_IMPORTER_IOMMU) !== 0,
      swiotlb: !(flags & DMA_IMPORTER_NO_SWIOTLB),
    }),
  );
  return 0;
}

type Handler = (device: DmaImporterDevice, task: Task, arg: number) => void;

/** A request whose argument is a handle. */
function onImport(action: (device: DmaImporterDevice, which: Import) => void): Handler {
  return (device, task, arg) => {
    const { handle, pad } = copyFromUser(task.mm, arg, dma_importer_handle);
    if (pad) throw errno('EINVAL');
    action(device, device.find(handle));
  };
}

const handlers = new Map<number, Handler>([
  [DMA_IMPORTER_IOCTL_ATTACH, attach],
  [DMA_IMPORTER_IOCTL_DETACH, onImport((device, which) => device.detach(which))],
  [DMA_IMPORTER_IOCTL_MAP, map],
  [DMA_IMPORTER_IOCTL_UNMAP, onImport((_device, which) => which.unmap())],
  [DMA_IMPORTER_IOCTL_GET_SEGMENTS, getSegments],
  [DMA_IMPORTER_IOCTL_PIN, onImport((_device, which) => which.pin())],
  [DMA_IMPORTER_IOCTL_UNPIN, onImport((_device, which) => which.unpin())],
  [DMA_IMPORTER_IOCTL_VMAP, onImport((_device, which) => which.vmap())],
  [DMA_IMPORTER_IOCTL_VUNMAP, onImport((_device, which) => which.vunmap())],
  [DMA_IMPORTER_IOCTL_CPU_ACCESS, cpuAccess],
  [DMA_IMPORTER_IOCTL_INFO, info],
  [DMA_IMPORTER_IOCTL_TRANSFER, transfer],
  [DMA_IMPORTER_IOCTL_SET_RING, setRing],
  [DMA_IMPORTER_IOCTL_KICK, kick],
  [DMA_IMPORTER_IOCTL_GET_FAULT, getFault],
  [DMA_IMPORTER_IOCTL_RESET, (device) => device.reset()],
]);

function attach(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_attach);
  if (data.flags & ~DMA_IMPORTER_DYNAMIC || data.pad) throw errno('EINVAL');
  const which = device.attach(task, data.fd, (data.flags & DMA_IMPORTER_DYNAMIC) !== 0);
  data.handle = which.handle;
  try {
    copyToUser(task.mm, arg, data);
  } catch (error) {
    device.detach(which);
    throw error;
  }
}

function map(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_map);
  const which = device.find(data.handle);
  const { direction } = data;
  if (direction > DMA_IMPORTER_FROM_DEVICE) throw errno('EINVAL');
  const table = which.map(direction as 0 | 1 | 2);
  data.nents = table.nents;
  data.orig_nents = table.orig_nents;
  try {
    copyToUser(task.mm, arg, data);
  } catch (error) {
    which.unmap();
    throw error;
  }
}

function getSegments(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_segments);
  if (data.flags & ~DMA_IMPORTER_PAGES || data.pad) throw errno('EINVAL');
  const table = device.find(data.handle).table;
  const segments: [number, number][] = [];
  if (data.flags & DMA_IMPORTER_PAGES) {
    for (const { page, offset, length } of forEachSgtableSg(table)) {
      segments.push([page * PAGE_SIZE + offset, length]);
    }
  } else {
    for (const { dma_address, dma_length } of forEachSgtableDmaSg(table)) {
      segments.push([dma_address, dma_length]);
    }
  }
  if (segments.length <= data.count) {
    const bytes = new Uint8Array(segments.length * dma_importer_segment.size);
    for (const [i, [address, length]] of segments.entries()) {
      const segment = dma_importer_segment.view(bytes, i * dma_importer_segment.size);
      segment.address = BigInt(address);
      segment.length = BigInt(length);
    }
    copyToUser(task.mm, Number(data.segments), bytes);
  }
  data.count = segments.length;
  copyToUser(task.mm, arg, data);
}

function cpuAccess(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_cpu_access);
  if (data.flags & ~DMA_IMPORTER_CPU_WRITE) throw errno('EINVAL');
  const which = device.find(data.handle);
  const size = BigInt(which.attachment.dmabuf.size);
  if (data.offset > size || data.length > size - data.offset) throw errno('EINVAL');
  const [offset, length] = [Number(data.offset), Number(data.length)];
  const write = (data.flags & DMA_IMPORTER_CPU_WRITE) !== 0;
  which.accessByCpu(write, (bytes) => {
    const part = bytes.subarray(offset, offset + length);
    if (write) task.mm.read(Number(data.data), part);
    else task.mm.write(Number(data.data), part);
  });
}

function info(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_info);
  if (data.pad) throw errno('EINVAL');
  const which = device.find(data.handle);
  data.flags = (which.isMapped ? DMA_IMPORTER_MAPPED : 0) | (which.moved ? DMA_IMPORTER_MOVED : 0);
  data.size = BigInt(which.attachment.dmabuf.size);
  data.moves = which.moves;
  data.pins = which.attachment.pins;
  data.vmaps = which.vmaps;
  copyToUser(task.mm, arg, data);
}

/** What an operation has no use for. */
const UNUSED: Record<number, readonly ('source' | 'destination' | 'data' | 'value')[]> = {
  [DMA_IMPORTER_OP_READ]: ['destination', 'value'],
  [DMA_IMPORTER_OP_WRITE]: ['source', 'value'],
  [DMA_IMPORTER_OP_FILL]: ['source', 'data'],
  [DMA_IMPORTER_OP_COPY]: ['data', 'value'],
};

function transfer({ device }: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_transfer);
  const unused = UNUSED[data.op];
  if (!unused || unused.some((name) => BigInt(data[name]) !== 0n)) throw errno('EINVAL');
  if (data.value > 0xff || data.length > MAX_TRANSFER) throw errno('EINVAL');
  const length = Number(data.length);
  const user = Number(data.data);
  const [source, destination] = [Number(data.source), Number(data.destination)];
  switch (data.op) {
    case DMA_IMPORTER_OP_READ: {
      const bytes = new Uint8Array(length);
      carryOut(() => device.read(source, bytes));
      copyToUser(task.mm, user, bytes);
      break;
    }
    case DMA_IMPORTER_OP_WRITE: {
      const bytes = new Uint8Array(length);
      task.mm.read(user, bytes);
      carryOut(() => device.write(destination, bytes));
      break;
    }
    case DMA_IMPORTER_OP_FILL:
      carryOut(() => device.fill(destination, length, data.value));
      break;
    case DMA_IMPORTER_OP_COPY:
      carryOut(() => device.copy(destination, source, length));
      break;
  }
}

function setRing(device: DmaImporterDevice, task: Task, arg: number): void {
  const { address, entries, pad } = copyFromUser(task.mm, arg, dma_importer_ring);
  if (pad || entries > MAX_RING || address % 8n !== 0n) throw errno('EINVAL');
  device.setRing(Number(address), entries);
}

function kick(device: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_kick);
  if (data.pad) throw errno('EINVAL');
  const { done, failed } = device.kick();
  data.done = done;
  copyToUser(task.mm, arg, data);
  if (failed) throw errno('EIO');
}

function getFault({ device }: DmaImporterDevice, task: Task, arg: number): void {
  const data = copyFromUser(task.mm, arg, dma_importer_fault);
  if ([...data.pad].some((word) => word !== 0)) throw errno('EINVAL');
  data.count = device.faults;
  data.address = BigInt(device.lastFault?.address ?? 0);
  data.write = device.lastFault?.access === 'write' ? 1 : 0;
  copyToUser(task.mm, arg, data);
}
