/** Character devices: their numbers, and who serves them. Linux: fs/char_dev.c. */

import type { Backing } from '../backing/backing.js';
import { type AttributeGroup, type Attributes, attributesOf } from '../base/attribute.js';
import { classGet } from '../base/class.js';
import {
  BaseDevice,
  type DeviceType,
  deviceAdd,
  deviceUnregister,
  replaceAttributes,
  splitPath,
} from '../base/core.js';
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import type { Task } from '../task.js';
import type { DevT } from './dev_t.js';
import type { File, FileOperations } from './file.js';
import { Ida } from './ida.js';
import { FileNode } from './tree.js';

/** A character device as a driver registers it. */
export interface CharDevice {
  /** Its path below /dev, such as `dma_heap/system`. Its name in sysfs is the last part of it. */
  readonly name: string;
  /** Its class, below /sys/class; made if there is none of the name. */
  readonly className: string;
  readonly major: number;
  readonly minor: number;
  /** Permission bits of the node. */
  readonly mode: number;
  readonly f_op: CharDeviceOperations;
  /** There is a node only if somebody names it: for what Linux does not have. */
  readonly optional?: boolean | undefined;
  /** Free for the driver: what `open` finds as its device. */
  readonly private_data?: unknown;
  /** Its files in /sys, besides those that every device has. */
  readonly attributes?: Attributes<BaseDevice>;
  readonly groups?: readonly AttributeGroup<BaseDevice>[];
  /** The device that it belongs to; without one it is below /sys/devices/virtual. */
  readonly parent?: BaseDevice | undefined;
  /** DEVTYPE, and what its kind has in common. */
  readonly type?: DeviceType | undefined;
}

export interface CharDeviceOperations extends FileOperations {
  /** Called for each open(2); throws to refuse. `file.private_data` starts as the device's. */
  open?(file: File, task: Task): void;
  /** What stands behind an open file, if that is not memory. What it gives to read is read by the machine's read(2). */
  backing?(): Backing;
}

/** Linux hands out dynamic majors from 254 down to 234, then from 511 down to 384. */
const DYNAMIC_MAJORS = [
  { from: 254, to: 234 },
  { from: 511, to: 384 },
];
export const MISC_MAJOR = 10;
/** Where the dynamic minor numbers of Linux 6.x begin to be given out, downwards. */
const FIRST_DYNAMIC_MISC_MINOR = 127;
const MINORMASK = 2 ** 20 - 1;
const DEFAULT_MODE = 0o600;

/** A range of numbers that somebody has for its devices: struct char_device_struct. */
interface Region extends DevT {
  readonly count: number;
  readonly name: string;
}

