/** Serves the system calls of programs: takes notifications, has them handled, answers. */

import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, EPOLLPRI } from '../abi/constants.js';
import type { Needs } from '../abi/system_calls.js';
import type { KernelCore, Waiter } from '../core.js';
import { Errno, ErrnoError, orThrow } from '../errno.js';
import { type Faults, faultsOf } from '../fault/faults.js';
import { ProgramFaults } from '../fault/program_calls.js';
import { onWake, Wait, WaitQueue, type Wakeable } from '../fs/wait_queue.js';
import { Watches } from '../fs/watches.js';
import { lookAtMounts, mountsChanged, unwatchMounts, watchMounts } from '../host/served_mounts.js';
import { cacheOf } from '../mm/cache/cache.js';
import { UnreachableError } from '../mm/uaccess.js';
import { type FdWatch, native } from '../native.js';
import type { ObservedCall } from '../observe/observer.js';
import { KERN_WARNING } from '../printk.js';
import { ANSWERED, type Answer, Call, CONTINUE, type Handler, type Traced } from './call.js';
import type { Context } from './context.js';
import { Parked } from './parked.js';
import { PathLookup } from './paths/lookup.js';
import { handlersOf } from './syscalls.js';
import { TaskCache } from './task.js';

const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP = 1;
/** struct seccomp_notif; a later kernel's may be longer (SECCOMP_GET_NOTIF_SIZES). */
const NOTIF_SIZE = 80;

/** Nanoseconds to wait for the next call before going back to the event loop, which makes the call after it dearer. */
const LINGER = 500_000;
/** The same while calls are parked: what they wait for may come by the event loop. */
const LINGER_PARKED = 50_000;
/** Milliseconds after which the event loop has its turn, however many calls there are. */
const TURN = 5;
const SYS_ioctl = native.SYS.ioctl;
/** The token of the release watch; listeners and the table of mounts are known by their descriptors, which are never 0. */
const RELEASES = 0;

/** Sees the calls that are answered, for `--trace`. */
export interface Tracer {
  /**
   * Called before a call is handled, once, however often it waits. `observed`: the call, if anybody observes.
   */
  enter(call: Call, name: string, observed: ObservedCall | undefined): Traced;
}

