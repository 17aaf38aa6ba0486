/** The engine of a device: jobs in order, on dma-bufs, with fences before and after. */

import type { KernelCore } from '../core.js';
import { type DmaBuf, dmaBufPut, getDmaBuf } from '../drivers/dma-buf/dma-buf.js';
import {
  type DmaBufAttachment,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufMapAttachmentUnlocked,
  dmaBufUnmapAttachmentUnlocked,
} from '../drivers/dma-buf/dma-buf-attach.js';
import {
  DmaFence,
  type DmaFenceOps,
  dmaFenceContextAlloc,
  dmaFenceGetStatus,
  dmaFenceSetError,
  dmaFenceSignal,
  dmaFenceWait,
} from '../drivers/dma-buf/dma-fence.js';
import {
  DMA_RESV_USAGE_READ,
  DMA_RESV_USAGE_WRITE,
  dmaResvUsageRw,
} from '../drivers/dma-buf/dma-resv.js';
import { Errno, ErrnoError, errno } from '../errno.js';
import {
  Device,
  type DeviceInit,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDataDirection,
  DmaFault,
} from '../mm/dma-mapping.js';
import { forEachSgtableDmaSg, type SgTable } from '../mm/scatterlist.js';
import type { DeviceCall } from './define_device.js';

/** A piece of a device's work. */
export interface ObservedJob {
  readonly id: number;
  /** What the driver calls it. */
  readonly name: string;
  /** The engine that does it. */
  readonly engine: string;
  /** Signalled when it is done. */
  readonly fence: DmaFence;
  /** What it waits for, besides the jobs before it. */
  readonly after: readonly DmaFence[];
}

declare module '../observe/observer.js' {
  interface Observer {
    jobQueued?(job: ObservedJob): void;
    jobStarted?(job: ObservedJob): void;
    jobEnded?(job: ObservedJob): void;
  }
}

/** What an engine is to do. */
export interface EngineJob {
  /** For traces and the log. */
  name: string;
  /** The buffers that it reads; those it writes. One may be both. */
  reads?: readonly DmaBuf[];
  writes?: readonly DmaBuf[];
  /**
   * What has to be over before, besides the fences that are on the buffers: in-fences. If one of these fails the
   * job is not run, and fails likewise.
   */
  after?: readonly DmaFence[];
  /**
   * The call that it is for: should that fail after all (as there is no descriptor for the fence, say), the job is not
   * run, and its fence fails with ECANCELED. Not for a handler that waits for the job itself.
   */
  call?: DeviceCall;
  /** The work. An errno that is thrown is the error of the job's fence. */
  run(memory: EngineMemory): void | Promise<void>;
  /**
   * The job is over, with 0 or a negative errno, whether it was run or not: called just before its fence is
   * signalled, so that who waits for the fence finds the event that is queued here.
   */
  done?(status: number): void;
}

/** A job's buffers, as the device reaches them: through the addresses that were mapped for it. */
export interface EngineMemory {
  /** Bytes of one of `reads`. Offset and length in bytes; all of it by default. EINVAL outside. */
  read(dmabuf: DmaBuf, offset?: number, length?: number): Uint8Array;
  /** Writes bytes to one of `writes`. Offset in bytes. EINVAL outside. */
  write(dmabuf: DmaBuf, bytes: Uint8Array, offset?: number): void;
}

/** A buffer of a job: the device is attached to it from the beginning, and has it mapped while the job runs. */
class JobBuffer {
  readonly dmabuf: DmaBuf;
  readonly #attachment: DmaBufAttachment;
  readonly #direction: DmaDataDirection;
  #table: SgTable | undefined;

  /** What the exporter throws: then nothing is held. */
  constructor(device: Device, dmabuf: DmaBuf, direction: DmaDataDirection) {
    this.#attachment = dmaBufAttach(dmabuf, device);
    this.dmabuf = getDmaBuf(dmabuf);
    this.#direction = direction;
  }

  /**
   * Not before the job runs: bounce buffers, and memory that caches hide, are to have what was written meanwhile.
   * What the exporter throws.
   */
  map(): void {
    this.#table = dmaBufMapAttachmentUnlocked(this.#attachment, this.#direction);
  }

  close(): void {
    if (this.#table) {
      dmaBufUnmapAttachmentUnlocked(this.#attachment, this.#table, this.#direction);
    }
    dmaBufDetach(this.dmabuf, this.#attachment);
    dmaBufPut(this.dmabuf);
  }

  /** Goes through bytes of the buffer, segment by segment: by address, and by place among the bytes. */
  *pieces(offset: number, length: number): Iterable<[address: number, from: number, to: number]> {
    if (offset < 0 || length < 0 || offset + length > this.dmabuf.size) throw errno('EINVAL');
    let start = 0;
    const segments = this.#table ? forEachSgtableDmaSg(this.#table) : [];
    for (const { dma_address, dma_length } of segments) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + dma_length);
      if (from < to) yield [dma_address + from - start, from - offset, to - offset];
      start += dma_length;
    }
  }
}

class JobMemory implements EngineMemory {
  readonly #device: Device;
  readonly #buffers: readonly JobBuffer[];

  constructor(device: Device, buffers: readonly JobBuffer[]) {
    this.#device = device;
    this.#buffers = buffers;
  }

