/** DMA_BUF_IOCTL_SYNC that does not come in pairs. */
import { DMA_BUF_SYNC_END, DMA_BUF_SYNC_RW, DMA_BUF_SYNC_WRITE } from '../../ioctl/index.js';
import type { DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import { isAlive } from '../host/threads.js';
import { bufferText, describeBuffer, type Finding, type FindingPlace } from './finding.js';
import type { Observer } from './observer.js';
import type { Reporter } from './report.js';

interface Bracket {
  /** DMA_BUF_SYNC_READ, _WRITE, or both. */
  readonly direction: number;
  readonly made: FindingPlace;
}

const NAMES = ['', 'READ', 'WRITE', 'RW'];

/** Whoever is between START and END, by process and buffer. Threads of one process may have several. */
export class BracketTracker implements Observer {
  readonly #reporter: Reporter;
  readonly #open = new Map<number, Map<DmaBuf, Bracket[]>>();
  /**
   * Of buffers that are gone: told when the process ends by itself. One that is being killed could not do any
   * better, and cannot be told from others when its buffers go.
   */
  readonly #letGo = new Map<number, Finding[]>();

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  /** Whether some process that is alive is about to write a buffer. */
  isWritten(dmabuf: DmaBuf): boolean {
    for (const [pid, buffers] of this.#open) {
      const writes = (bracket: Bracket) => (bracket.direction & DMA_BUF_SYNC_WRITE) !== 0;
      if (!buffers.get(dmabuf)?.some(writes)) continue;
      if (isAlive(pid)) return true;
      this.#open.delete(pid);
    }
    return false;
  }

  synced(dmabuf: DmaBuf, flags: number, pid: number): void {
    const direction = flags & DMA_BUF_SYNC_RW;
    const brackets = this.#bracketsOf(pid, dmabuf);
    if (flags & DMA_BUF_SYNC_END) this.#end(brackets, direction, dmabuf, pid);
    else brackets.push({ direction, made: this.#reporter.origins.here() });
  }

  #bracketsOf(pid: number, dmabuf: DmaBuf): Bracket[] {
    let buffers = this.#open.get(pid);
    if (!buffers) {
      buffers = new Map();
      this.#open.set(pid, buffers);
    }
    let brackets = buffers.get(dmabuf);
    if (!brackets) {
      brackets = [];
      buffers.set(dmabuf, brackets);
    }
    return brackets;
  }

  #end(brackets: Bracket[], direction: number, dmabuf: DmaBuf, pid: number): void {
    const same = brackets.findLastIndex((bracket) => bracket.direction === direction);
    if (same >= 0) {
      brackets.splice(same, 1);
      return;
    }
    const seen = this.#reporter.origins.here();
    const started = brackets.pop();
    // One that was for reading and one for writing may end together.
    if (started && this.#endsBoth(brackets, started, direction)) return;
    const [buffer, name] = [describeBuffer(dmabuf), NAMES[direction]];
    const process = this.#reporter.processOf(pid);
    if (!started) {
      this.#reporter.add({
        kind: 'end-without-start',
        process,
        seen,
        buffer,
        text: `END|${name} without START of ${bufferText(buffer)}`,
        advice: 'DMA_BUF_IOCTL_SYNC with START has to come before the access',
      });
      return;
    }
    const start = `START|${NAMES[started.direction]}`;
    this.#reporter.add({
      kind: 'direction-differs',
      process,
      made: started.made,
      seen,
      buffer,
      text: `END|${name} after ${start} of ${bufferText(buffer)}`,
      advice: `end what was begun with the same direction: END|${NAMES[started.direction]}`,
    });
  }

  #endsBoth(brackets: Bracket[], last: Bracket, direction: number): boolean {
    if (direction !== DMA_BUF_SYNC_RW) return false;
    const other = brackets.findLastIndex((each) => (each.direction | last.direction) === direction);
    if (other < 0) return false;
    brackets.splice(other, 1);
    return true;
  }

  exiting(pid: number): void {
    for (const finding of this.left(pid, 'ended')) this.#reporter.add(finding);
    this.#open.delete(pid);
    this.#letGo.delete(pid);
  }

  bufferReleased(dmabuf: DmaBuf): void {
    for (const [pid, buffers] of this.#open) {
      const brackets = buffers.get(dmabuf) ?? [];
      buffers.delete(dmabuf);
      const findings = brackets.map((each) => this.#unended(pid, dmabuf, each, 'let go of it'));
      if (findings.length > 0) this.#letGo.set(pid, [...(this.#letGo.get(pid) ?? []), ...findings]);
    }
  }

  /** Of the brackets that a process has open now, or had when it let go of the buffer. */
  left(pid: number, what = 'not ended it'): Finding[] {
    const open = [...(this.#open.get(pid) ?? [])].flatMap(([dmabuf, brackets]) =>
      brackets.map((bracket) => this.#unended(pid, dmabuf, bracket, what)),
    );
    return [...(this.#letGo.get(pid) ?? []), ...open];
  }

  #unended(pid: number, dmabuf: DmaBuf, { direction, made }: Bracket, what: string): Finding {
    const buffer = describeBuffer(dmabuf);
    return {
      kind: 'start-without-end',
      // It may have become another program since.
      process: made.process ?? this.#reporter.processOf(pid),
      made,
      buffer,
      text: `START|${NAMES[direction]} without END of ${bufferText(buffer)}: the process has ${what}`,
      advice: `DMA_BUF_IOCTL_SYNC with END|${NAMES[direction]} is to follow the access`,
    };
  }
}
