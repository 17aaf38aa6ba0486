/**
 * What happens in a kernel, for those who want to know: `--report`, `--trace-events`. Nobody observes by
 * default, and then an event costs a look at an empty set.
 */

import type { File } from '../fs/file.js';
import type { LogRecord } from '../printk.js';
import { type CallArguments, CallText } from './call_text.js';

/**
 * A system call, of a program's or of `kernel.sys`. What is told of it is found out when it is asked for:
 * ask while the call is handled, afterwards the caller has gone on. {@link keep} does so.
 */
export class ObservedCall {
  /** `ioctl`, `openat` … */
  readonly name: string;
  readonly tid: number;
  /** When it came, by performance.now(), in milliseconds. */
  readonly start = performance.now();
  readonly #observers: Observers;
  /** Undefined once the call is over. */
  #call: CallArguments | undefined;
  #number = 0;
  #pid = 0;
  #comm: string | undefined;
  #text: CallText | undefined;

  /** @internal Made by {@link Observers}. */
  constructor(observers: Observers, call: CallArguments, name: string, tid: number) {
    this.#observers = observers;
    this.#call = call;
    this.name = name;
    this.tid = tid;
  }

  /**
   * 1 for the first that was asked for its number: those that the machine's kernel makes, and that nobody
   * has anything to say of, have none.
   */
  get number(): number {
    this.#number ||= ++this.#observers.numbered;
    return this.#number;
  }

  /** Whether it has a number. */
  get named(): boolean {
    return this.#number > 0;
  }

  get pid(): number {
    const ask = () => this.#call?.task.pid ?? 0;
    this.#pid ||= this.#observers.processOf(this.tid, this.start, ask);
    return this.#pid;
  }

  /** The program's name. */
  get comm(): string {
    this.#comm ??= this.#call?.task.comm;
    return this.#comm ?? '';
  }

  /** As `--trace` shows it, without its result: `ioctl(3, DMA_HEAP_IOCTL_ALLOC, {len=4096, …})`. */
  get text(): string {
    return this.#text?.before ?? (this.#call ? this.keep().before : `${this.name}(…)`);
  }

  /** Takes note of what the arguments are now. */
  keep(): CallText {
    this.#text ??= new CallText(this.#call as CallArguments, this.name);
    return this.#text;
  }

  /** The whole line of `--trace`, with what {@link Observer.callEnded} tells, and while it does. */
  line(result: number | undefined): string {
    return this.#call ? this.keep().line(this.#call, result) : this.text;
  }

  /** @internal The arguments are elsewhere from here on; undefined: the caller has gone on. */
  rebind(call: CallArguments | undefined): void {
    this.#call = call;
  }
}

/** A mapping of a file of ours in a program. */
export interface ObservedMapping {
  readonly file: File;
  readonly pid: number;
  /** Undefined where the machine's kernel has yet to choose it. */
  readonly address: number | undefined;
  /** Bytes. */
  readonly length: number;
  readonly prot: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/**
 * Each subsystem adds what it tells by declaring it in this interface, beside the code that tells it.
 *
 * Each method is called when it happens, in the turn in which it happens. It must not throw, and changes
 * nothing. In whose call it happens is `kernel.observers.call`, also if that call was parked meanwhile.
 */
export interface Observer {
  /** All that come here: also those that the machine's kernel makes in the end, as open(2) of any file. */
  callEntered?(call: ObservedCall): void;
  /** The call waits: its thread sleeps until {@link callEnded}. It may be told several times. */
  callParked?(call: ObservedCall): void;
  /** `result`: the call's, or a negative errno. Undefined: the machine's kernel makes the call itself. */
  callEnded?(call: ObservedCall, result: number | undefined): void;
  /** A caller was given a descriptor: by open(2), an ioctl … */
  descriptorInstalled?(file: File, fd: number, pid: number): void;
  /** It was taken back at once: the caller could not be told of it. */
  descriptorWithdrawn?(file: File, fd: number, pid: number): void;
  /** `kernel.sys` has one more descriptor of an open file: by dup(2), or with a message. Of programs it is not seen. */
  descriptorTaken?(file: File, fd: number, pid: number): void;
  fileReleased?(file: File): void;
  /** mmap(2). The machine's kernel may still refuse it where it chooses the address. */
  mapped?(mapping: ObservedMapping): void;
  /** munmap(2) is about to be made; of programs' only with `watchProcesses`, of `kernel.sys` always. */
  unmapped?(pid: number, address: number, length: number): void;
  /** fork(2) or its kin is about to be made. Only as {@link unmapped}. */
  forking?(pid: number): void;
  /** exit_group(2): the process is there still, with all that it has. Only as {@link unmapped}. */
  exiting?(pid: number): void;
  /** A line of the kernel log. */
  logged?(record: LogRecord): void;
}

type Arguments<K extends keyof Observer> = Parameters<NonNullable<Observer[K]>>;

/** Milliseconds. */
const MOMENT = 100;
const MAX_THREADS = 1024;

/** Who observes a kernel. */
export class Observers {
  readonly #all = new Set<Observer>();
  /** By thread: its process, and when that was looked up. */
  readonly #processes = new Map<number, { readonly pid: number; readonly since: number }>();
  /** The call that is being handled, if anybody observes. */
  call: ObservedCall | undefined;
  /** Whether programs that are started are to be stopped at munmap, fork and exit, too. */
  watchProcesses = false;
  /** @internal How many calls have a number. */
  numbered = 0;

  get active(): boolean {
    return this.#all.size > 0;
  }

  /** The answer of this function ends it. */
  add(observer: Observer): () => void {
    this.#all.add(observer);
    return () => this.#all.delete(observer);
  }

  /** @internal A call comes, or goes on that was `parked`. Told only while somebody observes. */
  enter(
    call: CallArguments,
    name: string,
    tid: number,
    parked?: ObservedCall,
  ): ObservedCall | undefined {
    if (!this.active) return undefined;
    this.call = parked ?? new ObservedCall(this, call, name, tid);
    if (!parked) this.tell('callEntered', this.call);
    return this.call;
  }

  /**
   * @internal The process of a thread, at a time by performance.now(): as `ask` says, which takes long, and is
   * believed for a moment. Linux does not use a number again that soon.
   */
  processOf(tid: number, at: number, ask: () => number): number {
    const known = this.#processes.get(tid);
    if (known && at - known.since < MOMENT) return known.pid;
    if (this.#processes.size >= MAX_THREADS) this.#processes.clear();
    const pid = ask();
    if (pid > 0) this.#processes.set(tid, { pid, since: at });
    return pid;
  }

  /** @internal It waits from here on; its arguments are in `call`. */
  park(observed: ObservedCall, call: CallArguments): void {
    observed.rebind(call);
    this.tell('callParked', observed);
    this.call = undefined;
  }

  /** @internal It is over, and its caller about to go on. */
  leave(observed: ObservedCall, result: number | undefined): void {
    this.tell('callEnded', observed, result);
    observed.rebind(undefined);
    this.call = undefined;
  }

  tell<K extends keyof Observer>(event: K, ...args: Arguments<K>): void {
    for (const observer of this.#all) {
      const method = observer[event] as ((...args: Arguments<K>) => void) | undefined;
      method?.apply(observer, args);
    }
  }
}
