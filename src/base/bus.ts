/** Buses, their drivers, and which device has which: /sys/bus/NAME. Linux: drivers/base/bus.c, driver.c, dd.c. */
import type { KernelCore } from '../core.js';
import { Errno, ErrnoError, errno } from '../errno.js';
import { PerKernel } from '../per_kernel.js';
import { type AttributeGroup, addAttribute, attributesOf } from './attribute.js';
import type { BaseDevice } from './core.js';
import {
  type Kobject,
  kobjectSynthUevent,
  kobjectUevent,
  type UeventEnv,
} from './kobject_uevent.js';
import { sysfsCreateLink, sysfsRemove } from './sysfs.js';
import type { UdevRules } from './udev_rules.js';

/** struct bus_type. Everything but its name is optional. */
export interface BusInit extends UdevRules<BaseDevice> {
  readonly name: string;
  /** Files of the bus itself, and of each of its devices. */
  readonly bus_groups?: readonly AttributeGroup<Bus>[];
  readonly dev_groups?: readonly AttributeGroup<BaseDevice>[];
  /** Whether a driver is one for a device; any, if it is missing. */
  match?(dev: BaseDevice, drv: Driver): boolean;
  uevent?(dev: BaseDevice, env: UeventEnv): void;
}

export class Bus implements Kobject {
  readonly kernel: KernelCore;
  readonly init: BusInit;
  readonly devpath: string;
  readonly subsystem = 'bus';
  readonly devices = new Map<string, BaseDevice>();
  readonly drivers = new Map<string, Driver>();
  /** Whether drivers are looked for as devices appear. */
  drivers_autoprobe = true;

  /** @internal */
  constructor(kernel: KernelCore, init: BusInit) {
    this.kernel = kernel;
    this.init = init;
    this.devpath = `/bus/${init.name}`;
  }

  get name(): string {
    return this.init.name;
  }
}

const buses = new PerKernel<KernelCore, Set<string>>(() => new Set());

/** bus_register(). EEXIST */
export function busRegister(kernel: KernelCore, init: BusInit): Bus {
  const known = buses.of(kernel);
  if (known.has(init.name)) throw errno('EEXIST');
  known.add(init.name);
  const bus = new Bus(kernel, init);
  const at = `sys${bus.devpath}`;
  const directory = kernel.root.mkdir(at);
  directory.mkdir('devices');
  directory.mkdir('drivers');
  const groups = [{ attrs: busAttributes }, ...(init.bus_groups ?? [])];
  for (const [name, ops] of Object.entries(attributesOf<Bus>(groups, bus))) {
    addAttribute(directory, name, ops, bus);
  }
  kobjectUevent(bus, 'add');
  return bus;
}

/** bus_unregister(). EBUSY while there are devices or drivers. */
export function busUnregister(bus: Bus): void {
  if (bus.devices.size > 0 || bus.drivers.size > 0) throw errno('EBUSY');
  kobjectUevent(bus, 'remove');
  buses.of(bus.kernel).delete(bus.name);
  sysfsRemove(bus.kernel.root, bus.devpath);
}

const busAttributes = {
  uevent: { store: (text: string, bus: Bus) => kobjectSynthUevent(bus, text), seldom: true },
  drivers_autoprobe: {
    seldom: true,
    show: (bus: Bus) => `${Number(bus.drivers_autoprobe)}\n`,
    store(text: string, bus: Bus) {
      bus.drivers_autoprobe = !text.startsWith('0');
    },
  },
  drivers_probe: {
    seldom: true,
    store(text: string, bus: Bus) {
      const dev = bus.devices.get(text.replace(/\n$/, ''));
      if (!dev) throw errno('ENODEV');
      busProbeDevice(dev);
    },
  },
};

/** struct device_driver. What is called `platform_driver` and the like in Linux is the same here. */
export interface DriverInit {
  readonly name: string;
  readonly groups?: readonly AttributeGroup<Driver>[];
  /** Takes a device over. ENODEV and ENXIO: it is not for this driver; whatever else is thrown is in the log. */
  probe?(dev: BaseDevice): void;
  /** Lets go of it. */
  remove?(dev: BaseDevice): void;
}

export class Driver implements Kobject {
  readonly kernel: KernelCore;
  readonly bus: Bus;
  readonly init: DriverInit;
  readonly devpath: string;
  readonly subsystem = 'drivers';

  /** @internal */
  constructor(bus: Bus, init: DriverInit) {
    this.kernel = bus.kernel;
    this.bus = bus;
    this.init = init;
    this.devpath = `${bus.devpath}/drivers/${init.name}`;
  }

  get name(): string {
    return this.init.name;
  }
}

