import type { MappableMemory } from '../../backing/shmem.js';
import type { Task } from '../../task.js';
import type { Device } from '../device.js';
import type { DmaDataDirection } from '../dma-direction.js';

/** Something that concerns `length` bytes of a memory, from `offset` on, and a device. */
type OnBytes = (
  dev: Device,
  memory: MappableMemory,
  offset: number,
  length: number,
  dir: DmaDataDirection,
) => void;

/**
 * The caches between the CPU and devices that do not see them (`dma_coherent` false). Bytes are given as
 * `length` of a memory from `offset` on.
 */
export interface DmaCoherency {
  /** A device has bytes mapped from here on; told before they are synced. */
  map: OnBytes;
  /** It has not any more; told after they are synced. */
  unmap: OnBytes;
  /** The CPU is about to access a buffer, for `task` or for the kernel itself: told after it is synced. */
  begin(memory: MappableMemory, dir: DmaDataDirection, task?: Task): void;
  /** It has done so: told before it is synced. */
  end(memory: MappableMemory, dir: DmaDataDirection, task?: Task): void;
  /** arch_sync_dma_for_device() */
  syncForDevice: OnBytes;
  /** arch_sync_dma_for_cpu() */
  syncForCpu: OnBytes;
  /** What the device reads. */
  read(dev: Device, memory: MappableMemory, offset: number, into: Uint8Array): void;
  /** What the device writes. */
  write(dev: Device, memory: MappableMemory, offset: number, from: Uint8Array): void;
  /** A device that sees the caches, or the kernel for one that is bounced, has written. */
  snoop(memory: MappableMemory, offset: number, length: number): void;
}
