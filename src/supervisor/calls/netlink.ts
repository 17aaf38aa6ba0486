/** Sockets of NETLINK_KOBJECT_UEVENT: what their Unix sockets would answer otherwise than Linux's. */
import {
  AF_NETLINK,
  AF_UNIX,
  AF_UNSPEC,
  AT_FDCWD,
  CAP_NET_ADMIN,
  NETLINK_KOBJECT_UEVENT,
  SO_DOMAIN,
  SO_PROTOCOL,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_NETLINK,
} from '../../abi/constants.js';
import { type NetlinkAddress, type UeventSocket, ueventSocketsOf } from '../../base/netlink.js';
import { Errno, errno } from '../../errno.js';
import { makeSocket } from '../../fs/names.js';
import { S_IFMT, S_IFSOCK } from '../../fs/tree.js';
import { STAT_FIELDS, Stat } from '../../native.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { transferCalls } from './transfer.js';

const stat = new Float64Array(STAT_FIELDS);

const SOCK_TYPE_MASK = 0xf;

/** <linux/netlink.h> */
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_DROP_MEMBERSHIP = 2;
const NETLINK_LIST_MEMBERSHIPS = 9;
/** PKTINFO, BROADCAST_ERROR, NO_ENOBUFS, LISTEN_ALL_NSID, CAP_ACK, EXT_ACK, GET_STRICT_CHK. */
const FLAGS: readonly number[] = [3, 4, 5, 8, 10, 11, 12];
/** As many groups as a word of `nl_groups` has. */
const GROUPS = 32;

/** sizeof(struct sockaddr_nl), sizeof(struct sockaddr_storage) */
const ADDRESS_SIZE = 12;
const STORAGE_SIZE = 128;
/** <linux/un.h> */
const UNIX_PATH_MAX = 108;
/** sizeof(sa_family_t) */
const FAMILY_SIZE = 2;
const NOBODY: NetlinkAddress = { port: 0, groups: 0 };

/** The socket that the first argument names, if it is one. */
function socketOf(call: Call): UeventSocket | undefined {
  const sockets = ueventSocketsOf(call.task.kernel);
  if (sockets.size === 0 || call.int(0) < 0 || !call.task.fstat(call.int(0), stat))
    return undefined;
  if (((stat[Stat.mode] as number) & S_IFMT) !== S_IFSOCK) return undefined;
  return sockets.find(stat[Stat.ino] as number);
}

/** What Linux refuses, it refuses here as well. */
function socket(call: Call): Answer {
  const [domain, flags, protocol] = [call.int(0), call.int(1), call.int(2)];
  const type = flags & SOCK_TYPE_MASK;
  const known = SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC;
  if (domain !== AF_NETLINK || protocol !== NETLINK_KOBJECT_UEVENT) return CONTINUE;
  if ((type !== SOCK_RAW && type !== SOCK_DGRAM) || flags & ~known) return CONTINUE;
  const fd = ueventSocketsOf(call.task.kernel).create(type, (flags & SOCK_NONBLOCK) !== 0);
  return call.answerNewFd(fd, (flags & SOCK_CLOEXEC) !== 0);
}

/** The address that a call is given, of any family. EINVAL, EFAULT. */
function addressOf(call: Call): Buffer {
  const length = call.int(2);
  if (length < 0 || length > STORAGE_SIZE) throw errno('EINVAL');
  const bytes = Buffer.alloc(length);
  if (length > 0) call.task.mm.read(call.arg(1), bytes);
  return bytes;
}

/** EINVAL for one of another family. */
function netlinkAddress(bytes: Buffer): NetlinkAddress {
  if (bytes.length < ADDRESS_SIZE || bytes.readUInt16LE(0) !== AF_NETLINK) throw errno('EINVAL');
  return { port: bytes.readInt32LE(4), groups: bytes.readUInt32LE(8) };
}

const bind =
  (context: Context): Handler =>
  (call) => {
    const found = socketOf(call);
    if (!found) return bindToPath(context, call);
    const { kernel, pid } = call.task;
    ueventSocketsOf(kernel).bind(found, netlinkAddress(addressOf(call)), pid);
    return 0;
  };

/** A Unix socket gets a name, which may be where only this kernel has a directory. */
function bindToPath({ paths }: Context, call: Call): Answer {
  const length = call.int(2);
  if (length <= FAMILY_SIZE || length > FAMILY_SIZE + UNIX_PATH_MAX) return CONTINUE;
  const bytes = Buffer.alloc(length);
  if (call.task.mm.readSome(call.arg(1), bytes) < length) return CONTINUE;
  const [path = ''] = bytes.toString('utf8', FAMILY_SIZE).split('\0', 1);
  if (bytes.readUInt16LE(0) !== AF_UNIX || path === '') return CONTINUE;
  const found = paths.resolve(call.task, AT_FDCWD, path, false);
  if (found?.kind === 'node') return -Errno.EADDRINUSE;
  if (found?.kind !== 'error') return CONTINUE;
  if (found.free && !found.slash) makeSocket(found.free, call.task);
  return -Errno[found.code];
}

