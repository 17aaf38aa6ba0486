import { type Attribute, addAttribute, removeAttribute } from '../base/attribute.js';
import type { KernelCore } from '../core.js';
import { PAGE_SIZE } from '../mm/page.js';
import type { Task } from '../task.js';
import type { Backing, File, FileOperations } from './file.js';
import { FileNode, GeneratedFile, S_IFCHR, Symlink } from './tree.js';

/** A character device as a driver registers it. */
export interface CharDevice {
  /** Its path below /dev, such as `dma_heap/system`. */
  readonly name: string;
  /** Its class, below /sys/class. */
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
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface CharDeviceOperations extends FileOperations {
  /** Called for each open(2); throws to refuse. `file.private_data` starts as the device's. */
  open?(file: File, task: Task): void;
  /** What stands behind an open file, if that is not memory. What it gives to read is read by the machine's read(2). */
  backing?(): Backing;
}

/** Linux hands out dynamic majors from 254 downwards. */
const FIRST_DYNAMIC_MAJOR = 254;
export const MISC_MAJOR = 10;
/** Where the dynamic minor numbers of Linux 6.x begin to be given out, downwards. */
const FIRST_DYNAMIC_MISC_MINOR = 127;

/** The devices of a kernel, and their nodes in /dev. */
export class CharDevices {
  readonly #kernel: KernelCore;
  readonly #byName = new Map<string, CharDevice>();
  readonly #hidden = new Set<CharDevice>();
  readonly #majors = new Map<string, number>();
  readonly #minors = new Map<number, number>();

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  /** alloc_chrdev_region(): the major number of a class of devices, the same for all of its devices. */
  dynamicMajor(className: string): number {
    let major = this.#majors.get(className);
    if (major === undefined) {
      major = FIRST_DYNAMIC_MAJOR - this.#majors.size;
      this.#majors.set(className, major);
    }
    return major;
  }

  /** The next free minor number below a major. */
  nextMinor(major: number, first = 0): number {
    const minor = this.#minors.get(major) ?? first;
    this.#minors.set(major, minor + 1);
    return minor;
  }

  /** The minor number of the next misc device that has none of its own. */
  miscMinor(): number {
    return FIRST_DYNAMIC_MISC_MINOR - this.nextMinor(MISC_MAJOR);
  }

  /** Makes the device, and, unless it is to be hidden, its node and its entries in /sys. */
  add(device: CharDevice, hidden = false): void {
    const known = this.#byName.get(device.name);
    if (known && !this.#hidden.has(known)) throw new Error(`/dev/${device.name} exists already`);
    this.#byName.set(device.name, device);
    if (hidden) {
      this.#hidden.add(device);
      return;
    }
    const { root } = this.#kernel;
    const [directory, base] = splitPath(device.name);
    const { className, major, minor, name, f_op, private_data } = device;
    const [mode, rdev] = [S_IFCHR | device.mode, { major, minor }];
    const node = new FileNode({ mode, f_op, private_data, rdev });
    root.mkdir(`dev/${directory}`).add(base, node);

    const sysfs = `devices/virtual/${className}/${base}`;
    const attributes = root.mkdir(`sys/${sysfs}`);
    const uevent = `MAJOR=${major}\nMINOR=${minor}\nDEVNAME=${name}\n`;
    attributes.add('dev', new GeneratedFile(() => `${major}:${minor}\n`, PAGE_SIZE));
    attributes.add('subsystem', new Symlink(`../../../../class/${className}`));
    attributes.add('uevent', new GeneratedFile(() => uevent, PAGE_SIZE, 0o644));
    for (const [key, ops] of Object.entries(device.attributes ?? {})) {
      addAttribute(attributes, key, ops);
    }
    root.mkdir(`sys/class/${className}`).add(base, new Symlink(`../../${sysfs}`));
    root.mkdir('sys/dev/char').add(`${major}:${minor}`, new Symlink(`../../${sysfs}`));
  }

  /** Has whoever opens the node from now on get other operations; the files in /sys become others. */
  replace(name: string, { f_op, attributes = {} }: Pick<CharDevice, 'f_op' | 'attributes'>): void {
    const device = this.#byName.get(name);
    if (!device) return;
    this.#byName.set(name, { ...device, f_op, attributes });
    const [directory, base] = splitPath(name);
    const { root } = this.#kernel;
    const node = root.mkdir(`dev/${directory}`).get(base);
    if (node instanceof FileNode) node.f_op = f_op;
    const sysfs = `sys/devices/virtual/${device.className}/${base}`;
    const files = root.mkdir(sysfs);
    for (const key of Object.keys(device.attributes ?? {})) removeAttribute(files, key);
    for (const [key, ops] of Object.entries(attributes)) {
      addAttribute(files, key, ops);
    }
  }

  /** Takes the node and what is in /sys away; files that are open stay. */
  remove(name: string): void {
    const device = this.#byName.get(name);
    if (!device) return;
    this.#byName.delete(name);
    const { root } = this.#kernel;
    const { className, major, minor } = device;
    const [directory, base] = splitPath(name);
    root.mkdir(`dev/${directory}`).delete(base);
    root.mkdir(`sys/devices/virtual/${className}`).delete(base);
    root.mkdir(`sys/class/${className}`).delete(base);
    root.mkdir('sys/dev/char').delete(`${major}:${minor}`);
  }

  /** All of them, also those without a node. */
  [Symbol.iterator](): Iterator<CharDevice> {
    return this.#byName.values();
  }

  /** Those that have a node. */
  get visible(): CharDevice[] {
    return [...this].filter((device) => !this.#hidden.has(device));
  }
}

/** `dma_heap/system` → `['dma_heap', 'system']` */
function splitPath(path: string): [directory: string, base: string] {
  const slash = path.lastIndexOf('/');
  return [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
}
