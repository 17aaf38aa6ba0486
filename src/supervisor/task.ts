/** A thread of a supervised program, as the caller of system calls. */
import { O_ACCMODE, O_CLOEXEC, O_WRONLY } from '../../ioctl/index.js';
import { AT_FDCWD } from '../abi/constants.js';
import { HIGH_FDS, high } from '../abi/system_calls.js';
import type { KernelCore } from '../core.js';
import { Errno, errnoName, orThrow } from '../errno.js';
import { type File, isServed } from '../fs/file.js';
import { readinessOf } from '../fs/readiness.js';
import {
  type Credentials,
  credentialsOf,
  type Ids,
  isCapable,
  pidfdInfo,
  umaskOf,
} from '../host/credentials.js';
import {
  cwdOf,
  linkOfDescriptor,
  openDescriptors,
  pathOfCwd,
  pathOfDescriptor,
} from '../host/descriptors.js';
import { StatusFile } from '../host/status.js';
import { type Process, processOf, readComm } from '../host/threads.js';
import { ProcessMemory } from '../mm/uaccess.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { KERN_WARNING } from '../printk.js';
import type { Given, Task } from '../task.js';
import type { Call } from './call.js';
import { freeHighFd } from './high_fds.js';
import { HotDescriptor } from './hot_descriptor.js';
import { lackOf } from './needs.js';

/** <linux/pidfd.h>, Linux 6.9. */
const PIDFD_THREAD = 0o200;

const stat = new Float64Array(STAT_FIELDS);

export class RemoteTask implements Task {
  readonly kernel: KernelCore;
  readonly tid: number;
  readonly mm: ProcessMemory;
  /** The call that it waits in now. */
  call!: Call;
  /** The call that it will make again, as it was left for a signal that no handler is for. */
  restarting: { nr: number; deadline: number | undefined } | undefined;
  readonly #hot: HotDescriptor;
  readonly #status: StatusFile;
  readonly #said = new Set<string>();
  /**
   * Numbers below HIGH_FDS that were not of ours when a call that waits named them first: those which a process has
   * received are seen by that, as nothing else tells of them.
   */
  readonly #others = new Uint8Array(HIGH_FDS);
  #fds = -1;
  #pidfd = -1;

  constructor(kernel: KernelCore, tid: number, hot: HotDescriptor) {
    this.kernel = kernel;
    this.tid = tid;
    this.#hot = hot;
    this.mm = new ProcessMemory(tid);
    this.#status = new StatusFile(tid);
  }

