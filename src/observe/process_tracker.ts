/** What processes have of the kernel's files, how they came by it, and what they leave when they end. */
import { asDmaBuf } from '../drivers/dma-buf/dma-buf.js';
import { asSyncFile } from '../drivers/dma-buf/sync_file.js';
import type { File } from '../fs/file.js';
import { parentOf } from '../host/threads.js';
import { bufferText, describeBuffer, type Finding, type FindingPlace } from './finding.js';
import { filesHeldBy, type Held } from './holdings.js';
import type { ObservedCall, Observer } from './observer.js';
import type { Reporter } from './report.js';

interface Installed {
  readonly file: File;
  readonly made: FindingPlace;
  /** If it was not given by the call in which it was made. */
  readonly how?: string;
}

interface Process {
  /** By descriptor: what it was given. */
  readonly installed: Map<number, Installed>;
  /** Files that it came into being with; `all`: nobody knows who its parent was. */
  readonly inherited: ReadonlySet<File> | 'all';
  /** Files that it had when it forked, and those that it had inherited. */
  readonly handedDown: Set<File>;
}

const RECEIVED = 'received from another process';

interface Handle {
  readonly kind: string;
  readonly handle: number;
  readonly made: FindingPlace;
}

export class ProcessTracker implements Observer {
  readonly #reporter: Reporter;
  readonly #processes = new Map<number, Process>();
  /** By thread that was seen: its process. */
  readonly #threads = new Map<number, number>();
  /** Who made a file first. */
  readonly #makers = new WeakMap<File, FindingPlace>();
  readonly #handles = new Map<File, Map<string, Handle>>();

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  /** The first call of a process is the time to learn who its parent is. */
  callEntered(call: ObservedCall): void {
    if (this.#threads.has(call.tid)) return;
    this.#threads.set(call.tid, call.pid);
    this.#of(call.pid);
  }

  #of(pid: number): Process {
    let process = this.#processes.get(pid);
    if (!process) {
      const inherited = this.#inheritedBy(pid);
      const handedDown = new Set(inherited === 'all' ? [] : inherited);
      process = { installed: new Map(), inherited, handedDown };
      this.#processes.set(pid, process);
    }
    return process;
  }

  #inheritedBy(pid: number): ReadonlySet<File> | 'all' {
    if (pid === process.pid) return new Set();
    const parent = parentOf(pid);
    if (parent === process.pid) return new Set(this.#ownFiles());
    return this.#processes.get(parent)?.handedDown ?? 'all';
  }

  /** What this process was given by `kernel.sys`, and may give to programs that it starts. */
  #ownFiles(): File[] {
    return [...(this.#processes.get(process.pid)?.installed.values() ?? [])].map(
      ({ file }) => file,
    );
  }

  /** The processes that were seen. */
  get pids(): Iterable<number> {
    return this.#processes.keys();
  }

  /** A descriptor through which a process had a file. */
  descriptorOf(pid: number, file: File): number | undefined {
    for (const [fd, installed] of this.#processes.get(pid)?.installed ?? []) {
      if (installed.file === file) return fd;
    }
    return undefined;
  }

