import { POLLIN, POLLOUT, POLLPRI } from '../../../ioctl/index.js';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, SOCK_NONBLOCK, SOCK_STREAM } from '../../abi/constants.js';
import { orThrow } from '../../errno.js';
import type { EpollCompanion, File } from '../../fs/file.js';
import { WaitQueue, type Wakeable } from '../../fs/wait_queue.js';
import { native } from '../../native.js';
import { FileSignals } from './signals.js';

/** More than a socket's send buffer is filled with before it is no longer writable. */
const CHUNK = new Uint8Array(65536);
const scratch = new Uint8Array(CHUNK.length);
const byte = new Uint8Array(1);

// <linux/eventpoll.h>
const EPOLLWAKEUP = 0x20000000;
const EPOLLONESHOT = 0x40000000;
const EPOLLET = 0x80000000;

/** What becomes of an entry when one of its events has been told. */
const FLAGS = EPOLLONESHOT | EPOLLET | EPOLLWAKEUP;

/**
 * Descriptors of ours that tell an epoll instance of a program what a file of ours is ready for: in the file's place, as
 * epoll refuses memfds.
 *
 * The first is one end of a pair of sockets: readable while it is sent a byte, writable while what it sends is read. Each
 * such event is an edge to EPOLLET, as is each wake_up() of a driver's wait queue. Of files that can say more than
 * that, POLLPRI, POLLERR and POLLHUP have an entry each, under the same data.
 */
export class Companion implements EpollCompanion {
  registrations = 0;
  readonly #fd: number;
  readonly #other: number;
  readonly #file: File;
  readonly #signals: FileSignals;
  /** What entries for POLLPRI, POLLERR and POLLHUP are made of. */
  readonly #told: ReadonlyMap<number, number>;
  #state = POLLOUT;
  /** Whether an entry waits for POLLOUT and not for POLLIN. */
  #outputAlone = false;
  /** What it waits for. */
  #sources: Wakeable[] = [];

  constructor(file: File) {
    this.#file = file;
    this.#signals = FileSignals.of(file);
    const pair = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
    if (typeof pair === 'number') {
      this.#signals.release();
      orThrow(pair);
    }
    [this.#fd, this.#other] = pair as [number, number];
    this.#told = this.#signals.descriptors();
    this.refresh();
  }

  control(epfd: number, op: number, event: Uint8Array): number {
    const entry = new DataView(event.buffer, event.byteOffset);
    const wanted = entry.getUint32(0, true);
    this.#outputAlone ||= (wanted & (POLLIN | POLLOUT)) === POLLOUT;
    let result = native.epollCtlEvent(epfd, op, this.#fd, event);
    if (result < 0) return result;
    for (const [told, fd] of this.#told) {
      entry.setUint32(0, (wanted & (FLAGS | (told & POLLPRI))) >>> 0, true);
      result = native.epollCtlEvent(epfd, op, fd, event);
      if (result >= 0 || op !== EPOLL_CTL_ADD) continue;
      this.control(epfd, EPOLL_CTL_DEL, event);
      return result;
    }
    return 0;
  }

  readonly refresh = (): void => this.#show(false);

  /** The driver says that something is new, even if the file was ready before. */
  readonly #wake = (): void => this.#show(true);

  #show(woken: boolean): void {
    const ready = this.#file.f_op.poll?.(this.#file, 0) ?? 0;
    const changed = ready ^ this.#state;
    this.#state = ready;
    // It is enough that one of them says so.
    const [first] = this.#file.companions.values();
    if (first === this) this.#signals.show(ready, woken);
    if (changed & POLLIN) {
      if (ready & POLLIN) native.write(this.#other, byte);
      else native.read(this.#fd, scratch);
    } else if (woken && ready & POLLIN) {
      // At no time is there nothing to read.
      native.write(this.#other, byte);
      native.read(this.#fd, byte);
    }
    // Whoever waits for both has had this edge.
    const told = ready & POLLIN && !this.#outputAlone;
    if (changed & POLLOUT) {
      if (ready & POLLOUT) while (native.read(this.#other, scratch) > 0);
      else while (native.write(this.#fd, CHUNK) > 0);
    } else if (woken && ready & POLLOUT && !told) {
      native.write(this.#fd, byte);
      native.read(this.#other, byte);
    }
    this.#listen([this.#file.changed, ...(this.#file.f_op.pollSources?.(this.#file) ?? [])]);
  }

  #listen(sources: Wakeable[]): void {
    const before = this.#sources;
    this.#sources = sources;
    for (const source of sources) source.add(this.#listener(source));
    for (const source of before) {
      if (!sources.includes(source)) source.remove(this.#listener(source));
    }
  }

  /** A fence wakes once, which is for the file to make something of; a queue wakes who waits for the file. */
  #listener(source: Wakeable): () => void {
    return source instanceof WaitQueue ? this.#wake : this.refresh;
  }

  close(): void {
    this.#listen([]);
    native.close(this.#fd);
    native.close(this.#other);
    for (const fd of this.#told.values()) native.close(fd);
    this.#signals.release();
  }
}
