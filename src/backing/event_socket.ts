import { O_ACCMODE, O_NONBLOCK, O_RDWR, POLLIN, POLLRDNORM } from '../../ioctl/index.js';
import {
  F_SETFL,
  MSG_DONTWAIT,
  MSG_PEEK,
  SO_SNDBUF,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../abi/constants.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';
import type { Task } from '../task.js';
import { OwnInode } from './own_inode.js';
import type { ReleaseWatch } from './release.js';

// <asm-generic/socket.h>
const SO_SNDTIMEO = 21;
/** <asm-generic/ioctls.h>, SIOCOUTQ: what the memory of all that is sent and not yet read is. */
const TIOCOUTQ = 0x5411;
/** The smallest send buffer that there is, whatever is asked for. */
const SMALLEST = new Uint8Array(Int32Array.of(1).buffer);
/** struct timeval of one microsecond: the shortest that a write waits for room. */
const AT_ONCE = new Uint8Array(BigInt64Array.of(0n, 1n).buffer);
const CHUNK = new Uint8Array(4096);
/** As many bytes as one look at what is queued takes. */
const MOST = 2 ** 16;

const outq = new Int32Array(1);
const outqBytes = new Uint8Array(outq.buffer);

/**
 * What stands behind a node with events: a pair of stream sockets, and the queue itself. Programs have the one end, so
 * that poll, select, epoll and read are the machine's own, by level and by edge; the kernel writes events into the
 * other. Each open(2) has its own, as a socket cannot be opened again.
 *
 * What programs could send has been sent beforehand, so that their end is never writable.
 */
export class EventSocket extends OwnInode {
  readonly access = O_RDWR;
  readonly single = true;
  readonly tells = POLLIN | POLLRDNORM;
  readonly ownFlags = O_ACCMODE;
  /** The kernel's end; −1 when nobody has the other any more. */
  #end: number;
  #releases: ReleaseWatch | undefined;
  /** Events that there was no room for yet, and of the first of them what has been sent of it. */
  readonly #waiting: Uint8Array[] = [];
  #sentOfFirst = 0;
  #chargeOfFirst = 0;
  /** Events that have been sent and not been seen to be read, with the memory that the machine has for each. */
  readonly #sent: { bytes: number; charge: number }[] = [];
  #charged = 0;
  /** What the machine has for each size. */
  readonly #charges = new Map<number, number>();
  #bytes = 0;

  /** EMFILE, ENFILE, ENOMEM. */
  constructor() {
    const pair = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
    const [fd, end] = orThrow(pair) as [number, number];
    super(fd);
    this.#end = end;
    native.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, SMALLEST);
    while (native.write(fd, CHUNK) > 0);
    while (native.write(fd, CHUNK.subarray(0, 1)) > 0);
    // A write by mistake fails, as it would on Linux, and does not hang.
    native.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, AT_ONCE);
    native.fcntl(fd, F_SETFL, 0);
  }

  /** How many bytes of events nobody has read yet. */
  get unread(): number {
    this.#lookWhatIsRead();
    return this.#bytes;
  }

  /** How many events nobody has read yet. */
  get length(): number {
    this.#lookWhatIsRead();
    return this.#sent.length + this.#waiting.length;
  }

  /** Queues an event: an edge of its own to epoll, if there is room for it in the socket. */
  push(event: Uint8Array): void {
    if (this.#end < 0) return;
    this.#bytes += event.length;
    this.#waiting.push(event);
    this.#pump();
  }

  /** Takes the oldest of the events away that are not in the socket; false if there is none. */
  dropOldestWaiting(): boolean {
    // Of one that has been sent in part the rest has to follow.
    const [event] = this.#waiting.splice(this.#sentOfFirst > 0 ? 1 : 0, 1);
    this.#bytes -= event?.length ?? 0;
    return event !== undefined;
  }

  /**
   * read(2) of a caller that is to have what `whole` says, in bytes, of `queued`, the first of what is queued, as much as
   * fits into `size`; by its own descriptor. `tell` gives it to the caller, and throws if that cannot be:
   * then it is queued still. How many bytes.
   */
  take(
    task: Task,
    size: number,
    whole: (queued: Uint8Array) => number,
    tell: (bytes: Uint8Array, at: number) => void,
  ): number {
    const fd = orThrow(task.tryDuplicate(task.fd));
    let taken = 0;
    try {
      for (;;) {
        const queued = new Uint8Array(Math.min(size - taken, MOST));
        const length = native.recvmsg(fd, queued, [], MSG_PEEK | MSG_DONTWAIT);
        const bytes = queued.subarray(0, length > 0 ? whole(queued.subarray(0, length)) : 0);
        if (bytes.length === 0) return taken;
        tell(bytes, taken);
        native.recvmsg(fd, bytes, [], MSG_DONTWAIT);
        taken += bytes.length;
        this.#pump();
      }
    } catch (error) {
      if (taken > 0) return taken;
      throw error;
    } finally {
      native.close(fd);
    }
  }

  /** Sends what there is room for. */
  readonly #pump = (): void => {
    let event = this.#waiting[0];
    while (event && this.#send(event)) {
      this.#waiting.shift();
      event = this.#waiting[0];
    }
    if (this.#end >= 0) this.#releases?.askWritable(this.#end, event !== undefined);
  };

  /** Sends what is left of the first event; whether that was all. */
  #send(event: Uint8Array): boolean {
    if (this.#end < 0) return false;
    const before = this.#outq();
    const sent = native.sendmsg(this.#end, event.subarray(this.#sentOfFirst), [], MSG_DONTWAIT);
    if (sent < 0) return false;
    // If something was read meanwhile it looks like less.
    const charge = Math.max(this.#outq() - before, this.#charges.get(sent) ?? 0);
    this.#charges.set(sent, charge);
    this.#charged += charge;
    this.#chargeOfFirst += charge;
    this.#sentOfFirst += sent;
    if (this.#sentOfFirst < event.length) return false;
    this.#sent.push({ bytes: event.length, charge: this.#chargeOfFirst });
    this.#sentOfFirst = 0;
    this.#chargeOfFirst = 0;
    return true;
  }

  #outq(): number {
    native.ioctl(this.#end, TIOCOUTQ, outqBytes);
    return outq[0] as number;
  }

  /** The machine frees an event's memory when it has been read: so far have programs come. */
  #lookWhatIsRead(): void {
    const left = this.#end < 0 ? 0 : this.#outq();
    let event = this.#sent[0];
    while (event && this.#charged - event.charge >= left) {
      this.#charged -= event.charge;
      this.#bytes -= event.bytes;
      this.#sent.shift();
      event = this.#sent[0];
    }
  }

  override open(flags: number): number {
    const fd = orThrow(native.dup(this.fd));
    native.fcntl(fd, F_SETFL, flags & O_NONBLOCK);
    return fd;
  }

  override watch(releases: ReleaseWatch, gone: () => void): void {
    const nobodyReads = () => {
      this.end();
      gone();
    };
    releases.watchPeer(this.#end, { gone: nobodyReads, ready: this.#pump });
    this.#releases = releases;
    this.#pump();
  }

  /** Programs that have it still see POLLERR and POLLHUP, as those of a device that is gone. */
  end(): void {
    if (this.#end >= 0) native.close(this.#end);
    this.#end = -1;
  }
}