  get #readiness() {
    return readinessOf(this.kernel);
  }

  get pid(): number {
    // Not kept: thread ids are used again.
    if (this.#readInfo()) return pidfdInfo.pid;
    return this.#pidOfStatus;
  }

  get #pidOfStatus(): number {
    return this.#status.read().number('Tgid') || this.tid;
  }

  get process(): Process {
    return processOf(this.pid);
  }

  get credentials(): Credentials {
    return credentialsOf(this.#status.read());
  }

  get ids(): Ids {
    return this.#readInfo() ? pidfdInfo.ids : this.credentials;
  }

  /** Whether {@link pidfdInfo} has what there is to know of this thread, not of another of its process. */
  #readInfo(): boolean {
    return this.#withPidfd(pidfdInfo.read) === 0 && pidfdInfo.tid === this.tid;
  }

  get umask(): number {
    return umaskOf(this.#status.read());
  }

  capable(capability: number): boolean {
    return isCapable(this.tid, this.#status.read(), capability);
  }

  get comm(): string {
    return readComm(this.tid);
  }

  /**
   * fstat(2) of a descriptor of the program's, into `fields`; false if there is none. Through a
   * descriptor of its /proc/TID/fd, which saves most of the path every time.
   */
  fstat(fd: number, fields: Float64Array): boolean {
    if (this.#fds >= 0 && native.fstatNumber(this.#fds, fd, fields) === 0) return true;
    // No such descriptor, or the directory is that of an earlier thread with this id.
    this.close();
    this.#fds = openDescriptors(this.tid);
    return this.#fds >= 0 && native.fstatNumber(this.#fds, fd, fields) === 0;
  }

  fget(fd: number): File | undefined {
    const hot = this.#hot.keepFor(this.tid, fd) && this.#hot.get(this.tid, fd);
    if (hot) {
      hot.seen(this.tid, fd);
      return hot;
    }
    const file = this.lookUp(fd);
    if (file) this.#hot.note(this.tid, fd, file, () => this.tryDuplicate(fd));
    return file;
  }

  /** As {@link fget}, and `fields` gets what the machine says of the descriptor. */
  lookUp(fd: number, fields = stat): File | undefined {
    if (fd < 0 || !this.fstat(fd, fields)) return undefined;
    return this.#fileOf(fields[Stat.dev] as number, fields[Stat.ino] as number, fd);
  }

  #fileOf(dev: number, ino: number, fd: number): File | undefined {
    const file = this.kernel.files.find(dev, ino, this.tid, fd);
    file?.seen(this.tid, fd);
    if (fd < HIGH_FDS && file?.f_op.poll && !file.f_op.passedAround) {
      this.#readiness.isAnywhere(file);
    }
    return file;
  }

  fgetAll(fds: Int32Array): (File | undefined)[] {
    const inodes = new Float64Array(2 * fds.length);
    if (this.#fds < 0 || native.inodesOfNumbers(this.#fds, fds, inodes) === 0) {
      // As for one.
      this.close();
      this.#fds = openDescriptors(this.tid);
      native.inodesOfNumbers(this.#fds, fds, inodes);
    }
    return Array.from(fds, (fd, i) => {
      const [dev, ino] = [inodes[2 * i] as number, inodes[2 * i + 1] as number];
      const file = ino === 0 ? undefined : this.#fileOf(dev, ino, fd);
      if (!file && ino !== 0) this.#others[fd] = 1;
      return file;
    });
  }

  mayHave(fd: number): boolean {
    return fd >= 0 && this.#others[fd] !== 1;
  }

  pollNow(fds: Uint8Array): number {
    return this.#withPidfd((pidfd) => native.pollOf(pidfd, fds));
  }

  modeOf(fd: number): number | undefined {
    return fd >= 0 && this.fstat(fd, stat) ? stat[Stat.mode] : undefined;
  }

  openDescriptor(fd: number, flags: number): number {
    return orThrow(native.open(pathOfDescriptor(this.tid, fd), flags | O_CLOEXEC, 0));
  }

  get fd(): number {
    return this.call.int(0);
  }

  /** What /proc/TID/fd/N points at, as the machine has it. */
  linkOf(fd: number): string | undefined {
    return linkOfDescriptor(this.tid, fd);
  }

  /** The working directory, as the machine has it. */
  get cwd(): string | undefined {
    return cwdOf(this.tid);
  }

  /** The file of ours that the working directory is. */
  get cwdFile(): File | undefined {
    return this.kernel.files.behind(pathOfCwd(this.tid));
  }

  /**
   * The file of ours that paths relative to `dirfd` begin at: a descriptor's, of which `fields` gets what the machine
   * says, or the working directory.
   */
  fileAt(dirfd: number, fields = stat): File | undefined {
    return dirfd === AT_FDCWD ? this.cwdFile : this.lookUp(dirfd, fields);
  }

  /** A descriptor here of the same open file description as the program's. */
  dupDescriptor(fd: number): number {
    return orThrow(this.tryDuplicate(fd));
  }

  /** The same; a negative errno for a failure. */
  tryDuplicate(fd: number): number {
    return this.#withPidfd((pidfd) => native.pidfdGetfd(pidfd, fd));
  }

  /** What `use` answers with a descriptor of this thread's. */
  #withPidfd(use: (pidfd: number) => number): number {
    if (this.#pidfd >= 0) {
      const answer = use(this.#pidfd);
      if (answer !== -Errno.ESRCH) return answer;
      // It is that of an earlier thread with this id.
      native.close(this.#pidfd);
    }
    this.#pidfd = native.pidfdOpen(this.tid, PIDFD_THREAD);
    // Before Linux 6.9 only a process's first thread has one. Most callers are that.
    if (this.#pidfd < 0) this.#pidfd = native.pidfdOpen(this.tid, 0);
    if (this.#pidfd < 0) this.#pidfd = native.pidfdOpen(this.#pidOfStatus, 0);
    return this.#pidfd < 0 ? this.#pidfd : use(this.#pidfd);
  }

  /**
   * The number that a new descriptor of a file is to have in the program, from `least` on; undefined: the lowest. The
   * log says what will not be served of it.
   */
  numberOf(file: File, least = 0): number | undefined {
    const number = this.#highNumber(file, least);
    if (number === undefined || !high(this.call.needs)) this.#readiness.isAnywhere(file);
    return number;
  }

  #highNumber(file: File, least: number): number | undefined {
    const { f_op, openFlags, link } = file;
    const lack = lackOf(this.call.needs, f_op);
    const { read, write } = isServed(f_op);
    // The machine would read what was only opened to be written.
    const refuses = f_op.readsNatively && (openFlags & O_ACCMODE) === O_WRONLY;
    const moves = read || write || refuses;
    if (lack.length > 0) {
      const what = `is not served when it calls ${lack.join(', ')}`;
      this.say(`${what} of ${link()}, as nothing had these when it was started`);
    }
    if (
      this.call.needs.exact ||
      !(moves || this.#readiness.isHigh(file)) ||
      lack.includes('read') ||
      lack.includes('write')
    ) {
      return undefined;
    }
    const number = freeHighFd(this.tid, least);
    if (number === undefined && moves) {
      this.say(
        `is not served when it reads or writes ${link()}: it has no descriptor left from ${HIGH_FDS} on, or RLIMIT_NOFILE leaves none`,
      );
    }
    return number;
  }

  /** Says, once, what is not done for it, and that `--exact` does it. */
  say(what: string): void {
    if (this.#said.has(what)) return;
    this.#said.add(what);
    this.kernel.printk(KERN_WARNING, `dmabuf-shim: process ${this.pid} ${what}; --exact serves it`);
  }

  installFd(file: File, flags: number): number {
    const cloexec = (flags & O_CLOEXEC) !== 0;
    const number = this.numberOf(file);
    const fd = file.lend(flags, (own) => this.call.addFd(own, cloexec, number));
    const { observers } = this.kernel;
    if (observers.active) observers.tell('descriptorInstalled', file, fd, this.pid);
    return fd;
  }

  withdrawFds(given: readonly Given[], errno: number): void {
    // Another thread may have been faster, and have something else there by now.
    const fds = given.filter(({ file, fd }) => this.lookUp(fd) === file).map(({ fd }) => fd);
    if (fds.length === 0) return;
    if (this.call.closeAndFail(fds, errno)) {
      const { observers } = this.kernel;
      if (!observers.active) return;
      for (const { file, fd } of given) observers.tell('descriptorWithdrawn', file, fd, this.pid);
      return;
    }
    const why = `its call fails (${errnoName(errno)}), and another process traces it`;
    for (const fd of fds) {
      this.kernel.printk(
        KERN_WARNING,
        `dmabuf-shim: process ${this.pid} keeps descriptor ${fd}: ${why}`,
      );
    }
  }

  close(): void {
    if (this.#fds >= 0) native.close(this.#fds);
    if (this.#pidfd >= 0) native.close(this.#pidfd);
    this.#status.close();
    this.#fds = -1;
    this.#pidfd = -1;
    this.#others.fill(0);
  }
}

const MAX_TASKS = 64;

/** The threads that have called lately. Bounded, so that no descriptor is kept for each thread ever. */
export class TaskCache {
  readonly #kernel: KernelCore;
  readonly #tasks = new Map<number, RemoteTask>();
  readonly #hot = new HotDescriptor();
  #last: RemoteTask | undefined;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  get(tid: number): RemoteTask {
    if (this.#last?.tid === tid) return this.#last;
    let task = this.#tasks.get(tid);
    if (!task) {
      if (this.#tasks.size >= MAX_TASKS) this.clear();
      task = new RemoteTask(this.#kernel, tid, this.#hot);
      this.#tasks.set(tid, task);
    }
    this.#last = task;
    return task;
  }

  /** A task that a call has kept: it may have been put out of the cache meanwhile. */
  retire(task: RemoteTask): void {
    if (this.#tasks.get(task.tid) !== task) task.close();
  }

  /** Whether a call is one more with the descriptor in use; if not, that is let go of. */
  goesOn(call: Call): boolean {
    return this.#hot.keepFor(call.tid, call.int(0));
  }

  /** Nothing calls any more, for now: nothing of the programs' is kept. */
  rest(): void {
    this.#hot.drop();
  }

  clear(): void {
    this.#hot.drop();
    for (const task of this.#tasks.values()) task.close();
    this.#tasks.clear();
    this.#last = undefined;
  }
}
