/** `run --device FILE[,NAME=VALUE...]`: devices that are declared in files, and their newer versions. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { InputError } from '../../uapi/input_error.js';
import type { Kernel } from '../kernel.js';
import {
  type DeviceDefinition,
  type DeviceOptions,
  isDeviceDefinition,
} from '../kit/define_device.js';
import type { RegisteredDevice } from '../kit/register.js';
import { FileWatch } from './file_watch.js';
import { UsageError } from './usage.js';

/** What `--device` was given. */
interface DeviceFile {
  path: string;
  options: [name: string, value: string][];
}

/** The devices of a file: its default export, one or several. @throws UsageError in one line. */
export async function loadDevices(path: string): Promise<DeviceDefinition[]> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new UsageError(`${path}: no such file`);
  }
  const { loadModule } = await import('../../uapi/load.js');
  let exports: Record<string, unknown>;
  try {
    exports = await loadModule(resolve(path));
  } catch (error) {
    throw new UsageError(explain(path, error));
  }
  if (!('default' in exports)) {
    throw new UsageError(`${path}: it has no default export: export default defineDevice({ … })`);
  }
  const devices = [exports.default].flat();
  if (!devices.every(isDeviceDefinition)) {
    throw new UsageError(`${path}: its default export is not what defineDevice() gives`);
  }
  return devices;
}

/** In one line: where in the file, and what is wrong. */
function explain(path: string, error: unknown): string {
  if (!(error instanceof Error)) return `${path}: ${error}`;
  const message = error.message.split('\n', 1)[0]?.trim();
  // Imports are made before the first line: where is not known, and what is in the message.
  if ('code' in error && error.code === 'MODULE_NOT_FOUND') return `${path}: ${message}`;
  const place = error.stack?.split(resolve(path)).find((text) => /^:\d+:\d+\b/.test(text));
  return `${path}${place ? `:${place.split(':')[1]}` : ''}: ${message}`;
}

/** Devices that were added, until they are not to be watched any more. */
export interface AddedDevices {
  /** Loads files anew when they change; `tell` is given a line for people. */
  watch(tell: (line: string) => void): Promise<void>;
  close(): void;
}

/** Adds what `--device` names. @throws UsageError for a file or an option that cannot be. */
export async function addDevices(kernel: Kernel, specs: readonly string[]): Promise<AddedDevices> {
  const files = specs.map(parse);
  const added = new Map<DeviceFile, RegisteredDevice[]>();
  for (const file of files) {
    const definitions = await loadDevices(file.path);
    added.set(
      file,
      definitions.map((definition) =>
        add(kernel, definition, shareOf(definition, definitions, file)),
      ),
    );
  }
  const watchers: FileWatch[] = [];
  return {
    async watch(tell) {
      for (const [{ path }, devices] of added) {
        const watcher = new FileWatch(async () => {
          tell(await reload(path, devices));
          const files = await sourcesOf(path);
          if (files) watcher.set(files);
        });
        watcher.set((await sourcesOf(path)) ?? [resolve(path)]);
        watchers.push(watcher);
      }
    },
    close() {
      for (const watcher of watchers) watcher.close();
    },
  };
}

function add(kernel: Kernel, definition: DeviceDefinition, file: DeviceFile): RegisteredDevice {
  try {
    return kernel.addDevice(definition, optionsOf(definition, file));
  } catch (error) {
    throw new UsageError(explain(file.path, error));
  }
}

/** Of several devices in a file, each takes the options that it has; it refuses what none has. */
function shareOf(
  { options: own = {} }: DeviceDefinition,
  all: readonly DeviceDefinition[],
  { path, options }: DeviceFile,
): DeviceFile {
  const isOthers = (name: string) => all.some((other) => name in (other.options ?? {}));
  return { path, options: options.filter(([name]) => name in own || !isOthers(name)) };
}

/** The line that says how it went. */
async function reload(path: string, devices: readonly RegisteredDevice[]): Promise<string> {
  try {
    const definitions = await loadDevices(path);
    if (definitions.length !== devices.length) throw new UsageError('another number of devices');
    for (const [i, definition] of definitions.entries()) devices[i]?.replace(definition);
    return `${path}: loaded anew`;
  } catch (error) {
    const why = error instanceof InputError ? error.message : explain(path, error);
    return `${path}: stays as it was: ${why}`;
  }
}

/** A file and those that it imports by their relative paths. */
async function sourcesOf(path: string): Promise<string[] | undefined> {
  const { Sources } = await import('../../uapi/sources.js');
  try {
    return new Sources(resolve(path)).files.map((file) => file.path);
  } catch {
    // It is half written: there will be another change.
    return undefined;
  }
}

/** `./scaler.ts,delay=5,name=x` */
function parse(spec: string): DeviceFile {
  const [path = '', ...rest] = spec.split(',');
  const options = rest.map((item): [string, string] => {
    const equals = item.indexOf('=');
    return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
  });
  return { path, options };
}

/** `NAME=VALUE,...` for a device. @throws UsageError, RangeError */
export function deviceOptions(definition: DeviceDefinition, list: string): DeviceOptions {
  return optionsOf(definition, parse(`,${list}`));
}

/** The values, of the types that the defaults have. */
function optionsOf({ options = {} }: DeviceDefinition, file: DeviceFile): DeviceOptions {
  const values: Record<string, string | number | boolean> = {};
  for (const [key, text] of file.options) {
    const byDefault = options[key];
    values[key] = typeof byDefault === 'boolean' ? boolean(key, text) : text;
    if (typeof byDefault === 'number') values[key] = text === '' ? Number.NaN : Number(text);
  }
  return values;
}

function boolean(key: string, text: string): boolean {
  if (['', 'true', 'on', '1'].includes(text)) return true;
  if (['false', 'off', '0'].includes(text)) return false;
  throw new RangeError(`${key} is true or false, not ${text}`);
}

/** For `--device FILE,help`: a line for each device; undefined if this is not asked for. */
export async function deviceHelp(spec: string): Promise<string | undefined> {
  const { path, options } = parse(spec);
  if (!options.some(([name, value]) => name === 'help' && value === '')) return undefined;
  const definitions = await loadDevices(path);
  return definitions.map(describe).join('');
}

function describe({ name, options = {} }: DeviceDefinition): string {
  const each = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  return `/dev/${name}: options and their defaults: ${each.join(', ') || 'none'}\n`;
}