export class Supervisor {
  readonly #kernel: KernelCore;
  readonly #epfd = orThrow(native.epollCreate());
  readonly #mounts = watchMounts();
  readonly #watch: FdWatch;
  /** With what the filters of their programs were made for. */
  readonly #listeners = new Map<number, Needs>();
  readonly #ready = new Uint32Array(2 * 32);
  /** The call that is being answered: one object for all, as there is one at a time. */
  readonly #call = new Call(-1, new Uint8Array(Math.max(NOTIF_SIZE, notifSize())));
  readonly #tasks: TaskCache;
  readonly #handlers: (Handler | undefined)[] = [];
  readonly #names: string[] = [];
  readonly #faults: ProgramFaults;
  readonly #parked: Parked;
  /** Requests that have given a descriptor: their next caller will have to take one too. */
  readonly #installing = new Set<number>();
  readonly #idle = new WaitQueue();
  /** The process that was last left alone: one line in the log is enough. */
  #left = 0;
  tracer: Tracer | undefined;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    this.#tasks = new TaskCache(kernel);
    this.#parked = new Parked({
      again: (call, { options }) => {
        this.#answer(call, options.resume);
        this.#tasks.retire(call.task);
        this.#serveLater();
      },
      attempt: (call, action) => this.#attempt(call, action),
      ended: (call, result) => {
        this.#observeEnd(call, result);
        this.#tasks.retire(call.task);
      },
      nameOf: (call) => this.#nameOf(call),
    });
    const watches = new Watches(kernel.root);
    kernel.onClose(() => watches.close());
    const context: Context = { kernel, paths: new PathLookup(kernel), watches };
    this.#faults = new ProgramFaults(context);
    for (const [name, handler] of Object.entries(handlersOf(context))) {
      const nr = native.SYS[name];
      if (nr === undefined) continue;
      this.#handlers[nr] = handler;
      this.#names[nr] = name;
    }
    orThrow(native.epollCtl(this.#epfd, EPOLL_CTL_ADD, kernel.releases.fd, EPOLLIN, RELEASES));
    orThrow(native.epollCtl(this.#epfd, EPOLL_CTL_ADD, this.#mounts, EPOLLPRI, this.#mounts));
    this.#watch = native.watchFd(this.#epfd, () => this.#serve());
    this.#watch.unref();
  }

  /** Takes over a listener: serves its programs until the last of them is gone. */
  addListener(listener: number, needs: Needs): void {
    native.notifSetFlags(listener, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); // Linux 6.6; else slower
    orThrow(native.epollCtl(this.#epfd, EPOLL_CTL_ADD, listener, EPOLLIN, listener));
    this.#listeners.set(listener, needs);
    this.#watch.ref();
  }

  #removeListener(listener: number): void {
    if (!this.#listeners.delete(listener)) return;
    native.epollCtl(this.#epfd, EPOLL_CTL_DEL, listener, 0, 0);
    native.close(listener);
    this.#parked.end(listener);
    this.#tasks.clear();
    if (this.#listeners.size > 0) return;
    this.#watch.unref();
    this.#idle.wakeUp();
  }

  /** Resolves when no program is left that is served. */
  async idle(): Promise<void> {
    while (this.#listeners.size > 0) {
      await new Promise<void>((wake) => onWake(new Wait([this.#idle]), wake));
    }
  }

  /** Handles what is there, and what comes while it is at it: a burst of calls pays no wake-up. */
  #serve(): void {
    const end = performance.now() + TURN;
    let linger = 0;
    // libuv has polled the instance, and so have taken an event of the mounts.
    lookAtMounts();
    do {
      const count = native.epollReceive(this.#epfd, this.#ready, this.#call.notif, linger);
      if (count <= 0) break;
      // What programs closed, and mounted, before they made a call is known before the call is answered.
      for (let i = 0; i < count; i++) {
        const token = this.#ready[2 * i];
        if (token === RELEASES) this.#kernel.releases.drain();
        else if (token === this.#mounts) mountsChanged();
      }
      for (let i = 0; i < count; i++) {
        const token = this.#ready[2 * i] as number;
        const events = this.#ready[2 * i + 1] as number;
        if (token === RELEASES || token === this.#mounts) continue;
        if (events & EPOLLIN) this.#receive(token, i > 0);
        else if (events !== 0) this.#removeListener(token);
      }
      if (this.#listeners.size > 0) linger = this.#parked.size > 0 ? LINGER_PARKED : LINGER;
      else linger = 0;
    } while (performance.now() < end);
    this.rest();
    this.#serveLater();
  }

  /** Of notifications that are put by the set does not tell. */
  #serveLater(): void {
    if (native.notifPutBy() >= 0) setImmediate(() => this.#serve());
  }

  /** Lets go of what is kept for speed alone, so that nothing of the programs' lives on by it. */
  rest(): void {
    this.#kernel.caller = 0;
    this.#tasks.rest();
  }

  /** Answers the next call of a listener; the first that is ready has come with the news. */
  #receive(listener: number, fetch: boolean): void {
    const call = this.#call;
    // ENOENT: the caller was killed meanwhile.
    if (fetch && native.notifRecv(listener, call.notif) < 0) return;
    call.listener = listener;
    call.needs = this.#listeners.get(listener) as Needs;
    call.installed = false;
    call.fault = undefined;
    call.observed = undefined;
    call.traced = undefined;
    call.task = this.#tasks.get(call.tid);
    call.task.call = call;
    const { restarting } = call.task;
    call.deadline = restarting?.nr === call.nr ? restarting.deadline : undefined;
    call.task.restarting = undefined;
    if (!this.#tasks.goesOn(call)) this.#kernel.releases.drain();
    this.#answer(call);
  }

  #answer(call: Call, resume?: () => Answer): void {
    this.#kernel.caller = call.tid;
    const request = call.nr === SYS_ioctl ? call.uint(1) : -1;
    if (this.#installing.has(request)) native.rouse();
    this.#observe(call);
    if (this.tracer) call.traced ??= this.tracer.enter(call, this.#nameOf(call), call.observed);
    const faults = faultsOf(this.#kernel);
    const handler = resume ?? this.#handlers[call.nr];
    const answer = this.#handle(call, faults ? this.#withFaults(faults, handler) : handler);
    if (call.installed) this.#installing.add(request);
    if (answer instanceof Wait) {
      this.#park(call, answer);
      return;
    }
    cacheOf(this.#kernel)?.programsGoOn();
    this.#observeEnd(call, answer);
    if (answer !== ANSWERED) call.send(answer);
  }

  #withFaults(faults: Faults, handler: Handler | undefined): Handler | undefined {
    return handler && ((call) => this.#faults.handle(faults, call, this.#nameOf(call), handler));
  }

  #nameOf(call: Call): string {
    return this.#names[call.nr] ?? String(call.nr);
  }

  #observe(call: Call): void {
    const { observers } = this.#kernel;
    if (!observers.active) return;
    call.observed = observers.enter(call, this.#nameOf(call), call.tid, call.observed);
  }

  #observeEnd(call: Call, answer: number | typeof ANSWERED | typeof CONTINUE): void {
    call.traced?.(call, resultOf(call, answer));
    if (call.observed) this.#kernel.observers.leave(call.observed, resultOf(call, answer));
  }

  #handle(call: Call, handler: Handler | undefined): Answer {
    try {
      return handler?.(call) ?? CONTINUE;
    } catch (error) {
      if (error instanceof ErrnoError) return -error.errno;
      if (error instanceof UnreachableError) return this.#leave(call);
      this.#kernel.bug(this.#nameOf(call), error);
      return -Errno.EIO;
    }
  }

  /** A process that nobody may look into has to do without us, as it does without a debugger. */
  #leave(call: Call): typeof CONTINUE {
    const { pid } = call.task;
    if (this.#left !== pid && call.valid) {
      this.#kernel.printk(
        KERN_WARNING,
        `dmabuf-shim: process ${pid} does not let us read its memory: it sees the machine’s own devices`,
      );
      this.#left = pid;
    }
    return CONTINUE;
  }

  /** Has a call wait; when it is over, the handler looks again. */
  #park(current: Call, wait: Wait): void {
    const call = current.clone();
    // The thread makes no other call meanwhile; who works for this one gives descriptors through it.
    call.task.call = call;
    if (call.observed) this.#kernel.observers.park(call.observed, call);
    this.#parked.park(call, wait);
  }

  /** For what is written to a program's memory in passing: that it cannot be is its own matter. */
  #attempt(call: Call, action: (() => void) | undefined): void {
    if (!action) return;
    this.#handle(call, () => {
      action();
      return 0;
    });
  }

  /** The calls that wait for something, with the milliseconds since they do. */
  waitersOn(source: Wakeable): Waiter[] {
    return this.#parked.waitersOn(source);
  }

  /** Signals that others send are on their way to programs: who waits is looked at. */
  expectSignals(): void {
    this.#parked.expectSignals();
  }

  close(): void {
    for (const listener of [...this.#listeners.keys()]) this.#removeListener(listener);
    this.#parked.end();
    this.#watch.close();
    unwatchMounts(this.#mounts);
    this.#tasks.clear();
    native.close(this.#epfd);
  }
}

/** What the caller sees; undefined where the machine's kernel makes the call. */
function resultOf(call: Call, answer: number | typeof ANSWERED | typeof CONTINUE) {
  if (answer === CONTINUE) return undefined;
  return answer === ANSWERED ? call.answered : answer;
}

function notifSize(): number {
  const sizes = native.notifSizes();
  return typeof sizes === 'number' ? NOTIF_SIZE : sizes[0];
}
