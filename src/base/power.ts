/** Files of power management, which every device has. Linux: drivers/base/power/sysfs.c. */
import { errno } from '../errno.js';

const unsupported = (): never => {
  throw errno('EIO');
};

/** Of a device that does no runtime power management. */
export function powerAttributes() {
  let control = 'auto';
  return {
    'power/autosuspend_delay_ms': {
      seldom: true,
      show: unsupported,
      store: unsupported,
    },
    'power/control': {
      seldom: true,
      show: () => `${control}\n`,
      store(text: string) {
        const wanted = text.replace(/\n$/, '');
        if (wanted !== 'auto' && wanted !== 'on') throw errno('EINVAL');
        control = wanted;
      },
    },
    'power/runtime_active_time': { show: () => '0\n' },
    'power/runtime_status': { show: () => 'unsupported\n' },
    'power/runtime_suspended_time': { show: () => '0\n' },
  };
}
