/**
 * `--trace-events`: what happens in a kernel as a file in the Trace Event format, which Perfetto
 * (https://ui.perfetto.dev) and chrome://tracing open.
 *
 * Threads are lines with their calls; `devices`, `fences` and `buffers` are processes that there are not, with the
 * work of engines, with fences from when they are made to their signal, and with buffers and who has them.
 * Arrows go from a call that makes a fence to the work that it is the end of, and from there to the calls that it
 * wakes.
 */

import type { KernelCore } from '../core.js';
import type { DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import { asDmaBuf } from '../drivers/dma-buf/dma-buf.js';
import type { DmaBufAttachment } from '../drivers/dma-buf/dma-buf-attach.js';
import type { DmaFence } from '../drivers/dma-buf/dma-fence.js';
import { dmaFenceUnwrap } from '../drivers/dma-buf/dma-fence-unwrap.js';
import { asSyncFile } from '../drivers/dma-buf/sync_file.js';
import type { File } from '../fs/file.js';
import type { ObservedJob } from '../kit/engine.js';
import type { Device } from '../mm/device.js';
import type { DmaDataDirection } from '../mm/dma-direction.js';
import type { ObservedCall, ObservedMapping, Observer } from './observer.js';
import { TextBuffer } from './text_buffer.js';
import { BufferTracks } from './trace_events_buffers.js';
import { CallTracks } from './trace_events_calls.js';
import { FenceTracks } from './trace_events_fences.js';
import { JobTracks } from './trace_events_jobs.js';
import { EventWriter } from './trace_events_writer.js';

export interface TraceEventsOptions {
  /** Takes the text of the file, piece by piece. */
  write: (text: string) => void;
}

/** Milliseconds between looks for processes that have ended. */
const LOOK = 100;

export class TraceEvents implements Observer {
  readonly #kernel: KernelCore;
  readonly #text: TextBuffer;
  readonly #writer: EventWriter;
  readonly #calls: CallTracks;
  readonly #buffers: BufferTracks;
  readonly #fences: FenceTracks;
  readonly #jobs: JobTracks;
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(kernel: KernelCore, { write }: TraceEventsOptions) {
    this.#kernel = kernel;
    this.#text = new TextBuffer((bytes) => write(bytes.toString()));
    this.#writer = new EventWriter((text) => this.#text.add(text));
    this.#calls = new CallTracks(this.#writer);
    this.#buffers = new BufferTracks(this.#writer, (pid) => this.#calls.nameOf(pid));
    this.#fences = new FenceTracks(this.#writer);
    this.#jobs = new JobTracks(this.#writer, this.#fences);
    this.#timer = setInterval(() => this.#buffers.lookForProcesses(), LOOK).unref();
  }

  /** Ends what goes on, and the file. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#jobs.close();
    this.#calls.close();
    this.#fences.close();
    this.#buffers.close();
    this.#writer.close();
    this.#text.flush();
  }

  callEntered(call: ObservedCall): void {
    this.#fences.settle();
    this.#calls.entered(call);
  }

  callParked(call: ObservedCall): void {
    this.#calls.parked(call);
  }

  callEnded(call: ObservedCall, result: number | undefined): void {
    this.#fences.settle();
    if (result === 0 && call.name === 'ioctl') this.#ioctlEnded(call);
    this.#calls.ended(call, result);
  }

  /** Requests of which nothing else tells what they are about. */
  #ioctlEnded(call: ObservedCall): void {
    if (call.text.includes(', DMA_BUF_SET_NAME')) {
      const file = this.#fileOf(call, /^ioctl\((\d+)/);
      const dmabuf = file && asDmaBuf(file);
      if (dmabuf) this.#buffers.named(dmabuf, this.#calls.callerOf(call));
    } else if (call.text.includes(', DMA_BUF_IOCTL_IMPORT_SYNC_FILE')) {
      const file = this.#fileOf(call, /\bfd=(\d+)/);
      const fence = file && asSyncFile(file)?.fence;
      const slice = this.#calls.sliceOf(call);
      if (fence && slice) this.#fences.imported(dmaFenceUnwrap(fence), slice);
    }
  }

  #fileOf(call: ObservedCall, pattern: RegExp): File | undefined {
    const fd = pattern.exec(call.text)?.[1];
    return fd === undefined ? undefined : this.#kernel.files.at(call.pid, Number(fd));
  }

  mapped(mapping: ObservedMapping): void {
    // The machine's kernel makes it, mostly: the call is to be seen nevertheless.
    this.#calls.sliceOf(this.#kernel.observers.call);
    this.#buffers.mapped(mapping);
  }

  unmapped(pid: number, address: number, length: number): void {
    this.#buffers.unmapped(pid, address, length);
  }

  exiting(pid: number): void {
    this.#buffers.exited(pid);
  }

  bufferExported(dmabuf: DmaBuf): void {
    this.#buffers.exported(dmabuf, this.#caller);
  }

  bufferReleased(dmabuf: DmaBuf): void {
    this.#buffers.released(dmabuf);
  }

  synced(dmabuf: DmaBuf, flags: number, pid: number): void {
    this.#buffers.synced(dmabuf, flags, pid);
  }

  attached(attachment: DmaBufAttachment): void {
    this.#buffers.attached(attachment);
  }

  detached(attachment: DmaBufAttachment): void {
    this.#buffers.detached(attachment);
  }

  dmaMapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    this.#buffers.dmaMapped(attachment, direction);
  }

  dmaUnmapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    this.#buffers.dmaUnmapped(attachment, direction);
  }

  dmaFault(device: Device, text: string): void {
    this.#jobs.fault(device.name, text);
  }

  fenceMade(fence: DmaFence): void {
    this.#fences.settle();
    const { call } = this.#kernel.observers;
    this.#fences.made(fence, this.#calls.sliceOf(call), this.#caller);
  }

  fenceSignaled(fence: DmaFence): void {
    this.#fences.settle();
    const waiters = this.#kernel
      .waitersOn(fence)
      .flatMap(({ tid }) => this.#calls.sliceOfThread(tid) ?? []);
    const call = this.#calls.sliceOf(this.#kernel.observers.call);
    this.#fences.signaled(fence, call, waiters);
    this.#jobs.signaled(fence);
  }

  fenceReleased(fence: DmaFence): void {
    this.#fences.settle();
    this.#fences.released(fence);
  }

  jobQueued(job: ObservedJob): void {
    this.#fences.settle();
    this.#jobs.queued(job);
  }

  jobStarted(job: ObservedJob): void {
    this.#jobs.started(job);
  }

  jobEnded(job: ObservedJob): void {
    this.#jobs.ended(job);
  }

  /** Who makes the call that is being handled: `camera[1234]`; empty for none. */
  get #caller(): string {
    return this.#calls.callerOf(this.#kernel.observers.call);
  }
}
