/** Miscellaneous character devices, major 10. Linux: drivers/char/misc.c. */

import type { KernelCore } from '../../core.js';
import { type CharDevice, type CharDeviceOperations, MISC_MAJOR } from '../../fs/char_dev.js';

/** misc_register(): /dev/NAME with a dynamic minor number. */
export function miscRegister(
  kernel: KernelCore,
  name: string,
  f_op: CharDeviceOperations,
  { private_data, optional }: Pick<CharDevice, 'private_data' | 'optional'> = {},
): void {
  kernel.addCharDevice({
    name,
    className: 'misc',
    major: MISC_MAJOR,
    minor: kernel.charDevices.miscMinor(),
    mode: 0o600,
    f_op,
    private_data,
    optional,
  });
}
