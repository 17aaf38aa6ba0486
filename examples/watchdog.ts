/**
 * A watchdog: what is behind Linux's /dev/watchdog, as the softdog driver has it with `soft_noboot`.
 *
 * When nobody has written for `timeout` seconds, a line in the kernel log says so (`run --verbose` shows it), and
 * /sys/class/watchdog/watchdog0/triggered counts it; nothing is rebooted. Left out: the temperature (ENOTTY),
 * the reason of the last reset, which is none, and governors of the pretimeout: it is a line in the log, too.
 *
 *     dmabuf-shim run --device examples/watchdog.ts,timeout=30 -- wdctl
 */
import { defineDevice, errno, KERN_CRIT, KERN_INFO, type KernelCore } from 'dmabuf-shim';
import {
  _IOC_WRITE,
  array,
  field,
  flags,
  ioctls,
  ior,
  iowr,
  s32,
  struct,
  u8,
  u32,
} from 'dmabuf-shim/ioctl';

export const WATCHDOG_IOCTL_BASE = 'W';

/** The timeout can be set. */
export const WDIOF_SETTIMEOUT = 0x0080;
/** It stops at close(2) only if a V was written before; as status: it was. */
export const WDIOF_MAGICCLOSE = 0x0100;
/** There can be an event some seconds before the time is over. */
export const WDIOF_PRETIMEOUT = 0x0200;
/** It can be kept alive; as status: it was, since that was last asked for. */
export const WDIOF_KEEPALIVEPING = 0x8000;
const WDIOF = { WDIOF_SETTIMEOUT, WDIOF_MAGICCLOSE, WDIOF_PRETIMEOUT, WDIOF_KEEPALIVEPING };

export const WDIOS_DISABLECARD = 0x0001;
export const WDIOS_ENABLECARD = 0x0002;

/** Argument of WDIOC_GETSUPPORT. */
export const watchdog_info = struct('watchdog_info', {
  /** out: what it can do */
  options: field(u32, { flags: flags(WDIOF) }),
  /** out: the version of its firmware */
  firmware_version: u32,
  /** out: its name, NUL-terminated */
  identity: array(u8, 32),
});

export const watchdog_ioctls = ioctls({
  /** What it is, and what it can do. */
  WDIOC_GETSUPPORT: ior(WATCHDOG_IOCTL_BASE, 0, watchdog_info),
  /** WDIOF_ bits of what was done */
  WDIOC_GETSTATUS: ior(WATCHDOG_IOCTL_BASE, 1, s32),
  /** WDIOF_ bits of why the machine was reset */
  WDIOC_GETBOOTSTATUS: ior(WATCHDOG_IOCTL_BASE, 2, s32),
  /** WDIOS_ bits; the argument is read, whatever the number says. EBUSY: `nowayout`; ENOTTY: neither. */
  WDIOC_SETOPTIONS: ior(WATCHDOG_IOCTL_BASE, 4, s32, {
    copy: _IOC_WRITE,
    errors: ['EBUSY', 'ENOTTY'],
  }),
  /** As write(2) does; the argument is not looked at. */
  WDIOC_KEEPALIVE: ior(WATCHDOG_IOCTL_BASE, 5, s32, { arg: undefined }),
  /** Seconds, 1 to 65535; also keeps it alive. EINVAL */
  WDIOC_SETTIMEOUT: iowr(WATCHDOG_IOCTL_BASE, 6, s32, { errors: ['EINVAL'] }),
  WDIOC_GETTIMEOUT: ior(WATCHDOG_IOCTL_BASE, 7, s32),
  /** Seconds before the end of the timeout; 0: none. It holds from the next ping on. EINVAL: not less than the timeout. */
  WDIOC_SETPRETIMEOUT: iowr(WATCHDOG_IOCTL_BASE, 8, s32, { errors: ['EINVAL'] }),
  WDIOC_GETPRETIMEOUT: ior(WATCHDOG_IOCTL_BASE, 9, s32),
  /** Seconds until it triggers. */
  WDIOC_GETTIMELEFT: ior(WATCHDOG_IOCTL_BASE, 10, s32),
});

const options = WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_PRETIMEOUT | WDIOF_KEEPALIVEPING;
const identity = 'Software Watchdog';
const supported = watchdog_info.create({ options, identity: Buffer.from(identity) });

/** The timer, which both nodes are of. Times are in seconds; `status` has WDIOF_ bits. */
const makeWatchdog = (kernel: KernelCore, timeout: number, nowayout: boolean) => {
  const timers: NodeJS.Timeout[] = [];
  return {
    kernel,
    timeout,
    nowayout,
    pretimeout: 0,
    status: 0,
    opened: false,
    end: 0,
    triggered: 0,
    timers,
  };
};
type Watchdog = ReturnType<typeof makeWatchdog>;
const watchdogs = new WeakMap<KernelCore, Watchdog>();

const log = ({ kernel }: Watchdog, level: number, text: string) =>
  kernel.printk(level, `watchdog: watchdog0: ${text}`);
const isActive = ({ timers }: Watchdog) => timers.length > 0;
const now = () => performance.now() / 1000;
const timeleft = ({ end }: Watchdog) => Math.max(0, Math.ceil(end - now()));

function disarm(watchdog: Watchdog): void {
  for (const timer of watchdog.timers.splice(0)) clearTimeout(timer);
  watchdog.end = 0;
}

