/** Devices: their directory in sysfs, their node, their events. Linux: drivers/base/core.c, devtmpfs.c. */
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import type { CharDeviceOperations } from '../fs/char_dev.js';
import type { DevT } from '../fs/dev_t.js';
import { FileNode, S_IFBLK, S_IFCHR } from '../fs/tree.js';
import {
  type AttributeGroup,
  type Attributes,
  addAttribute,
  attributesOf,
  removeAttribute,
} from './attribute.js';
import { type Bus, busAddDevice, busProbeDevice, busRemoveDevice, type Driver } from './bus.js';
import type { Class } from './class.js';
import { type Kobject, kobjectSynthUevent, kobjectUevent, UeventEnv } from './kobject_uevent.js';
import { powerAttributes } from './power.js';
import { sysfsCreateLink, sysfsFind, sysfsRemove, sysfsRemoveIfEmpty } from './sysfs.js';
import type { UdevRules } from './udev_rules.js';

/** A node below /dev. */
export interface DevNode {
  /** Its path; by default the device's name, with a `/` for each `!`. */
  readonly name?: string | undefined;
  /** Permission bits; 0600 by default. */
  readonly mode?: number | undefined;
}

/** struct device_type */
export interface DeviceType extends UdevRules<BaseDevice> {
  /** DEVTYPE. */
  readonly name?: string;
  readonly groups?: readonly AttributeGroup<BaseDevice>[];
  uevent?(dev: BaseDevice, env: UeventEnv): void;
  devnode?(dev: BaseDevice): DevNode | undefined;
}

export interface BaseDeviceInit {
  /** dev_name() */
  readonly name: string;
  /** Without one, a device of a class is below /sys/devices/virtual. */
  readonly parent?: BaseDevice | undefined;
  readonly bus?: Bus | undefined;
  readonly class?: Class | undefined;
  readonly type?: DeviceType | undefined;
  /** With it, there is a node below /dev. */
  readonly devt?: DevT | undefined;
  /** Where neither type nor class says. */
  readonly devnode?: DevNode | undefined;
  readonly groups?: readonly AttributeGroup<BaseDevice>[] | undefined;
  /** dev_get_drvdata() */
  driver_data?: unknown;
  /** Called once, when the device is unregistered. */
  release?: ((dev: BaseDevice) => void) | undefined;
}

/** struct device, as far as the driver model goes; {@link Device} is one that can do DMA, too. */
export class BaseDevice implements Kobject {
  readonly kernel: KernelCore;
  readonly name: string;
  readonly parent: BaseDevice | undefined;
  readonly bus: Bus | undefined;
  readonly class: Class | undefined;
  readonly type: DeviceType | undefined;
  readonly devt: DevT | undefined;
  readonly groups: readonly AttributeGroup<BaseDevice>[];
  readonly release: ((dev: BaseDevice) => void) | undefined;
  readonly #devnode: DevNode | undefined;
  driver_data: unknown;
  /** Which it is bound to. */
  driver: Driver | undefined;
  /** Its directory, below /sys; empty unless it is registered. */
  devpath = '';
  /** @internal The files in it, besides those that every device has. */
  attributes: Attributes<BaseDevice> = {};

  constructor(kernel: KernelCore, init: BaseDeviceInit) {
    this.kernel = kernel;
    this.name = init.name;
    this.parent = init.parent;
    this.bus = init.bus;
    this.class = init.class;
    this.type = init.type;
    this.devt = init.devt;
    this.groups = init.groups ?? [];
    this.driver_data = init.driver_data;
    this.release = init.release;
    this.#devnode = init.devnode;
  }

  /** SUBSYSTEM: its bus or its class. */
  get subsystem(): string | undefined {
    return this.bus?.name ?? this.class?.name;
  }

  get isBlock(): boolean {
    return this.class?.name === 'block';
  }

  /** Its node, if it has one: its path below /dev, and its permission bits if they are not the usual. */
  get devnode(): { name: string; mode: number | undefined } | undefined {
    if (!this.devt) return undefined;
    const said =
      this.type?.devnode?.(this) ?? this.class?.init.devnode?.(this) ?? this.#devnode ?? {};
    return { name: said.name ?? this.name.replaceAll('!', '/'), mode: said.mode };
  }

  /** dev_uevent() */
  uevent(env: UeventEnv): void {
    const { bus, class: cls, devnode, devt, driver, type } = this;
    if (devt && devnode) {
      env.add(`MAJOR=${devt.major}`);
      env.add(`MINOR=${devt.minor}`);
      env.add(`DEVNAME=${devnode.name}`);
      if (devnode.mode !== undefined) env.add(`DEVMODE=0${devnode.mode.toString(8)}`);
    }
    if (type?.name !== undefined) env.add(`DEVTYPE=${type.name}`);
    if (driver) env.add(`DRIVER=${driver.name}`);
    bus?.init.uevent?.(this, env);
    cls?.init.dev_uevent?.(this, env);
    type?.uevent?.(this, env);
  }
}

/**
 * device_add(): its directory in sysfs with links and files, its node, and the event `add`; then a driver of its bus
 * is looked for. EEXIST if there is one of its name, EBUSY if another one has its number.
 */
