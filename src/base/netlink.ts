/**
 * Programs' sockets of NETLINK_KOBJECT_UEVENT. What a program has is one end of a pair of Unix sockets, since nobody but
 * a kernel can send on real ones without privilege: the address of our end, read as a sockaddr_nl, is that of a message
 * to a group. So libudev, its filter and the credentials work by themselves. Linux: net/netlink/af_netlink.c.
 */
import { randomBytes } from 'node:crypto';
import { O_NONBLOCK, O_RDWR } from '../../ioctl/index.js';
import {
  AF_NETLINK,
  AF_UNIX,
  F_SETFL,
  MSG_DONTWAIT,
  NETLINK_KOBJECT_UEVENT,
  SO_PASSCRED,
  SO_SNDBUF,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from '../abi/constants.js';
import type { KernelCore } from '../core.js';
import { Errno, errno, orThrow } from '../errno.js';
import { type FdWatch, native, STAT_FIELDS, Stat } from '../native.js';
import { PerKernel } from '../per_kernel.js';
import { KERN_WARNING } from '../printk.js';

/** Who reads the kernel's events, and those of udevd: bits of `nl_groups`. */
export const GROUP_KERNEL = 1;
export const GROUP_UDEV = 2;

/** Bytes that may wait to be read; the machine's limit may be lower. */
const QUEUE = int(16 * 2 ** 20);
const ON = int(1);
/** The longest message: a page of properties is a lot. */
const LONGEST = 2 ** 16;

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

const stat = new Float64Array(STAT_FIELDS);
let serial = 0;
const unique = randomBytes(6).toString('base64url');

/** struct sockaddr_nl */
export interface NetlinkAddress {
  readonly port: number;
  /** `nl_groups` */
  readonly groups: number;
}

/** A socket that a program has. */
export class UeventSocket {
  /** SOCK_RAW or SOCK_DGRAM, as it was asked for. */
  readonly type: number;
  readonly ino: number;
  /** `nl_pid`; 0 until it is bound, and before that nothing comes. */
  port = 0;
  groups = 0;
  /** What connect(2) was given last. */
  peer: NetlinkAddress = { port: 0, groups: 0 };
  /** NETLINK_PKTINFO and others that are on. */
  readonly options = new Set<number>();
  readonly #kernel: KernelCore;
  readonly #ours: number;
  #named = false;
  #lossTold = false;

  constructor(kernel: KernelCore, type: number, ino: number, ours: number) {
    this.#kernel = kernel;
    this.type = type;
    this.ino = ino;
    this.#ours = ours;
    // Who reads has credentials with each message, also if it asks for them later.
    native.setsockopt(ours, SOL_SOCKET, SO_PASSCRED, ON);
    native.setsockopt(ours, SOL_SOCKET, SO_SNDBUF, QUEUE);
  }

  /** Sends a message of a group. What cannot be queued is lost, as on Linux. */
  send(group: number, message: Uint8Array): void {
    if (!this.#named) this.#name();
    // Whatever the program sends has nobody to get it.
    while (native.recvmsg(this.#ours, scratch, [], MSG_DONTWAIT) > 0);
    const result = native.sendmsg(this.#ours, message, [], MSG_DONTWAIT);
    if (result !== -Errno.EAGAIN || this.#lossTold) return;
    this.#lossTold = true;
    this.#kernel.printk(
      KERN_WARNING,
      `dmabuf-shim: socket ${this.port} of group ${group} has lost uevents: its program does not read them`,
    );
  }

  /** Nobody has the other end any more, or the kernel ends. */
  close(): void {
    native.close(this.#ours);
  }

  /** Gives our end the address that messages come from; all of one socket come from the same. */
  #name(): void {
    this.#named = true;
    const tail = Buffer.from(`${unique}${(serial++).toString(36)}`);
    const address = Buffer.alloc(12 + tail.length);
    address.writeUInt16LE(AF_UNIX, 0);
    address.writeUInt32LE(this.groups & GROUP_KERNEL || GROUP_UDEV, 8);
    address.set(tail, 12);
    native.bind(this.#ours, address);
  }
}

const scratch = new Uint8Array(256);

/** The machine's own events of a group, if it lets us have them. */
class Machine {
  readonly #fd: number;
  readonly #watch: FdWatch | undefined;
  readonly #buffer = new Uint8Array(LONGEST);

  constructor(group: number, take: (message: Uint8Array) => void) {
    this.#fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (this.#fd < 0) return;
    const address = new DataView(new ArrayBuffer(12));
    address.setUint16(0, AF_NETLINK, true);
    address.setUint32(8, group, true);
    if (native.bind(this.#fd, new Uint8Array(address.buffer)) < 0) return;
    this.#watch = native.watchFd(this.#fd, () => {
      for (;;) {
        const length = native.recvmsg(this.#fd, this.#buffer, [], MSG_DONTWAIT);
        // Of what was lost nobody here knows.
        if (length === -Errno.ENOBUFS) continue;
        if (length <= 0) return;
        take(this.#buffer.subarray(0, length));
      }
    });
    this.#watch.unref();
  }

  close(): void {
    this.#watch?.close();
    if (this.#fd >= 0) native.close(this.#fd);
  }
}

/** The sockets of a kernel's programs. */
export class UeventSockets {
  readonly #kernel: KernelCore;
  readonly #byInode = new Map<number, UeventSocket>();
  readonly #machine = new Map<number, Machine>();

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
    kernel.onClose(() => {
      this.#closeMachine();
      for (const socket of this.#byInode.values()) socket.close();
      this.#byInode.clear();
    });
  }

  get size(): number {
    return this.#byInode.size;
  }

  find(ino: number): UeventSocket | undefined {
    return this.#byInode.get(ino);
  }

  /** socket(2): a new descriptor, for the program. EMFILE, ENFILE, ENOMEM. */
  create(type: number, nonblocking: boolean): number {
    const [theirs, ours] = orThrow<[number, number]>(native.socketpair(SOCK_SEQPACKET));
    if (nonblocking) native.fcntl(theirs, F_SETFL, O_RDWR | O_NONBLOCK);
    native.fstat(theirs, stat);
    const socket = new UeventSocket(this.#kernel, type, stat[Stat.ino] as number, ours);
    this.#byInode.set(socket.ino, socket);
    this.#kernel.releases.watchPeer(ours, {
      gone: () => {
        socket.close();
        this.#byInode.delete(socket.ino);
        if (this.#byInode.size === 0) this.#closeMachine();
      },
    });
    return theirs;
  }

  /** bind(2), for a process `pid`. EINVAL, EADDRINUSE. */
  bind(socket: UeventSocket, { port, groups }: NetlinkAddress, pid: number): void {
    if (socket.port !== 0) {
      if (port !== socket.port) throw errno('EINVAL');
    } else if (port !== 0) {
      if (this.#isUsed(port)) throw errno('EADDRINUSE');
      socket.port = port;
    } else {
      this.autobind(socket, pid);
    }
    this.join(socket, groups);
  }

  /** The process's number, or, if another socket has that, one that is no process's. */
  autobind(socket: UeventSocket, pid: number): void {
    let port = pid;
    for (let other = -4097; this.#isUsed(port); other--) port = other;
    socket.port = port;
  }

  #isUsed(port: number): boolean {
    for (const each of this.#byInode.values()) if (each.port === port) return true;
    return false;
  }

  /** Makes a socket a member of these groups, and no others. */
  join(socket: UeventSocket, groups: number): void {
    socket.groups = groups;
    for (const group of [GROUP_KERNEL, GROUP_UDEV]) {
      if ((groups & group) === 0 || this.#machine.has(group)) continue;
      this.#machine.set(group, new Machine(group, (message) => this.broadcast(group, message)));
    }
  }

  /** netlink_broadcast(): to all who are members of a group. */
  broadcast(group: number, message: Uint8Array): void {
    for (const socket of this.#byInode.values()) {
      if (socket.port !== 0 && socket.groups & group) socket.send(group, message);
    }
  }

  #closeMachine(): void {
    for (const each of this.#machine.values()) each.close();
    this.#machine.clear();
  }
}

const sockets = new PerKernel<KernelCore, UeventSockets>((kernel) => new UeventSockets(kernel));

export function ueventSocketsOf(kernel: KernelCore): UeventSockets {
  return sockets.of(kernel);
}