function start(watchdog: Watchdog): void {
  const { kernel, pretimeout, timeout, timers } = watchdog;
  const after = (seconds: number, action: () => void) =>
    timers.push(setTimeout(action, seconds * 1000));
  disarm(watchdog);
  watchdog.status |= WDIOF_KEEPALIVEPING;
  watchdog.end = now() + timeout;
  if (pretimeout > 0)
    after(timeout - pretimeout, () => log(watchdog, KERN_CRIT, 'pretimeout event'));
  after(timeout, () => {
    watchdog.triggered++;
    kernel.printk(KERN_CRIT, 'softdog: Triggered - Reboot ignored');
  });
}

function stop(watchdog: Watchdog): void {
  if (watchdog.nowayout) {
    log(watchdog, KERN_INFO, 'nowayout prevents watchdog being stopped!');
    throw errno('EBUSY');
  }
  disarm(watchdog);
}

function ping(watchdog: Watchdog): void {
  watchdog.status |= WDIOF_KEEPALIVEPING;
  if (isActive(watchdog)) start(watchdog);
}

/** Having been kept alive is told once. */
function takeStatus(watchdog: Watchdog): number {
  const { status } = watchdog;
  watchdog.status &= ~WDIOF_KEEPALIVEPING;
  return status;
}

/** An ioctl that tells a number. */
const tell =
  (ask: (watchdog: Watchdog) => number) =>
  ({ device }: { device: Watchdog }, out: { value: number }): undefined => {
    out.value = ask(device);
  };

/** Files of /sys/class/watchdog/watchdog0. `triggered` is not Linux's, which would be gone by then. */
const attributes = {
  identity: () => identity,
  options: () => `0x${options.toString(16)}`,
  bootstatus: () => '0',
  status: (watchdog: Watchdog) => `0x${takeStatus(watchdog).toString(16)}`,
  state: (watchdog: Watchdog) => (isActive(watchdog) ? 'active' : 'inactive'),
  timeout: ({ timeout }: Watchdog) => `${timeout}`,
  pretimeout: ({ pretimeout }: Watchdog) => `${pretimeout}`,
  timeleft: (watchdog: Watchdog) => `${timeleft(watchdog)}`,
  triggered: ({ triggered }: Watchdog) => `${triggered}`,
  nowayout: {
    show: ({ nowayout }: Watchdog) => `${Number(nowayout)}`,
    store(watchdog: Watchdog, text: string) {
      if (text !== '0' && text !== '1') throw errno('EINVAL');
      if (watchdog.nowayout && text === '0') throw errno('EPERM');
      watchdog.nowayout = text === '1';
    },
  },
};

const node = (where: { name: string; className: string; major?: number; minor?: number }) =>
  defineDevice({
    ...where,
    doc: 'A watchdog in software: who opens it has to write to it from then on.',
    options: { timeout: 60, nowayout: false },
    ioctls: watchdog_ioctls,
    attributes: where.className === 'watchdog' ? attributes : {},
    probe(kernel, { timeout, nowayout }) {
      const watchdog = watchdogs.get(kernel) ?? makeWatchdog(kernel, timeout, nowayout);
      watchdogs.set(kernel, watchdog);
      return watchdog;
    },
    remove: disarm,
    open({ device }) {
      if (device.opened) throw errno('EBUSY');
      device.opened = true;
      start(device);
    },
    release({ device }) {
      device.opened = false;
      if (device.status & WDIOF_MAGICCLOSE && !device.nowayout) disarm(device);
      else if (isActive(device)) log(device, KERN_CRIT, 'watchdog did not stop!');
      device.status &= ~WDIOF_MAGICCLOSE;
    },
    write({ device }, bytes) {
      if (bytes.length === 0) return;
      device.status &= ~WDIOF_MAGICCLOSE;
      if (bytes.includes('V'.charCodeAt(0))) device.status |= WDIOF_MAGICCLOSE;
      ping(device);
    },
    ioctl: {
      WDIOC_GETSUPPORT(_file, info) {
        info.bytes.set(supported.bytes);
      },
      WDIOC_GETSTATUS: tell(takeStatus),
      WDIOC_GETBOOTSTATUS: tell(() => 0),
      WDIOC_GETTIMEOUT: tell(({ timeout }) => timeout),
      WDIOC_GETPRETIMEOUT: tell(({ pretimeout }) => pretimeout),
      WDIOC_GETTIMELEFT: tell(timeleft),
      WDIOC_SETOPTIONS({ device }, { value }) {
        if (!(value & (WDIOS_DISABLECARD | WDIOS_ENABLECARD))) throw errno('ENOTTY');
        if (value & WDIOS_DISABLECARD) stop(device);
        if (value & WDIOS_ENABLECARD) start(device);
      },
      WDIOC_KEEPALIVE({ device }) {
        ping(device);
      },
      WDIOC_SETTIMEOUT({ device }, { value }) {
        if (value < 1 || value > 65535) throw errno('EINVAL');
        device.timeout = value;
        if (device.pretimeout >= value) device.pretimeout = 0;
        ping(device);
      },
      WDIOC_SETPRETIMEOUT({ device }, { value }) {
        if (value < 0 || value >= device.timeout) throw errno('EINVAL');
        device.pretimeout = value;
      },
    },
  });

/** /dev/watchdog0, and its old name. */
export default [
  node({ name: 'watchdog0', className: 'watchdog' }),
  node({ name: 'watchdog', className: 'misc', major: 10, minor: 130 }),
];
