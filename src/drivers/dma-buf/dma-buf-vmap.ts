/**
 * A buffer's bytes for kernel code. Linux: dma_buf_vmap() in drivers/dma-buf/dma-buf.c; its
 * struct iosys_map is a Uint8Array here.
 */
import { errno } from '../../errno.js';
import { KERN_WARNING } from '../../printk.js';
import type { DmaBuf } from './dma-buf.js';

/**
 * dma_buf_vmap(): the bytes of the buffer, the same memory that programs see. Calls nest: all get the same
 * array, and it is good until the last vunmap. With the lock of the reservation object. EINVAL for
 * an exporter that has none, ENOMEM.
 */
export function dmaBufVmap(dmabuf: DmaBuf): Uint8Array {
  dmabuf.resv.assertHeld();
  if (!dmabuf.ops.vmap) throw errno('EINVAL');
  dmabuf.vmap_ptr ??= dmabuf.ops.vmap(dmabuf);
  dmabuf.vmapping_counter++;
  const { observers } = dmabuf.file.kernel;
  if (observers.active && dmabuf.vmapping_counter === 1) observers.tell('vmapped', dmabuf);
  return dmabuf.vmap_ptr;
}

/** dma_buf_vunmap(): with the lock, and what {@link dmaBufVmap} gave. */
export function dmaBufVunmap(dmabuf: DmaBuf, map: Uint8Array): void {
  dmabuf.resv.assertHeld();
  if (dmabuf.vmapping_counter === 0 || dmabuf.vmap_ptr !== map) {
    const text = `WARNING: dma_buf_vunmap: ${dmabuf.describe()}: this is not mapped`;
    dmabuf.file.kernel.printk(KERN_WARNING, text);
    return;
  }
  if (--dmabuf.vmapping_counter > 0) return;
  const { observers } = dmabuf.file.kernel;
  if (observers.active) observers.tell('vunmapped', dmabuf);
  dmabuf.vmap_ptr = undefined;
  dmabuf.ops.vunmap?.(dmabuf, map);
}

/** dma_buf_vmap_unlocked(): the same for who has not locked the reservation object. */
export function dmaBufVmapUnlocked(dmabuf: DmaBuf): Uint8Array {
  return dmabuf.resv.locked(() => dmaBufVmap(dmabuf));
}

/** dma_buf_vunmap_unlocked() */
export function dmaBufVunmapUnlocked(dmabuf: DmaBuf, map: Uint8Array): void {
  dmabuf.resv.locked(() => dmaBufVunmap(dmabuf, map));
}
