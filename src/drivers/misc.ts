/** Miscellaneous character devices, major 10. Linux: drivers/char/misc.c. */
import type { CharDevice, CharDeviceOperations } from '../fs/char_dev.js';
import type { Kernel } from '../kernel.js';

const MISC_MAJOR = 10;
/** Where the dynamic minor numbers of Linux 6.x begin to be given out, downwards. */
const FIRST_DYNAMIC_MINOR = 127;

/** misc_register(): /dev/NAME with a dynamic minor number. */
export function miscRegister(
  kernel: Kernel,
  name: string,
  f_op: CharDeviceOperations,
  { private_data, optional }: Pick<CharDevice, 'private_data' | 'optional'> = {},
): void {
  kernel.addCharDevice({
    name,
    className: 'misc',
    major: MISC_MAJOR,
    minor: FIRST_DYNAMIC_MINOR - kernel.charDevices.nextMinor(MISC_MAJOR),
    mode: 0o600,
    f_op,
    private_data,
    optional,
  });
}
