/**
 * A character device of one's own, in one declaration: its name, its ioctls, and what it does.
 *
 *     export default defineDevice({
 *       name: 'scaler',
 *       ioctls: scaler_ioctls,
 *       ioctl: { SCALER_IOC_SCALE(file, arg, call) { … } },
 *     });
 */
import type { CType, Init, IoctlTable, View } from '../../ioctl/index.js';
import type { KernelCore } from '../core.js';
import type { DmaBuf } from '../drivers/dma-buf/dma-buf.js';
import type { DmaFence } from '../drivers/dma-buf/dma-fence.js';
import type { MemoryPiece, Vma } from '../fs/file.js';
import type { UserArgument } from '../fs/file_call.js';
import { EXTENSIBLE, type HandlerArg, ioctlKey } from '../fs/ioctl_table.js';
import type { Task } from '../task.js';
import type { Examples } from './examples.js';

/** Options of a device, with the default of each. */
export type DeviceOptions = Readonly<Record<string, string | number | boolean>>;

/** The values of options whose defaults are O: `{ delay: 20 }` has a number. */
export type OptionValues<O extends DeviceOptions> = {
  readonly [K in keyof O]: O[K] extends number ? number : O[K] extends boolean ? boolean : string;
};

/** What a handler gives, now or later. */
export type Result<T> = T | Promise<T>;
/** The result of a call; nothing is 0. */
// biome-ignore lint/suspicious/noConfusingVoidType: `() => device.stop()` is a handler
type Answer = Result<number | undefined | void>;

/** What nobody looks at, but for promises: nobody would wait for them, nor hear that they fail. */
// biome-ignore lint/suspicious/noConfusingVoidType: `() => device.stop()` is such a function
type Unused = void | Primitive | (object & { readonly then?: never });
type Primitive = undefined | null | boolean | number | bigint | string | symbol;

/** An open file of a device. */
export interface DeviceFile<S = unknown, D = unknown, E extends CType = CType> {
  readonly kernel: KernelCore;
  /** What `probe` gave: the device's own, shared by all of its open files. */
  readonly device: D;
  /** What `open` gave: this file's own. */
  readonly state: S;
  /** O_RDONLY …, O_NONBLOCK, O_APPEND: as open(2) was given them, or fcntl(2) since. */
  readonly flags: number;
  /** Something is new for `poll` to see: wakes who waits. */
  wake(): void;
  /** Adds an event (the definition's `events` is its struct), for read(2) to take and poll(2) to see. */
  queueEvent(event: Init<E>): void;
}

/** One call of a program on an open file. */
export interface DeviceCall {
  readonly task: Task;
  /** Of an ioctl: where the caller has its argument, and of how many bytes it is by the request. */
  readonly argument: UserArgument;
  /** The caller does not want to wait: O_NONBLOCK, unless this is an ioctl that is `blocking`. */
  readonly nonblocking: boolean;
  /** Aborted when nobody waits for the answer any more: a signal, the caller's end, or O_NONBLOCK. */
  readonly signal: AbortSignal;
  /**
   * The dma-buf behind a descriptor of the caller's, good until the call ends; who needs it for longer
   * keeps it with getDmaBuf(). EBADF; EINVAL if it is none.
   */
  getDmaBuf(fd: number): DmaBuf;
  /**
   * A new descriptor of a dma-buf for the caller, close-on-exec unless `flags` (O_CLOEXEC, or 0) says otherwise;
   * it takes over the driver's reference. EMFILE. If the call fails after all, it is taken back.
   */
  installDmaBuf(dmabuf: DmaBuf, flags?: number): number;
  /**
   * The fence behind a sync_file of the caller's, good until the call ends; `fence.get()` keeps it. EINVAL
   * if it is none.
   */
  getFence(fd: number): DmaFence;
  /** A new descriptor of a sync_file, close-on-exec, for the caller. It takes a reference of its own. EMFILE. */
  installFence(fence: DmaFence): number;
  /**
   * wait_event_interruptible(): until `condition` holds, which is looked at whenever `file.wake()` is called. EAGAIN with
   * O_NONBLOCK; EINTR when nobody waits any more. With a `deadline`, in ns of CLOCK_MONOTONIC as ktimeGet() gives it,
   * wait_event_interruptible_hrtimeout(): ETIME when that has passed.
   */
  waitEvent(condition: () => boolean, deadline?: bigint): Promise<void>;
  /** Resolves when the caller has its answer: whether the call has succeeded. */
  readonly ended: Promise<boolean>;
  /** copy_from_user(): what a pointer in the argument points at. EFAULT. */
  copyFromUser<T extends CType>(address: bigint | number, type: T): View<T>;
  /** copy_to_user(). EFAULT. */
  copyToUser(address: bigint | number, data: Uint8Array | { readonly bytes: Uint8Array }): void;
}

