/**
 * DMA without an IOMMU: addresses are where the memory is. What the device cannot reach is bounced. Linux:
 * kernel/dma/direct.c.
 */
import { errno } from '../errno.js';
import { KERN_WARNING } from '../printk.js';
import type { Device, DmaMapping } from './device.js';
import { type DmaDataDirection, deviceReads, deviceWrites } from './dma-direction.js';
import { hex } from './hex.js';
import { PAGE_SIZE } from './page.js';
import type { SgTable } from './scatterlist.js';
import { inSwiotlb, swiotlbOf } from './swiotlb.js';

/**
 * dma_direct_map_sg(): a segment for each entry, whatever the limits of segments are: memory is where it is,
 * and drivers that need it otherwise have to look. EIO when an entry cannot be reached, and not be
 * bounced either.
 */
export function dmaDirectMapSg(
  dev: Device,
  sgt: SgTable,
  direction: DmaDataDirection,
  size: number,
): DmaMapping {
  const address = new Float64Array(sgt.orig_nents);
  const length = sgt.length.slice(0, sgt.orig_nents);
  const mapping: DmaMapping = { direction, size, address, length, iova: 0, pages: 0 };
  for (let i = 0; i < address.length; i++) {
    const at = (sgt.page[i] as number) * PAGE_SIZE + (sgt.offset[i] as number);
    const mapped = reach(dev, at, length[i] as number);
    if (mapped === undefined) {
      freeBounced(dev, mapping, i);
      throw errno('EIO');
    }
    address[i] = mapped;
  }
  for (let i = 0; i < address.length; i++) {
    const first = Math.floor((address[i] as number) / PAGE_SIZE);
    const count = pagesOf(address[i] as number, length[i] as number);
    dev.pages.map(first, first, count, direction);
  }
  sgt.dma_address.set(address);
  sgt.dma_length.set(length);
  sgt.nents = sgt.orig_nents;
  return mapping;
}

/** dma_direct_map_page(): the address at which the device has memory. */
function reach(dev: Device, at: number, length: number): number | undefined {
  if (at + length - 1 <= dev.dma_mask) return at;
  if (dev.swiotlb) return swiotlbOf(dev.kernel).map(dev, at, length);
  const overflow = `overflow (mask ${dev.dma_mask.toString(16)}, bus limit 0)`;
  dev.kernel.printk(KERN_WARNING, `${dev.name}: DMA addr ${hex(at)}+${length} ${overflow}`);
  return undefined;
}

/** dma_direct_unmap_sg() */
export function dmaDirectUnmapSg(dev: Device, mapping: DmaMapping): void {
  const { address, length, direction } = mapping;
  for (let i = 0; i < address.length; i++) {
    const first = Math.floor((address[i] as number) / PAGE_SIZE);
    const count = pagesOf(address[i] as number, length[i] as number);
    dev.pages.unmap(first, count, direction);
  }
  freeBounced(dev, mapping, address.length);
}

/** Copies what is bounced: what the CPU has written to where the device looks for it. */
export function bounceForDevice(dev: Device, mapping: DmaMapping, dir: DmaDataDirection): void {
  if (deviceReads(dir)) bounce(dev, mapping, true);
}

/** Copies what is bounced: what the device has written to where the CPU looks for it. */
export function bounceForCpu(dev: Device, mapping: DmaMapping, dir: DmaDataDirection): void {
  if (deviceWrites(dir)) bounce(dev, mapping, false);
}

function bounce(dev: Device, { address, length }: DmaMapping, toPool: boolean): void {
  for (let i = 0; i < address.length; i++) {
    const at = address[i] as number;
    if (inSwiotlb(at)) swiotlbOf(dev.kernel).bounce(dev, at, length[i] as number, toPool);
  }
}

/** Gives the slots of the first `count` segments back. */
function freeBounced(dev: Device, { address, length }: DmaMapping, count: number): void {
  for (let i = 0; i < count; i++) {
    const at = address[i] as number;
    if (inSwiotlb(at)) swiotlbOf(dev.kernel).unmap(at, length[i] as number);
  }
}

/** Pages that a segment touches. */
function pagesOf(address: number, length: number): number {
  return Math.ceil((address + length) / PAGE_SIZE) - Math.floor(address / PAGE_SIZE);
}
