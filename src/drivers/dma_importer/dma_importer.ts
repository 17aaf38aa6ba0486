/**
 * /dev/dma_importer: devices that import dma-bufs, for programs to drive. Not a driver of Linux's: what
 * an importing driver does with a buffer, a request each. UAPI: ioctl/dma_importer.ts.
 */
import {
  DMA_IMPORTER_CPU_WRITE,
  DMA_IMPORTER_DYNAMIC,
  DMA_IMPORTER_FROM_DEVICE,
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
  type dma_importer_attach,
  type dma_importer_cpu_access,
  type dma_importer_fault,
  type dma_importer_handle,
  type dma_importer_info,
  dma_importer_ioctls,
  type dma_importer_kick,
  type dma_importer_map,
  type dma_importer_ring,
  dma_importer_segment,
  type dma_importer_segments,
  type dma_importer_setup,
  type dma_importer_transfer,
} from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { errno } from '../../errno.js';
import type { CharDeviceOperations } from '../../fs/char_dev.js';
import type { File } from '../../fs/file.js';
import type { FileCall } from '../../fs/file_call.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import { Device, DMA_BIT_MASK } from '../../mm/dma-mapping.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { forEachSgtableDmaSg, forEachSgtableSg } from '../../mm/scatterlist.js';
import { copyToUser } from '../../mm/uaccess.js';
import { PerKernel } from '../../per_kernel.js';
import { miscRegister } from '../char/misc.js';
import { carryOut, DmaImporterDevice, type Import, MAX_RING } from './dma_importer_device.js';

/** Bytes of one transfer. */
const MAX_TRANSFER = 2n ** 30n;

/** How many devices there were. */
const devices = new PerKernel<KernelCore, { made: number }>(() => ({ made: 0 }));

export function dmaImporterInit(kernel: KernelCore): void {
  miscRegister(kernel, 'dma_importer', dmaImporterFops, { optional: true });
}

/** Of a row: it is for a file that is no device yet. */
const FIRST = 1;

const dmaImporterFops: CharDeviceOperations = {
  ...ioctlOperations(
    dma_importer_ioctls,
    {
      of: (file: File) => file.private_data as DmaImporterDevice,
      admit(file, flags) {
        if (!file.private_data && !(flags & FIRST)) throw errno('ENODEV');
      },
    },
    {
      DMA_IMPORTER_IOCTL_SETUP: { flags: FIRST, handle: setup },
      DMA_IMPORTER_IOCTL_ATTACH: attach,
      DMA_IMPORTER_IOCTL_DETACH: onImport((which, device) => device.detach(which)),
      DMA_IMPORTER_IOCTL_MAP: map,
      DMA_IMPORTER_IOCTL_UNMAP: onImport((which) => which.unmap()),
      DMA_IMPORTER_IOCTL_GET_SEGMENTS: getSegments,
      DMA_IMPORTER_IOCTL_PIN: onImport((which) => which.pin()),
      DMA_IMPORTER_IOCTL_UNPIN: onImport((which) => which.unpin()),
      DMA_IMPORTER_IOCTL_VMAP: onImport((which) => which.vmap()),
      DMA_IMPORTER_IOCTL_VUNMAP: onImport((which) => which.vunmap()),
      DMA_IMPORTER_IOCTL_CPU_ACCESS: cpuAccess,
      DMA_IMPORTER_IOCTL_INFO: info,
      DMA_IMPORTER_IOCTL_TRANSFER: transfer,
      DMA_IMPORTER_IOCTL_SET_RING: setRing,
      // How far it came is told also when it stopped there.
      DMA_IMPORTER_IOCTL_KICK: { copyOutOnError: true, handle: kick },
      DMA_IMPORTER_IOCTL_GET_FAULT: getFault,
      DMA_IMPORTER_IOCTL_RESET: (device) => device.reset(),
    },
  ),

  release(file) {
    (file.private_data as DmaImporterDevice | undefined)?.close();
  },
};

