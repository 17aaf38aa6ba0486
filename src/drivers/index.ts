import { udevInit } from '../base/udev.js';
import type { KernelCore } from '../core.js';
import { dmaImporterInit } from './dma_importer/dma_importer.js';
import { dmaBufInit } from './dma-buf/debug.js';
import { fenceWatchdogInit } from './dma-buf/fence_watchdog.js';
import { cmaHeapInit } from './dma-buf/heaps/cma_heap.js';
import { movableHeapInit } from './dma-buf/heaps/movable_heap.js';
import { systemHeapInit } from './dma-buf/heaps/system_heap.js';
import { swSyncInit } from './dma-buf/sw_sync.js';
import { udmabufInit } from './dma-buf/udmabuf.js';

/** What a kernel starts with, in order: a driver is one file and one line here. */
export const initcalls: readonly ((kernel: KernelCore) => void)[] = [
  udevInit,
  fenceWatchdogInit,
  dmaBufInit,
  systemHeapInit,
  cmaHeapInit,
  movableHeapInit,
  udmabufInit,
  dmaImporterInit,
  swSyncInit,
];

/**
 * What the drivers model: it is this kernel's, as far as that has it, also where the machine has such a driver. All
 * else in /dev and /sys shows what both have.
 */
export const claims: readonly string[] = [
  ...['dev/dma_heap', 'dev/udmabuf', 'dev/dma_importer'],
  ...['sys/class/dma_heap', 'sys/devices/virtual/dma_heap'],
  ...['sys/class/misc/udmabuf', 'sys/devices/virtual/misc/udmabuf', 'sys/module/udmabuf'],
  ...['sys/kernel/dmabuf', 'sys/kernel/debug/dma_buf', 'sys/kernel/debug/sync'],
];
