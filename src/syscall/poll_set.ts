/** What poll(2) and select(2) wait for when files of ours are among it that may not be ready. */
import { POLLERR, POLLHUP } from '../../ioctl/index.js';
import { EPOLL_CTL_ADD, POLLFD_SIZE } from '../abi/constants.js';
import type { File } from '../fs/file.js';
import { readinessOf } from '../fs/readiness.js';
import type { Wakeable } from '../fs/wait_queue.js';
import { type FdWatch, native } from '../native.js';
import type { Task } from '../task.js';
import type { PollFd } from './posix.js';

/** A number that is no descriptor anywhere. */
const CLOSED = 2 ** 30;

export interface PollEntry {
  fd: number;
  events: number;
}

/** The descriptors of one call: ours asked directly, the others through duplicates. */
export class PollSet implements Wakeable {
  readonly #task: Task;
  readonly #entries: readonly PollEntry[];
  readonly #ours: readonly (File | undefined)[];
  readonly #others: DataView;
  readonly #duplicates: number[] = [];
  #epfd = -1;
  #watch: FdWatch | undefined;

  constructor(task: Task, entries: readonly PollEntry[], ours: readonly (File | undefined)[]) {
    this.#task = task;
    this.#entries = entries;
    this.#ours = ours;
    this.#others = new DataView(new ArrayBuffer(entries.length * POLLFD_SIZE));
    entries.forEach(({ fd, events }, i) => {
      this.#others.setInt32(i * POLLFD_SIZE, ours[i] ? -1 : this.#duplicate(fd), true);
      this.#others.setInt16(i * POLLFD_SIZE + 4, events, true);
    });
  }

  #duplicate(fd: number): number {
    if (fd < 0) return -1;
    const duplicate = this.#task.tryDuplicate(fd);
    // Closed: a number that is open nowhere gives POLLNVAL here, too.
    if (duplicate < 0) return CLOSED;
    this.#duplicates.push(duplicate);
    return duplicate;
  }

  /** What there is for each entry, right now. */
  revents(): number[] {
    native.poll(new Uint8Array(this.#others.buffer), 0);
    return this.#entries.map(({ events }, i) => {
      const file = this.#ours[i];
      if (!file) return this.#others.getInt16(i * POLLFD_SIZE + 6, true);
      return (file.f_op.poll?.(file, events) ?? 0) & (events | POLLERR | POLLHUP);
    });
  }

  /** What may change that. */
  sources(): Wakeable[] {
    return [this, ...this.#ours.flatMap((file) => file?.f_op.pollSources?.(file) ?? [])];
  }

  /** Wakeable, for the descriptors that are not ours. */
  add(wake: () => void): void {
    if (this.#duplicates.length === 0) return;
    this.#epfd = native.epollCreate();
    this.#entries.forEach(({ events }, i) => {
      const fd = this.#others.getInt32(i * POLLFD_SIZE, true);
      if (fd >= 0) native.epollCtl(this.#epfd, EPOLL_CTL_ADD, fd, events, i);
    });
    this.#watch = native.watchFd(this.#epfd, wake);
  }

  remove(): void {
    this.#watch?.close();
    if (this.#epfd >= 0) native.close(this.#epfd);
    this.close();
  }

  close(): void {
    for (const fd of this.#duplicates.splice(0)) native.close(fd);
  }
}

/**
 * The files of ours among the entries that the machine would answer otherwise for: those that may not be
 * ready, and those that are asked for what they never say. Undefined if there is none.
 */
export function oursAmong(
  task: Task,
  entries: readonly PollEntry[],
): (File | undefined)[] | undefined {
  const readiness = readinessOf(task.kernel);
  const { anyBusy, untrue } = readiness;
  const ours = entries.map(({ fd, events }) => {
    if (fd < 0 || !(anyBusy || events & untrue)) return undefined;
    const file = task.fget(fd);
    return file && readiness.mayDiffer(file, events) ? file : undefined;
  });
  return ours.some((file) => file !== undefined) ? ours : undefined;
}

/** Sets what there is; how many have something. */
export function tellRevents(fds: PollFd[], revents: number[]): number {
  fds.forEach((entry, i) => {
    entry.revents = revents[i] as number;
  });
  return revents.filter((events) => events !== 0).length;
}
