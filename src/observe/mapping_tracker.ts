/** Mappings of buffers, and which of them processes leave when they end. */
import { PROT_WRITE } from '../../ioctl/index.js';
import { asDmaBuf, type DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import { type Area, areasOf } from '../host/maps.js';
import { pageAlign } from '../mm/page.js';
import { piecesOf } from './buffer_content.js';
import { bufferText, describeBuffer, type Finding, type FindingPlace } from './finding.js';
import type { ObservedCall, ObservedMapping, Observer } from './observer.js';
import type { Reporter } from './report.js';

interface Mapping {
  readonly dmabuf: DmaBuf;
  readonly prot: number;
  /** Bytes, as it was made. */
  readonly whole: number;
  /** Of what has not been unmapped. */
  offset: number;
  length: number;
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
    if (address === undefined) this.#unplaced.add(pid);
    // MAP_FIXED takes the place of what was there.
    else this.unmapped(pid, address, length);
    mappings.add({ dmabuf, offset, length, whole: length, prot, made, address });
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
      const { dmabuf } = mapping;
      const isTaken = (at: number) =>
        [...mappings].some((each) => each.dmabuf === dmabuf && each.address === at);
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
      if (mapping.address === undefined) continue;
      cut(mapping, mapping.address, address, address + pageAlign(length));
      if (mapping.length <= 0) mappings?.delete(mapping);
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
    const findings: Finding[] = [];
    for (const mapping of this.#mappings.get(pid) ?? []) {
      const { dmabuf, made, whole } = mapping;
      const left = this.#leftOf(pid, mapping);
      if (left === 0) continue;
      const buffer = describeBuffer(dmabuf);
      const part = left < whole ? ` of ${whole}` : '';
      findings.push({
        kind: 'mapping-left',
        process: this.#reporter.processOf(pid),
        made,
        buffer,
        text: `mapping of ${left}${part} bytes left: ${bufferText(buffer)}`,
        advice: 'munmap() it when it is of no more use',
      });
    }
    return findings;
  }

  /** Bytes that are mapped still: a part was unmapped, and what is garbage in Node was so unseen. */
  #leftOf(pid: number, { dmabuf, offset, length, address }: Mapping): number {
    if (address === undefined) return 0;
    let left = 0;
    for (const piece of piecesOf(dmabuf) ?? []) {
      const from = Math.max(address + piece.at - offset, address);
      const to = Math.min(address + piece.at + piece.length - offset, address + length);
      if (from >= to) continue;
      for (const area of areasOf(pid, piece.inode) ?? []) {
        const isOfPiece = area.start - area.offset === address + piece.at - offset - piece.offset;
        const bytes = Math.min(area.end, to) - Math.max(area.start, from);
        if (isOfPiece && bytes > 0) left += bytes;
      }
    }
    return left;
  }
}

/** Takes the addresses from `start` to `end` off a mapping that begins `at`; what is cut out of its middle stays. */
function cut(mapping: Mapping, at: number, start: number, end: number): void {
  const last = at + mapping.length;
  if (start >= last || end <= at) return;
  if (start <= at) {
    mapping.address = end;
    mapping.offset += end - at;
    mapping.length -= end - at;
  } else if (end >= last) {
    mapping.length = start - at;
  }
}
