/**
 * The errnos that programs know, by name: all of <errno.h>, which are those of Linux's <asm-generic/errno-base.h> and
 * <asm-generic/errno.h>, on x86-64 and arm64 alike, and ENOTSUP.
 */
const USER_ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  EDEADLOCK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOMSG: 42,
  EIDRM: 43,
  ECHRNG: 44,
  EL2NSYNC: 45,
  EL3HLT: 46,
  EL3RST: 47,
  ELNRNG: 48,
  EUNATCH: 49,
  ENOCSI: 50,
  EL2HLT: 51,
  EBADE: 52,
  EBADR: 53,
  EXFULL: 54,
  ENOANO: 55,
  EBADRQC: 56,
  EBADSLT: 57,
  EBFONT: 59,
  ENOSTR: 60,
  ENODATA: 61,
  ETIME: 62,
  ENOSR: 63,
  ENONET: 64,
  ENOPKG: 65,
  EREMOTE: 66,
  ENOLINK: 67,
  EADV: 68,
  ESRMNT: 69,
  ECOMM: 70,
  EPROTO: 71,
  EMULTIHOP: 72,
  EDOTDOT: 73,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EREMCHG: 78,
  ELIBACC: 79,
  ELIBBAD: 80,
  ELIBSCN: 81,
  ELIBMAX: 82,
  ELIBEXEC: 83,
  EILSEQ: 84,
  ERESTART: 85,
  ESTRPIPE: 86,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EUCLEAN: 117,
  ENOTNAM: 118,
  ENAVAIL: 119,
  EISNAM: 120,
  EREMOTEIO: 121,
  EDQUOT: 122,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ECANCELED: 125,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ERFKILL: 132,
  EHWPOISON: 133,
} as const;

/** Errno values by name: these, and those that only the kernel itself uses (<linux/errno.h>). */
export const Errno = {
  ...USER_ERRNO,
  /** A system call to be restarted, or EINTR, as the signal's SA_RESTART says. Never seen by programs. */
  ERESTARTSYS: 512,
  /** The same for calls that are never restarted when a handler ran. */
  ERESTARTNOHAND: 514,
} as const;

/** What a call can fail with. Programs would see ERESTARTSYS, were it thrown while no signal is there. */
export type ErrnoName = keyof typeof USER_ERRNO;

export function isErrnoName(name: string): name is ErrnoName {
  return Object.hasOwn(USER_ERRNO, name);
}

/**
 * What a driver throws to fail a system call: `throw errno('EINVAL')` is Linux's `return -EINVAL`.
 * A program gets −1 and errno from it; JavaScript gets a `SystemError` that names the call.
 */
export class ErrnoError extends Error {
  readonly errno: number;
  readonly code: ErrnoName;
  constructor(code: ErrnoName) {
    // Drivers are run as they are: no compiler may have looked at the name.
    if (!isErrnoName(code)) throw new TypeError(`${code} is no errno of Linux’s`);
    super(code);
    this.name = 'ErrnoError';
    this.code = code;
    this.errno = Errno[code];
  }
}

const cache = new Map<ErrnoName, ErrnoError>();

/**
 * The error for a name. A program's wrong call is an everyday answer: the objects are made once,
 * without a stack, so that throwing one costs next to nothing.
 */
export function errno(code: ErrnoName): ErrnoError {
  let error = cache.get(code);
  if (!error) {
    error = new ErrnoError(code);
    error.stack = `${error.name}: ${code}`;
    cache.set(code, error);
  }
  return error;
}

const names = new Map<number, string>();
for (const [name, value] of Object.entries(Errno)) {
  // EAGAIN is also EWOULDBLOCK, EOPNOTSUPP also ENOTSUP: the first name is the one that people know.
  if (!names.has(value)) names.set(value, name);
}

/** `errnoName(22)` is `'EINVAL'`; a number without a name is given as a number, as strace does. */
export function errnoName(value: number): string {
  return names.get(value) ?? `ERRNO_${value}`;
}

/** Throws what a system call of the addon answered, if it is a negative errno. */
export function orThrow<T>(answer: T | number): T;
export function orThrow(answer: unknown): unknown {
  if (typeof answer === 'number' && answer < 0)
    throw errno((names.get(-answer) ?? 'EIO') as ErrnoName);
  return answer;
}
