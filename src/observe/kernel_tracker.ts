/** What drivers leave in the kernel, and the rules that they break. */

import { type DmaBuf, dmaBufList } from '../drivers/dma-buf/dma-buf.js';
import type { DmaBufAttachment } from '../drivers/dma-buf/dma-buf-attach.js';
import { type DmaFence, describeFence } from '../drivers/dma-buf/dma-fence.js';
import { DmaFenceArray } from '../drivers/dma-buf/dma-fence-array.js';
import { DmaFenceChain } from '../drivers/dma-buf/dma-fence-chain.js';
import { dmaFenceUnwrap } from '../drivers/dma-buf/dma-fence-unwrap.js';
import { asSyncFile } from '../drivers/dma-buf/sync_file.js';
import { Errno } from '../errno.js';
import { holdersOf } from '../host/descriptors.js';
import { cacheOf } from '../mm/cache/cache.js';
import type { Device } from '../mm/device.js';
import { type DmaDataDirection, dir2name } from '../mm/dma-direction.js';
import { isOfShim, KERN_WARNING, type LogRecord, SHIM } from '../printk.js';
import {
  bufferText,
  describeBuffer,
  type Finding,
  type FindingPlace,
  type FindingProcess,
} from './finding.js';
import type { Observer } from './observer.js';
import type { Reporter } from './report.js';

/** What says in the log that somebody broke a rule. */
const BROKEN = /^(WARNING|BUG|DMA-API): |released with pending signals!$/;
/** Linux's own driver unmaps in another direction than it maps. */
const LINUX = /^DMA-API: udmabuf: .* with different direction/;
const COHERENCY = 'coherency: ';
const SIGNAL_IT = 'whoever makes a fence has to signal it, also when the work fails';

export class KernelTracker implements Observer {
  readonly #reporter: Reporter;
  readonly #buffers = new Map<DmaBuf, FindingPlace>();
  readonly #attachments = new Map<DmaBufAttachment, FindingPlace>();
  readonly #dmaMappings = new Map<
    DmaBufAttachment,
    { direction: DmaDataDirection; made: FindingPlace }[]
  >();
  readonly #fences = new Map<DmaFence, FindingPlace>();
  /** Those that were not signalled in time. */
  readonly #late = new WeakSet<DmaFence>();
  /** Where stale accesses were found out, in their order. */
  readonly #stale: FindingPlace[] = [];

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  bufferExported(dmabuf: DmaBuf): void {
    this.#buffers.set(dmabuf, this.#reporter.origins.here());
  }

  bufferReleased(dmabuf: DmaBuf): void {
    this.#buffers.delete(dmabuf);
  }

  attached(attachment: DmaBufAttachment): void {
    this.#attachments.set(attachment, this.#reporter.origins.here());
  }

  detached(attachment: DmaBufAttachment): void {
    this.#attachments.delete(attachment);
    this.#dmaMappings.delete(attachment);
  }

  dmaMapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    const made = this.#reporter.origins.here();
    const mappings = this.#dmaMappings.get(attachment);
    if (mappings) mappings.push({ direction, made });
    else this.#dmaMappings.set(attachment, [{ direction, made }]);
  }

  dmaUnmapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    const mappings = this.#dmaMappings.get(attachment) ?? [];
    const at = mappings.findLastIndex((mapping) => mapping.direction === direction);
    mappings.splice(at, 1);
  }

  fenceMade(fence: DmaFence): void {
    // A fence that has always been signalled, of context 0, is kept for good.
    if (fence.context !== 0) this.#fences.set(fence, this.#reporter.origins.here());
  }

  fenceReleased(fence: DmaFence): void {
    this.#fences.delete(fence);
  }

  fenceSignaled(fence: DmaFence): void {
    if (fence.error !== -Errno.ENOENT || fence.ops.getDriverName(fence) !== 'sw_sync') return;
    if (!this.#isWaitedFor(fence)) return;
    const made = this.#fences.get(fence);
    this.#reporter.add({
      kind: 'fence-abandoned',
      ...(made && { made }),
      ...(made?.process && { process: made.process }),
      text: `fence ${describeFence(fence)} abandoned: its timeline was closed while somebody has the fence`,
      advice: 'signal it (SW_SYNC_IOC_INC) before the timeline is closed: who waits gets ENOENT',
    });
  }

  /** Whether somebody has the fence: a process its sync_file, or a buffer. */
  #isWaitedFor(fence: DmaFence): boolean {
    const { kernel } = this.#reporter;
    for (const dmabuf of dmaBufList(kernel)) {
      for (const each of dmabuf.resv.all()) if (each.fence === fence) return true;
    }
    for (const file of kernel.files) {
      const syncFile = asSyncFile(file);
      if (!syncFile || ![...dmaFenceUnwrap(syncFile.fence)].includes(fence)) continue;
      const own = this.#reporter.ownDescriptor(file);
      if (own !== undefined && kernel.files.at(process.pid, own) === file) return true;
      if (holdersOf(file.backing).length > 0) return true;
    }
    return false;
  }

  dmaFault(_device: Device, text: string): void {
    const seen = this.#reporter.origins.here();
    this.#reporter.add({
      kind: 'dma-fault',
      seen,
      ...(seen.process && { process: seen.process }),
      text,
      advice:
        'a device may access what is mapped for it, in the direction of the mapping, until it is unmapped',
    });
  }

  fenceLate(fence: DmaFence, text: string): void {
    if (this.#late.has(fence)) return;
    this.#late.add(fence);
    const made = this.#fences.get(fence);
    this.#reporter.add({
      kind: 'fence-not-signaled',
      ...(made && { made }),
      ...(made?.process && { process: made.process }),
      text,
      advice: SIGNAL_IT,
    });
  }

  logged(record: LogRecord): void {
    const { level, text } = record;
    if (level > KERN_WARNING) return;
    const seen = this.#reporter.origins.here();
    if (text.startsWith(COHERENCY)) this.#stale.push(seen);
    else if (isOfShim(record)) {
      const where = seen.process && { process: seen.process };
      const advice = 'Linux would have shown it something else';
      this.#reporter.add({
        kind: 'not-served',
        seen,
        ...where,
        text: text.slice(SHIM.length),
        advice,
      });
    } else if (BROKEN.test(text) && !LINUX.test(text)) {
      const [first = ''] = text.split('\n');
      const where = seen.process && { process: seen.process };
      const advice = 'a driver has broken a rule: the kernel log has the details';
      this.#reporter.add({ kind: 'warning', seen, ...where, text: first, advice });
    }
  }

  /** What strict coherency has found so far. */
  staleAccesses(): Finding[] {
    const accesses = cacheOf(this.#reporter.kernel)?.staleAccesses ?? [];
    return accesses.map((access, i): Finding => {
      const seen = this.#stale[i];
      const { reader, writers, buffer, kind, missing } = access;
      const process = processIn(kind === 'cpu-read' ? reader : writers[0]);
      const [first] = access.ranges;
      const bytes = first ? `0x${first.start.toString(16)}-0x${(first.end - 1).toString(16)}` : '';
      const what = kind.replaceAll('-', ' ');
      return {
        kind: 'stale-access',
        ...(process && { process }),
        ...(seen && { seen }),
        text: `${what}: bytes ${bytes} of ${buffer}, ${access.count === 1 ? 'once' : `${access.count} times`}`,
        advice: `missing: ${missing}`,
      };
    });
  }

  /** What the kernel has now that no program holds. */
  left(): Finding[] {
    return [...this.#leftAttachments(), ...this.#leftBuffers(), ...this.#leftFences()];
  }

  *#leftAttachments(): Iterable<Finding> {
    for (const [attachment, made] of this.#attachments) {
      const { dmabuf, dev } = attachment;
      if (this.#reporter.isOfProgram(made) || this.#reporter.hasHandle(made)) continue;
      const buffer = describeBuffer(dmabuf);
      const about = { buffer, ...(made.process && { process: made.process }) };
      yield {
        kind: 'attachment-left',
        made,
        ...about,
        text: `${dev.name} is attached still to ${bufferText(buffer)}`,
        advice: 'dma_buf_detach() it, and dma_buf_put() the buffer',
      };
      for (const { direction, made: mapped } of this.#dmaMappings.get(attachment) ?? []) {
        yield {
          kind: 'dma-mapping-left',
          made: mapped,
          ...about,
          text: `${dev.name} has ${bufferText(buffer)} mapped still (${dir2name(direction)})`,
          advice: 'dma_buf_unmap_attachment() it',
        };
      }
    }
  }

  *#leftBuffers(): Iterable<Finding> {
    for (const [dmabuf, made] of this.#buffers) {
      const { references } = dmabuf.file;
      // Attachments have a reference each; what programs hold is told where they do.
      if (references <= dmabuf.attachments.size) continue;
      const buffer = describeBuffer(dmabuf);
      const count = references === 1 ? 'a reference' : `${references} references`;
      yield {
        kind: 'buffer-left',
        made,
        buffer,
        ...(made.process && { process: made.process }),
        text: `${bufferText(buffer)} left: the kernel's side has ${count} still`,
        advice: 'dma_buf_put() what dma_buf_export() and dma_buf_get() gave',
      };
    }
  }

  *#leftFences(): Iterable<Finding> {
    const explained = this.#explainedFences();
    for (const [fence, made] of this.#fences) {
      // What is in them tells more.
      if (fence instanceof DmaFenceArray || fence instanceof DmaFenceChain) continue;
      const process = made.process && { process: made.process };
      const name = describeFence(fence);
      if (this.#late.has(fence)) continue;
      if (!fence.flaggedSignaled) {
        yield {
          kind: 'fence-not-signaled',
          made,
          ...process,
          text: `fence ${name} is not signalled, and somebody has it still`,
          advice: SIGNAL_IT,
        };
      } else if (!explained.has(fence)) {
        yield {
          kind: 'fence-left',
          made,
          ...process,
          text: `fence ${name} left: it is signalled, and a reference was never put`,
          advice: 'dma_fence_put() what dma_fence_init() and dma_fence_get() gave',
        };
      }
    }
  }

  /** Fences that live as long as what has them. */
  #explainedFences(): Set<DmaFence> {
    const { kernel } = this.#reporter;
    const explained = new Set<DmaFence>();
    const add = (fence: DmaFence) => {
      explained.add(fence);
      for (const each of dmaFenceUnwrap(fence)) explained.add(each);
    };
    for (const dmabuf of dmaBufList(kernel)) for (const { fence } of dmabuf.resv.all()) add(fence);
    for (const file of kernel.files) {
      const syncFile = asSyncFile(file);
      if (syncFile) add(syncFile.fence);
    }
    return explained;
  }
}

/** The process in `paint[311]`. */
function processIn(name: string | undefined): FindingProcess | undefined {
  const [, comm, pid] = /^(.*)\[(\d+)\]$/.exec(name ?? '') ?? [];
  return comm === undefined ? undefined : { comm, pid: Number(pid) };
}
