/**
 * Devices that a buffer is shared with: attachments, their mappings, and buffers that move.
 * Linux: drivers/dma-buf/dma-buf.c, Documentation/driver-api/dma-buf.rst.
 *
 * Errors are thrown (`errno('EINVAL')`). A use against the rules is reported in the kernel log, as
 * Linux's WARN_ON does.
 */
import { errno } from '../../errno.js';
import { ListEntry } from '../../list.js';
import { type Device, DMA_BIDIRECTIONAL, type DmaDataDirection } from '../../mm/dma-mapping.js';
import type { SgTable } from '../../mm/scatterlist.js';
import { KERN_WARNING } from '../../printk.js';
import type { DmaBuf } from './dma-buf.js';

declare module '../../observe/observer.js' {
  interface Observer {
    attached?(attachment: DmaBufAttachment): void;
    detached?(attachment: DmaBufAttachment): void;
    /** An importer has a buffer mapped for its device; the mapping itself may be one that is kept. */
    dmaMapped?(attachment: DmaBufAttachment, direction: DmaDataDirection): void;
    dmaUnmapped?(attachment: DmaBufAttachment, direction: DmaDataDirection): void;
  }
}

/** struct dma_buf_attach_ops: what an importer does that can have the buffer move under it. */
export interface DmaBufAttachOps {
  /** The importer takes device memory as well. */
  allow_peer2peer?: boolean;
  /**
   * The buffer moves: what is mapped is not to be used from here on, and to be unmapped. Called with the
   * reservation object locked.
   */
  moveNotify(attachment: DmaBufAttachment): void;
}

/** struct dma_buf_attachment: a device that a buffer is shared with. */
export class DmaBufAttachment extends ListEntry {
  readonly dmabuf: DmaBuf;
  readonly dev: Device;
  readonly peer2peer: boolean;
  readonly importer_ops: DmaBufAttachOps | undefined;
  /** Free for the importer. */
  readonly importer_priv: unknown;
  /** Free for the exporter. */
  priv: unknown;
  /** The mapping that is kept as long as the attachment, where it is; else undefined. */
  sgt: SgTable | undefined;
  /** Direction of {@link sgt}. */
  dir: DmaDataDirection = DMA_BIDIRECTIONAL;
  /** What the importer has mapped and not unmapped; some exporters give the same table again. */
  readonly mapped: { readonly table: SgTable; readonly direction: DmaDataDirection }[] = [];
  /** What it has pinned and not unpinned. */
  pins = 0;

  /** @internal Made by {@link dmaBufDynamicAttach}. */
  constructor(dmabuf: DmaBuf, dev: Device, ops: DmaBufAttachOps | undefined, priv: unknown) {
    super();
    this.dmabuf = dmabuf;
    this.dev = dev;
    this.peer2peer = ops?.allow_peer2peer ?? false;
    this.importer_ops = ops;
    this.importer_priv = priv;
  }
}

/** dma_buf_is_dynamic(): whether its exporter moves buffers. */
export function dmaBufIsDynamic(dmabuf: DmaBuf): boolean {
  return dmabuf.ops.pin !== undefined;
}

/** dma_buf_attachment_is_dynamic(): whether the importer can have the buffer move. */
export function dmaBufAttachmentIsDynamic(attachment: DmaBufAttachment): boolean {
  return attachment.importer_ops !== undefined;
}

/**
 * dma_buf_attach(): shares a buffer, of which the caller has a reference, with a device. Its exporter
 * learns what the device needs, and may refuse. ENOMEM, or what the exporter throws.
 */
export function dmaBufAttach(dmabuf: DmaBuf, dev: Device): DmaBufAttachment {
  return dmaBufDynamicAttach(dmabuf, dev);
}

/**
 * dma_buf_dynamic_attach(): the same for an importer that can have the buffer move. An importer and an
 * exporter of which only one is dynamic have the buffer pinned and mapped as long as it is attached.
 */