/**
 * A file in /sys: what it says, or struct device_attribute, whose `show` answers that and whose `store` takes what
 * is written, without its newline. A newline is put after what is shown, unless that is nothing. Or struct
 * bin_attribute: `read` answers at most `count` bytes from `offset` on, `write` takes what is written at `offset`, byte
 * for byte; `size` is what stat(2) says, and where it ends, if it is not 0. `mode`: permission bits, by default what
 * there is makes possible. Errors are thrown.
 */
export type DeviceAttribute<D> =
  | ((device: D) => string)
  | { show?(device: D): string; store?(device: D, text: string): Unused; mode?: number }
  | {
      size?: number;
      read?(device: D, offset: number, count: number): Uint8Array;
      write?(device: D, bytes: Uint8Array, offset: number): Unused;
      mode?: number;
    };

/**
 * A handler for each ioctl of a table. The answer is the call's result, nothing is 0; errors are thrown:
 * `errno('EINVAL')`. While a promise is not settled the caller sleeps; with O_NONBLOCK it gets EAGAIN (see `blocking`).
 */
export type Handlers<T extends IoctlTable, F> = {
  readonly [K in keyof T]: (file: F, arg: HandlerArg<T[K]['arg']>, call: DeviceCall) => Answer;
};

/** struct file_operations, and what else makes a device. Only `name` is mandatory, and with `ioctls` their handlers. */
export interface DeviceDefinition<
  T extends IoctlTable = IoctlTable,
  O extends DeviceOptions = DeviceOptions,
  D = unknown,
  S = unknown,
  E extends CType = CType,
> {
  /** The node, below /dev: `scaler`, `class/node0`. */
  readonly name: string;
  /** What it is, in a sentence or more. */
  readonly doc?: string;
  /** Its class below /sys/class; `misc` by default. */
  readonly className?: string;
  /** Device numbers; by default those that Linux would give a misc device, or one of a class of its own. */
  readonly major?: number;
  readonly minor?: number;
  /** Permission bits of the node; 0o600 by default. */
  readonly mode?: number;
  /** What can be set when it is registered, with the default of each: `--device ./scaler.ts,delay=5`. */
  readonly options?: O;
  /** Requests are matched exactly: ENOTTY for any other. */
  readonly ioctls?: T;
  /**
   * Structs may be shorter or longer than the definition's, as those of copy_struct_from_user(): what the caller
   * does not have is zero, what this driver does not know has to be (E2BIG). Type, number and direction are matched.
   */
  readonly extensible?: boolean;
  /**
   * The ioctls, or `true` for all, that wait even if the file is O_NONBLOCK, as most of Linux's do: it has that flag
   * for read(2) and write(2). Others are EAGAIN where they would have to wait.
   */
  readonly blocking?: true | readonly (keyof NoInfer<T>)[];
  /** The struct of its events: read(2) and poll(2) are then there without being written. */
  readonly events?: E;
  /** Files below /sys/class/CLASS/NAME, by name; `power/wakeup` is one in a directory. */
  readonly attributes?: Readonly<Record<string, DeviceAttribute<D>>>;
  /**
   * Called once, when the device is registered. It stands before what uses `file.device`, as `open` before what uses
   * `file.state`: types are inferred in the order of the text.
   */
  probe?(kernel: KernelCore, options: OptionValues<O>): D;
  /** Called once, when the device is removed and its last file closed, or its kernel is. */
  remove?(device: D): void;
  /** open(2); throws to refuse. It cannot be async: what takes time has its place in a first ioctl. */
  open?(file: DeviceFile<undefined, D, E>, call: DeviceCall): S;
  /** The last descriptor is gone. */
  release?(file: DeviceFile<S, D, E>): Unused;
  readonly ioctl?: Handlers<T, DeviceFile<S, D, E>>;
  /** read(2): at most `size` bytes; none at the end of the file. Missing, and no `events`: EINVAL. */
  read?(file: DeviceFile<S, D, E>, size: number, call: DeviceCall): Result<Uint8Array>;
  /** write(2): how many of the bytes were taken; nothing: all. Missing: EINVAL. */
  write?(file: DeviceFile<S, D, E>, bytes: Uint8Array, call: DeviceCall): Answer;
  /**
   * POLLIN, POLLOUT …: what is there now; `file.wake()` when that changes. POLLIN for `events` need not be said.
   * Missing, and no `events`: always ready.
   */
  poll?(file: DeviceFile<S, D, E>): number;
  /**
   * mmap(2): the pieces of memory that make it up. Whether they are mapped still, a {@link TrackedMemory} knows.
   * Missing: ENODEV.
   */
  mmap?(file: DeviceFile<S, D, E>, vma: Vma, task: Task): MemoryPiece[];
  /** Arguments that its ioctls take, for `dmabuf-shim lint-uapi` to try, and to spoil in one place at a time. */
  readonly examples?: Examples<NoInfer<T>>;
}

