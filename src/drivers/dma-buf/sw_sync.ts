/**
 * Timelines that programs move themselves, for testing: /sys/kernel/debug/sync/sw_sync.
 * Linux: drivers/dma-buf/sw_sync.c.
 */
import {
  type sw_sync_create_fence_data,
  type sw_sync_get_deadline,
  sw_sync_ioctls,
} from '../../../ioctl/index.js';
import type { KernelCore } from '../../core.js';
import { Errno, errno } from '../../errno.js';
import type { CharDeviceOperations } from '../../fs/char_dev.js';
import type { File } from '../../fs/file.js';
import type { FileCall } from '../../fs/file_call.js';
import { ioctlOperations } from '../../fs/ioctl_table.js';
import { FileNode, GeneratedFile, S_IFREG } from '../../fs/tree.js';
import { PerKernel } from '../../per_kernel.js';
import {
  DmaFence,
  type DmaFenceOps,
  dmaFenceContextAlloc,
  dmaFenceGetStatus,
  dmaFenceIsSignaled,
  dmaFenceSeqnoIsLater,
  dmaFenceSetError,
  dmaFenceSignal,
} from './dma-fence.js';
import { installSyncFile, syncFileCreate, syncFileGetFence } from './sync_file.js';

const INT_MAX = 0x7fffffff;

/** struct sync_timeline */
export class SyncTimeline {
  readonly kernel: KernelCore;
  readonly name: string;
  readonly context: number;
  #value = 0;
  /** Fences that are not signalled, in the order of their numbers. */
  #pending: SyncPoint[] = [];
  /** Those that were pending when the timeline was closed, as long as somebody has them. */
  readonly #ended = new Set<SyncPoint>();
  /** Fences that somebody has, signalled or not: they keep the timeline. */
  #fences = 0;
  #closed = false;

  constructor(kernel: KernelCore, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.context = dmaFenceContextAlloc(kernel);
  }

  get value(): number {
    return this.#value;
  }

