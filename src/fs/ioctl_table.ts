/**
 * The ioctls of a kind of file as a table: what Linux has in drm_ioctl() and its flags, in video_usercopy(), in a
 * switch. A row says in data how its argument comes and goes and what has to hold before; its handler does the work.
 *
 *     const timerFops: FileOperations = {
 *       ...ioctlOperations(timer_ioctls, { of: (file: File) => file.private_data as Timer }, {
 *         TIMER_IOC_START: (timer, arg) => timer.start(arg.period),
 *         TIMER_IOC_WAIT: { blocking: true, handle: (timer, _arg, call) => call.waitEvent(() => timer.over) },
 *       }),
 *     };
 */
import {
  _IOC_DIR,
  _IOC_NR,
  _IOC_SIZE,
  _IOC_TYPE,
  _IOC_WRITE,
  type CType,
  type IoctlArg,
  type IoctlDef,
  type IoctlTable,
  type View,
} from '../../ioctl/index.js';
import { Errno, ErrnoError, type ErrnoName, errno } from '../errno.js';
import type { Task } from '../task.js';
import type { Feature } from '../version.js';
import { resultOf } from './answers.js';
import type { File, FileOperations } from './file.js';
import { FileCall, serve, type UserArgument } from './file_call.js';
import { ArgumentKind, type ArgumentOptions } from './ioctl_argument.js';
import { Wait } from './wait_queue.js';

/** What a handler is given: the argument as a view; for an ioctl without a struct, the number itself. */
export type HandlerArg<A extends CType | undefined> = A extends CType ? View<A> : number;

/** The result of a call, nothing is 0; later, or when what a {@link Wait} waits for has happened. */
// biome-ignore lint/suspicious/noConfusingVoidType: `() => device.stop()` is a handler
type Now = number | undefined | void;
export type IoctlAnswer = Now | Wait | Promise<Now>;

/** What a row says besides its handler. */
export interface IoctlRowOptions extends ArgumentOptions {
  /** What brought it: before, the request is none. */
  readonly since?: Feature;
  /** Bits for the `admit` and `permit` of the table: DRM_AUTH, INFO_FL_PRIO. */
  readonly flags?: number;
  /** The caller gets its struct back as it is then also where the call has failed; the table says it for all. */
  readonly copyOutOnError?: boolean;
  /** It waits even if the file is O_NONBLOCK: for a handler that gives a promise, which is EAGAIN else. */
  readonly blocking?: boolean;
  /** Signals do not end its wait. */
  readonly uninterruptible?: boolean;
}

/** Does what is asked. Errors are thrown: `errno('EINVAL')`. */
export type IoctlHandler<S, A extends CType | undefined, C> = (
  subject: S,
  arg: HandlerArg<A>,
  call: C,
) => IoctlAnswer;

export type IoctlRow<S, A extends CType | undefined, C> =
  | IoctlHandler<S, A, C>
  | (IoctlRowOptions & { readonly handle: IoctlHandler<S, A, C> })
  | (IoctlRowOptions & {
      /**
       * In place of `handle`, for requests that are made all the time: it gives nothing back, keeps nothing of its
       * argument, and waits by a {@link Wait} of its own. One argument serves all calls.
       */
      readonly plain: (subject: S, arg: HandlerArg<A>, task: Task) => Now | Wait;
    });

export type IoctlRows<T extends IoctlTable, S, C> = {
  readonly [K in keyof T]: IoctlRow<S, T[K]['arg'], C>;
};

/** How a subsystem tells its requests apart, and what it does with structs of other sizes than its own. */
export interface IoctlStyle {
  /**
   * What of a request says which ioctl it is: by default all of it. Otherwise its size is that of the caller's
   * struct: what the caller does not have is zero. Where the direction does not count, only what both the request and
   * the definition say is copied.
   */
  readonly match?: 'request' | 'direction, type and number' | 'type and number' | 'number';
  /** What an unknown request is, ENOTTY by default; one of another type, where types count, always is that. */
  readonly unknown?: ErrnoName;
  /** The argument of an unknown request is looked at all the same: EFAULT comes first. */
  readonly copiesUnknown?: boolean;
  /**
   * What the caller has beyond the struct: `zero`, or E2BIG, as copy_struct_from_user() has it (the default); `ignored`:
   * it comes back as it was.
   */
  readonly beyond?: 'zero' | 'ignored';
  /** See the row's. Not when the argument could not be copied in, nor for ENOTTY. */
  readonly copyOutOnError?: boolean;
}

