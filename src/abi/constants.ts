/** What system calls are given by number, where it is no part of an ioctl or an open(2). Values are those of Linux's UAPI headers. */

/** <linux/fcntl.h> */
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EACCESS = 0x200;
export const AT_EMPTY_PATH = 0x1000;
/** <linux/stat.h> */
export const AT_STATX_DONT_SYNC = 0x4000;

/** <linux/eventpoll.h> */
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;

/** struct pollfd: s32 fd, s16 events, s16 revents. */
export const POLLFD_SIZE = 8;

/** <linux/fcntl.h>, <asm-generic/fcntl.h> */
export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_SETLEASE = 1024;
export const F_NOTIFY = 1026;
export const F_DUPFD_CLOEXEC = 1030;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 0x01;
export const F_SEAL_SHRINK = 0x02;
export const F_SEAL_GROW = 0x04;
export const F_SEAL_WRITE = 0x08;
export const F_SEAL_FUTURE_WRITE = 0x10;
/** <linux/memfd.h> */
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
/** <linux/fs.h>, <linux/limits.h> */
export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const PATH_MAX = 4096;

/** <asm-generic/mman-common.h>, <linux/mman.h> */
export const MAP_NONBLOCK = 0x10000;
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;
export const MREMAP_DONTUNMAP = 4;
export const MS_SYNC = 4;
export const MADV_DONTNEED = 4;
export const MADV_REMOVE = 9;
export const MADV_DOFORK = 11;
export const MADV_DODUMP = 17;
export const MADV_COLD = 20;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_GUARD_INSTALL = 102;

/** <linux/sched.h> */
export const CLONE_NEWNS = 0x20000;
export const CLONE_THREAD = 0x10000;

/** <bits/socket.h>, <asm-generic/socket.h>, <linux/netlink.h> */
export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const NETLINK_KOBJECT_UEVENT = 15;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_TYPE = 3;
export const SO_SNDBUF = 7;
export const SO_PASSCRED = 16;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SOL_NETLINK = 270;
export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_DONTWAIT = 0x40;

/** <linux/capability.h> */
export const CAP_CHOWN = 0;
export const CAP_DAC_OVERRIDE = 1;
export const CAP_DAC_READ_SEARCH = 2;
export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_NET_ADMIN = 12;
export const CAP_SYS_CHROOT = 18;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_NICE = 23;
export const CAP_MKNOD = 27;

/** <linux/kcmp.h> */
export const KCMP_FILE = 0;
