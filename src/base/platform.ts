/** Devices that no bus finds: /sys/devices/platform, /sys/bus/platform. Linux: drivers/base/platform.c. */
import type { KernelCore } from '../core.js';
import { Device, type DeviceInit } from '../mm/device.js';
import { PerKernel } from '../per_kernel.js';
import { type Bus, busRegister, type Driver, type DriverInit, driverRegister } from './bus.js';
import { BaseDevice, deviceAdd } from './core.js';

const platform = new PerKernel<KernelCore, { bus: Bus; root: BaseDevice }>((kernel) => {
  const root = new BaseDevice(kernel, { name: 'platform' });
  deviceAdd(root);
  return { root, bus: busRegister(kernel, platformBusType) };
});

/** platform_bus_type */
export function platformBus(kernel: KernelCore): Bus {
  return platform.of(kernel).bus;
}

/** The name without the number that follows it. */
const names = new WeakMap<BaseDevice, string>();
const overrides = new WeakMap<BaseDevice, string>();
const modalias = (dev: BaseDevice) => `platform:${names.get(dev)}`;

const platformBusType = {
  name: 'platform',
  match: (dev: BaseDevice, { name }: Driver) => (overrides.get(dev) ?? names.get(dev)) === name,
  uevent: (dev: BaseDevice, env: { add(text: string): void }) =>
    env.add(`MODALIAS=${modalias(dev)}`),
  dev_groups: [
    {
      attrs: {
        modalias: { show: (dev: BaseDevice) => `${modalias(dev)}\n` },
        driver_override: {
          show: (dev: BaseDevice) => `${overrides.get(dev) ?? '(null)'}\n`,
          store(text: string, dev: BaseDevice) {
            const name = text.replace(/\n$/, '');
            if (name === '') overrides.delete(dev);
            else overrides.set(dev, name);
          },
          seldom: true,
        },
      },
    },
  ],
};

/** What udevd's `path_id` says of a device on, or below, a platform device. */
export function pathId(dev: BaseDevice): Record<string, string> {
  for (let at: BaseDevice | undefined = dev; at; at = at.parent) {
    if (!names.has(at)) continue;
    const path = `platform-${at.name}`;
    return { ID_PATH: path, ID_PATH_TAG: path.replaceAll(/[^\w-]/g, '_') };
  }
  return {};
}

/** PLATFORM_DEVID_NONE: the device's name has no number. */
export const PLATFORM_DEVID_NONE = -1;

/**
 * platform_device_register_simple(): the device `NAME` or `NAME.ID`, for a driver of that name. What it can do with memory
 * is in `dma`. As {@link deviceAdd}.
 */
export function platformDeviceRegisterSimple(
  kernel: KernelCore,
  name: string,
  id = PLATFORM_DEVID_NONE,
  dma: Omit<DeviceInit, 'name' | 'bus' | 'class' | 'parent'> = {},
): Device {
  const { bus, root } = platform.of(kernel);
  const full = id === PLATFORM_DEVID_NONE ? name : `${name}.${id}`;
  const dev = new Device(kernel, { ...dma, name: full, bus, parent: root });
  names.set(dev, name);
  deviceAdd(dev);
  return dev;
}

/** platform_driver_register(): for the devices of its name. As {@link driverRegister}. */
export function platformDriverRegister(kernel: KernelCore, init: DriverInit): Driver {
  return driverRegister(platformBus(kernel), init);
}
