/** From the declaration of a device to what the kernel calls: struct file_operations. */
import {
  _IOC_NR,
  _IOC_READ,
  _IOC_SIZE,
  _IOC_TYPE,
  _IOC_WRITE,
  type CType,
  type IoctlArg,
  type IoctlDef,
  O_NONBLOCK,
  POLLIN,
  POLLRDNORM,
} from '../../ioctl/index.js';
import { errno } from '../errno.js';
import type { CharDeviceOperations } from '../fs/char_dev.js';
import type { File } from '../fs/file.js';
import { noteFile } from '../fs/handle_table.js';
import type { Wait } from '../fs/wait_queue.js';
import { gather, lengthOf, scatter } from '../mm/segments.js';
import type { UserMemory } from '../mm/uaccess.js';
import { strndupUser } from '../mm/uaccess.js';
import { bytesOf, notLater, piecesOf, resultOf } from './answers.js';
import { DeviceCallImpl } from './call.js';
import { waitFor } from './completion.js';
import type { DeviceCall, DeviceDefinition, DeviceFile, Result } from './device.js';
import { EventQueue } from './event_queue.js';

const PATH_MAX = 4096;
/** Bytes that one write(2) takes at most. */
const MAX_WRITE = 2 ** 24;

/** An open file, as handlers see it. */
class OpenFile implements DeviceFile {
  readonly #file: File;
  readonly device: unknown;
  readonly #events: EventQueue | undefined;
  state: unknown;

  constructor(file: File, device: unknown, events: CType | undefined) {
    this.#file = file;
    this.device = device;
    this.#events = events && new EventQueue(events, () => this.wake());
    noteFile(this, file);
  }

  get kernel() {
    return this.#file.kernel;
  }

  get flags() {
    return this.#file.f_flags;
  }

  wake(): void {
    this.#file.changed.wakeUp();
  }

