/** From the declaration of a device to what the kernel calls: struct file_operations. */
import {
  type CType,
  type IoctlArg,
  type IoctlTable,
  POLLIN,
  POLLRDNORM,
} from '../../ioctl/index.js';
import { EventSocket } from '../backing/event_socket.js';
import { errno } from '../errno.js';
import { bytesOf, notLater, piecesOf, resultOf } from '../fs/answers.js';
import type { CharDeviceOperations } from '../fs/char_dev.js';
import type { File } from '../fs/file.js';
import { serve } from '../fs/file_call.js';
import { noteFile } from '../fs/handle_table.js';
import { EXTENSIBLE, type IoctlOperations, ioctlOperations } from '../fs/ioctl_table.js';
import { copyFromIter, copyToIter, lengthOf } from '../mm/segments.js';
import type { DeviceCall, DeviceDefinition, DeviceFile, Result } from './define_device.js';
import { DeviceCallImpl } from './device_call.js';
import { type Events, eventsOf, readEvents } from './event_queue.js';

/** Bytes that one write(2) takes at most. */
const MAX_WRITE = 2 ** 24;

/** An open file, as handlers see it. */
class OpenFile implements DeviceFile {
  readonly #file: File;
  readonly device: unknown;
  readonly #events: Events | undefined;
  state: unknown;

  constructor(file: File, device: unknown, events: CType | undefined) {
    this.#file = file;
    this.device = device;
    this.#events = events && eventsOf(events, file);
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

  get events(): Events {
    if (!this.#events) throw errno('EINVAL');
    return this.#events;
  }
}

const openFileOf = (file: File) => file.private_data as OpenFile;

type Handler = (file: OpenFile, arg: IoctlArg | number, call: DeviceCall) => Result<number>;

function deviceIoctls(
  ioctls: IoctlTable,
  { blocking = [], extensible = false, ioctl, name }: DeviceDefinition,
): IoctlOperations {
  const handlers = ioctl as Record<string, Handler>;
  const rowOf = (one: string) => ({
    handle: handlers[one] as Handler,
    blocking: blocking === true || blocking.includes(one),
  });
  return ioctlOperations(
    ioctls,
    {
      ...(extensible && EXTENSIBLE),
      who: `/dev/${name}`,
      of: openFileOf,
      call: (...given: ConstructorParameters<typeof DeviceCallImpl>) =>
        new DeviceCallImpl(...given),
    },
    Object.fromEntries(Object.keys(ioctls).map((one) => [one, rowOf(one)])),
  );
}

/** The operations of a device that has been probed. */
export function deviceOperations(
  definition: DeviceDefinition,
  device: unknown,
  count: (opened: boolean) => void,
): CharDeviceOperations {
  const { events, ioctls, name } = definition;
  const ops: CharDeviceOperations = {
    open(file, task) {
      const open = new OpenFile(file, device, events);
      file.private_data = open;
      const call = new DeviceCallImpl(file, task);
      try {
        const state: unknown = definition.open?.(open as DeviceFile<undefined>, call);
        open.state = notLater(`/dev/${name}: open`, state);
        call.finish(() => {});
      } catch (error) {
        call.fail(error);
        throw error;
      }
      count(true);
    },
    release(file) {
      try {
        notLater('release', definition.release?.(openFileOf(file)));
      } finally {
        count(false);
      }
    },
  };
  if (ioctls) Object.assign(ops, deviceIoctls(ioctls, definition));
  addTransfers(ops, definition);
  const { mmap } = definition;
  if (mmap) {
    ops.mmap = (file, vma, task) =>
      piecesOf(`/dev/${name}: mmap`, mmap(openFileOf(file), vma, task), vma.length);
  }
  return ops;
}

/** read(2), write(2) and poll(2). */
function addTransfers(ops: CharDeviceOperations, definition: DeviceDefinition): void {
  const { events, name, poll, read, write } = definition;
  if (read) {
    ops.read = (file, segments, task) => {
      const call = new DeviceCallImpl(file, task);
      const { mm } = task;
      const size = lengthOf(segments);
      return serve<Uint8Array>(call, {
        run: () => read(openFileOf(file), size, call),
        done: (bytes) => copyToIter(mm, segments, bytesOf(`/dev/${name}: read`, bytes, size)),
      });
    };
  } else if (events) {
    const { size } = events;
    ops.read = (file, segments, task) =>
      readEvents(openFileOf(file).events, { file, size }, segments, task);
  }
  if (write) {
    ops.write = (file, segments, task) => {
      const call = new DeviceCallImpl(file, task);
      const bytes = copyFromIter(task.mm, segments, MAX_WRITE);
      return serve<unknown>(call, {
        run: () => write(openFileOf(file), bytes, call),
        done: (taken) => resultOf(`/dev/${name}: write`, taken, bytes.length, bytes.length),
      });
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
  if (events && !read && !poll) {
    // There is nothing else to be read, nor to be waited for: the machine can do that.
    ops.backing = () => new EventSocket();
    ops.readsNatively = true;
    ops.pollMask = POLLIN | POLLRDNORM;
  }
}