/**
 * Declares a device, for `kernel.addDevice` and `dmabuf-shim run --device`. Types follow from the declaration:
 * handlers get their ioctl's struct, `file.device` is what `probe` gives, `file.state` what `open` gives.
 * @throws TypeError for a name or an ioctl table that cannot be.
 */
export function defineDevice<
  T extends IoctlTable = Record<never, never>,
  O extends DeviceOptions = Record<never, never>,
  D = undefined,
  S = undefined,
  E extends CType = never,
>(
  definition: DeviceDefinition<T, O, D, S, E> &
    HandlersIfAny<T> &
    Settled<D, 'probe'> &
    Settled<S, 'open'>,
): DeviceDefinition {
  const device = definition as unknown as DeviceDefinition;
  check(device);
  definitions.add(device);
  return device;
}

/** With ioctls there have to be handlers. */
type HandlersIfAny<T> = keyof T extends never ? unknown : { readonly ioctl: unknown };

/** What they give is used at once. */
type Settled<T, Name extends string> =
  T extends PromiseLike<unknown> ? { readonly [K in Name]: 'cannot be async' } : unknown;

const definitions = new WeakSet<object>();

/** Whether something is what {@link defineDevice} gives. */
export function isDeviceDefinition(value: unknown): value is DeviceDefinition {
  return value instanceof Object && definitions.has(value);
}

function check({ name, ioctls = {}, ioctl, blocking, extensible }: DeviceDefinition): void {
  if (typeof name !== 'string' || !/^(?!\.\.?(\/|$))[\w.-]+(\/(?!\.\.?(\/|$))[\w.-]+)*$/.test(name))
    throw new TypeError(`"${name}" is no name below /dev`);
  const requests = new Map<number, string>();
  for (const [each, { name: named, request }] of Object.entries(ioctls)) {
    // Files are run as they are: no compiler may have looked at them.
    if (named !== each) throw new TypeError(`${name}: ${each} is no ioctl that ioctls() has made`);
    const key = ioctlKey(request, extensible ? EXTENSIBLE : {});
    const other = requests.get(key);
    if (other) throw new TypeError(`${name}: ${other} and ${each} have the same number`);
    requests.set(key, each);
    if (!(each in (ioctl ?? {}))) throw new TypeError(`${name}: ${each} has no handler`);
  }
  const named = blocking === true ? [] : (blocking ?? []);
  for (const each of [...Object.keys(ioctl ?? {}), ...named]) {
    if (!(each in ioctls)) throw new TypeError(`${name}: no ioctl ${each}`);
  }
}
