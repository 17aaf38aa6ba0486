/** Mappings of buffers, and which of them processes leave when they end. */
import { PROT_WRITE } from '../../ioctl/index.js';
import { asDmaBuf, type DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import type { Area } from '../mm/proc_pages.js';
import { areasOf } from '../mm/proc_pages.js';
import { piecesOf } from './buffer_content.js';
import { bufferText, describeBuffer, type Finding, type FindingPlace } from './finding.js';
import type { ObservedCall, ObservedMapping, Observer } from './observer.js';
import type { Reporter } from './report.js';

interface Mapping {
  readonly dmabuf: DmaBuf;
  readonly offset: number;
  readonly length: number;
  readonly prot: number;
  readonly made: FindingPlace;
  /** Undefined until it is known where the machine's kernel put it. */
  address: number | undefined;
}

export class MappingTracker implements Observer {
  readonly #reporter: Reporter;
  readonly #mappings = new Map<number, Set<Mapping>>();
  /** Processes with mappings whose address is not known yet. */
  readonly #unplaced = new Set<number>();

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  mapped({ file, pid, address, offset, length, prot }: ObservedMapping): void {
    const dmabuf = asDmaBuf(file);
    if (!dmabuf) return;
    let mappings = this.#mappings.get(pid);
    if (!mappings) {
      mappings = new Set();
      this.#mappings.set(pid, mappings);
    }
    const made = this.#reporter.origins.here();
    mappings.add({ dmabuf, offset, length, prot, made, address });
    if (address === undefined) this.#unplaced.add(pid);
  }

  /** By its next call a process has what it mapped. */
  callEntered(call: ObservedCall): void {
    if (this.#unplaced.size > 0 && this.#unplaced.has(call.pid)) this.#place(call.pid);
  }

  #place(pid: number): void {
    this.#unplaced.delete(pid);
    const mappings = this.#mappings.get(pid) ?? new Set();
    for (const mapping of mappings) {
      if (mapping.address !== undefined) continue;
      const isTaken = (at: number) => [...mappings].some(({ address }) => address === at);
      mapping.address = this.#areas(pid, mapping)
        .map(({ start, offset }) => start + mapping.offset - offset)
        .find((at) => !isTaken(at));
      // It was refused, or another thread makes it just now.
      if (mapping.address === undefined) this.#unplaced.add(pid);
    }
  }

  /** Where a process has the first page of what was mapped. */
  #areas(pid: number, { dmabuf, offset }: Mapping): Area[] {
    const piece = piecesOf(dmabuf)?.find(({ at, length }) => offset >= at && offset < at + length);
    if (!piece) return [];
    const from = piece.offset + offset - piece.at;
    const areas = areasOf(pid, piece.inode) ?? [];
    return areas.filter(
      (area) => from >= area.offset && from < area.offset + area.end - area.start,
    );
  }

  /** Whether a process has mapped a buffer so that it can write it, and has not unmapped it. */
  canWrite(pid: number, dmabuf: DmaBuf): boolean {
    return [...(this.#mappings.get(pid) ?? [])].some(
      (each) => each.dmabuf === dmabuf && (each.prot & PROT_WRITE) !== 0,
    );
  }

  unmapped(pid: number, address: number, length: number): void {
    if (this.#unplaced.has(pid)) this.#place(pid);
    const mappings = this.#mappings.get(pid);
    for (const mapping of mappings ?? []) {
      const at = mapping.address;
      // What is left of one that is unmapped in part is nobody's mistake yet.
      if (at !== undefined && address <= at && at + mapping.length <= address + length) {
        mappings?.delete(mapping);
      }
    }
  }

  bufferReleased(dmabuf: DmaBuf): void {
    for (const mappings of this.#mappings.values()) {
      for (const each of mappings) if (each.dmabuf === dmabuf) mappings.delete(each);
    }
  }

  exiting(pid: number): void {
    for (const finding of this.left(pid)) this.#reporter.add(finding);
    this.#mappings.delete(pid);
    this.#unplaced.delete(pid);
  }

  /** The mappings that a process has now. */
  left(pid: number): Finding[] {
    if (this.#unplaced.has(pid)) this.#place(pid);
    return [...(this.#mappings.get(pid) ?? [])]
      .filter((mapping) => this.#isThere(pid, mapping))
      .map(({ dmabuf, made, length }) => {
        const buffer = describeBuffer(dmabuf);
        return {
          kind: 'mapping-left',
          process: this.#reporter.processOf(pid),
          made,
          buffer,
          text: `mapping of ${length} bytes left: ${bufferText(buffer)}`,
          advice: 'munmap() it when it is of no more use',
        };
      });
  }

  /** Whether it is mapped still: what is garbage in Node was unmapped unseen. */
  #isThere(pid: number, mapping: Mapping): boolean {
    const { address } = mapping;
    if (address === undefined) return false;
    return this.#areas(pid, mapping).some(({ start, end }) => address >= start && address < end);
  }
}
