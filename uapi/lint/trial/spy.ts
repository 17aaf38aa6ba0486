/** Between a device and its handlers: what each call reads and writes of its argument, and what it throws. */
import type { IoctlArg } from '../../../ioctl/index.js';
import { isIoctlArg } from '../../../ioctl/index.js';
import { ErrnoError } from '../../../src/errno.js';
import type { DeviceDefinition } from '../../../src/kit/define_device.js';

/** What a handler did. */
export class Witness {
  /** Fields that it looked at before it had written them. */
  readonly read = new Set<string>();
  readonly written = new Set<string>();
  /** Whether any byte is another than before. */
  changed = false;
  /** Whether it had the bytes themselves: then there is no telling what it read. */
  opaque = false;
  /** What it threw. */
  thrown: unknown;
  /** Descriptors that it gave. */
  readonly fds: number[] = [];
  called = false;

  /** What it threw that is no errno; undefined: nothing. */
  get bug(): string | undefined {
    if (this.thrown === undefined || this.thrown instanceof ErrnoError) return undefined;
    const error = this.thrown;
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

type AnyHandler = (file: unknown, arg: unknown, call: object) => unknown;

/** The same device; `witness` gives who looks at the next call. */
export function spied(definition: DeviceDefinition, witness: () => Witness): DeviceDefinition {
  const handlers = Object.entries(definition.ioctl ?? {}).map(([name, handler]) => [
    name,
    (file: unknown, arg: unknown, call: object) =>
      watch(handler as unknown as AnyHandler, witness(), { file, arg, call }),
  ]);
  return { ...definition, ioctl: Object.fromEntries(handlers) };
}

function watch(
  handler: AnyHandler,
  seen: Witness,
  { file, arg, call }: { file: unknown; arg: unknown; call: object },
): unknown {
  seen.called = true;
  const bytes = isIoctlArg(arg) ? arg.bytes : undefined;
  const before = bytes?.slice();
  const finish = () => {
    seen.changed = !!bytes && !!before && Buffer.compare(bytes, before) !== 0;
  };
  const fail = (error: unknown): never => {
    seen.thrown = error;
    finish();
    throw error;
  };
  const watched = isIoctlArg(arg) ? watchView(arg, seen, '') : arg;
  try {
    const result = handler(file, watched, watchCall(call, seen));
    if (!(result instanceof Promise)) {
      finish();
      return result;
    }
    return result.then((value: unknown) => {
      finish();
      return value;
    }, fail);
  } catch (error) {
    return fail(error);
  }
}

/** The same view, with every access to a field noted. */
function watchView<T extends IoctlArg>(view: T, seen: Witness, path: string): T {
  const parts = new Map<PropertyKey, unknown>();
  return new Proxy(view, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'bytes') {
        seen.opaque = true;
        return value;
      }
      if (typeof key === 'symbol' || !isField(target, key)) return value;
      const name = `${path}${key}`;
      if (isIoctlArg(value)) {
        const part = parts.get(key) ?? watchView(value, seen, `${name}.`);
        parts.set(key, part);
        return part;
      }
      if (!seen.written.has(name)) seen.read.add(name);
      return value;
    },
    set(target, key, value) {
      seen.written.add(`${path}${String(key)}`);
      return Reflect.set(target, key, value, target);
    },
  });
}

/** Fields are accessors of the view's class; elements of an array go by their number. */
function isField(view: object, key: string): boolean {
  if (/^\d+$/.test(key)) return true;
  const own = Object.getPrototypeOf(view) as object;
  return Object.getOwnPropertyDescriptor(own, key)?.get !== undefined;
}

function watchCall(call: object, seen: Witness): object {
  return new Proxy(call, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const gives = key === 'installDmaBuf' || key === 'installFence';
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(value, target, args);
        if (gives && typeof result === 'number') seen.fds.push(result);
        return result;
      };
    },
  });
}