export function dmaBufDynamicAttach(
  dmabuf: DmaBuf,
  dev: Device,
  importer_ops?: DmaBufAttachOps,
  importer_priv?: unknown,
): DmaBufAttachment {
  const { ops, resv } = dmabuf;
  const attachment = new DmaBufAttachment(dmabuf, dev, importer_ops, importer_priv);
  ops.attach?.(dmabuf, attachment);
  resv.lock();
  dmabuf.attachments.add(attachment);
  resv.unlock();
  const { observers } = dmabuf.file.kernel;
  if (observers.active) observers.tell('attached', attachment);
  if (dmaBufAttachmentIsDynamic(attachment) === dmaBufIsDynamic(dmabuf)) return attachment;
  try {
    mapForGood(attachment);
  } catch (error) {
    dmaBufDetach(dmabuf, attachment);
    throw error;
  }
  return attachment;
}

function mapForGood(attachment: DmaBufAttachment): void {
  const { dmabuf } = attachment;
  const { ops, resv } = dmabuf;
  resv.lock();
  try {
    ops.pin?.(attachment);
    try {
      attachment.sgt = ops.mapDmaBuf(attachment, DMA_BIDIRECTIONAL);
    } catch (error) {
      ops.unpin?.(attachment);
      throw error;
    }
    attachment.dir = DMA_BIDIRECTIONAL;
  } finally {
    resv.unlock();
  }
}

/** dma_buf_detach(): the device has no use for the buffer any more. Everything has to be unmapped. */
export function dmaBufDetach(dmabuf: DmaBuf, attachment: DmaBufAttachment): void {
  const { ops, resv } = dmabuf;
  if (attachment.dmabuf !== dmabuf || !dmabuf.attachments.has(attachment)) {
    warn(dmabuf, 'dma_buf_detach', `${attachment.dev.name} is not attached`);
    return;
  }
  if (attachment.mapped.length > 0) {
    warn(dmabuf, 'dma_buf_detach', `${attachment.dev.name} is detached while it has it mapped`);
  }
  if (attachment.pins > 0) {
    warn(dmabuf, 'dma_buf_detach', `${attachment.dev.name} is detached while it has it pinned`);
  }
  resv.lock();
  if (attachment.sgt) {
    ops.unmapDmaBuf(attachment, attachment.sgt, attachment.dir);
    ops.unpin?.(attachment);
    attachment.sgt = undefined;
  }
  dmabuf.attachments.delete(attachment);
  resv.unlock();
  ops.detach?.(dmabuf, attachment);
  const { observers } = dmabuf.file.kernel;
  if (observers.active) observers.tell('detached', attachment);
}

/**
 * dma_buf_pin(): the buffer stays where it is, wherever that is (for scanout, say). With the lock. For
 * dynamic importers. What the exporter throws.
 */
export function dmaBufPin(attachment: DmaBufAttachment): void {
  const { dmabuf } = attachment;
  if (!dmaBufAttachmentIsDynamic(attachment)) {
    warn(dmabuf, 'dma_buf_pin', `the importer ${attachment.dev.name} is not dynamic`);
  }
  dmabuf.resv.assertHeld();
  dmabuf.ops.pin?.(attachment);
  attachment.pins++;
}

/** dma_buf_unpin(). With the lock. */
export function dmaBufUnpin(attachment: DmaBufAttachment): void {
  const { dmabuf } = attachment;
  if (!dmaBufAttachmentIsDynamic(attachment)) {
    warn(dmabuf, 'dma_buf_unpin', `the importer ${attachment.dev.name} is not dynamic`);
  }
  dmabuf.resv.assertHeld();
  if (attachment.pins === 0) {
    warn(dmabuf, 'dma_buf_unpin', `${attachment.dev.name} has not pinned it`);
    return;
  }
  attachment.pins--;
  dmabuf.ops.unpin?.(attachment);
}

/**
 * dma_buf_map_attachment(): the buffer in the device's address space, as a mapped scatterlist that belongs
 * to the exporter. With the lock. EBUSY when the mapping is kept, and for another direction; ENOMEM;
 * or what the exporter throws.
 */
