/**
 * Memory for devices: scatterlists mapped into what a device can address. Linux: kernel/dma/mapping.c,
 * kernel/dma/debug.c; Documentation/core-api/dma-api.rst.
 *
 * Errors are thrown (`errno('EINVAL')`). A use against the rules is reported in the kernel log, as
 * CONFIG_DMA_API_DEBUG does, and does nothing else.
 */
import { errno } from '../errno.js';
import { KERN_WARNING } from '../printk.js';
import type { Device, DmaMapping } from './device.js';
import { bounceForCpu, bounceForDevice, dmaDirectMapSg } from './dma-direct.js';
import { type DmaDataDirection, dir2name, validDmaDirection } from './dma-direction.js';
import { hex } from './hex.js';
import { iommuDmaMapSg } from './iommu.js';
import type { SgTable } from './scatterlist.js';

export type { DmaCoherency } from './cache/dma-coherency.js';
export {
  Device,
  type DeviceDmaParameters,
  type DeviceInit,
  DmaFault,
} from './device.js';
export {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_NONE,
  DMA_TO_DEVICE,
  type DmaDataDirection,
} from './dma-direction.js';

/** Neither bounce buffers nor caches are brought up to date: the caller does that, or has no need. */
export const DMA_ATTR_SKIP_CPU_SYNC = 1 << 5;

/** The mask of a device with `n` bits of address. Beyond 53 bits it is good for comparing only. */
export const DMA_BIT_MASK = (n: number): number => 2 ** n - 1;

/** A device has at least these address bits: Linux on x86 has the memory that goes with them. */
const LEAST_MASK = DMA_BIT_MASK(24);

/**
 * dma_map_sgtable(): gives a device what a scatterlist lists. `nents`, `dma_address` and `dma_length` are
 * set; on failure nothing is changed. EINVAL for a direction that is none, or an empty list; ENOMEM:
 * the IOMMU has no addresses left; EIO: the device cannot reach it.
 */
export function dmaMapSgtable(
  dev: Device,
  sgt: SgTable,
  dir: DmaDataDirection,
  attrs: number = 0,
): void {
  const size = sizeOf(sgt);
  if (!validDmaDirection(dir) || size === 0) throw errno('EINVAL');
  const map = dev.iommu ? iommuDmaMapSg : dmaDirectMapSg;
  const mapping = map(dev, sgt, dir, size);
  dev.addMapping(sgt, mapping);
  // What is bounced has been copied already.
  if (!(attrs & DMA_ATTR_SKIP_CPU_SYNC)) syncCachesForDevice(dev, mapping, dir);
}

/** dma_unmap_sgtable(): takes it away again, in the direction that it was mapped for. */
export function dmaUnmapSgtable(
  dev: Device,
  sgt: SgTable,
  dir: DmaDataDirection,
  attrs: number = 0,
): void {
  const mapping = dev.findMapping(sgt);
  if (!mapping) {
    warn(dev, sgt, 'device driver tries to free DMA memory it has not allocated');
    return;
  }
  if (mapping.direction !== dir) {
    const how = `[mapped with ${dir2name(mapping.direction)}] [unmapped with ${dir2name(dir)}]`;
    warn(dev, sgt, 'device driver frees DMA memory with different direction', how);
  }
  if (!(attrs & DMA_ATTR_SKIP_CPU_SYNC)) syncForCpu(dev, mapping, dir);
  dev.removeMapping(sgt, mapping);
}

/** dma_sync_sgtable_for_cpu(): what the device has written is for the CPU to read. EINVAL. */
export function dmaSyncSgtableForCpu(dev: Device, sgt: SgTable, dir: DmaDataDirection): void {
  const mapping = findForSync(dev, sgt, dir);
  if (mapping) syncForCpu(dev, mapping, dir);
}

/** dma_sync_sgtable_for_device(): what the CPU has written is for the device to read. EINVAL. */
export function dmaSyncSgtableForDevice(dev: Device, sgt: SgTable, dir: DmaDataDirection): void {
  const mapping = findForSync(dev, sgt, dir);
  if (!mapping) return;
  if (!dev.iommu) bounceForDevice(dev, mapping, dir);
  syncCachesForDevice(dev, mapping, dir);
}

function findForSync(dev: Device, sgt: SgTable, dir: DmaDataDirection): DmaMapping | undefined {
  if (!validDmaDirection(dir)) throw errno('EINVAL');
  const mapping = dev.findMapping(sgt);
  if (!mapping) warn(dev, sgt, 'device driver tries to sync DMA memory it has not allocated');
  return mapping;
}

function syncForCpu(dev: Device, mapping: DmaMapping, dir: DmaDataDirection): void {
  dev.forEachCachedRun(mapping, (cache, memory, offset, length) =>
    cache.syncForCpu(dev, memory, offset, length, dir),
  );
  if (!dev.iommu) bounceForCpu(dev, mapping, dir);
}

function syncCachesForDevice(dev: Device, mapping: DmaMapping, dir: DmaDataDirection): void {
  dev.forEachCachedRun(mapping, (cache, memory, offset, length) =>
    cache.syncForDevice(dev, memory, offset, length, dir),
  );
}

/** Bytes that a scatterlist lists. */
function sizeOf({ orig_nents, length }: SgTable): number {
  let size = 0;
  for (let i = 0; i < orig_nents; i++) size += length[i] as number;
  return size;
}

function warn(dev: Device, sgt: SgTable, what: string, how = ''): void {
  const where = `[device address=${hex(sgt.dma_address[0] ?? 0)}] [size=${sizeOf(sgt)} bytes]`;
  dev.kernel.printk(KERN_WARNING, `DMA-API: ${dev.name}: ${what} ${where}${how && ` ${how}`}`);
}

/** dma_get_max_seg_size(): bytes a segment at most. */
export function dmaGetMaxSegSize(dev: Device): number {
  return dev.dma_parms.max_segment_size;
}

/** dma_set_max_seg_size() */
export function dmaSetMaxSegSize(dev: Device, size: number): void {
  dev.dma_parms.max_segment_size = size;
}

/** dma_get_seg_boundary(): no segment crosses a multiple of it + 1. */
export function dmaGetSegBoundary(dev: Device): number {
  return dev.dma_parms.segment_boundary_mask;
}

/** dma_set_seg_boundary(): 2^n − 1. */
export function dmaSetSegBoundary(dev: Device, mask: number): void {
  dev.dma_parms.segment_boundary_mask = mask;
}

/** dma_set_mask(): the highest address that the device can reach. EIO for less than 24 bits without an IOMMU. */
export function dmaSetMask(dev: Device, mask: number): void {
  if (!dev.iommu && mask < LEAST_MASK) throw errno('EIO');
  dev.dma_mask = mask;
}

/** dma_set_coherent_mask(): the same for memory that is allocated for the device. EIO. */
export function dmaSetCoherentMask(dev: Device, mask: number): void {
  if (!dev.iommu && mask < LEAST_MASK) throw errno('EIO');
  dev.coherent_dma_mask = mask;
}

/** dma_set_mask_and_coherent(): both. EIO. */
export function dmaSetMaskAndCoherent(dev: Device, mask: number): void {
  dmaSetMask(dev, mask);
  dmaSetCoherentMask(dev, mask);
}
