/** The seccomp filter: which system calls of a program are put before the supervisor. */
import { MAP_ANONYMOUS, MAP_DENYWRITE } from '../../ioctl/index.js';
import { native } from '../native.js';

// <linux/bpf_common.h>
const LD_W_ABS = 0x20;
const ALU_AND_K = 0x54;
const ALU_OR_K = 0x44;
const JEQ_K = 0x15;
const JGE_K = 0x35;
const JSET_K = 0x45;
const RET_K = 0x06;
const RET_A = 0x16;

// <linux/seccomp.h>
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_ERRNO = 0x00050000;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
/** Keeps a signal from making a served call run twice (Linux 5.19). */
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5;

/** Offsets in struct seccomp_data. */
const NR = 0;
const ARCH = 4;
const argLow = (index: number) => 16 + index * 8;
const argHigh = (index: number) => 20 + index * 8;

/** System calls of the x32 ABI have this bit; they are let through, as 32-bit programs' are. */
const X32_BIT = 0x40000000;
const ENOSYS = 38;

/**
 * In the upper half of mmap's flags, where the kernel looks at nothing: our own injected calls carry
 * it and are let through.
 */
export const INJECTED_MMAP = 0xdb0f;
/** In the same place: the call fails with the errno that its first argument says, and does nothing. */
export const INJECTED_FAILURE = 0xdb0e;
const MAX_ERRNO = 0xfff;
/**
 * The sixth argument, which has no meaning to them, of the calls that a thread makes with another path than its own,
 * and of those that go with them: they are let through.
 */
export const REDIRECTED = { high: 0xdb0d, low: 0xdb0d0001 };

const FIONREAD = 0x541b;
const TTY_TYPE = 0x5400;
const SOCKET_TYPE = 0x8900;

const PATHS = [
  'open',
  'openat',
  'openat2',
  'creat',
  'stat',
  'lstat',
  'newfstatat',
  'statx',
  'access',
  'faccessat',
  'faccessat2',
  'readlink',
  'readlinkat',
  'chdir',
  'truncate',
  'getxattr',
  'lgetxattr',
  'listxattr',
  'llistxattr',
] as const;

/** What is known by descriptor, but rarely asked. */
const ALWAYS = [
  'fstat',
  'fstatfs',
  'getdents64',
  'getcwd',
  'lseek',
  'ftruncate',
  'fallocate',
  'fsync',
  'fdatasync',
  'epoll_ctl',
] as const;

/** Calls that wait for descriptors, with the argument that says how many: of none, they only sleep. */
const POLLS = { poll: 1, ppoll: 1, select: 0, pselect6: 0 };

/** What ordinary programs do all the time: only on demand, or for a device that can be read or written. */
const TRANSFERS = [
  'read',
  'write',
  'readv',
  'writev',
  'pread64',
  'pwrite64',
  'preadv',
  'pwritev',
  'preadv2',
  'pwritev2',
];
export const EXACT_CALLS = [
  ...TRANSFERS,
  'sendfile',
  'splice',
  'copy_file_range',
  'sync_file_range',
  'readahead',
];

/** <fcntl.h>: F_ADD_SEALS, F_GET_SEALS. */
const FCNTL = [1033, 1034];
/** F_GETFL, F_SETFL, F_SETLEASE, F_NOTIFY. */
const EXACT_FCNTL = [3, 4, 1024, 1026];

type Instruction = [code: number, jt: number, jf: number, k: number];

const allow: Instruction = [RET_K, 0, 0, SECCOMP_RET_ALLOW];
const notify: Instruction = [RET_K, 0, 0, SECCOMP_RET_USER_NOTIF];

/** `body`, which ends in a return, for one system call; none if this machine does not have it. */
function on(name: string, body: Instruction[]): Instruction[] {
  const nr = native.SYS[name];
  return nr === undefined ? [] : [[JEQ_K, 0, body.length, nr], ...body];
}

/** Returns `result` if the word at `offset` is `value`. */
function when(offset: number, value: number, result: Instruction): Instruction[] {
  return [[LD_W_ABS, 0, 0, offset], [JEQ_K, 0, 1, value], result];
}

/** Returns `result` if any of `bits` is set in the word at `offset`. */
function whenSet(offset: number, bits: number, result: Instruction): Instruction[] {
  return [[LD_W_ABS, 0, 0, offset], [JSET_K, 0, 1, bits], result];
}

/** Asks us, unless it is a call that we have the program make. */
const notifyUnlessOurs: Instruction[] = [
  [LD_W_ABS, 0, 0, argHigh(5)],
  [JEQ_K, 0, 3, REDIRECTED.high],
  [LD_W_ABS, 0, 0, argLow(5)],
  [JEQ_K, 0, 1, REDIRECTED.low],
  allow,
  notify,
];

