import { POLLIN, POLLOUT } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import type { Wakeable } from '../fs/wait_queue.js';
import { native } from '../native.js';

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
/** More than a socket's send buffer is filled with before it is no longer writable. */
const CHUNK = new Uint8Array(65536);
const scratch = new Uint8Array(CHUNK.length);
const byte = new Uint8Array(1);

/**
 * A descriptor of ours that is readable and writable when a file of ours is: what programs' epoll
 * instances have in the file's place, as epoll refuses memfds.
 */
export class Companion {
  /** To be registered. */
  readonly fd: number;
  readonly #other: number;
  readonly #file: File;
  #state = POLLOUT;
  /** What it waits for. */
  #sources: Wakeable[] = [];

  constructor(file: File) {
    const pair = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
    if (typeof pair === 'number') orThrow(pair);
    [this.fd, this.#other] = pair as [number, number];
    this.#file = file;
    file.changed.add(this.refresh);
    this.refresh();
  }

  readonly refresh = (): void => {
    const ready = this.#file.f_op.poll?.(this.#file, 0) ?? 0;
    const changed = ready ^ this.#state;
    if (changed & POLLIN) {
      if (ready & POLLIN) native.write(this.#other, byte);
      else native.read(this.fd, scratch);
    }
    if (changed & POLLOUT) {
      if (ready & POLLOUT) while (native.read(this.#other, scratch) > 0);
      else while (native.write(this.fd, CHUNK) > 0);
    }
    this.#state = ready & (POLLIN | POLLOUT);
    this.#listen(this.#file.f_op.pollSources?.(this.#file) ?? []);
  };

  #listen(sources: Wakeable[]): void {
    const before = this.#sources;
    this.#sources = sources;
    for (const source of sources) source.add(this.refresh);
    for (const source of before) if (!sources.includes(source)) source.remove(this.refresh);
  }

  close(): void {
    this.#file.changed.remove(this.refresh);
    this.#listen([]);
    native.close(this.fd);
    native.close(this.#other);
  }
}