function setup(_none: unknown, data: dma_importer_setup, { file }: FileCall): void {
  const { kernel } = file;
  const { flags, dma_mask, segment_boundary_mask, max_segment_size, max_segments } = data;
  const known = DMA_IMPORTER_IOMMU | DMA_IMPORTER_NONCOHERENT | DMA_IMPORTER_NO_SWIOTLB;
  if (flags & ~known || data.pad) throw errno('EINVAL');
  if (max_segment_size !== 0 && max_segment_size < PAGE_SIZE) throw errno('EINVAL');
  for (const mask of [dma_mask, segment_boundary_mask]) {
    if (mask & (mask + 1n)) throw errno('EINVAL');
    if (mask !== 0n && mask + 1n < PAGE_SIZE) throw errno('EINVAL');
  }
  if (file.private_data) throw errno('EBUSY');
  const number = devices.of(kernel).made++;
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
}

/** A request whose argument is a handle. */
function onImport(action: (which: Import, device: DmaImporterDevice) => void) {
  return (device: DmaImporterDevice, { handle, pad }: dma_importer_handle): void => {
    if (pad) throw errno('EINVAL');
    action(device.find(handle), device);
  };
}

function attach(device: DmaImporterDevice, data: dma_importer_attach, call: FileCall): void {
  if (data.flags & ~DMA_IMPORTER_DYNAMIC || data.pad) throw errno('EINVAL');
  const which = device.attach(call.task, data.fd, (data.flags & DMA_IMPORTER_DYNAMIC) !== 0);
  call.onFailure(() => device.detach(which));
  data.handle = which.handle;
}

function map(device: DmaImporterDevice, data: dma_importer_map, call: FileCall): void {
  const which = device.find(data.handle);
  const { direction } = data;
  if (direction > DMA_IMPORTER_FROM_DEVICE) throw errno('EINVAL');
  const table = which.map(direction as 0 | 1 | 2);
  call.onFailure(() => which.unmap());
  data.nents = table.nents;
  data.orig_nents = table.orig_nents;
}

function getSegments(device: DmaImporterDevice, data: dma_importer_segments, call: FileCall): void {
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
    call.copyToUser(data.segments, bytes);
  }
  data.count = segments.length;
}

function cpuAccess(
  device: DmaImporterDevice,
  data: dma_importer_cpu_access,
  { task }: FileCall,
): void {
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

function info(device: DmaImporterDevice, data: dma_importer_info): void {
  if (data.pad) throw errno('EINVAL');
  const which = device.find(data.handle);
  data.flags = (which.isMapped ? DMA_IMPORTER_MAPPED : 0) | (which.moved ? DMA_IMPORTER_MOVED : 0);
  data.size = BigInt(which.attachment.dmabuf.size);
  data.moves = which.moves;
  data.pins = which.attachment.pins;
  data.vmaps = which.vmaps;
}

/** What an operation has no use for. */
const UNUSED: Record<number, readonly ('source' | 'destination' | 'data' | 'value')[]> = {
  [DMA_IMPORTER_OP_READ]: ['destination', 'value'],
  [DMA_IMPORTER_OP_WRITE]: ['source', 'value'],
  [DMA_IMPORTER_OP_FILL]: ['source', 'data'],
  [DMA_IMPORTER_OP_COPY]: ['data', 'value'],
};

function transfer(
  { device }: DmaImporterDevice,
  data: dma_importer_transfer,
  { task }: FileCall,
): void {
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

function setRing(device: DmaImporterDevice, { address, entries, pad }: dma_importer_ring): void {
  if (pad || entries > MAX_RING || address % 8n !== 0n) throw errno('EINVAL');
  device.setRing(Number(address), entries);
}

function kick(device: DmaImporterDevice, data: dma_importer_kick): void {
  if (data.pad) throw errno('EINVAL');
  const { done, failed } = device.kick();
  data.done = done;
  if (failed) throw errno('EIO');
}

function getFault({ device }: DmaImporterDevice, data: dma_importer_fault): void {
  if ([...data.pad].some((word) => word !== 0)) throw errno('EINVAL');
  data.count = device.faults;
  data.address = BigInt(device.lastFault?.address ?? 0);
  data.write = device.lastFault?.access === 'write' ? 1 : 0;
}
