/**
 * The system calls of programs that may come to the supervisor, one row each. The filter lets through what is not
 * here, `--trace` shows the arguments, faults find what a call goes to by them, and each row has its handler in
 * supervisor/syscalls.ts. Filters compare in the order of the rows.
 */
import { MAP_ANONYMOUS, MAP_DENYWRITE, MAP_PRIVATE, MAP_TYPE } from '../../ioctl/index.js';
import { Errno, type ErrnoName } from '../errno.js';
import * as arg from './arguments.js';
import {
  ALU_AND_K,
  ALU_OR_K,
  allow,
  argHigh,
  argLow,
  fail,
  type Instruction,
  JEQ_K,
  JEQ_X,
  JGE_K,
  JGT_X,
  LD_W_ABS,
  LOAD_X,
  notify,
  RET_A,
  SECCOMP_RET_ERRNO,
  STORE,
  when,
  whenSet,
} from './bpf.js';
import {
  AF_NETLINK,
  CLONE_NEWNS,
  CLONE_THREAD,
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_SEALS,
  F_GETFL,
  F_NOTIFY,
  F_SETFL,
  F_SETLEASE,
  MADV_COLD,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_GUARD_INSTALL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MS_SYNC,
  NETLINK_KOBJECT_UEVENT,
  SO_DOMAIN,
  SO_PROTOCOL,
  SO_TYPE,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.js';

const { ERESTARTNOHAND, ERESTARTSYS } = Errno;

/**
 * Of what is read and written, programs' filters show us descriptors from HIGH_FDS on, which is where such files are
 * opened, and those below LOW_FDS, which is where shells put them; or only the former; or nothing. What programs do
 * with their other files costs them nothing.
 */
export type Transfers = 'everywhere' | 'high' | 'nowhere';

/** Below the 1024 that select(2) can name, and above what most programs ever have open. */
export const HIGH_FDS = 768;
/** Shells redirect these. */
export const LOW_FDS = 10;

/** What programs' calls have to be looked at for. */
export interface Needs {
  /** Everything that is answered otherwise than the machine's kernel does, also where that costs much. */
  exact: boolean;
  /** Whether there is something to be read whose driver does that, and to be written. */
  reads: Transfers;
  writes: Transfers;
  /** Types of ioctls, one character each, that devices of one's own have. */
  ioctlTypes: ReadonlySet<string>;
  /** There is something that calls which wait have to be looked at for, if they name it. */
  polls: boolean;
  /** The search for stale reads: it has to know which pages a program has in its page table. */
  strictCoherency: boolean;
  /** Somebody wants to know what processes have when they fork, and when they end. */
  watchProcesses: boolean;
}

export interface SystemCall {
  readonly args: readonly arg.Argument[];
  /** Whether it is looked at; always, if nothing is said. */
  readonly needed?: (needs: Needs) => boolean;
  /** Which calls of the name, in the filter's words; all, if nothing is said. */
  readonly filter?: (needs: Needs) => readonly Instruction[];
  /** A link at the end of its path is not followed, whatever its flags say. */
  readonly nofollow?: boolean;
  /** What may befall a correct program that makes it, by the manual pages, section 2. */
  readonly errors?: readonly ErrnoName[];
  /** It reads or writes: a correct program has no file for that which can do neither. */
  readonly transfer?: boolean;
  /** What it ends with when a signal comes; a call without it is not interrupted. */
  readonly interrupted?: number;
  /** It is answered and made in one step, by the machine: what it gives cannot be held back. */
  readonly atOnce?: boolean;
}

/** Whether there are files with numbers from HIGH_FDS on, and duplicates of them are looked at. */
export const high = ({ exact, polls, reads, writes }: Needs): boolean =>
  !exact && (polls || reads !== 'nowhere' || writes !== 'nowhere');
const exact = (needs: Needs) => needs.exact;
const reads = (needs: Needs) => needs.exact || needs.reads !== 'nowhere';
const writes = (needs: Needs) => needs.exact || needs.writes !== 'nowhere';
const strict = (needs: Needs) => needs.strictCoherency;
const exactOrStrict = (needs: Needs) => needs.exact || needs.strictCoherency;
const processes = (needs: Needs) => needs.watchProcesses;
const strictOrProcesses = (needs: Needs) => needs.strictCoherency || needs.watchProcesses;

/**
 * The sixth argument, which has no meaning to them, of the calls that a thread makes with another path than its own,
 * and of those that go with them: they are let through.
 */
export const REDIRECTED = { high: 0xdb0d, low: 0xdb0d0001 };

/** Asks us, unless it is a call that we have the program make. */
const unlessOurs = (): readonly Instruction[] => [
  [LD_W_ABS, 0, 0, argHigh(5)],
  [JEQ_K, 0, 3, REDIRECTED.high],
  [LD_W_ABS, 0, 0, argLow(5)],
  [JEQ_K, 0, 1, REDIRECTED.low],
  allow,
  notify,
];

/** <asm/ioctls.h> */
const FIONREAD = 0x541b;
const TTY_TYPE = 0x5400;
const SOCKET_TYPE = 0x8900;

/** A request's type is its second byte. Terminals' and sockets' own are common, and seldom ours. */
const ioctls = ({ exact, ioctlTypes }: Needs): Instruction[] =>
  exact
    ? [notify]
    : [
        ...when(argLow(1), FIONREAD, notify),
        [LD_W_ABS, 0, 0, argLow(1)],
        [ALU_AND_K, 0, 0, 0xff00],
        ...[TTY_TYPE, SOCKET_TYPE]
          .filter((type) => !ioctlTypes.has(String.fromCharCode(type >> 8)))
          .flatMap((type): Instruction[] => [[JEQ_K, 0, 1, type], allow]),
        notify,
      ];

/**
 * In the upper half of mmap's flags, where the kernel looks at nothing: our own injected calls carry
 * it and are let through.
 */
export const INJECTED_MMAP = 0xdb0f;
/** In the same place: the call fails with the errno that its first argument says, and does nothing. */
export const INJECTED_FAILURE = 0xdb0e;
const MAX_ERRNO = 0xfff;

/** Mappings of files, but for those of the dynamic loader, which are private, and marked with MAP_DENYWRITE. */
const fileMappings = (): Instruction[] => [
  [LD_W_ABS, 0, 0, argHigh(3)],
  [JEQ_K, 0, 4, INJECTED_FAILURE],
  [LD_W_ABS, 0, 0, argLow(0)],
  [ALU_AND_K, 0, 0, MAX_ERRNO],
  [ALU_OR_K, 0, 0, SECCOMP_RET_ERRNO],
  [RET_A, 0, 0, 0],
  ...whenSet(argLow(3), MAP_ANONYMOUS, allow),
  [ALU_AND_K, 0, 0, MAP_DENYWRITE | MAP_TYPE],
  [JEQ_K, 0, 1, MAP_DENYWRITE | MAP_PRIVATE],
  allow,
  ...when(argHigh(3), INJECTED_MMAP, allow),
  ...when(argLow(4), 0xffffffff, allow),
  notify,
];

/** Those whose argument `index` is one of these. */
const among = (index: number, values: readonly number[]): Instruction[] => [
  ...values.flatMap((value) => when(argLow(index), value, notify)),
  allow,
];

const fcntls = (needs: Needs): Instruction[] => [
  ...(high(needs) ? ofHigh(duplicating) : []),
  ...among(1, [
    F_ADD_SEALS,
    F_GET_SEALS,
    ...(needs.exact ? [F_GETFL, F_SETFL, F_SETLEASE, F_NOTIFY] : []),
  ]),
];

const duplicating = [F_DUPFD, F_DUPFD_CLOEXEC].flatMap((command) =>
  when(argLow(1), command, notify),
);

/** `then`, if the first argument is a descriptor that we have chosen the number of. */
function ofHigh(then: readonly Instruction[]): Instruction[] {
  return [[LD_W_ABS, 0, 0, argLow(0)], [JGE_K, 0, then.length, HIGH_FDS], ...then];
}

/** Bytes go from one descriptor to another; either may be one of those. */
function between(one: number, other: number, { exact }: Needs): Instruction[] {
  const asked = [one, other].flatMap((index): Instruction[] => [
    [LD_W_ABS, 0, 0, argLow(index)],
    [JGE_K, 0, 1, HIGH_FDS],
    notify,
  ]);
  return exact ? [notify] : [...asked, allow];
}

const duplicates = (): Instruction[] => [...ofHigh([notify]), allow];

/** Those with descriptors that have to be looked at. */
const transfersOf =
  (what: 'reads' | 'writes') =>
  (needs: Needs): Instruction[] => {
    if (needs.exact) return [notify];
    if (needs[what] === 'high') return [...ofHigh([notify]), allow];
    return [...ofHigh([notify]), [JGE_K, 0, 1, LOW_FDS], allow, notify];
  };

/** Calls that wait for descriptors, as many as argument `index` says: of none, they only sleep. */
const ofAny = (index: number) => (): Instruction[] => [...when(argLow(index), 0, allow), notify];

/** Lets through those whose argument `index` is something else. */
const unless = (index: number, value: number): Instruction[] => [
  [LD_W_ABS, 0, 0, argLow(index)],
  [JEQ_K, 1, 0, value],
  allow,
];

/** What a socket says of itself. */
const askedOf = (): Instruction[] => [
  ...when(argLow(1), SOL_NETLINK, notify),
  ...unless(1, SOL_SOCKET),
  ...among(2, [SO_TYPE, SO_PROTOCOL, SO_DOMAIN]),
];

/** Pages are dropped, or mapped without having been accessed. */
const PAGE_ADVICE = [
  MADV_DONTNEED,
  MADV_REMOVE,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
];
/** What drivers' mappings do not take, and memfds' do. */
const REFUSED_ADVICE = [
  MADV_DOFORK,
  MADV_DODUMP,
  MADV_COLD,
  MADV_DONTNEED_LOCKED,
  MADV_GUARD_INSTALL,
];

const advice = ({ exact }: Needs): Instruction[] =>
  among(2, [...PAGE_ADVICE, ...(exact ? REFUSED_ADVICE : [])]);

/** Skips the next instruction if these words of the third argument and of the second compare so. */
const compared = (word: (index: number) => number, jump: number): Instruction[] => [
  [LD_W_ABS, 0, 0, word(1)],
  STORE,
  LOAD_X,
  [LD_W_ABS, 0, 0, word(2)],
  [jump, 1, 0, 0],
];

/** mremap(2) to a larger size, or to a place that is asked for; all, if others count too. */
const remapping = (needs: Needs): Instruction[] =>
  exactOrStrict(needs)
    ? [notify]
    : [
        ...whenSet(argLow(3), MREMAP_FIXED | MREMAP_DONTUNMAP, notify),
        ...compared(argHigh, JEQ_X),
        notify,
        ...compared(argLow, JGT_X),
        allow,
        notify,
      ];

/** Those that make a process. */
const forks = ({ watchProcesses }: Needs): Instruction[] => [
  ...whenSet(argLow(0), CLONE_NEWNS, notify),
  ...(watchProcesses ? [...whenSet(argLow(0), CLONE_THREAD, allow), notify] : [allow]),
];

const OPEN = ['EINTR', 'EMFILE', 'ENFILE', 'ENOMEM'] as const;
const WAIT = ['EINTR', 'ENOMEM'] as const;
const STAT = ['ENOMEM'] as const;
const PATH = ['EIO', 'ENOMEM'] as const;
const TRANSFER = ['EINTR', 'EIO'] as const;

const path = { filter: unlessOurs };
const opening = { ...path, errors: OPEN, interrupted: ERESTARTSYS, atOnce: true };
const stating = { ...path, errors: STAT };
/** Names go where the directory is: a link at the end is itself what the call is about. */
const naming = { ...path, nofollow: true };
const looking = { ...path, errors: PATH };
const transfer = { errors: TRANSFER, transfer: true };
const reading = { needed: reads, filter: transfersOf('reads'), ...transfer };
const writing = { needed: writes, filter: transfersOf('writes'), ...transfer };
const piping = (one: number, other: number) => ({
  needed: (needs: Needs) => needs.exact || high(needs),
  filter: (needs: Needs) => between(one, other, needs),
});
const waiting = { interrupted: ERESTARTSYS };
const polling = { errors: WAIT, interrupted: ERESTARTNOHAND };

const { address, at_flags, dirfd, fd, fd_set, int, long, mode } = arg;

export const systemCalls = {
  // What programs do all the time comes first.
  read: { args: [fd, address, long], ...reading, ...waiting },
  write: { args: [fd, address, long], ...writing, ...waiting },
  readv: { args: [fd, address, int], ...reading, ...waiting },
  writev: { args: [fd, address, int], ...writing, ...waiting },
  pread64: { args: [fd, address, long, long], ...reading },
  pwrite64: { args: [fd, address, long, long], ...writing },

  ioctl: { args: [fd, int, address], filter: ioctls, interrupted: ERESTARTSYS },
  mmap: {
    args: [address, long, arg.prot, arg.map_flags, fd, arg.offset],
    filter: fileMappings,
    errors: ['EAGAIN', 'ENFILE', 'ENOMEM'],
    atOnce: true,
  },
  fcntl: { args: [fd, arg.fcntl_command, long], filter: fcntls },

  open: { args: [arg.path, arg.open_flags], ...opening },
  openat: { args: [dirfd, arg.path, arg.open_flags], ...opening },
  openat2: { args: [dirfd, arg.path, address, long], ...opening },
  creat: { args: [arg.path, address], ...opening },
  stat: { args: [arg.path, address], ...stating },
  lstat: { args: [arg.path, address], nofollow: true, ...stating },
  newfstatat: { args: [dirfd, arg.path, address, at_flags], ...stating },
  statx: { args: [dirfd, arg.path, at_flags, address, address], ...stating },
  access: { args: [arg.path, arg.access_mode], ...looking },
  faccessat: { args: [dirfd, arg.path, arg.access_mode], ...looking },
  faccessat2: { args: [dirfd, arg.path, arg.access_mode, at_flags], ...looking },
  readlink: { args: [arg.path, address, long], nofollow: true, ...looking },
  readlinkat: { args: [dirfd, arg.path, address, long], nofollow: true, ...looking },
  chdir: { args: [arg.path], atOnce: true, ...looking },
  truncate: { args: [arg.path, long], ...path },
  getxattr: { args: [arg.path, arg.string, address, long], ...path },
  lgetxattr: { args: [arg.path, arg.string, address, long], nofollow: true, ...path },
  listxattr: { args: [arg.path, address, long], ...path },
  llistxattr: { args: [arg.path, address, long], nofollow: true, ...path },

  setxattr: { args: [arg.path, arg.string, address, long, int], ...path },
  lsetxattr: { args: [arg.path, arg.string, address, long, int], nofollow: true, ...path },
  removexattr: { args: [arg.path, arg.string], ...path },
  lremovexattr: { args: [arg.path, arg.string], nofollow: true, ...path },

  mkdir: { args: [arg.path, mode], ...naming },
  mkdirat: { args: [dirfd, arg.path, mode], ...naming },
  mknod: { args: [arg.path, mode, int], ...naming },
  mknodat: { args: [dirfd, arg.path, mode, int], ...naming },
  symlink: { args: [arg.string, arg.path], ...naming },
  symlinkat: { args: [arg.string, dirfd, arg.path], ...naming },
  link: { args: [arg.path, arg.path], ...naming },
  linkat: { args: [dirfd, arg.path, dirfd, arg.path, int], ...naming },
  unlink: { args: [arg.path], ...naming },
  unlinkat: { args: [dirfd, arg.path, int], ...naming },
  rmdir: { args: [arg.path], ...naming },
  rename: { args: [arg.path, arg.path], ...naming },
  renameat: { args: [dirfd, arg.path, dirfd, arg.path], ...naming },
  renameat2: { args: [dirfd, arg.path, dirfd, arg.path, int], ...naming },

  chmod: { args: [arg.path, mode], ...path },
  fchmod: { args: [fd, mode] },
  fchmodat: { args: [dirfd, arg.path, mode], ...path },
  fchmodat2: { args: [dirfd, arg.path, mode, at_flags], ...path },
  chown: { args: [arg.path, int, int], ...path },
  lchown: { args: [arg.path, int, int], nofollow: true, ...path },
  fchown: { args: [fd, int, int] },
  fchownat: { args: [dirfd, arg.path, int, int, at_flags], ...path },
  utime: { args: [arg.path, address], ...path },
  utimes: { args: [arg.path, address], ...path },
  futimesat: { args: [dirfd, arg.path, address], ...path },
  utimensat: { args: [dirfd, arg.path, address, at_flags], ...path },

  statfs: { args: [arg.path, address], ...path },
  inotify_add_watch: { args: [fd, arg.path, arg.inotify_mask], ...path },
  name_to_handle_at: { args: [dirfd, arg.path, address, address, int], ...path },

  fstat: { args: [fd, address], errors: STAT },
  fstatfs: { args: [fd, address], errors: ['EINTR', 'EIO', 'ENOMEM'] },
  getdents64: { args: [fd, address, long] },
  getcwd: { args: [address, long] },
  lseek: { args: [fd, long, arg.whence] },
  ftruncate: { args: [fd, long] },
  fallocate: { args: [fd, int, long, long] },
  fsync: { args: [fd] },
  fdatasync: { args: [fd] },
  // EPOLL_CTL_ADD; the others need nothing that could run out.
  epoll_ctl: { args: [int, arg.epoll_op, fd, address], errors: ['ENOMEM', 'ENOSPC'] },

  preadv: { args: [fd, address, int, long], ...reading },
  pwritev: { args: [fd, address, int, long], ...writing },
  preadv2: { args: [fd, address, int, long, long, int], ...reading },
  pwritev2: { args: [fd, address, int, long, long, int], ...writing },
  sendfile: { args: [fd, fd, address, long], ...piping(0, 1) },
  splice: { args: [fd, address, fd, address, long, int], ...piping(0, 2) },
  copy_file_range: { args: [fd, address, fd, address, long, int], ...piping(0, 2) },
  sync_file_range: { args: [fd, long, long, int], needed: exact },
  readahead: { args: [fd, long, long], needed: exact },

  // Only those of descriptors that we have chosen the number of.
  dup: { args: [int], filter: duplicates, needed: high },
  dup2: { args: [int, int], filter: duplicates, needed: high },
  dup3: { args: [int, int, int], filter: duplicates, needed: high },

  poll: { args: [arg.pollfds, int, int], filter: ofAny(1), ...polling },
  ppoll: { args: [arg.pollfds, int, address, address], filter: ofAny(1), ...polling },
  select: { args: [int, fd_set, fd_set, fd_set, address], filter: ofAny(0), ...polling },
  pselect6: { args: [int, fd_set, fd_set, fd_set, address, address], filter: ofAny(0), ...polling },

  // The machine makes it, though not while a thread is lent what its program is not to have.
  pidfd_getfd: { args: [fd, fd, int] },

  // The machine makes these; paths are then looked up from the caller's root.
  chroot: { args: [arg.path], ...path },
  pivot_root: { args: [arg.path, arg.path], ...path },
  mount: { args: [arg.path, arg.path, arg.string, int, address], ...path },
  unshare: { args: [long], filter: () => [...whenSet(argLow(0), CLONE_NEWNS, notify), allow] },
  setns: { args: [fd, long] },

  // Sockets of NETLINK_KOBJECT_UEVENT. Nothing about a number tells that it is of one: a program may have chosen it, or
  // received it.
  socket: {
    args: [int, arg.socket_type, int],
    filter: () => [...unless(0, AF_NETLINK), ...unless(2, NETLINK_KOBJECT_UEVENT), notify],
    errors: ['EMFILE', 'ENFILE', 'ENOMEM'],
    atOnce: true,
  },
  bind: { args: [fd, address, int] },
  connect: { args: [fd, address, int] },
  listen: { args: [fd, int] },
  accept: { args: [fd, address, address], needed: exact },
  accept4: { args: [fd, address, address, int], needed: exact },
  // Of what else is a socket to the machine, too. It could not be undone.
  shutdown: { args: [fd, int] },
  getsockname: { args: [fd, address, address] },
  getpeername: { args: [fd, address, address] },
  getsockopt: { args: [fd, int, int, address, address], filter: askedOf },
  setsockopt: {
    args: [fd, int, int, address, int],
    filter: () => [...unless(1, SOL_NETLINK), notify],
  },

  // The machine makes these; we want to know what there is before.
  munmap: { args: [address, long], filter: unlessOurs, needed: strictOrProcesses },
  mremap: { args: [address, long, long, int, address], filter: remapping },
  remap_file_pages: { args: [address, long, int, long, int] },
  mlock: { args: [address, long], needed: strict },
  mlock2: { args: [address, long, int], needed: strict },
  mlockall: { args: [int], needed: strict },
  madvise: { args: [address, long, int], filter: advice, needed: exactOrStrict },
  msync: {
    args: [address, long, int],
    filter: () => [...whenSet(argLow(2), MS_SYNC, notify), allow],
    needed: exact,
  },
  mincore: { args: [address, long, address], needed: exact },
  exit_group: { args: [int], needed: strictOrProcesses },
  exit: { args: [int], filter: unlessOurs, needed: processes },
  fork: { args: [], needed: processes },
  vfork: { args: [], needed: processes },
  clone: { args: [address, address], filter: forks },
  // Its flags are in its memory.
  clone3: { args: [address, long], needed: processes },

  // It would go around us; programs then use the ordinary calls.
  io_uring_setup: { args: [int, address], filter: () => [fail(Errno.ENOSYS)] },
} as const satisfies Readonly<Record<string, SystemCall>>;

/** The names of the rows. */
export type SystemCallName = keyof typeof systemCalls;

/** The row of a name, if it is one of them. */
export function systemCall(name: string): SystemCall | undefined {
  return Object.hasOwn(systemCalls, name) ? systemCalls[name as SystemCallName] : undefined;
}

/** The rows, in order. */
export const allSystemCalls = Object.entries(systemCalls) as readonly [
  SystemCallName,
  SystemCall,
][];