export function deviceAdd(dev: BaseDevice): void {
  const { bus, class: cls, devt, kernel, name, parent } = dev;
  const { root } = kernel;
  const parentPath = parentPathOf(dev);
  if (dev.devpath || sysfsFind(root, parentPath)?.get(name)) throw errno('EEXIST');
  const link = devt && numberLink(dev);
  if (link && sysfsFind(root, link.directory)?.get(link.name)) throw errno('EBUSY');

  const at = `${parentPath}/${name}`;
  dev.devpath = at;
  root.mkdir(`sys${at}`);
  addFiles(dev, {
    uevent: {
      show: ueventText,
      store: (text, of: BaseDevice) => kobjectSynthUevent(of, text),
      seldom: true,
    },
    ...(devt && { dev: { show: () => `${devt.major}:${devt.minor}\n` } }),
    // Recorded of devices that have a parent or a bus, and of no others.
    ...((parent || bus) && powerAttributes()),
  });
  const groups = [...(cls?.init.dev_groups ?? []), ...(dev.type?.groups ?? []), ...dev.groups];
  replaceAttributes(dev, attributesOf(groups, dev));
  if (cls) {
    sysfsCreateLink(root, at, cls.devpath, 'subsystem');
    if (parent) sysfsCreateLink(root, at, parent.devpath, 'device');
    sysfsCreateLink(root, cls.devpath, at, name);
    cls.devices.add(dev);
  }
  if (bus) busAddDevice(bus, dev);
  if (link) {
    sysfsCreateLink(root, link.directory, at, link.name);
    createNode(dev);
  }
  kobjectUevent(dev, 'add');
  busProbeDevice(dev);
}

/** device_del(): its driver lets go of it, its node and its directory go, and the event `remove` is sent. */
export function deviceDel(dev: BaseDevice): void {
  if (!dev.devpath) return;
  const { bus, class: cls, devpath, devt, kernel, name } = dev;
  const { root } = kernel;
  if (devt) {
    deleteNode(dev);
    const link = numberLink(dev);
    sysfsRemove(root, `${link.directory}/${link.name}`);
  }
  if (cls) {
    cls.devices.delete(dev);
    sysfsRemove(root, `${cls.devpath}/${name}`);
  }
  if (bus) busRemoveDevice(bus, dev);
  kobjectUevent(dev, 'remove');
  sysfsRemove(root, devpath);
  // The directory of its class, if it is alone in it.
  if (devpath.endsWith(`/${cls?.name}/${name}`)) sysfsRemoveIfEmpty(root, splitPath(devpath)[0]);
  dev.devpath = '';
}

/** device_unregister(): {@link deviceDel}, and its `release`. */
export function deviceUnregister(dev: BaseDevice): void {
  if (!dev.devpath) return;
  deviceDel(dev);
  dev.release?.(dev);
  dev.class?.init.dev_release?.(dev);
}

/** device_create(): a new device of a class, registered. As {@link deviceAdd}. */
export function deviceCreate(
  cls: Class,
  parent: BaseDevice | undefined,
  devt: DevT | undefined,
  driver_data: unknown,
  name: string,
): BaseDevice {
  const dev = new BaseDevice(cls.kernel, { name, class: cls, parent, devt, driver_data });
  deviceAdd(dev);
  return dev;
}

/** Gives a device other files in place of those that its groups have. */
export function replaceAttributes(dev: BaseDevice, attributes: Attributes<BaseDevice>): void {
  const directory = dev.kernel.root.mkdir(`sys${dev.devpath}`);
  for (const name of Object.keys(dev.attributes)) removeAttribute(directory, name);
  dev.attributes = attributes;
  addFiles(dev, attributes);
}

function addFiles(dev: BaseDevice, attributes: Attributes<BaseDevice>): void {
  const at = `sys${dev.devpath}`;
  const directory = dev.kernel.root.mkdir(at);
  for (const [name, ops] of Object.entries(attributes)) {
    addAttribute(directory, name, ops, dev);
  }
}

function ueventText(dev: BaseDevice): string {
  const env = new UeventEnv();
  dev.uevent(env);
  return env.vars.map((text) => `${text}\n`).join('');
}

/** get_device_parent(): what its directory is in, below /sys. */
function parentPathOf({ class: cls, parent }: BaseDevice): string {
  if (parent && !parent.devpath) throw errno('EINVAL');
  if (!cls) return parent?.devpath ?? '/devices';
  if (!parent) return `/devices/virtual/${cls.name}`;
  return parent.class ? parent.devpath : `${parent.devpath}/${cls.name}`;
}

/** The link that leads to it by its number. */
function numberLink({ devt, isBlock }: BaseDevice): { directory: string; name: string } {
  const { major, minor } = devt as DevT;
  return { directory: `/dev/${isBlock ? 'block' : 'char'}`, name: `${major}:${minor}` };
}

const noDriver: CharDeviceOperations = {
  open() {
    throw errno('ENXIO');
  },
};

/** devtmpfs_create_node() */
function createNode(dev: BaseDevice): void {
  const { kernel, devt, isBlock } = dev;
  const { name, mode } = dev.devnode as { name: string; mode: number | undefined };
  const rdev = devt as DevT;
  const cdev = isBlock ? undefined : kernel.charDevices.find(rdev);
  const [directory, base] = splitPath(name);
  const node = new FileNode({
    mode: (isBlock ? S_IFBLK : S_IFCHR) | (mode ?? 0o600),
    f_op: cdev?.f_op ?? noDriver,
    private_data: cdev?.private_data,
    rdev,
  });
  const dentry = kernel.root.mkdir(`dev/${directory}`).add(base, node);
  // It is made, and gets its mode then.
  kernel.root.observer?.attributes(dentry);
}

/** devtmpfs_delete_node() */
function deleteNode(dev: BaseDevice): void {
  const { root } = dev.kernel;
  const [directory, base] = splitPath(dev.devnode?.name ?? '');
  const parent = root.mkdir(`dev/${directory}`);
  const dentry = parent.lookup(base);
  if (!dentry) return;
  // Who has it open still is to get nothing more by its mode.
  root.observer?.attributes(dentry);
  parent.delete(base);
}

/** `dma_heap/system` → `['dma_heap', 'system']` */
export function splitPath(path: string): [directory: string, base: string] {
  const slash = path.lastIndexOf('/');
  return [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
}
