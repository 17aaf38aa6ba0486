/** As much of vkms's connector as the probe attrs asks for: its attributes, as sysfs shows them. */
import {
  BaseDevice,
  classRegister,
  deviceAdd,
  errno,
  type Kernel,
  platformDeviceRegisterSimple,
} from '../src/index.js';

/** What may be written to `status`, and what it says then. */
const STATUS: Readonly<Record<string, string>> = {
  on: 'connected',
  'on-digital': 'connected',
  off: 'disconnected',
  detect: 'connected',
};

export function connector(kernel: Kernel): void {
  let status = 'connected';
  const store = (text: string) => {
    const said = STATUS[text.replace(/\n$/, '')];
    if (said === undefined) throw errno('EINVAL');
    status = said;
  };
  const drm = classRegister(kernel, { name: 'drm' });
  const parent = kernel.addCharDevice({
    ...{ name: 'dri/card0', className: 'drm', major: 226, minor: 0, mode: 0o600, f_op: {} },
    ...{ parent: platformDeviceRegisterSimple(kernel, 'vkms'), type: { name: 'drm_minor' } },
  });
  const attrs = {
    status: { show: () => `${status}\n`, store },
    enabled: { show: () => 'enabled\n' },
    edid: { read: () => new Uint8Array() },
  };
  deviceAdd(
    new BaseDevice(kernel, {
      ...{ name: 'card0-Virtual-1', parent, class: drm },
      type: { name: 'drm_connector', groups: [{ attrs }] },
    }),
  );
}
