/**
 * Which errnos a correct program has to be ready for, whatever it does right: resources run out, signals
 * interrupt. `--chaos` takes its faults from here.
 *
 * For ioctls they are the `errors` of the definition (ioctl/*.ts), for system calls those of abi/system_calls.ts. Those that
 * tell a program that it is wrong are never injected, also where a definition names them: a correct one does not see
 * them, and need not survive them.
 *
 * Where they come from: DMA_BUF_IOCTL_SYNC "can fail with -EAGAIN or -EINTR, in which case it must be restarted"
 * (Linux, dma-buf sharing guide); whatever allocates: ENOMEM; whatever gives a descriptor: EMFILE, and ENFILE where the
 * file behind it is new and the failure is passed on. A sync_file's is not: that is ENOMEM. The heap's own EINTR is
 * for those who are killed.
 */
import type { IoctlDef } from '../../ioctl/index.js';
import { systemCall } from '../abi/system_calls.js';
import { type ErrnoName, isErrnoName } from '../errno.js';
import type { File } from '../fs/file.js';

/** "You have called this wrongly": a bad descriptor, address, argument, request or size. */
export const ERRORS_OF_WRONG_PROGRAMS: ReadonlySet<string> = new Set<ErrnoName>([
  'E2BIG',
  'EBADF',
  'EBADFD',
  'EFAULT',
  'EINVAL',
  'ENOTTY',
]);

/** What a call goes to. */
export interface Aim {
  /** The system call. */
  readonly call: string;
  /** With ioctl(2): which one, if the file's table says so. */
  readonly ioctl?: IoctlDef | undefined;
  readonly file?: File | undefined;
  /** It cannot fail, given what it asks for. */
  readonly infallible?: boolean;
}

/** The call's own name: the ioctl's, if it is one that has a name. */
export function nameOf({ call, ioctl }: Aim): string {
  return ioctl?.name ?? call;
}

/** What may befall a call of a correct program. */
export function errorsOf({ call, ioctl, file, infallible }: Aim): readonly ErrnoName[] {
  if (infallible) return [];
  if (call === 'ioctl') return ioctl?.errors?.filter(mayBefall) ?? [];
  const { errors = [], transfer } = systemCall(call) ?? {};
  // A file that refuses to be read or written at all is not read by a correct program.
  return transfer && !(file?.f_op.read || file?.f_op.write) ? [] : errors;
}

function mayBefall(name: string): name is ErrnoName {
  return isErrnoName(name) && !ERRORS_OF_WRONG_PROGRAMS.has(name);
}

/** The definition of a request in a file's own table: by its whole number, else by type and number. */
export function ioctlOf(file: File | undefined, request: number): IoctlDef | undefined {
  const defs = Object.values(file?.f_op.ioctls ?? {});
  const withoutSize = (number: number) => number & 0xffff;
  return (
    defs.find((def) => def.request === request) ??
    defs.find((def) => withoutSize(def.request) === withoutSize(request))
  );
}
