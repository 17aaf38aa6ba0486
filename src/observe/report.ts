/**
 * `dmabuf-shim run --report`, and `kernel.report()`: what programs and drivers leave behind, and which rules they
 * break, each with the call in which it was made.
 */

import type { KernelCore } from '../core.js';
import type { File } from '../fs/file.js';
import { isAlive, readComm } from '../host/threads.js';
import { BracketTracker } from './bracket_tracker.js';
import { ContentTracker } from './content_tracker.js';
import {
  type Finding,
  type FindingKind,
  type FindingPlace,
  type FindingProcess,
  findingText,
  processText,
} from './finding.js';
import { KernelTracker } from './kernel_tracker.js';
import { MappingTracker } from './mapping_tracker.js';
import type { Observer, Observers } from './observer.js';
import { Origins } from './origins.js';
import { ProcessTracker } from './process_tracker.js';

/** What `--report-json` writes, and `JSON.stringify(kernel.report())` gives. */
export interface ReportJson {
  /** Of this shape: what is added does not change it. */
  version: 1;
  findings: Finding[];
}

/** What the parts of a report share. */
export interface Reporter {
  readonly kernel: KernelCore;
  readonly origins: Origins;
  add(finding: Finding): void;
  /** A process as it is called now. */
  processOf(pid: number): FindingProcess;
  /** The processes that were seen, and have not ended. */
  readonly pids: Iterable<number>;
  /** The descriptor by which `kernel.sys` gave a file to this process. */
  ownDescriptor(file: File): number | undefined;
  /** Whether there is a handle by which a process can let go of what was made there. */
  hasHandle(made: FindingPlace): boolean;
  /** Whether something was made by a program that runs still. */
  isOfProgram(made: FindingPlace): boolean;
}

/** Findings of one kind and process that the text shows. */
const SHOWN = 10;

/** The report of a kernel, from when it was asked for on. */
export class Report {
  readonly #kernel: KernelCore;
  readonly #reporter: Reporter;
  readonly #found: Finding[] = [];
  readonly #processes: ProcessTracker;
  readonly #mappings: MappingTracker;
  readonly #brackets: BracketTracker;
  readonly #contents: ContentTracker;
  readonly #inKernel: KernelTracker;
  readonly #comms = new Map<number, string>();

  /** @internal Made by {@link Kernel.report}. */
  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    const reporter = this.#makeReporter();
    this.#reporter = reporter;
    this.#processes = new ProcessTracker(reporter);
    this.#mappings = new MappingTracker(reporter);
    this.#brackets = new BracketTracker(reporter);
    this.#contents = new ContentTracker(reporter, this.#brackets, this.#mappings);
    this.#inKernel = new KernelTracker(reporter);
    const { observers } = kernel;
    observers.watchProcesses = true;
    // Brackets before contents, and contents before what forgets mappings and processes.
    this.#observe(observers, this.#brackets, this.#contents, this.#mappings);
    this.#observe(observers, this.#processes, this.#inKernel);
    observers.add({ callEnded: (call, result) => reporter.origins.callEnded(call, result) });
  }

  #observe(observers: Observers, ...all: Observer[]): void {
    for (const observer of all) observers.add(observer);
  }

  #makeReporter(): Reporter {
    const processes = () => this.#processes;
    const kernel = this.#kernel;
    const origins = new Origins(kernel);
    return {
      kernel,
      origins,
      add: (finding) => this.#found.push(finding),
      processOf: (pid) => ({ pid, comm: this.#commOf(pid, origins) }),
      get pids() {
        return processes().pids;
      },
      ownDescriptor: (file) => processes().descriptorOf(process.pid, file),
      hasHandle: (made) => processes().hasHandle(made),
      isOfProgram: ({ process: maker }) =>
        maker !== undefined && maker.pid !== process.pid && isAlive(maker.pid),
    };
  }

  /** The name of a process, also once it is gone. */
  #commOf(pid: number, origins: Origins): string {
    const caller = origins.caller();
    const comm = caller?.pid === pid ? caller.comm : readComm(pid);
    if (comm !== '') this.#comms.set(pid, comm);
    return comm || (this.#comms.get(pid) ?? '');
  }

  /**
   * What was found so far, and what is left now: by this process (of what `kernel.sys` gave it), and in the
   * kernel. To be asked when all is done, and before the kernel is closed.
   */
  findings(): readonly Finding[] {
    this.#kernel.settle();
    this.#contents.finish();
    const { pid } = process;
    return [
      ...this.#found,
      ...this.#inKernel.staleAccesses(),
      ...this.#brackets.left(pid),
      ...this.#processes.left(),
      ...this.#mappings.left(pid),
      ...this.#inKernel.left(),
    ];
  }

  /** @internal The programs that run still: what they have is not left yet. */
  running(): FindingProcess[] {
    const others = [...this.#processes.pids].filter((pid) => pid !== process.pid && isAlive(pid));
    return others.map((pid) => this.#reporter.processOf(pid));
  }

  toJSON(): ReportJson {
    return { version: 1, findings: [...this.findings()] };
  }

  /** By process, a paragraph a finding; one line if there is none. */
  toString(): string {
    return reportText(this.findings());
  }
}

/** Findings as people read them. */
export function reportText(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'report: nothing left, nothing wrong';
  const count = findings.length === 1 ? '1 finding' : `${findings.length} findings`;
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const who = finding.process ? processText(finding.process) : 'drivers';
    const group = groups.get(who);
    if (group) group.push(finding);
    else groups.set(who, [finding]);
  }
  const texts = [...groups].map(([who, group]) => `${who}\n${groupText(group)}`);
  return [`report: ${count}`, ...texts].join('\n\n');
}

/** One after the other; of what comes too often in one kind, the first ones. */
function groupText(findings: readonly Finding[]): string {
  const counts = new Map<FindingKind, number>();
  const lines: string[] = [];
  for (const finding of findings) {
    const count = (counts.get(finding.kind) ?? 0) + 1;
    counts.set(finding.kind, count);
    if (count <= SHOWN) lines.push(findingText(finding));
  }
  for (const [kind, count] of counts) {
    if (count > SHOWN) lines.push(`  and ${count - SHOWN} more of the kind ${kind}`);
  }
  return lines.join('\n');
}