  read(dmabuf: DmaBuf, offset = 0, length = dmabuf.size - offset): Uint8Array {
    const bytes = new Uint8Array(Math.max(length, 0));
    for (const [address, from, to] of this.#find(dmabuf).pieces(offset, length)) {
      this.#device.read(address, bytes.subarray(from, to));
    }
    return bytes;
  }

  write(dmabuf: DmaBuf, bytes: Uint8Array, offset = 0): void {
    for (const [address, from, to] of this.#find(dmabuf).pieces(offset, bytes.length)) {
      this.#device.write(address, bytes.subarray(from, to));
    }
  }

  #find(dmabuf: DmaBuf): JobBuffer {
    const found = this.#buffers.find((each) => each.dmabuf === dmabuf);
    if (!found) throw errno('EINVAL');
    return found;
  }
}

let jobs = 0;

/**
 * What a device works with: it takes jobs, does one after the other, and says by a fence when each is done.
 * Its `device` says what of memory it can reach ({@link DeviceInit}).
 */
export class Engine {
  readonly kernel: KernelCore;
  readonly name: string;
  readonly device: Device;
  readonly #ops: DmaFenceOps;
  readonly #context: number;
  #seqno = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(kernel: KernelCore, name: string, init: Omit<DeviceInit, 'name'> = {}) {
    this.kernel = kernel;
    this.name = name;
    this.device = new Device(kernel, { ...init, name });
    this.#ops = { getDriverName: () => name, getTimelineName: () => name };
    this.#context = dmaFenceContextAlloc(kernel);
  }

  /**
   * Takes a job: attaches the device to its buffers, puts its fence on them, and returns at once. The job runs when
   * those before it, its in-fences and the fences on its buffers are over; its buffers are mapped just then. The
   * fence is the engine's until it is signalled; `get()` keeps it. What the exporter of a buffer throws when a device
   * is attached; then nothing has happened.
   */
  submit(job: EngineJob): DmaFence {
    const { reads = [], writes = [], after = [] } = job;
    const buffers: JobBuffer[] = [];
    try {
      for (const dmabuf of new Set([...reads, ...writes])) {
        const direction = directionOf(reads.includes(dmabuf), writes.includes(dmabuf));
        buffers.push(new JobBuffer(this.device, dmabuf, direction));
      }
    } catch (error) {
      for (const buffer of buffers) buffer.close();
      throw error;
    }
    const implicit = buffers.flatMap(({ dmabuf }) => [
      ...dmabuf.resv.fences(dmaResvUsageRw(writes.includes(dmabuf))),
    ]);
    for (const fence of [...after, ...implicit]) fence.get();
    const fence = new DmaFence(this.kernel, {
      ops: this.#ops,
      context: this.#context,
      seqno: ++this.#seqno,
    });
    for (const { dmabuf } of buffers) {
      dmabuf.resv.locked(() => {
        dmabuf.resv.reserveFences(1);
        const write = writes.includes(dmabuf);
        dmabuf.resv.addFence(fence, write ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
      });
    }
    const submitted: ObservedJob = {
      id: ++jobs,
      name: job.name,
      engine: this.name,
      fence,
      after: [...after, ...implicit],
    };
    this.kernel.observers.tell('jobQueued', submitted);
    this.#last = this.#last.then(() => this.#process(submitted, job, buffers));
    return fence;
  }

  /** Resolves when all that was submitted so far is over. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** Never rejects: what goes wrong is the fence's error. When the kernel is closed there is nothing to give back. */
  async #process(
    submitted: ObservedJob,
    job: EngineJob,
    buffers: readonly JobBuffer[],
  ): Promise<void> {
    const { fence, after } = submitted;
    const { observers } = this.kernel;
    for (const before of after) await dmaFenceWait(before);
    if (this.kernel.closed) return;
    const failed = await this.#obstacle(job);
    if (failed !== undefined) {
      dmaFenceSetError(fence, failed);
    } else {
      observers.tell('jobStarted', submitted);
      const error = await this.#run(job, buffers);
      if (this.kernel.closed) return;
      if (error) dmaFenceSetError(fence, error);
    }
    for (const buffer of buffers) buffer.close();
    for (const before of after) before.put();
    if (failed === undefined) observers.tell('jobEnded', submitted);
    this.#done(job, fence.error);
    dmaFenceSignal(fence);
    fence.put();
  }

  /** The negative errno for which a job is not run, if there is one. */
  async #obstacle({ after, call }: EngineJob): Promise<number | undefined> {
    if (call && !(await call.ended)) return -Errno.ECANCELED;
    return after?.map(dmaFenceGetStatus).find((status) => status < 0);
  }

  #done(job: EngineJob, status: number): void {
    try {
      job.done?.(status);
    } catch (error) {
      this.kernel.bug(`${this.name}: ${job.name}`, error);
    }
  }

  /** 0, or the negative errno that the job failed with. */
  async #run(job: EngineJob, buffers: readonly JobBuffer[]): Promise<number> {
    try {
      for (const buffer of buffers) buffer.map();
      await job.run(new JobMemory(this.device, buffers));
      return 0;
    } catch (error) {
      if (error instanceof ErrnoError) return -error.errno;
      // A fault is in the log already.
      if (!(error instanceof DmaFault)) this.kernel.bug(`${this.name}: ${job.name}`, error);
      return -Errno.EIO;
    }
  }
}

function directionOf(reads: boolean, writes: boolean): DmaDataDirection {
  if (reads && writes) return DMA_BIDIRECTIONAL;
  return writes ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
}
