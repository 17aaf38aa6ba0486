/** The arguments of system calls: what each is, for whoever shows them, or looks for what of ours a call goes to. */
import {
  choice,
  type FlagTable,
  flags,
  MAP_FLAGS,
  OPEN_FLAGS,
  PROT_FLAGS,
} from '../../ioctl/index.js';
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  F_ADD_SEALS,
  F_GET_SEALS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from './constants.js';

export interface Argument {
  readonly kind:
    | 'int'
    | 'long'
    | 'address'
    /** An address that may be 0 and means no pointer. */
    | 'offset'
    /** Text that is no path. */
    | 'string'
    /** Relative to the `dirfd` before it, if there is one. */
    | 'path'
    | 'dirfd'
    /** A descriptor of what the call is about. */
    | 'fd'
    /** struct pollfd[], as many as the next argument says. */
    | 'pollfds'
    /** fd_set, of as many descriptors as the first argument says. */
    | 'fd_set'
    /** Octal, as permissions are written. */
    | 'mode'
    | 'flags'
    | 'one of';
  /** Of flags: their names. */
  readonly table?: FlagTable;
  /** Of one of several values: theirs. */
  readonly names?: Readonly<Record<number, string>>;
}

const flagsOf = (table: FlagTable): Argument => ({ kind: 'flags', table });
const oneOf = (names: Readonly<Record<number, string>>): Argument => ({ kind: 'one of', names });

export const int: Argument = { kind: 'int' };
export const long: Argument = { kind: 'long' };
export const address: Argument = { kind: 'address' };
export const offset: Argument = { kind: 'offset' };
export const string: Argument = { kind: 'string' };
export const path: Argument = { kind: 'path' };
export const dirfd: Argument = { kind: 'dirfd' };
export const fd: Argument = { kind: 'fd' };
export const pollfds: Argument = { kind: 'pollfds' };
export const fd_set: Argument = { kind: 'fd_set' };
export const open_flags = flagsOf(OPEN_FLAGS);
export const access_mode = flagsOf([
  ...choice(7, { F_OK: 0 }),
  ...flags({ R_OK: 4, W_OK: 2, X_OK: 1 }),
]);
/** Among them AT_SYMLINK_NOFOLLOW. */
export const at_flags = flagsOf(flags({ AT_SYMLINK_NOFOLLOW, AT_EACCESS, AT_EMPTY_PATH }));
/** Permissions, and perhaps a file's type. */
export const mode: Argument = { kind: 'mode' };
export const inotify_mask = flagsOf(
  flags({
    ...{ IN_ACCESS: 0x1, IN_MODIFY: 0x2, IN_ATTRIB: 0x4, IN_CLOSE_WRITE: 0x8 },
    ...{ IN_CLOSE_NOWRITE: 0x10, IN_OPEN: 0x20, IN_MOVED_FROM: 0x40, IN_MOVED_TO: 0x80 },
    ...{ IN_CREATE: 0x100, IN_DELETE: 0x200, IN_DELETE_SELF: 0x400, IN_MOVE_SELF: 0x800 },
    ...{ IN_ONLYDIR: 0x01000000, IN_DONT_FOLLOW: 0x02000000, IN_EXCL_UNLINK: 0x04000000 },
    ...{ IN_MASK_CREATE: 0x10000000, IN_MASK_ADD: 0x20000000, IN_ONESHOT: 0x80000000 },
  }),
);
export const prot = flagsOf(PROT_FLAGS);
export const map_flags = flagsOf(MAP_FLAGS);
export const whence = oneOf(['SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE']);
export const epoll_op = oneOf({
  [EPOLL_CTL_ADD]: 'EPOLL_CTL_ADD',
  [EPOLL_CTL_DEL]: 'EPOLL_CTL_DEL',
  [EPOLL_CTL_MOD]: 'EPOLL_CTL_MOD',
});
export const socket_type = flagsOf([
  ...choice(0xf, { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET }),
  ...flags({ SOCK_CLOEXEC, SOCK_NONBLOCK }),
]);
export const fcntl_command = oneOf({ [F_ADD_SEALS]: 'F_ADD_SEALS', [F_GET_SEALS]: 'F_GET_SEALS' });
