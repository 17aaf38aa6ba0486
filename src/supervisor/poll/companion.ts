import { POLLIN, POLLOUT } from '../../../ioctl/index.js';
import { orThrow } from '../../errno.js';
import type { EpollCompanion, File } from '../../fs/file.js';
import { WaitQueue, type Wakeable } from '../../fs/wait_queue.js';
import { native } from '../../native.js';

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
/** More than a socket's send buffer is filled with before it is no longer writable. */
const CHUNK = new Uint8Array(65536);
const scratch = new Uint8Array(CHUNK.length);
const byte = new Uint8Array(1);

/**
 * A descriptor of ours that is readable and writable when a file of ours is: what programs' epoll
 * instances have in the file's place, as epoll refuses memfds.
 *
 * It is one end of a pair of sockets: readable while it is sent a byte, writable while what it sends is read. Each
 * such event is an edge to EPOLLET, as is each wake_up() of a driver's wait queue.
 */
export class Companion implements EpollCompanion {
  registrations = 0;
  readonly #fd: number;
  readonly #other: number;
  readonly #file: File;
  #state = POLLOUT;
  /** Whether an entry waits for POLLOUT and not for POLLIN. */
  #outputAlone = false;
  /** What it waits for. */
  #sources: Wakeable[] = [];

  constructor(file: File) {
    const pair = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
    if (typeof pair === 'number') orThrow(pair);
    [this.#fd, this.#other] = pair as [number, number];
    this.#file = file;
    this.refresh();
  }

  control(epfd: number, op: number, event: Uint8Array): number {
    const events = new DataView(event.buffer, event.byteOffset).getUint32(0, true);
    this.#outputAlone ||= (events & (POLLIN | POLLOUT)) === POLLOUT;
    return native.epollCtlEvent(epfd, op, this.#fd, event);
  }

  readonly refresh = (): void => this.#show(false);

  /** The driver says that something is new, even if the file was ready before. */
  readonly #wake = (): void => this.#show(true);

  #show(woken: boolean): void {
    const ready = this.#file.f_op.poll?.(this.#file, 0) ?? 0;
    const changed = ready ^ this.#state;
    this.#state = ready & (POLLIN | POLLOUT);
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
  }
}