/** driver_register(): it takes over the devices of its bus that match and have none. EBUSY */
export function driverRegister(bus: Bus, init: DriverInit): Driver {
  if (bus.drivers.has(init.name)) throw errno('EBUSY');
  const driver = new Driver(bus, init);
  bus.drivers.set(init.name, driver);
  const at = `sys${driver.devpath}`;
  const directory = bus.kernel.root.mkdir(at);
  const groups = [{ attrs: driverAttributes }, ...(init.groups ?? [])];
  for (const [name, ops] of Object.entries(attributesOf<Driver>(groups, driver))) {
    addAttribute(directory, name, ops, driver);
  }
  kobjectUevent(driver, 'add');
  if (bus.drivers_autoprobe) {
    for (const dev of bus.devices.values()) if (isFor(driver, dev)) deviceDriverAttach(driver, dev);
  }
  return driver;
}

/** driver_unregister(): it lets go of its devices first. */
export function driverUnregister(driver: Driver): void {
  const { bus, kernel, name } = driver;
  for (const dev of bus.devices.values()) if (dev.driver === driver) deviceReleaseDriver(dev);
  bus.drivers.delete(name);
  kobjectUevent(driver, 'remove');
  sysfsRemove(kernel.root, driver.devpath);
}

function isFor(driver: Driver, dev: BaseDevice): boolean {
  return !dev.driver && (driver.bus.init.match?.(dev, driver) ?? true);
}

/** bus_probe_device(): gives a device to the first driver that takes it. */
export function busProbeDevice(dev: BaseDevice): void {
  const { bus } = dev;
  if (!bus?.drivers_autoprobe) return;
  for (const driver of bus.drivers.values()) {
    if (isFor(driver, dev) && deviceDriverAttach(driver, dev)) return;
  }
}

/** device_driver_attach(): whether the driver has taken the device. */
export function deviceDriverAttach(driver: Driver, dev: BaseDevice): boolean {
  const { kernel } = dev;
  dev.driver = driver;
  try {
    driver.init.probe?.(dev);
  } catch (error) {
    dev.driver = undefined;
    const code = error instanceof ErrnoError ? error.errno : 0;
    if (code !== Errno.ENODEV && code !== Errno.ENXIO) {
      kernel.bug(`${driver.name} ${dev.name}: probe`, error);
    }
    return false;
  }
  sysfsCreateLink(kernel.root, driver.devpath, dev.devpath, dev.name);
  sysfsCreateLink(kernel.root, dev.devpath, driver.devpath, 'driver');
  kobjectUevent(dev, 'bind');
  return true;
}

/** device_release_driver() */
export function deviceReleaseDriver(dev: BaseDevice): void {
  const { driver, kernel } = dev;
  if (!driver) return;
  sysfsRemove(kernel.root, `${driver.devpath}/${dev.name}`);
  sysfsRemove(kernel.root, `${dev.devpath}/driver`);
  try {
    driver.init.remove?.(dev);
  } catch (error) {
    kernel.bug(`${driver.name} ${dev.name}: remove`, error);
  }
  dev.driver = undefined;
  kobjectUevent(dev, 'unbind');
}

/** bus_add_device() */
export function busAddDevice(bus: Bus, dev: BaseDevice): void {
  const { root } = dev.kernel;
  const at = `sys${dev.devpath}`;
  for (const [name, ops] of Object.entries(attributesOf(bus.init.dev_groups ?? [], dev))) {
    addAttribute(root.mkdir(at), name, ops, dev);
  }
  sysfsCreateLink(root, `${bus.devpath}/devices`, dev.devpath, dev.name);
  sysfsCreateLink(root, dev.devpath, bus.devpath, 'subsystem');
  bus.devices.set(dev.name, dev);
}

/** bus_remove_device() */
export function busRemoveDevice(bus: Bus, dev: BaseDevice): void {
  deviceReleaseDriver(dev);
  sysfsRemove(dev.kernel.root, `${bus.devpath}/devices/${dev.name}`);
  bus.devices.delete(dev.name);
}

const deviceNamed = ({ bus }: Driver, text: string): BaseDevice => {
  const dev = bus.devices.get(text.replace(/\n$/, ''));
  if (!dev) throw errno('ENODEV');
  return dev;
};

const driverAttributes = {
  bind: {
    seldom: true,
    store(text: string, driver: Driver) {
      const dev = deviceNamed(driver, text);
      if (!isFor(driver, dev) || !deviceDriverAttach(driver, dev)) throw errno('ENODEV');
    },
  },
  unbind: {
    seldom: true,
    store(text: string, driver: Driver) {
      const dev = deviceNamed(driver, text);
      if (dev.driver !== driver) throw errno('ENODEV');
      deviceReleaseDriver(dev);
    },
  },
  uevent: {
    store: (text: string, driver: Driver) => kobjectSynthUevent(driver, text),
    seldom: true,
  },
};