  queueEvent(event: unknown): void {
    if (!this.#events) throw new TypeError('the definition of this device has no `events`');
    this.#events.push(event as never);
  }

  get events(): EventQueue {
    if (!this.#events) throw errno('EINVAL');
    return this.#events;
  }
}

const openFileOf = (file: File) => file.private_data as OpenFile;

type Handler = (file: OpenFile, arg: unknown, call: DeviceCall) => Result<unknown>;

/** The operations of a device that has been probed. */
export function deviceOperations(
  definition: DeviceDefinition,
  device: unknown,
  count: (opened: boolean) => void,
): CharDeviceOperations {
  const { blocking = [], events, extensible = false, ioctls, name } = definition;
  const ops: CharDeviceOperations = {
    open(file, task) {
      const open = new OpenFile(file, device, events);
      file.private_data = open;
      // There is no descriptor yet.
      const call = new DeviceCallImpl(file, task, (file.f_flags & O_NONBLOCK) !== 0);
      try {
        const state: unknown = definition.open?.(open as DeviceFile<undefined>, call);
        open.state = notLater(`/dev/${name}: open`, state);
        call.finish(() => {});
      } catch (error) {
        call.fail(error);
        throw error;
      }
      count(true);
      if (!ops.poll) return;
      file.kernel.pollable++;
      file.kernel.busyFiles.add(file);
    },
    release(file) {
      if (ops.poll) {
        file.kernel.pollable--;
        file.kernel.busyFiles.delete(file);
      }
      try {
        notLater('release', definition.release?.(openFileOf(file)));
      } finally {
        count(false);
      }
    },
  };
  if (ioctls) {
    const find = requestFinder(Object.values(ioctls), extensible);
    ops.ioctls = ioctls;
    ops.extensible = extensible;
    ops.ioctl = (file, request, arg, task) => {
      const def = find(request);
      const handler = def && (definition.ioctl as Record<string, Handler>)[def.name];
      if (!handler) throw errno('ENOTTY');
      const waits = blocking === true || blocking.includes(def.name);
      const call = new DeviceCallImpl(file, task, waits ? false : undefined);
      const who = `/dev/${name}: ${def.name}`;
      return serveIoctl(def, handler, file, { request, arg, call, who });
    };
  }
  addTransfers(ops, definition);
  const { mmap } = definition;
  if (mmap) {
    ops.mmap = (file, vma) =>
      piecesOf(`/dev/${name}: mmap`, mmap(openFileOf(file), vma), vma.length);
  }
  return ops;
}

/** read(2), write(2) and poll(2). */
function addTransfers(ops: CharDeviceOperations, definition: DeviceDefinition): void {
  const { events, name, poll, read, write } = definition;
  const takeEvents = (file: OpenFile, size: number, call: DeviceCallImpl) =>
    file.events.take(size, call);
  const readBytes = read ?? (events && takeEvents);
  if (readBytes) {
    ops.read = (file, segments, task) => {
      const call = new DeviceCallImpl(file, task);
      const { mm } = task;
      const size = lengthOf(segments);
      return serve(
        call,
        () => readBytes(openFileOf(file) as never, size, call),
        (bytes) => scatter(mm, segments, bytesOf(`/dev/${name}: read`, bytes, size)),
      );
    };
  }
  if (write) {
    ops.write = (file, segments, task) => {
      const call = new DeviceCallImpl(file, task);
      const bytes = gather(task.mm, segments, MAX_WRITE);
      return serve(
        call,
        () => write(openFileOf(file), bytes, call),
        (taken) => resultOf(`/dev/${name}: write`, taken, bytes.length, bytes.length),
      );
    };
  }
  if (poll || events) {
    ops.poll = (file) => {
      const open = openFileOf(file);
      const queued = events && !open.events.empty ? POLLIN | POLLRDNORM : 0;
      return (poll?.(open) ?? 0) | queued;
    };
    ops.pollSources = (file) => [file.changed];
  }
}

/** The ioctl that a request is one of: by the whole number, or by type and number alone. */
function requestFinder(
  defs: readonly IoctlDef[],
  extensible: boolean,
): (request: number) => IoctlDef | undefined {
  const key = (request: number) =>
    extensible ? `${_IOC_TYPE(request)}${_IOC_NR(request)}` : request;
  const byKey = new Map(defs.map((def) => [key(def.request), def]));
  return (request) => byKey.get(key(request));
}

interface Asked {
  /** As it came: its size may be another than the definition's. */
  request: number;
  arg: number;
  call: DeviceCallImpl;
  /** For the log. */
  who: string;
}

function serveIoctl(
  def: IoctlDef,
  handler: Handler,
  file: File,
  { request, arg, call, who }: Asked,
): number | Wait {
  const { mm } = call.task;
  const size = _IOC_SIZE(request);
  const { dir, copy = dir } = def;
  const given = def.arg && takeArgument(def.arg, copy, mm, arg, size);
  return serve(
    call,
    () => handler(openFileOf(file), given ?? arg, call),
    (value) => {
      const result = resultOf(who, value);
      if (given && copy & _IOC_READ) mm.write(arg, fitted(given.bytes, size));
      return result;
    },
  );
}

/** copy_struct_from_user(): EFAULT; E2BIG if what lies beyond the struct is not zero. */
function takeArgument(
  type: CType,
  dir: number,
  mm: UserMemory,
  address: number,
  size: number,
): IoctlArg {
  if (type.kind === 'cstring') return type.create(strndupUser(mm, address, PATH_MAX));
  const bytes = new Uint8Array(Math.max(type.size, size));
  if (dir & _IOC_WRITE) mm.read(address, bytes.subarray(0, size));
  if (bytes.subarray(type.size).some((byte) => byte !== 0)) throw errno('E2BIG');
  return type.view(bytes.subarray(0, type.size));
}

/** As many bytes as the caller's struct has; what this driver does not know is zero. */
function fitted(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length === size) return bytes;
  const all = new Uint8Array(size);
  all.set(bytes.subarray(0, size));
  return all;
}

/** Has a handler do its work, now or later, and tells the caller of the result. */
function serve<T>(
  call: DeviceCallImpl,
  work: () => Result<T>,
  tell: (value: T) => number,
): number | Wait {
  const done = (value: T): number => {
    let result = 0;
    call.finish(() => {
      result = tell(value);
    });
    return result;
  };
  let reply: Result<T>;
  try {
    reply = work();
  } catch (error) {
    call.fail(error);
    throw error;
  }
  if (!(reply instanceof Promise)) return done(reply);
  const promise = reply;
  call.holdFile();
  const failed = (error: unknown) => call.fail(error, promise);
  return waitFor(promise, { done, failed, nonblocking: call.nonblocking });
}