  descriptorInstalled(file: File, fd: number, pid: number): void {
    const made = this.#reporter.origins.here();
    this.#of(pid).installed.set(fd, { file, made });
    if (!this.#makers.has(file)) this.#makers.set(file, made);
  }

  descriptorTaken(file: File, fd: number, pid: number): void {
    const first = this.descriptorOf(pid, file);
    const how = first === undefined ? RECEIVED : `a duplicate of ${first}`;
    const made = this.#makers.get(file) ?? this.#reporter.origins.here();
    this.#of(pid).installed.set(fd, { file, made, how });
  }

  descriptorWithdrawn(_file: File, fd: number, pid: number): void {
    this.#processes.get(pid)?.installed.delete(fd);
  }

  handleMade(file: File, kind: string, handle: number): void {
    let handles = this.#handles.get(file);
    if (!handles) {
      handles = new Map();
      this.#handles.set(file, handles);
    }
    const made = this.#reporter.origins.here();
    handles.set(`${kind} ${handle}`, { kind, handle, made });
  }

  handleGone(file: File, kind: string, handle: number): void {
    this.#handles.get(file)?.delete(`${kind} ${handle}`);
  }

  /** Whether there is a handle that was made in the same call. */
  hasHandle({ call }: FindingPlace): boolean {
    if (call === undefined) return false;
    for (const handles of this.#handles.values()) {
      for (const { made } of handles.values()) if (made.call === call) return true;
    }
    return false;
  }

  fileReleased(file: File): void {
    this.#handles.delete(file);
    for (const { handedDown } of this.#processes.values()) handedDown.delete(file);
  }

  forking(pid: number): void {
    const { handedDown } = this.#of(pid);
    for (const { file } of filesHeldBy(this.#reporter.kernel, pid)) handedDown.add(file);
  }

  exiting(pid: number): void {
    const held = filesHeldBy(this.#reporter.kernel, pid);
    for (const each of held) {
      const finding = this.#leftAtExit(pid, each);
      if (finding) this.#reporter.add(finding);
    }
    for (const finding of this.#handlesOf(pid, new Set(held.map(({ file }) => file)))) {
      this.#reporter.add(finding);
    }
    this.#forget(pid);
  }

  #forget(pid: number): void {
    this.#processes.delete(pid);
    for (const [tid, of] of this.#threads) if (of === pid) this.#threads.delete(tid);
  }

  /** A descriptor that a process has at its end; undefined if that is nothing to be said of. */
  #leftAtExit(pid: number, { fd, file }: Held): Finding | undefined {
    const { installed, inherited } = this.#of(pid);
    const here = installed.get(fd);
    if (here?.file === file) return this.#left(pid, fd, file, here.made, here.how);
    const other = [...installed].find(([, each]) => each.file === file);
    if (other) return this.#left(pid, fd, file, other[1].made, `a duplicate of ${other[0]}`);
    if (inherited === 'all' || inherited.has(file)) return undefined;
    return this.#left(pid, fd, file, this.#makers.get(file), RECEIVED);
  }

  #left(
    pid: number,
    fd: number,
    file: File,
    made: FindingPlace | undefined,
    how?: string,
  ): Finding {
    const dmabuf = asDmaBuf(file);
    const buffer = dmabuf && describeBuffer(dmabuf);
    const what = buffer ? bufferText(buffer) : nameOf(file);
    return {
      kind: 'descriptor-left',
      process: this.#reporter.processOf(pid),
      ...(made && { made }),
      ...(buffer && { buffer }),
      text: `descriptor ${fd} left: ${what}${how ? `, ${how}` : ''}`,
      advice: 'close it when it is of no more use',
    };
  }

  /** The handles that a process made of files that it has still. */
  #handlesOf(pid: number, files: ReadonlySet<File>): Finding[] {
    const findings: Finding[] = [];
    for (const [file, handles] of this.#handles) {
      if (!files.has(file)) continue;
      for (const { kind, handle, made } of handles.values()) {
        if (made.process?.pid !== pid) continue;
        findings.push({
          kind: 'handle-left',
          process: this.#reporter.processOf(pid),
          made,
          text: `${kind} ${handle} of ${nameOf(file)} left`,
          advice: 'give it back before the file is closed',
        });
      }
    }
    return findings;
  }

  /** What this process has now, of what `kernel.sys` gave it. */
  left(): Finding[] {
    const { kernel } = this.#reporter;
    const { pid } = process;
    const files = new Set<File>();
    const findings: Finding[] = [];
    for (const [fd, { file, made, how }] of this.#processes.get(pid)?.installed ?? []) {
      if (kernel.files.at(pid, fd) !== file) continue;
      files.add(file);
      findings.push(this.#left(pid, fd, file, made, how));
    }
    return [...findings, ...this.#handlesOf(pid, files)];
  }
}

function nameOf(file: File): string {
  if (asSyncFile(file)) return `sync_file ${asSyncFile(file)?.name}`;
  return file.link();
}