  /** The fences that {@link describe} shows: those that nothing has passed. */
  get fences(): readonly DmaFence[] {
    return [...this.#pending, ...this.#ended];
  }

  /** sync_pt_create(): a fence at `value`; the same one for the same value, as long as it lasts. */
  createFence(value: number): DmaFence {
    const at = this.#place(value);
    const known = this.#pending[at];
    if (known?.seqno === value) return known.get();
    const fence = new SyncPoint(this, value);
    this.#fences++;
    if (!dmaFenceIsSignaled(fence)) this.#pending.splice(at, 0, fence);
    return fence;
  }

  /** Where a number belongs among those that are pending; most belong at the end. */
  #place(value: number): number {
    const pending = this.#pending;
    const isBefore = (i: number) => (((pending[i] as SyncPoint).seqno - value) | 0) < 0;
    let [low, high] = [0, pending.length];
    if (high > 0 && isBefore(high - 1)) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** sync_timeline_signal(): moves on; what it passes is signalled. */
  advance(increment: number): void {
    this.#value = (this.#value + increment) >>> 0;
    let passed = 0;
    while (passed < this.#pending.length && this.hasPassed(this.#pending[passed] as SyncPoint)) {
      passed++;
    }
    for (const fence of this.#pending.splice(0, passed)) dmaFenceSignal(fence);
  }

  hasPassed(fence: DmaFence): boolean {
    return !dmaFenceSeqnoIsLater(fence, fence.seqno, this.#value);
  }

  /** The last reference to a fence is gone: nobody can wait for it any more. */
  forget(fence: SyncPoint): void {
    const at = this.#place(fence.seqno);
    if (this.#pending[at] === fence) this.#pending.splice(at, 1);
    this.#ended.delete(fence);
    this.#fences--;
    this.#endIfUnused();
  }

  /** The timeline is closed: what is pending never happens. */
  close(): void {
    this.#closed = true;
    const pending = this.#pending.splice(0);
    for (const fence of pending) {
      this.#ended.add(fence);
      dmaFenceSetError(fence, -Errno.ENOENT);
      dmaFenceSignal(fence);
    }
    this.#endIfUnused();
  }

  #endIfUnused(): void {
    if (this.#closed && this.#fences === 0) timelinesOf(this.kernel).delete(this);
  }

  /** As /sys/kernel/debug/sync/info shows it. */
  describe(): string {
    const value = this.#value | 0;
    const fences = this.fences.map((fence) => {
      const status = dmaFenceGetStatus(fence);
      const state = status === 0 ? 'active' : status < 0 ? 'error' : 'signaled';
      const time = fence.timestamp === undefined ? '' : `@${seconds(fence.timestamp)}`;
      return `  fence ${state}${time}: ${fence.seqno | 0} / ${value}\n`;
    });
    return `${this.name}: ${value}\n${fences.join('')}\n`;
  }
}

/** Nanoseconds as seconds with nine digits behind the point. */
function seconds(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`;
}

const syncPointOps: DmaFenceOps = {
  getDriverName: () => 'sw_sync',
  getTimelineName: (fence) => timelineOf(fence).name,
  signaled: (fence) => timelineOf(fence).hasPassed(fence),
  release: (fence) => timelineOf(fence).forget(fence as SyncPoint),
  setDeadline(fence, deadline) {
    const point = fence as SyncPoint;
    if (point.deadline === undefined || deadline < point.deadline) point.deadline = deadline;
  },
};

/** struct sync_pt */
class SyncPoint extends DmaFence {
  readonly timeline: SyncTimeline;
  deadline: bigint | undefined;

  constructor(timeline: SyncTimeline, value: number) {
    super(timeline.kernel, { ops: syncPointOps, context: timeline.context, seqno: value });
    this.timeline = timeline;
  }
}

function timelineOf(fence: DmaFence): SyncTimeline {
  return (fence as SyncPoint).timeline;
}

const swSyncFops: CharDeviceOperations = {
  ...ioctlOperations(
    sw_sync_ioctls,
    { of: (file: File) => file.private_data as SyncTimeline },
    {
      SW_SYNC_IOC_CREATE_FENCE: createFence,
      SW_SYNC_IOC_INC: { plain: increment },
      SW_SYNC_GET_DEADLINE: { since: 'SW_SYNC_GET_DEADLINE', handle: getDeadline },
    },
  ),

  /** Each open file is a timeline, named after the program. */
  open(file, task) {
    const timeline = new SyncTimeline(file.kernel, task.comm);
    file.private_data = timeline;
    timelinesOf(file.kernel).add(timeline);
  },

  release(file) {
    (file.private_data as SyncTimeline).close();
  },
};

function createFence(
  timeline: SyncTimeline,
  data: sw_sync_create_fence_data,
  call: FileCall,
): void {
  const fence = timeline.createFence(data.value);
  try {
    data.fence = installSyncFile(call, syncFileCreate(call.task.kernel, fence));
  } finally {
    fence.put();
  }
}

/** In steps that keep the order of numbers, which wrap around, unambiguous. */
function increment(timeline: SyncTimeline, by: { readonly value: number }): void {
  let left = by.value;
  for (; left > INT_MAX; left -= INT_MAX) timeline.advance(INT_MAX);
  timeline.advance(left);
}

function getDeadline(
  _timeline: SyncTimeline,
  data: sw_sync_get_deadline,
  { task }: FileCall,
): void {
  if (data.deadline_ns || data.pad) throw errno('EINVAL');
  const fence = syncFileGetFence(task, data.fence_fd);
  if (!fence) throw errno('EINVAL');
  try {
    if (!(fence instanceof SyncPoint)) throw errno('EINVAL');
    if (fence.deadline === undefined) throw errno('ENOENT');
    data.deadline_ns = BigInt.asUintN(64, fence.deadline);
  } finally {
    fence.put();
  }
}

const timelines = new PerKernel<KernelCore, Set<SyncTimeline>>(() => new Set());

/** The timelines of a kernel that are open, or have fences that somebody has, oldest first. */
export function timelinesOf(kernel: KernelCore): Set<SyncTimeline> {
  return timelines.of(kernel);
}

/** /sys/kernel/debug/sync/info */
function info(kernel: KernelCore): string {
  kernel.settle();
  const objects = [...timelinesOf(kernel)].map((timeline) => timeline.describe());
  return `objs:\n--------------\n${objects.join('')}fences:\n--------------\n`;
}

/** Its name for `devices`. */
export const SW_SYNC = 'sw_sync';

export function swSyncInit(kernel: KernelCore): void {
  if (!kernel.has('sw_sync') && !kernel.isNamed(SW_SYNC)) return;
  const directory = kernel.root.mkdir('sys/kernel/debug/sync');
  directory.add('info', new GeneratedFile(() => info(kernel), 0));
  directory.add('sw_sync', new FileNode({ mode: S_IFREG | 0o644, f_op: swSyncFops }));
}
