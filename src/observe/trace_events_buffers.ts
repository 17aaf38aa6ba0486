/** Buffers in the Trace Event format: how long they live, who has them mapped, which devices have them. */
import { dma_buf_sync, formatFlags, PROT_FLAGS } from '../../ioctl/index.js';
import { asDmaBuf, type DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import type { DmaBufAttachment } from '../drivers/dma-buf/dma-buf-attach.js';
import { isShown } from '../host/threads.js';
import { type DmaDataDirection, dir2name } from '../mm/dma-direction.js';
import type { ObservedMapping } from './observer.js';
import { Spans } from './trace_events_spans.js';
import type { EventWriter } from './trace_events_writer.js';

/** A mapping in a process, as far as it is still there. */
interface Mapping {
  readonly dmabuf: DmaBuf;
  readonly pid: number;
  /** Undefined: not known. */
  readonly address: number | undefined;
  /** Bytes; how many of them are still mapped. */
  readonly length: number;
  left: number;
}

/** What an importer has mapped, one for each time. */
interface DmaMapping {
  readonly attachment: DmaBufAttachment;
  readonly direction: DmaDataDirection;
}

/** Who has a buffer. */
interface Uses {
  readonly mappings: Set<Mapping>;
  readonly attachments: Map<DmaBufAttachment, DmaMapping[]>;
}

/** Calls a process by its name. */
type NameOf = (pid: number) => string;

export class BufferTracks {
  readonly #writer: EventWriter;
  readonly #nameOf: NameOf;
  readonly #pid: number;
  readonly #lives: Spans<DmaBuf>;
  readonly #mappings: Spans<Mapping>;
  readonly #attachments: Spans<DmaBufAttachment>;
  readonly #dmaMappings: Spans<DmaMapping>;
  readonly #uses = new Map<DmaBuf, Uses>();
  readonly #byProcess = new Map<number, Set<Mapping>>();

  constructor(writer: EventWriter, nameOf: NameOf) {
    this.#writer = writer;
    this.#nameOf = nameOf;
    this.#pid = writer.makeUpId();
    writer.nameProcess(this.#pid, 'buffers');
    this.#lives = new Spans(writer, this.#pid);
    this.#mappings = new Spans(writer, this.#pid);
    this.#attachments = new Spans(writer, this.#pid);
    this.#dmaMappings = new Spans(writer, this.#pid);
  }

  exported(dmabuf: DmaBuf, madeBy: string): void {
    const { exp_name, ino, name, size } = dmabuf;
    const title = name === undefined ? exp_name : `${exp_name} ${name}`;
    this.#uses.set(dmabuf, { mappings: new Set(), attachments: new Map() });
    this.#lives.begin(dmabuf, String(ino), this.#writer.time(), {
      cat: 'buffer',
      name: `${title}, ${sizeText(size)}`,
      args: { inode: ino, size, exporter: exp_name, ...(madeBy && { 'made by': madeBy }) },
    });
  }

  released(dmabuf: DmaBuf): void {
    const uses = this.#uses.get(dmabuf);
    if (!uses) return;
    for (const mapping of uses.mappings) this.#endMapping(mapping);
    for (const attachment of uses.attachments.keys()) this.detached(attachment);
    this.#uses.delete(dmabuf);
    const { name } = dmabuf;
    this.#lives.end(dmabuf, this.#writer.time(), name === undefined ? undefined : { name });
  }

  /** DMA_BUF_SET_NAME has succeeded. */
  named(dmabuf: DmaBuf, by: string): void {
    this.#lives.note(dmabuf, this.#writer.time(), `named ${dmabuf.name}`, { by });
  }

  synced(dmabuf: DmaBuf, flags: number, pid: number): void {
    const name = formatFlags(flags, SYNC_FLAGS).replaceAll('DMA_BUF_SYNC_', '');
    this.#lives.note(dmabuf, this.#writer.time(), name, { by: this.#nameOf(pid) });
  }

  mapped({ file, pid, address, length, prot, offset }: ObservedMapping): void {
    const dmabuf = asDmaBuf(file);
    const uses = dmabuf && this.#uses.get(dmabuf);
    if (!uses) return;
    const mapping: Mapping = { dmabuf, pid, address, length, left: length };
    uses.mappings.add(mapping);
    this.#mappingsOf(pid).add(mapping);
    this.#mappings.begin(mapping, String(dmabuf.ino), this.#writer.time(), {
      cat: 'mapping',
      name: `mapped by ${this.#nameOf(pid)}`,
      args: {
        inode: dmabuf.ino,
        ...(address !== undefined && { address: `0x${address.toString(16)}` }),
        length,
        offset,
        prot: formatFlags(prot, PROT_FLAGS),
      },
    });
  }

  unmapped(pid: number, address: number, length: number): void {
    for (const mapping of this.#byProcess.get(pid) ?? []) {
      if (mapping.address === undefined) continue;
      const end = mapping.address + mapping.length;
      const gone = Math.min(end, address + length) - Math.max(mapping.address, address);
      if (gone > 0) mapping.left -= gone;
      if (mapping.left <= 0) this.#endMapping(mapping);
    }
  }

  /** What a process has mapped ends with it. */
  exited(pid: number): void {
    for (const mapping of this.#byProcess.get(pid) ?? []) this.#endMapping(mapping);
  }

  /** The end of a process need not be told. */
  lookForProcesses(): void {
    for (const pid of this.#byProcess.keys()) {
      if (!isShown(pid)) this.exited(pid);
    }
  }

  attached(attachment: DmaBufAttachment): void {
    const { dmabuf, dev } = attachment;
    const uses = this.#uses.get(dmabuf);
    if (!uses) return;
    uses.attachments.set(attachment, []);
    this.#attachments.begin(attachment, String(dmabuf.ino), this.#writer.time(), {
      cat: 'attachment',
      name: `attached to ${dev.name}`,
      args: { inode: dmabuf.ino, dynamic: attachment.importer_ops !== undefined },
    });
  }

  detached(attachment: DmaBufAttachment): void {
    const at = this.#writer.time();
    const attachments = this.#uses.get(attachment.dmabuf)?.attachments;
    for (const mapping of attachments?.get(attachment) ?? []) this.#dmaMappings.end(mapping, at);
    attachments?.delete(attachment);
    this.#attachments.end(attachment, at);
  }

  dmaMapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    const { dmabuf, dev } = attachment;
    const mapping: DmaMapping = { attachment, direction };
    this.#dmaMappingsOf(attachment).push(mapping);
    this.#dmaMappings.begin(mapping, String(dmabuf.ino), this.#writer.time(), {
      cat: 'dma mapping',
      name: `mapped for ${dev.name}`,
      args: { inode: dmabuf.ino, direction: dir2name(direction) },
    });
  }

  dmaUnmapped(attachment: DmaBufAttachment, direction: DmaDataDirection): void {
    const mappings = this.#dmaMappingsOf(attachment);
    const index = mappings.findLastIndex((each) => each.direction === direction);
    const [mapping] = index < 0 ? [] : mappings.splice(index, 1);
    if (mapping) this.#dmaMappings.end(mapping, this.#writer.time());
  }

  close(): void {
    const at = this.#writer.time();
    for (const spans of [this.#dmaMappings, this.#attachments, this.#mappings, this.#lives]) {
      spans.endAll(at);
    }
  }

  #mappingsOf(pid: number): Set<Mapping> {
    let mappings = this.#byProcess.get(pid);
    if (!mappings) {
      mappings = new Set();
      this.#byProcess.set(pid, mappings);
    }
    return mappings;
  }

  #dmaMappingsOf(attachment: DmaBufAttachment): DmaMapping[] {
    return this.#uses.get(attachment.dmabuf)?.attachments.get(attachment) ?? [];
  }

  #endMapping(mapping: Mapping): void {
    const { dmabuf, pid } = mapping;
    this.#uses.get(dmabuf)?.mappings.delete(mapping);
    const others = this.#byProcess.get(pid);
    others?.delete(mapping);
    if (others?.size === 0) this.#byProcess.delete(pid);
    this.#mappings.end(mapping, this.#writer.time());
  }
}

const SYNC_FLAGS = dma_buf_sync.fields[0]?.flags ?? [];

function sizeText(bytes: number): string {
  for (const [unit, size] of [
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${bytes} bytes`;
}
