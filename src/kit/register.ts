/** Devices of one's own in a kernel: added, replaced by a newer version, removed. */

import type { Attribute } from '../base/attribute.js';
import type { KernelCore } from '../core.js';
import { bytesOf, notLater, textOf } from '../fs/answers.js';
import { type CharDevice, MISC_MAJOR } from '../fs/char_dev.js';
import type {
  DeviceAttribute,
  DeviceDefinition,
  DeviceOptions,
  OptionValues,
} from './define_device.js';
import { deviceOperations } from './file_operations.js';

/** A device of one's own, in a kernel. */
export interface RegisteredDevice {
  /** Its node, such as `/dev/scaler`. */
  readonly path: string;
  /**
   * Puts another version in its place: what opens the node from now on gets that. Files that are open keep what they
   * were opened with, until they are closed. @throws TypeError if it has another name, or what `probe` throws: then
   * all is as before.
   */
  replace(definition: DeviceDefinition): void;
  /** Removes the node. Open files go on until they are closed; the driver's `remove` is called then. */
  remove(): void;
}

/** @see Kernel.addDevice */
export function addDevice(
  kernel: KernelCore,
  definition: DeviceDefinition,
  given: DeviceOptions = {},
): RegisteredDevice {
  const { name } = definition;
  let current = new Probed(kernel, definition, given);
  const { charDevices } = kernel;
  const { className = 'misc', mode = 0o600 } = definition;
  const devt = numbers(kernel, definition, className);
  try {
    kernel.addCharDevice({
      name,
      className,
      ...devt,
      mode,
      f_op: current.f_op,
      attributes: current.attributes,
    });
  } catch (error) {
    charDevices.freeMinor(devt.major, devt.minor);
    current.remove();
    throw error;
  }
  kernel.onClose(() => current.removeNow());
  return {
    path: `/dev/${name}`,
    replace(next) {
      if (next.name !== name) throw new TypeError(`${next.name} in place of ${name}`);
      const probed = new Probed(kernel, next, given);
      charDevices.replace(name, probed);
      current.remove();
      current = probed;
    },
    remove() {
      charDevices.remove(name);
      current.remove();
    },
  };
}

/** A version of a device that is at work. */
class Probed {
  readonly #definition: DeviceDefinition;
  readonly #device: unknown;
  readonly f_op: CharDevice['f_op'];
  #opens = 0;
  /** It is to go when its last file is closed; it has gone. */
  #leaving = false;
  #removed = false;

  constructor(kernel: KernelCore, definition: DeviceDefinition, given: DeviceOptions) {
    this.#definition = definition;
    const options = optionValues(definition, given);
    const device = definition.probe?.(kernel, options as OptionValues<DeviceOptions>);
    this.#device = notLater(`/dev/${definition.name}: probe`, device);
    this.f_op = deviceOperations(definition, this.#device, (opened) => this.#count(opened));
  }

  /** Its files in /sys. */
  get attributes(): Readonly<Record<string, Attribute>> {
    const { attributes = {} } = this.#definition;
    return Object.fromEntries(
      Object.entries(attributes).map(([name, ops]) => [name, this.#attribute(name, ops)]),
    );
  }

  #attribute(name: string, ops: DeviceAttribute<unknown>): Attribute {
    const who = `/dev/${this.#definition.name}: ${name}`;
    const device = this.#device;
    const file = typeof ops === 'function' ? { show: ops } : ops;
    if ('read' in file || 'write' in file) {
      const { mode, size, read, write } = file;
      return {
        mode,
        size,
        read:
          read &&
          ((offset, count) =>
            bytesOf(`${who}: read`, read.call(file, device, offset, count), count)),
        write:
          write &&
          ((bytes, offset) => {
            notLater(`${who}: write`, write.call(file, device, bytes, offset));
          }),
      };
    }
    const { mode, show, store } = file as Extract<DeviceAttribute<unknown>, { store?: unknown }>;
    return {
      mode,
      show: show && (() => asLine(textOf(`${who}: show`, show.call(file, device)))),
      store:
        store &&
        ((text) => {
          notLater(`${who}: store`, store.call(file, device, text.replace(/\n$/, '')));
        }),
    };
  }

  /** A file was opened, or the last descriptor of one is gone. */
  #count(opened: boolean): void {
    this.#opens += opened ? 1 : -1;
    if (this.#leaving && this.#opens === 0) this.removeNow();
  }

  remove(): void {
    this.#leaving = true;
    if (this.#opens === 0) this.removeNow();
  }

  removeNow(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#definition.remove?.(this.#device);
  }
}

function asLine(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function numbers(kernel: KernelCore, { major, minor }: DeviceDefinition, className: string) {
  const { charDevices } = kernel;
  if (major !== undefined && minor !== undefined) return { major, minor };
  if (className === 'misc' && major === undefined) {
    return { major: MISC_MAJOR, minor: minor ?? charDevices.miscMinor() };
  }
  const own = major ?? charDevices.dynamicMajor(className);
  return { major: own, minor: minor ?? charDevices.nextMinor(own) };
}

/** The defaults, and what is given in their place. @throws RangeError for what the device does not have. */
function optionValues(definition: DeviceDefinition, given: DeviceOptions): DeviceOptions {
  const { options = {}, name } = definition;
  for (const [key, value] of Object.entries(given)) {
    const byDefault = options[key];
    if (byDefault === undefined) {
      const names = Object.keys(options).join(', ') || 'none';
      throw new RangeError(`${name} has no option ${key}; there are: ${names}`);
    }
    if (typeof value !== typeof byDefault || Number.isNaN(value)) {
      throw new RangeError(`${name}: ${key} is a ${typeof byDefault}, as ${byDefault} is`);
    }
  }
  return { ...options, ...given };
}
