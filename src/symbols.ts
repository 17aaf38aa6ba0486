/**
 * What a module can import: Linux's exported symbols, and the functions of this library that they are.
 * Inline functions and macros of Linux's headers are no symbols; nor is what only code that is built into
 * the kernel can call, such as dma_heap_add().
 */

import { miscRegister } from './drivers/char/misc.js';
import {
  dmaBufBeginCpuAccess,
  dmaBufEndCpuAccess,
  dmaBufExport,
  dmaBufFd,
  dmaBufGet,
  dmaBufMmap,
  dmaBufPut,
} from './drivers/dma-buf/dma-buf.js';
import {
  dmaBufAttach,
  dmaBufDetach,
  dmaBufDynamicAttach,
  dmaBufMapAttachment,
  dmaBufMapAttachmentUnlocked,
  dmaBufMoveNotify,
  dmaBufPin,
  dmaBufUnmapAttachment,
  dmaBufUnmapAttachmentUnlocked,
  dmaBufUnpin,
} from './drivers/dma-buf/dma-buf-attach.js';
import {
  dmaBufVmap,
  dmaBufVmapUnlocked,
  dmaBufVunmap,
  dmaBufVunmapUnlocked,
} from './drivers/dma-buf/dma-buf-vmap.js';
import {
  dmaFenceAddCallback,
  dmaFenceContextAlloc,
  dmaFenceRemoveCallback,
  dmaFenceSetDeadline,
  dmaFenceSignal,
  dmaFenceWait,
} from './drivers/dma-buf/dma-fence.js';
import { dmaFenceChainFindSeqno } from './drivers/dma-buf/dma-fence-chain.js';
import { syncFileCreate, syncFileGetFence } from './drivers/dma-buf/sync_file.js';
import type { Feature } from './version.js';

export interface ExportedSymbol<Value = unknown> {
  readonly value: Value;
  /** What it came with; without it, all releases have it. */
  readonly since?: Feature;
  /** EXPORT_SYMBOL_GPL: only for modules whose licence is compatible with the GPL. */
  readonly gpl: boolean;
  /** The namespace that a module has to import, and what that came with. */
  readonly namespace?: { readonly name: string; readonly since: Feature };
}

/** EXPORT_SYMBOL() */
function exported<Value>(value: Value, since?: Feature): ExportedSymbol<Value> {
  return { value, gpl: false, ...(since && { since }) };
}

/** EXPORT_SYMBOL_NS_GPL() of drivers/dma-buf/dma-buf.c. */
function dmaBuf<Value>(value: Value, since: Feature): ExportedSymbol<Value> {
  return { value, gpl: true, since, namespace: { name: 'DMA_BUF', since: 'DMA_BUF_namespace' } };
}

export const SYMBOLS = {
  dma_buf_export: dmaBuf(dmaBufExport, 'dma_buf'),
  dma_buf_fd: dmaBuf(dmaBufFd, 'dma_buf'),
  dma_buf_get: dmaBuf(dmaBufGet, 'dma_buf'),
  dma_buf_put: dmaBuf(dmaBufPut, 'dma_buf'),
  dma_buf_attach: dmaBuf(dmaBufAttach, 'dma_buf'),
  dma_buf_detach: dmaBuf(dmaBufDetach, 'dma_buf'),
  dma_buf_map_attachment: dmaBuf(dmaBufMapAttachment, 'dma_buf'),
  dma_buf_unmap_attachment: dmaBuf(dmaBufUnmapAttachment, 'dma_buf'),
  dma_buf_begin_cpu_access: dmaBuf(dmaBufBeginCpuAccess, 'dma_buf_cpu_access'),
  dma_buf_end_cpu_access: dmaBuf(dmaBufEndCpuAccess, 'dma_buf_cpu_access'),
  dma_buf_mmap: dmaBuf(dmaBufMmap, 'dma_buf_mmap'),
  dma_buf_vmap: dmaBuf(dmaBufVmap, 'dma_buf_vmap'),
  dma_buf_vunmap: dmaBuf(dmaBufVunmap, 'dma_buf_vmap'),
  dma_buf_dynamic_attach: dmaBuf(dmaBufDynamicAttach, 'dma_buf_dynamic_attach'),
  dma_buf_pin: dmaBuf(dmaBufPin, 'dma_buf_pin'),
  dma_buf_unpin: dmaBuf(dmaBufUnpin, 'dma_buf_pin'),
  dma_buf_move_notify: dmaBuf(dmaBufMoveNotify, 'dma_buf_pin'),
  dma_buf_map_attachment_unlocked: dmaBuf(dmaBufMapAttachmentUnlocked, 'dma_buf_unlocked'),
  dma_buf_unmap_attachment_unlocked: dmaBuf(dmaBufUnmapAttachmentUnlocked, 'dma_buf_unlocked'),
  dma_buf_vmap_unlocked: dmaBuf(dmaBufVmapUnlocked, 'dma_buf_unlocked'),
  dma_buf_vunmap_unlocked: dmaBuf(dmaBufVunmapUnlocked, 'dma_buf_unlocked'),

  dma_fence_context_alloc: exported(dmaFenceContextAlloc, 'dma_fence'),
  dma_fence_signal: exported(dmaFenceSignal, 'dma_fence'),
  dma_fence_add_callback: exported(dmaFenceAddCallback, 'dma_fence'),
  dma_fence_remove_callback: exported(dmaFenceRemoveCallback, 'dma_fence'),
  dma_fence_wait_timeout: exported(dmaFenceWait, 'dma_fence'),
  dma_fence_set_deadline: exported(dmaFenceSetDeadline, 'dma_fence_set_deadline'),
  dma_fence_chain_find_seqno: exported(dmaFenceChainFindSeqno, 'dma_fence_chain'),

  sync_file_create: exported(syncFileCreate, 'sync_file'),
  sync_file_get_fence: exported(syncFileGetFence, 'sync_file_get_fence'),

  misc_register: exported(miscRegister),
} as const;

export type SymbolName = keyof typeof SYMBOLS;

/** The symbols by their names, as what they are. */
export type KernelSymbols = { readonly [Name in SymbolName]: (typeof SYMBOLS)[Name]['value'] };