/** Only sets where to messages go that are sent without an address. */
function connect(call: Call): Answer {
  const found = socketOf(call);
  if (!found) return CONTINUE;
  const bytes = addressOf(call);
  if (bytes.length >= FAMILY_SIZE && bytes.readUInt16LE(0) === AF_UNSPEC) {
    found.peer = NOBODY;
    return 0;
  }
  const { port, groups } = netlinkAddress(bytes);
  const { kernel, pid } = call.task;
  if ((port !== 0 || groups !== 0) && !call.task.capable(CAP_NET_ADMIN)) return -Errno.EPERM;
  if (found.port === 0) ueventSocketsOf(kernel).autobind(found, pid);
  // The first of the groups: there can be one.
  found.peer = { port, groups: (groups & -groups) >>> 0 };
  return 0;
}

/** What netlink does not have. */
const unsupported: Handler = (call) => (socketOf(call) ? -Errno.EOPNOTSUPP : CONTINUE);

/** Nor can it be shut down; other sockets of ours are none to programs. */
const shutdown: Handler = (call) =>
  socketOf(call) ? -Errno.EOPNOTSUPP : transferCalls.shutdown(call);

const getsockname: Handler = (call) => giveAddress(call, (found) => found);
const getpeername: Handler = (call) => giveAddress(call, ({ peer }) => peer);

function giveAddress(call: Call, which: (socket: UeventSocket) => NetlinkAddress): Answer {
  const found = socketOf(call);
  if (!found) return CONTINUE;
  const { port, groups } = which(found);
  const address = Buffer.alloc(ADDRESS_SIZE);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeInt32LE(port, 4);
  address.writeUInt32LE(groups, 8);
  const room = readInt(call, 2);
  if (room < 0) return -Errno.EINVAL;
  call.task.mm.write(call.arg(1), address.subarray(0, room));
  writeInt(call, 2, ADDRESS_SIZE);
  return 0;
}

function getsockopt(call: Call): Answer {
  const found = socketOf(call);
  if (!found) return CONTINUE;
  const option = call.int(2);
  const value =
    call.int(1) === SOL_NETLINK ? netlinkOption(found, option) : ownOption(found, option);
  if (value === undefined) return call.int(1) === SOL_NETLINK ? -Errno.ENOPROTOOPT : CONTINUE;
  const room = readInt(call, 4);
  if (room < 0) return -Errno.EINVAL;
  const bytes = Buffer.alloc(INT_SIZE);
  bytes.writeUInt32LE(value);
  const isList = call.int(1) === SOL_NETLINK && option === NETLINK_LIST_MEMBERSHIPS;
  if (call.int(1) === SOL_NETLINK && !isList && room < INT_SIZE) return -Errno.EINVAL;
  call.task.mm.write(call.arg(3), bytes.subarray(0, room));
  writeInt(call, 4, isList ? INT_SIZE : Math.min(room, INT_SIZE));
  return 0;
}

/** What a Unix socket says of itself. */
function ownOption({ type }: UeventSocket, option: number): number | undefined {
  switch (option) {
    case SO_TYPE:
      return type;
    case SO_DOMAIN:
      return AF_NETLINK;
    case SO_PROTOCOL:
      return NETLINK_KOBJECT_UEVENT;
    default:
      return undefined;
  }
}

function netlinkOption({ options, groups }: UeventSocket, option: number): number | undefined {
  if (option === NETLINK_LIST_MEMBERSHIPS) return groups;
  return FLAGS.includes(option) ? Number(options.has(option)) : undefined;
}

function setsockopt(call: Call): Answer {
  const found = call.int(1) === SOL_NETLINK ? socketOf(call) : undefined;
  if (!found) return CONTINUE;
  const option = call.int(2);
  if (call.int(4) < INT_SIZE) return -Errno.EINVAL;
  const value = readInt(call, 3);
  if (FLAGS.includes(option)) {
    if (value) found.options.add(option);
    else found.options.delete(option);
    return 0;
  }
  if (option !== NETLINK_ADD_MEMBERSHIP && option !== NETLINK_DROP_MEMBERSHIP) {
    return -Errno.ENOPROTOOPT;
  }
  if (value < 1 || value > GROUPS) return -Errno.EINVAL;
  const bit = 1 << (value - 1);
  const groups = option === NETLINK_ADD_MEMBERSHIP ? found.groups | bit : found.groups & ~bit;
  ueventSocketsOf(call.task.kernel).join(found, groups >>> 0);
  return 0;
}

const INT_SIZE = 4;

/** An int that an argument points at. EFAULT */
function readInt(call: Call, argument: number): number {
  const bytes = Buffer.alloc(INT_SIZE);
  call.task.mm.read(call.arg(argument), bytes);
  return bytes.readInt32LE();
}

function writeInt(call: Call, argument: number, value: number): void {
  const bytes = Buffer.alloc(INT_SIZE);
  bytes.writeInt32LE(value);
  call.task.mm.write(call.arg(argument), bytes);
}

export const netlinkCalls = (context: Context) =>
  ({
    socket,
    bind: bind(context),
    connect,
    listen: unsupported,
    accept: unsupported,
    accept4: unsupported,
    shutdown,
    getsockname,
    getpeername,
    getsockopt,
    setsockopt,
  }) satisfies Record<string, Handler>;
