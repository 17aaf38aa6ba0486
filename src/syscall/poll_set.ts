/** What poll(2) and select(2) find when files of ours are among what they name that the machine may be wrong about. */
import { POLLERR, POLLHUP } from '../../ioctl/index.js';
import { EPOLL_CTL_ADD, POLLFD_SIZE } from '../abi/constants.js';
import { Errno, errno, orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import { machineSays, readinessOf } from '../fs/readiness.js';
import type { Wakeable } from '../fs/wait_queue.js';
import { UnreachableError } from '../mm/uaccess.js';
import { type FdWatch, native } from '../native.js';
import { KERN_ERR } from '../printk.js';
import type { Task } from '../task.js';
import type { PollFd } from './calls.js';

/** Milliseconds between looks at what the machine's kernel does not watch for us. */
const LOOK_AGAIN = 10;

export interface PollEntry {
  fd: number;
  events: number;
}

type Ours = readonly (File | undefined)[];

/**
 * The files of ours among the entries that the machine would answer otherwise for: those that may not be
 * ready, and those that are asked for what they never say. Undefined if there is none. `all`: also those that it would
 * answer for as we do.
 */
export function oursAmong(
  task: Task,
  entries: readonly PollEntry[],
  all = false,
): Ours | undefined {
  const readiness = readinessOf(task.kernel);
  const { anyBusy, anyHigh, untrue } = readiness;
  const anywhere = all || anyBusy || entries.some(({ events }) => events & untrue);
  if (!anywhere && !(anyHigh && entries.some(({ fd }) => task.mayHave(fd)))) return undefined;
  const fds = entries.map(({ fd }) => (anywhere || task.mayHave(fd) ? fd : -1));
  const files = task.fgetAll(Int32Array.from(fds));
  let any = false;
  const ours = entries.map(({ events }, i) => {
    const file = files[i];
    if (!file?.f_op.poll || !(all || readiness.mayDiffer(file, events))) return undefined;
    any = true;
    return file;
  });
  return any ? ours : undefined;
}

/** What there is for each entry that is of ours, right now. */
function oursNow(entries: readonly PollEntry[], ours: Ours): (number | undefined)[] {
  return entries.map(({ events }, i) => {
    const file = ours[i];
    return file && (file.f_op.poll?.(file, events) ?? 0) & (events | POLLERR | POLLHUP);
  });
}

/**
 * Whether the machine's kernel, if it makes the call, finds the same of ours: that is so if there is something now, or if
 * the call does not wait. `same` compares what is found for who asks for `events`.
 */
export function machineFinds(
  entries: readonly PollEntry[],
  ours: Ours,
  waits: boolean,
  same: (events: number, found: number, machine: number) => boolean,
): boolean {
  const found = oursNow(entries, ours);
  if (waits && !found.some(Boolean)) return false;
  return entries.every(({ events }, i) => {
    const file = ours[i];
    const machine = file && machineSays(file);
    return !file || (machine !== undefined && same(events, found[i] as number, machine & events));
  });
}

/** What there is for each entry, right now. */
export function reventsNow(task: Task, entries: readonly PollEntry[], ours: Ours): number[] {
  const found = oursNow(entries, ours);
  const others = new DataView(new ArrayBuffer(entries.length * POLLFD_SIZE));
  entries.forEach(({ fd, events }, i) => {
    others.setInt32(i * POLLFD_SIZE, ours[i] ? -1 : fd, true);
    others.setInt16(i * POLLFD_SIZE + 4, events, true);
  });
  reachable(task, task.pollNow(new Uint8Array(others.buffer)));
  return found.map((events, i) => events ?? others.getInt16(i * POLLFD_SIZE + 6, true));
}

/** An answer about a program's descriptors. ENOMEM, and a line in the log, where we have no room for them. */
function reachable(task: Task, answer: number): number {
  if (answer === -Errno.EPERM || answer === -Errno.ESRCH) throw new UnreachableError(task.pid);
  if (answer !== -Errno.EMFILE && answer !== -Errno.ENFILE) return orThrow(answer);
  const text =
    'dmabuf-shim: no descriptor left to wait for those of a program: raise RLIMIT_NOFILE';
  task.kernel.printk(KERN_ERR, text);
  throw errno('ENOMEM');
}

/** Wakes when there may be something for an entry. Made for one wait: it has what it needs from the start. */
export class PollWait implements Wakeable {
  readonly sources: readonly Wakeable[];
  /** Milliseconds after which to look again in any case, if the machine does not watch all of it for us. */
  readonly again: number | undefined;
  readonly #descriptors: number[] = [];
  #watch: FdWatch | undefined;
  #wake: (() => void) | undefined;

  /** ENOMEM. */
  constructor(task: Task, entries: readonly PollEntry[], ours: Ours) {
    this.sources = [this, ...ours.flatMap((file) => file?.f_op.pollSources?.(file) ?? [])];
    const others = new Map<number, number>();
    entries.forEach(({ fd, events }, i) => {
      if (fd >= 0 && !ours[i]) others.set(fd, (others.get(fd) ?? 0) | events);
    });
    if (others.size === 0) return;
    try {
      if (!this.#watchAll(task, others)) this.again = LOOK_AGAIN;
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** False if not all can be watched: one is closed, or there are too many ways to one file already. */
  #watchAll(task: Task, events: ReadonlyMap<number, number>): boolean {
    const keep = (fd: number): number => {
      this.#descriptors.push(reachable(task, fd));
      return fd;
    };
    const epfd = keep(native.epollCreate());
    let all = true;
    for (const [fd, wanted] of events) {
      const duplicate = task.tryDuplicate(fd);
      if (duplicate === -Errno.EBADF) {
        all = false;
        continue;
      }
      const added = native.epollCtl(epfd, EPOLL_CTL_ADD, keep(duplicate), wanted, 0);
      // What epoll refuses, regular files and the like, says always the same.
      if (added < 0 && added !== -Errno.EPERM) all = false;
    }
    try {
      this.#watch = native.watchFd(epfd, () => this.#wake?.());
    } catch {
      return false;
    }
    return all;
  }

  /** How long to wait, of `left` milliseconds. */
  timeout(left: number): number | undefined {
    const timeout = Math.min(Math.ceil(left), this.again ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(timeout) ? timeout : undefined;
  }

  add(wake: () => void): void {
    this.#wake = wake;
  }

  remove(): void {
    this.#watch?.close();
    for (const fd of this.#descriptors.splice(0)) native.close(fd);
  }
}

/** Sets what there is; how many have something. */
export function tellRevents(fds: PollFd[], revents: readonly number[]): number {
  fds.forEach((entry, i) => {
    entry.revents = revents[i] as number;
  });
  return revents.filter((events) => events !== 0).length;
}