/** Structs may be shorter or longer, as those of copy_struct_from_user(). */
export const EXTENSIBLE: IoctlStyle = { match: 'direction, type and number' };
/** What all rows of a table share. */
export interface IoctlSubject<S, C> extends IoctlStyle {
  /** What handlers are given of the file. */
  readonly of: (file: File) => S;
  /** Whose ioctls they are, for the log: `/dev/scaler`. */
  readonly who?: string;
  /** Throws where the file takes no such request now: before anything is copied. */
  admit?(file: File, flags: number): void;
  /** Throws where the caller may not do this: when the argument has been copied in. */
  permit?(subject: S, flags: number, task: Task): void;
  /** Makes the call that handlers are given, where that can do more than a {@link FileCall}. */
  call?(file: File, task: Task, nonblocking: boolean | undefined, argument: UserArgument): C;
}

/** What {@link ioctlOperations} gives. */
export type IoctlOperations = Required<Pick<FileOperations, 'ioctl' | 'ioctls' | 'findIoctl'>>;

/**
 * The operations of a file that has these ioctls.
 * @throws TypeError for two that cannot be told apart, and for rows that make no sense.
 */
export function ioctlOperations<T extends IoctlTable, S, C extends FileCall = FileCall>(
  ioctls: T,
  subject: IoctlSubject<S, C>,
  rows: IoctlRows<T, S, C>,
): IoctlOperations {
  const dispatcher = new Dispatcher(ioctls, subject as unknown as AnySubject, rows as AnyRows);
  return {
    ioctls,
    findIoctl: (request) => dispatcher.find(request)?.def,
    ioctl: (file, request, arg, task) => dispatcher.ioctl(file, request, arg, task),
  };
}

/**
 * What of a request tells an ioctl of a style from others.
 * @internal Two that have the same are a mistake.
 */
export function ioctlKey(request: number, { match = 'request' }: IoctlStyle): number {
  switch (match) {
    case 'request':
      return request;
    case 'direction, type and number':
      return (_IOC_DIR(request) << 16) | (request & 0xffff);
    case 'type and number':
      return request & 0xffff;
    case 'number':
      return _IOC_NR(request);
  }
}

type AnySubject = IoctlSubject<unknown, FileCall>;
type AnyRow = IoctlRow<unknown, CType | undefined, FileCall>;
type AnyRows = Readonly<Record<string, AnyRow>>;

/** A row, ready to be served. */
class Row {
  readonly def: IoctlDef;
  /** For the log. */
  readonly who: string;
  readonly options: IoctlRowOptions;
  readonly since: Feature | undefined;
  readonly flags: number;
  readonly argument: ArgumentKind | undefined;
  readonly handle: IoctlHandler<unknown, CType | undefined, FileCall> | undefined;
  readonly plain: ((subject: unknown, arg: never, task: Task) => Now | Wait) | undefined;
  readonly copyOutOnError: boolean;

  constructor(def: IoctlDef, row: AnyRow, { who, ...style }: AnySubject) {
    const { match = 'request', beyond = 'zero' } = style;
    this.def = def;
    this.who = who === undefined ? def.name : `${who}: ${def.name}`;
    const options = typeof row === 'function' ? { handle: row } : row;
    this.options = options;
    this.since = options.since;
    this.flags = options.flags ?? 0;
    this.handle = 'handle' in options ? options.handle : undefined;
    this.plain = 'plain' in options ? options.plain : undefined;
    this.copyOutOnError = options.copyOutOnError ?? style.copyOutOnError ?? false;
    const rule = {
      anySize: match !== 'request',
      directionOfRequest: match === 'type and number' || match === 'number',
      zeroBeyond: beyond === 'zero',
    };
    this.argument = def.arg && new ArgumentKind(def.arg, def, rule, options);
    if (this.plain && this.argument?.copiesOut) {
      throw new TypeError(`${this.who} gives something back: it cannot be plain`);
    }
  }
}