/** The devices of a kernel, and their numbers. */
export class CharDevices {
  readonly #kernel: KernelCore;
  readonly #byName = new Map<string, CharDevice>();
  /** By major and minor number: struct cdev. */
  readonly #byNumber = new Map<string, CharDevice>();
  readonly #devs = new Map<CharDevice, BaseDevice>();
  readonly #majors = new Map<string, number>();
  readonly #minors = new Map<number, Ida>();
  readonly #regions = new Set<Region>();

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  /**
   * alloc_chrdev_region(): a major number that nobody has, with `count` minor numbers from `baseminor` on. EBUSY when
   * there is none any more.
   */
  allocRegion(name: string, baseminor = 0, count = 1): DevT {
    for (const { from, to } of DYNAMIC_MAJORS) {
      for (let major = from; major >= to; major--) {
        if (this.#isMajorUsed(major)) continue;
        this.#regions.add({ major, minor: baseminor, count, name });
        return { major, minor: baseminor };
      }
    }
    throw errno('EBUSY');
  }

  /** register_chrdev_region(): `count` numbers from this one on. EBUSY if somebody has one of them. */
  registerRegion({ major, minor }: DevT, count: number, name: string): void {
    for (const each of this.#regions) {
      const apart = minor + count <= each.minor || each.minor + each.count <= minor;
      if (each.major === major && !apart) throw errno('EBUSY');
    }
    this.#regions.add({ major, minor, count, name });
  }

  /** unregister_chrdev_region() */
  unregisterRegion({ major, minor }: DevT, count: number): void {
    for (const each of this.#regions) {
      if (each.major === major && each.minor === minor && each.count === count) {
        this.#regions.delete(each);
      }
    }
  }

  #isMajorUsed(major: number): boolean {
    for (const each of this.#regions) if (each.major === major) return true;
    return this.#minors.has(major);
  }

  /** The major number of a class of devices, the same for all of its devices: a region of all minor numbers. */
  dynamicMajor(className: string): number {
    let major = this.#majors.get(className);
    if (major === undefined) {
      major = this.allocRegion(className, 0, MINORMASK + 1).major;
      this.#majors.set(className, major);
    }
    return major;
  }

  /** The lowest free minor number of a major from `first` on. {@link freeMinor}, or the device's end, gives it back. */
  nextMinor(major: number, first = 0): number {
    return this.#minorsOf(major).alloc(first, MINORMASK);
  }

  /** Gives a minor number back that no device has come to use. */
  freeMinor(major: number, minor: number): void {
    if (this.#byNumber.has(key({ major, minor }))) return;
    this.#minors.get(major)?.free(minor);
  }

  #minorsOf(major: number): Ida {
    let minors = this.#minors.get(major);
    if (!minors) {
      minors = new Ida();
      this.#minors.set(major, minors);
    }
    return minors;
  }

  /** The minor number of the next misc device that has none of its own. */
  miscMinor(): number {
    const minors = this.#minorsOf(MISC_MAJOR);
    return minors.allocDown(FIRST_DYNAMIC_MISC_MINOR) ?? minors.alloc(256, MINORMASK);
  }

  /** The device of a number, if it has a node. */
  find(devt: DevT): CharDevice | undefined {
    return this.#byNumber.get(key(devt));
  }

  /**
   * cdev_add() and device_add(): makes the device, and, unless it is to be hidden, its node and its entries in /sys.
   * EBUSY if another one has its number; EEXIST if its class has one of its name.
   */
  add(cdev: CharDevice, hidden = false): BaseDevice | undefined {
    const { name } = cdev;
    const known = this.#byName.get(name);
    if (known && this.#devs.has(known)) throw new Error(`/dev/${name} exists already`);
    if (!hidden && this.#byNumber.has(key(cdev))) throw errno('EBUSY');
    if (known) this.freeMinor(known.major, known.minor);
    this.#minorsOf(cdev.major).take(cdev.minor);
    this.#byName.set(name, cdev);
    if (hidden) return undefined;
    this.#byNumber.set(key(cdev), cdev);
    const dev = devOf(this.#kernel, cdev);
    try {
      deviceAdd(dev);
    } catch (error) {
      this.#forget(cdev);
      throw error;
    }
    this.#devs.set(cdev, dev);
    return dev;
  }

  /** Has whoever opens the node from now on get other operations; the files in /sys become others. */
  replace(name: string, { f_op, attributes = {} }: Pick<CharDevice, 'f_op' | 'attributes'>): void {
    const cdev = this.#byName.get(name);
    const dev = cdev && this.#devs.get(cdev);
    if (!dev) return;
    this.#devs.delete(cdev);
    const next = { ...cdev, f_op, attributes };
    this.#byName.set(name, next);
    this.#byNumber.set(key(next), next);
    this.#devs.set(next, dev);
    const [directory, base] = splitPath(name);
    const node = this.#kernel.root.mkdir(`dev/${directory}`).get(base);
    if (node instanceof FileNode) node.f_op = f_op;
    replaceAttributes(dev, attributesOf(groupsOf(next), dev));
  }

  /** Takes the node and what is in /sys away, and gives its number back; files that are open stay. */
  remove(name: string): void {
    const cdev = this.#byName.get(name);
    if (!cdev) return;
    const dev = this.#devs.get(cdev);
    if (dev) deviceUnregister(dev);
    this.#devs.delete(cdev);
    this.#forget(cdev);
  }

  #forget(cdev: CharDevice): void {
    this.#byName.delete(cdev.name);
    this.#byNumber.delete(key(cdev));
    this.freeMinor(cdev.major, cdev.minor);
  }

  /** All of them, also those without a node. */
  [Symbol.iterator](): Iterator<CharDevice> {
    return this.#byName.values();
  }

  /** Those that have a node. */
  get visible(): CharDevice[] {
    return [...this].filter((cdev) => this.#devs.has(cdev));
  }
}

const key = ({ major, minor }: DevT) => `${major}:${minor}`;

const groupsOf = ({ attributes = {}, groups = [] }: CharDevice) => [
  { attrs: attributes },
  ...groups,
];

function devOf(kernel: KernelCore, cdev: CharDevice): BaseDevice {
  const { className, major, minor, mode, name, parent, type } = cdev;
  return new BaseDevice(kernel, {
    name: splitPath(name)[1],
    class: classGet(kernel, className),
    parent,
    type,
    devt: { major, minor },
    devnode: { name, mode: mode === DEFAULT_MODE ? undefined : mode },
    groups: groupsOf(cdev),
    driver_data: cdev.private_data,
  });
}
