/** Classes of devices: /sys/class/NAME. Linux: drivers/base/class.c. */
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { PerKernel } from '../per_kernel.js';
import { type AttributeGroup, addAttribute, attributesOf } from './attribute.js';
import type { BaseDevice, DevNode } from './core.js';
import { type Kobject, kobjectUevent, type UeventEnv } from './kobject_uevent.js';
import { sysfsRemove } from './sysfs.js';
import type { UdevRules } from './udev_rules.js';

/** struct class. Everything but its name is optional. */
export interface ClassInit extends UdevRules<BaseDevice> {
  readonly name: string;
  /** Files of the class itself. */
  readonly class_groups?: readonly AttributeGroup<Class>[];
  /** Files of each of its devices. */
  readonly dev_groups?: readonly AttributeGroup<BaseDevice>[];
  /** Adds to the environment of its devices' events. */
  dev_uevent?(dev: BaseDevice, env: UeventEnv): void;
  /** The nodes of its devices, where that is not their name and 0600. */
  devnode?(dev: BaseDevice): DevNode | undefined;
  /** A device of its has gone; `release` of the device itself comes first. */
  dev_release?(dev: BaseDevice): void;
}

export class Class implements Kobject {
  readonly kernel: KernelCore;
  readonly init: ClassInit;
  readonly devpath: string;
  readonly subsystem = 'class';
  /** Those that are registered. */
  readonly devices = new Set<BaseDevice>();

  /** @internal */
  constructor(kernel: KernelCore, init: ClassInit) {
    this.kernel = kernel;
    this.init = init;
    this.devpath = `/class/${init.name}`;
  }

  get name(): string {
    return this.init.name;
  }
}

const classes = new PerKernel<KernelCore, Map<string, Class>>(() => new Map());

/** class_register(). EEXIST */
export function classRegister(kernel: KernelCore, init: ClassInit): Class {
  const known = classes.of(kernel);
  if (known.has(init.name)) throw errno('EEXIST');
  const cls = new Class(kernel, init);
  known.set(init.name, cls);
  const at = `sys${cls.devpath}`;
  const directory = kernel.root.mkdir(at);
  for (const [name, ops] of Object.entries(attributesOf(init.class_groups ?? [], cls))) {
    addAttribute(directory, name, ops, cls);
  }
  kobjectUevent(cls, 'add');
  return cls;
}

/** The class of a name; made, if there is none. */
export function classGet(kernel: KernelCore, name: string): Class {
  return classes.of(kernel).get(name) ?? classRegister(kernel, { name });
}

/** class_unregister(). EBUSY while there are devices of it. */
export function classUnregister(cls: Class): void {
  if (cls.devices.size > 0) throw errno('EBUSY');
  kobjectUevent(cls, 'remove');
  classes.of(cls.kernel).delete(cls.name);
  sysfsRemove(cls.kernel.root, cls.devpath);
}
