import { constants } from 'node:os';

/**
 * Errno values by name, as <asm-generic/errno.h> has them on x86-64 and arm64, with those that only
 * the kernel itself uses (<linux/errno.h>).
 */
export const Errno = {
  ...constants.errno,
  EBADFD: 77,
  /** A system call to be restarted, or EINTR, as the signal's SA_RESTART says. Never seen by programs. */
  ERESTARTSYS: 512,
  /** The same for calls that are never restarted when a handler ran. */
  ERESTARTNOHAND: 514,
} as const;

export type ErrnoName = keyof typeof Errno;

/**
 * What a driver throws to fail a system call: `throw errno('EINVAL')` is Linux's `return -EINVAL`.
 * A program gets −1 and errno from it; JavaScript gets a `SystemError` that names the call.
 */
export class ErrnoError extends Error {
  readonly errno: number;
  readonly code: ErrnoName;
  constructor(code: ErrnoName) {
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

const names = new Map<number, ErrnoName>();
for (const [name, value] of Object.entries(Errno)) {
  // EAGAIN is also EWOULDBLOCK, EOPNOTSUPP also ENOTSUP: the first name is the one that people know.
  if (!names.has(value)) names.set(value, name as ErrnoName);
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
