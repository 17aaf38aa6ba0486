import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN } from '../abi/constants.js';
import { orThrow } from '../errno.js';
import { inotifyWatches, pathOfOwn } from '../host/descriptors.js';
import { native } from '../native.js';

const EPOLLOUT = 0x4;
const EPOLLERR_OR_HUP = 0x18;
/** The token of the inotify instance: no pipe or socket has descriptor 0. */
const INOTIFY = 0;
const IN_NONBLOCK = 0o4000;
const IN_CLOSE = 0x18;
/** Never happens to a memfd: the watch then reports nothing but its own end. */
const IN_MOVE_SELF = 0x800;
const IN_MASK_ADD = 0x20000000;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
/** sizeof(struct inotify_event) without a name, and inodes watched by themselves have none. */
const EVENT_SIZE = 16;

/**
 * Milliseconds after which a description that seemed to be alive still when its close was reported is
 * looked at again: the kernel reports first, and drops the description's locks a moment later.
 */
const LOOK_AGAIN = [1, 5, 25, 125, 1000, 5000];

/** What is told of the other end of a pipe or socket. */
interface Peer {
  /** What to tell of from the start: EPOLLIN; room to write in is asked for by {@link ReleaseWatch.askWritable}. */
  readonly events?: number;
  /** There is something to read, or room to write in. */
  ready?(): void;
  /** Called once: nobody has it any more. There may be something to read still. */
  gone(): void;
}

/**
 * Tells when programs let go of memory, in whatever process and by whatever means: close, munmap,
 * exit, a message that is dropped. inotify knows: the watch of an unlinked inode ends when the last
 * descriptor and mapping of it are gone.
 */
export class ReleaseWatch {
  /** Readable when there is something to {@link drain}. */
  readonly fd: number;
  readonly #inotify: number;
  readonly #peers = new Map<number, Peer & { asked: boolean }>();
  readonly #ready = new Uint32Array(2 * 64);
  readonly #gone = new Map<number, () => void>();
  /** What to ask when some description was closed; each answers whether it is done. */
  readonly #closed = new Map<number, Set<() => boolean>>();
  readonly #late = new Map<number, NodeJS.Timeout>();
  readonly #events = new Uint8Array(EVENT_SIZE * 256);
  readonly #view = new DataView(this.#events.buffer);

  constructor() {
    this.fd = orThrow(native.epollCreate());
    this.#inotify = orThrow(native.inotifyInit(IN_NONBLOCK));
    orThrow(native.epollCtl(this.fd, EPOLL_CTL_ADD, this.#inotify, EPOLLIN, INOTIFY));
  }

  /**
   * Calls `gone`, once, when nobody has the inode behind `fd` any more: that takes `fd` itself to be
   * closed too. ENOSPC when the user's inotify watches are used up.
   */
  watchInode(fd: number, gone: () => void): void {
    this.#gone.set(this.#addWatch(fd, IN_MOVE_SELF), gone);
  }

  /** Calls `check` after any description of the inode behind `fd` was closed, until it answers true. */
  watchCloses(fd: number, check: () => boolean): void {
    const wd = this.#addWatch(fd, IN_CLOSE);
    const checks = this.#closed.get(wd);
    if (checks) checks.add(check);
    else this.#closed.set(wd, new Set([check]));
  }

  /** Tells of the other end of the pipe or socket that `fd` is the kernel's end of. */
  watchPeer(fd: number, peer: Peer): void {
    // EPOLLERR and EPOLLHUP are reported unasked.
    orThrow(native.epollCtl(this.fd, EPOLL_CTL_ADD, fd, peer.events ?? 0, fd));
    this.#peers.set(fd, { ...peer, asked: false });
  }

  /** Whether to tell of room in what `fd` is the kernel's end of. */
  askWritable(fd: number, asked: boolean): void {
    const peer = this.#peers.get(fd);
    if (!peer || peer.asked === asked) return;
    peer.asked = asked;
    native.epollCtl(this.fd, EPOLL_CTL_MOD, fd, asked ? EPOLLOUT : (peer.events ?? 0), fd);
  }

  #addWatch(fd: number, mask: number): number {
    return orThrow(native.inotifyAddWatch(this.#inotify, pathOfOwn(fd), mask | IN_MASK_ADD));
  }

  /** Handles what has been reported so far. */
  drain(): void {
    let length: number;
    do {
      length = native.read(this.#inotify, this.#events);
      for (let at = 0; at < length; at += EVENT_SIZE) {
        this.#handle(this.#view.getInt32(at, true), this.#view.getUint32(at + 4, true));
      }
    } while (length === this.#events.length);
    if (this.#peers.size > 0) this.#drainPeers();
    for (const wd of [...this.#late.keys()]) this.#check(wd, 0);
  }

  #drainPeers(): void {
    let count: number;
    do {
      count = native.epollWait(this.fd, this.#ready, 0);
      for (let i = 0; i < count; i++) {
        const fd = this.#ready[2 * i] as number;
        const peer = this.#peers.get(fd);
        if (!peer) continue;
        if (!((this.#ready[2 * i + 1] as number) & EPOLLERR_OR_HUP)) {
          peer.ready?.();
          continue;
        }
        this.#peers.delete(fd);
        native.epollCtl(this.fd, EPOLL_CTL_DEL, fd, 0, 0);
        peer.gone();
      }
    } while (2 * count === this.#ready.length);
  }

  #handle(wd: number, mask: number): void {
    if (mask & IN_Q_OVERFLOW) this.#recover();
    if (mask & IN_CLOSE) this.#check(wd, 0);
    if (mask & IN_IGNORED) this.#end(wd);
  }

  #end(wd: number): void {
    this.#closed.delete(wd);
    const gone = this.#gone.get(wd);
    this.#gone.delete(wd);
    gone?.();
  }

  #check(wd: number, attempt: number): void {
    clearTimeout(this.#late.get(wd));
    this.#late.delete(wd);
    const checks = this.#closed.get(wd);
    if (!checks) return;
    for (const check of checks) if (check()) checks.delete(check);
    if (checks.size === 0) {
      this.#closed.delete(wd);
      if (!this.#gone.has(wd)) native.inotifyRmWatch(this.#inotify, wd);
    } else if (attempt < LOOK_AGAIN.length) {
      const timer = setTimeout(() => this.#check(wd, attempt + 1), LOOK_AGAIN[attempt]);
      this.#late.set(wd, timer.unref());
    }
  }

  /** Reports were lost (fs.inotify.max_queued_events): what is not watched any more has ended. */
  #recover(): void {
    const alive = inotifyWatches(this.#inotify);
    for (const wd of [...this.#gone.keys()]) if (!alive.has(wd)) this.#end(wd);
    for (const wd of [...this.#closed.keys()]) this.#check(wd, 0);
  }

  close(): void {
    for (const timer of this.#late.values()) clearTimeout(timer);
    this.#gone.clear();
    this.#closed.clear();
    native.close(this.#inotify);
    native.close(this.fd);
  }
}