/** A request's type is its second byte. Terminals' and sockets' own are common, and seldom ours. */
const ioctlRules = (ours: ReadonlySet<string>): Instruction[] => [
  ...when(argLow(1), FIONREAD, notify),
  [LD_W_ABS, 0, 0, argLow(1)],
  [ALU_AND_K, 0, 0, 0xff00],
  ...[TTY_TYPE, SOCKET_TYPE]
    .filter((type) => !ours.has(String.fromCharCode(type >> 8)))
    .flatMap((type): Instruction[] => [[JEQ_K, 0, 1, type], allow]),
  notify,
];

/** Mappings of files, but for those of the dynamic loader, which marks them with MAP_DENYWRITE. */
const mmapRules: Instruction[] = [
  [LD_W_ABS, 0, 0, argHigh(3)],
  [JEQ_K, 0, 4, INJECTED_FAILURE],
  [LD_W_ABS, 0, 0, argLow(0)],
  [ALU_AND_K, 0, 0, MAX_ERRNO],
  [ALU_OR_K, 0, 0, SECCOMP_RET_ERRNO],
  [RET_A, 0, 0, 0],
  ...whenSet(argLow(3), MAP_ANONYMOUS | MAP_DENYWRITE, allow),
  ...when(argHigh(3), INJECTED_MMAP, allow),
  ...when(argLow(4), 0xffffffff, allow),
  notify,
];

const fcntlRules = (commands: readonly number[]): Instruction[] => [
  ...commands.flatMap((command) => when(argLow(1), command, notify)),
  allow,
];

/** <asm-generic/mman-common.h>: pages are dropped, or mapped without having been accessed. */
const PAGE_ADVICE = [4, 9, 21, 22, 23];

/** What shows, or hides, which pages a program has accessed. */
const strictRules: Instruction[] = [
  ...on('munmap', notifyUnlessOurs),
  ...['mremap', 'mlock', 'mlock2', 'mlockall', 'exit_group'].flatMap((name) => on(name, [notify])),
  ...on('madvise', [...PAGE_ADVICE.flatMap((advice) => when(argLow(2), advice, notify)), allow]),
];

const CLONE_THREAD = 0x10000;

/** What shows what a process has: when it forks, unmaps, ends. clone3's flags are in its memory. */
const processRules: Instruction[] = [
  ...on('munmap', notifyUnlessOurs),
  ...['exit', 'exit_group', 'fork', 'vfork', 'clone3'].flatMap((name) => on(name, [notify])),
  ...on('clone', [...whenSet(argLow(0), CLONE_THREAD, allow), notify]),
];

export interface FilterOptions {
  /** Also what costs ordinary programs something: read, write and their kin, every ioctl. */
  exact?: boolean;
  /** Also read and write: a device has them. */
  transfers?: boolean;
  /** Types of ioctls, one character each, that devices of one's own have. */
  ioctlTypes?: ReadonlySet<string>;
  /** Also what the search for stale reads has to know: munmap, exit and their kin. */
  strictCoherency?: boolean;
  /** Also what tells what processes leave behind: munmap, fork, exit. */
  watchProcesses?: boolean;
}

/** What the launcher is sent: the filter's flags, and the filter as struct sock_filter[]. */
export function buildFilter({
  exact = false,
  strictCoherency = false,
  transfers = false,
  ioctlTypes = new Set(),
  watchProcesses = false,
}: FilterOptions): Uint8Array {
  const demanded = exact ? EXACT_CALLS : transfers ? TRANSFERS : [];
  const program: Instruction[] = [
    [LD_W_ABS, 0, 0, ARCH],
    [JEQ_K, 1, 0, native.AUDIT_ARCH],
    allow,
    [LD_W_ABS, 0, 0, NR],
    [JGE_K, 0, 1, X32_BIT],
    allow,
    ...on('ioctl', exact ? [notify] : ioctlRules(ioctlTypes)),
    ...on('mmap', mmapRules),
    ...on('fcntl', fcntlRules([...FCNTL, ...(exact ? EXACT_FCNTL : [])])),
    ...PATHS.flatMap((name) => on(name, notifyUnlessOurs)),
    ...[...ALWAYS, ...demanded].flatMap((name) => on(name, [notify])),
    ...Object.entries(POLLS).flatMap(([name, count]) =>
      on(name, [...when(argLow(count), 0, allow), notify]),
    ),
    ...(strictCoherency ? strictRules : []),
    ...(watchProcesses ? processRules : []),
    // It would go around us; programs then use the ordinary calls.
    ...on('io_uring_setup', [[RET_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS]]),
    allow,
  ];
  const bytes = new DataView(new ArrayBuffer(4 + program.length * 8));
  bytes.setUint32(0, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, true);
  program.forEach(([code, jt, jf, k], i) => {
    bytes.setUint16(4 + i * 8, code, true);
    bytes.setUint8(6 + i * 8, jt);
    bytes.setUint8(7 + i * 8, jf);
    bytes.setUint32(8 + i * 8, k >>> 0, true);
  });
  return new Uint8Array(bytes.buffer);
}