class Dispatcher {
  readonly #subject: AnySubject;
  readonly #rows = new Map<number, Row>();
  /** The types that its requests have. */
  readonly #types: ReadonlySet<string>;

  constructor(ioctls: IoctlTable, subject: AnySubject, rows: AnyRows) {
    this.#subject = subject;
    const defs = Object.values(ioctls);
    this.#types = new Set(defs.map(({ request }) => _IOC_TYPE(request)));
    for (const def of defs) {
      const row = rows[def.name];
      if (row === undefined) continue;
      const key = ioctlKey(def.request, subject);
      const other = this.#rows.get(key);
      if (other) throw new TypeError(`${other.def.name} and ${def.name} cannot be told apart`);
      this.#rows.set(key, new Row(def, row, subject));
    }
  }

  find(request: number): Row | undefined {
    return this.#rows.get(ioctlKey(request, this.#subject));
  }

  ioctl(file: File, request: number, arg: number, task: Task): number | Wait {
    const row = this.find(request);
    if (row === undefined || (row.since !== undefined && !task.kernel.has(row.since))) {
      throw this.#unknown(request, arg, task);
    }
    const subject = this.#subject;
    subject.admit?.(file, row.flags);
    return row.plain
      ? this.#serveNow(row, file, request, arg, task)
      : this.#serve(row, file, request, arg, task);
  }

  /** EFAULT, where its argument is copied before anybody knows better; else what is thrown for it. */
  #unknown(request: number, arg: number, task: Task): Error {
    const { match, unknown = 'ENOTTY', copiesUnknown } = this.#subject;
    if (copiesUnknown && _IOC_DIR(request) & _IOC_WRITE) {
      task.mm.read(arg, new Uint8Array(_IOC_SIZE(request)));
    }
    const isOthers = match === 'type and number' && !this.#types.has(_IOC_TYPE(request));
    return errno(isOthers ? 'ENOTTY' : unknown);
  }

  #serveNow(row: Row, file: File, request: number, arg: number, task: Task): number | Wait {
    const { argument, who } = row;
    const plain = row.plain as NonNullable<Row['plain']>;
    const { of, permit } = this.#subject;
    const view = argument ? argument.takeSpare(task.mm, request, arg) : arg;
    try {
      const subject = of(file);
      permit?.(subject, row.flags, task);
      const answer = plain(subject, view as never, task);
      // What most give is looked at no further.
      if (answer === 0 || answer instanceof Wait) return answer;
      return resultOf(who, answer);
    } finally {
      argument?.putSpare(view as IoctlArg);
    }
  }

  #serve(row: Row, file: File, request: number, arg: number, task: Task): number | Wait {
    const { argument, options, who } = row;
    const handle = row.handle as NonNullable<Row['handle']>;
    const { of, permit } = this.#subject;
    const { mm } = task;
    const from = { address: arg, size: argument?.sizeOf(request) ?? 0 };
    const nonblocking = options.blocking ? false : undefined;
    const call =
      this.#subject.call?.(file, task, nonblocking, from) ??
      new FileCall(file, task, nonblocking, from);
    const taken = argument?.take(mm, request, arg);
    if (taken) call.arrays = taken.arrays;
    return serve<Now>(call, {
      run() {
        const subject = of(file);
        permit?.(subject, row.flags, task);
        return handle(subject, (taken?.view ?? arg) as never, call);
      },
      done(value) {
        const result = resultOf(who, value);
        if (taken) argument?.giveBack(mm, request, arg, taken);
        return result;
      },
      failed(error) {
        if (!taken || !row.copyOutOnError || !(error instanceof ErrnoError)) return;
        if (error.errno !== Errno.ENOTTY) argument?.giveBack(mm, request, arg, taken);
      },
      uninterruptible: options.uninterruptible,
    });
  }
}