export function dmaBufMapAttachment(
  attachment: DmaBufAttachment,
  direction: DmaDataDirection,
): SgTable {
  const { dmabuf } = attachment;
  if (!dmabuf.attachments.has(attachment)) {
    warn(dmabuf, 'dma_buf_map_attachment', `${attachment.dev.name} is not attached`);
    throw errno('EINVAL');
  }
  assertHeld(attachment);
  if (attachment.sgt) {
    if (attachment.dir !== direction && attachment.dir !== DMA_BIDIRECTIONAL) throw errno('EBUSY');
    observe('dmaMapped', attachment, direction);
    return attachment.sgt;
  }
  const table = dmabuf.ops.mapDmaBuf(attachment, direction);
  if (dmabuf.ops.cache_sgt_mapping) {
    attachment.sgt = table;
    attachment.dir = direction;
  } else {
    attachment.mapped.push({ table, direction });
  }
  observe('dmaMapped', attachment, direction);
  return table;
}

/** dma_buf_unmap_attachment(): with the lock, the table that was given, and the same direction. */
export function dmaBufUnmapAttachment(
  attachment: DmaBufAttachment,
  table: SgTable,
  direction: DmaDataDirection,
): void {
  const { dmabuf } = attachment;
  assertHeld(attachment);
  if (attachment.sgt === table) {
    observe('dmaUnmapped', attachment, direction);
    return;
  }
  const at = attachment.mapped.findLastIndex((mapping) => mapping.table === table);
  if (at < 0) {
    warn(dmabuf, 'dma_buf_unmap_attachment', `${attachment.dev.name} has not mapped it`);
    return;
  }
  attachment.mapped.splice(at, 1);
  dmabuf.ops.unmapDmaBuf(attachment, table, direction);
  observe('dmaUnmapped', attachment, direction);
}

function observe(
  event: 'dmaMapped' | 'dmaUnmapped',
  attachment: DmaBufAttachment,
  direction: DmaDataDirection,
): void {
  const { observers } = attachment.dmabuf.file.kernel;
  if (observers.active) observers.tell(event, attachment, direction);
}

/** dma_buf_map_attachment_unlocked(): the same for who has not locked the reservation object. */
export function dmaBufMapAttachmentUnlocked(
  attachment: DmaBufAttachment,
  direction: DmaDataDirection,
): SgTable {
  return attachment.dmabuf.resv.locked(() => dmaBufMapAttachment(attachment, direction));
}

/** dma_buf_unmap_attachment_unlocked() */
export function dmaBufUnmapAttachmentUnlocked(
  attachment: DmaBufAttachment,
  table: SgTable,
  direction: DmaDataDirection,
): void {
  attachment.dmabuf.resv.locked(() => dmaBufUnmapAttachment(attachment, table, direction));
}

/**
 * dma_buf_move_notify(): for an exporter that is about to move a buffer: dynamic importers let go of their
 * mappings. With the lock.
 */
export function dmaBufMoveNotify(dmabuf: DmaBuf): void {
  dmabuf.resv.assertHeld();
  for (const attachment of [...dmabuf.attachments]) attachment.importer_ops?.moveNotify(attachment);
}

/** @internal A buffer goes: nobody may be attached any more. */
export function checkDetached(dmabuf: DmaBuf): void {
  for (const { dev } of dmabuf.attachments) {
    warn(dmabuf, 'dma_buf_release', `released with ${dev.name} attached`);
  }
}

/** Before Linux 6.2 only dynamic importers lock. */
function assertHeld({ dmabuf, importer_ops }: DmaBufAttachment): void {
  if (importer_ops || dmabuf.file.kernel.has('dma_buf_unlocked')) dmabuf.resv.assertHeld();
}

function warn(dmabuf: DmaBuf, where: string, what: string): void {
  dmabuf.file.kernel.printk(KERN_WARNING, `WARNING: ${where}: ${dmabuf.describe()}: ${what}`);
}
