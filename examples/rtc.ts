/**
 * A real time clock: what is behind Linux's /dev/rtc0. It starts with the machine's time, and ticks with it; setting
 * it sets nothing else.
 *
 * Left out: privileges (any rate of interrupts, and the time, can be set by all), the correction of the rate, backup
 * batteries that run low (RTC_VL_READ is 0), SIGIO, and /proc/driver/rtc.
 *
 *     dmabuf-shim run --device examples/rtc.ts -- hwclock --rtc=/dev/rtc0 --show --verbose
 */
import { defineDevice, errno } from 'dmabuf-shim';
import {
  _IOC_READ,
  _IOC_WRITE,
  anonymous,
  io,
  ioctls,
  ior,
  iow,
  POLLIN,
  POLLRDNORM,
  s32,
  s64,
  struct,
  u8,
  u32,
  u64,
  union,
} from 'dmabuf-shim/ioctl';

/** Of what read(2) gives, the low byte: an interrupt has come; */
export const RTC_IRQF = 0x80;
/** a periodic one, */
export const RTC_PF = 0x40;
/** the alarm, */
export const RTC_AF = 0x20;
/** a second is over. */
export const RTC_UF = 0x10;

export const RTC_FEATURE_ALARM = 0;
export const RTC_FEATURE_UPDATE_INTERRUPT = 4;
export const RTC_PARAM_FEATURES = 0;
/** Periodic interrupts in a second. */
export const RTC_MAX_FREQ = 8192;

/** As struct tm: UTC, `tm_year` since 1900, `tm_mon` from 0. */
export const rtc_time = struct('rtc_time', {
  ...{ tm_sec: s32, tm_min: s32, tm_hour: s32, tm_mday: s32, tm_mon: s32, tm_year: s32 },
  /** out; not looked at, as the two that follow */
  tm_wday: s32,
  tm_yday: s32,
  tm_isdst: s32,
});
const FIELDS = ['tm_sec', 'tm_min', 'tm_hour', 'tm_mday', 'tm_mon', 'tm_year'] as const;
type Time = Readonly<Record<(typeof FIELDS)[number], number>>;
const DAY = 86_400_000;

/** Argument of RTC_WKALM_SET and RTC_WKALM_RD. */
export const rtc_wkalrm = struct('rtc_wkalrm', {
  /** whether it rings */
  enabled: u8,
  /** out: 0 */
  pending: u8,
  time: rtc_time,
});

/** Argument of RTC_PARAM_GET. */
export const rtc_param = struct('rtc_param', {
  /** in: RTC_PARAM_FEATURES */
  param: u64,
  /** out: bits, RTC_FEATURE_ALARM … */
  _: anonymous(union({ uvalue: u64, svalue: s64, ptr: u64 })),
  /** in: 0 */
  index: u32,
  __pad: u32,
});

export const rtc_ioctls = ioctls({
  /** The alarm interrupts, once. */
  RTC_AIE_ON: io('p', 0x01),
  RTC_AIE_OFF: io('p', 0x02),
  /** An interrupt at each second. */
  RTC_UIE_ON: io('p', 0x03),
  RTC_UIE_OFF: io('p', 0x04),
  /** Interrupts at the rate that was set. */
  RTC_PIE_ON: io('p', 0x05),
  RTC_PIE_OFF: io('p', 0x06),
  /** The next time that it is so late in the day; it does not ring before RTC_AIE_ON. EINVAL */
  RTC_ALM_SET: iow('p', 0x07, rtc_time, { errors: ['EINVAL'] }),
  RTC_ALM_READ: ior('p', 0x08, rtc_time),
  RTC_RD_TIME: ior('p', 0x09, rtc_time),
  /** EINVAL: no such time. */
  RTC_SET_TIME: iow('p', 0x0a, rtc_time, { errors: ['EINVAL'] }),
  RTC_IRQP_READ: ior('p', 0x0b, u64),
  /** The argument is the rate itself, 1 to RTC_MAX_FREQ in a second. EINVAL */
  RTC_IRQP_SET: iow('p', 0x0c, u64, { arg: undefined, errors: ['EINVAL'] }),
  /** EINVAL: no such time. */
  RTC_WKALM_SET: iow('p', 0x0f, rtc_wkalrm, { errors: ['EINVAL'] }),
  RTC_WKALM_RD: ior('p', 0x10, rtc_wkalrm),
  /** It is copied back, whatever the number says. EINVAL: no such parameter. */
  RTC_PARAM_GET: iow('p', 0x13, rtc_param, { copy: _IOC_READ | _IOC_WRITE, errors: ['EINVAL'] }),
  /** Bits of what is wrong with the battery. */
  RTC_VL_READ: ior('p', 0x13, u32),
});

/** Times are in milliseconds since 1970, by this clock. */
class Rtc {
  /** What it is ahead of the machine's clock. */
  #ahead = 0;
  alarm = 0;
  /** Periodic interrupts in a second. */
  rate = 64;
  maxUserFreq = '64';
  file: { wake(): void } | undefined;
  /** Interrupts since the last read(2), and of what kinds they were. */
  count = 0;
  #kinds = 0;
  /** When the last periodic interrupt was. */
  #ticked = 0;
  readonly #timers = new Map<number, NodeJS.Timeout>();

  get now(): number {
    return Date.now() + this.#ahead;
  }

  set now(time: number) {
    this.#ahead = time - Date.now();
    if (this.isOn(RTC_AF)) this.alarmOn();
    if (this.isOn(RTC_UF)) this.updateOn();
  }

  isOn(kind: number): boolean {
    return this.#timers.has(kind);
  }

  off(...kinds: number[]): void {
    for (const kind of kinds) {
      clearTimeout(this.#timers.get(kind));
      this.#timers.delete(kind);
    }
  }

  alarmOn(): void {
    this.#at(this.alarm, RTC_AF, () => this.#interrupt(RTC_AF));
  }

  updateOn(): void {
    this.#at(Math.floor(this.now / 1000) * 1000 + 1000, RTC_UF, () => {
      this.#interrupt(RTC_UF);
      this.updateOn();
    });
  }

  periodicOn(): void {
    this.off(RTC_PF);
    this.#ticked = performance.now();
    const tick = () => {
      this.tick();
      const next = this.#ticked + 1000 / this.rate;
      this.#timers.set(RTC_PF, setTimeout(tick, next - performance.now()));
    };
    tick();
  }

  /** Periodic interrupts that are due: several at once where they are more frequent than timers, or those late. */
  tick(): void {
    if (!this.isOn(RTC_PF)) return;
    const period = 1000 / this.rate;
    const due = Math.floor((performance.now() - this.#ticked) / period);
    this.#ticked += due * period;
    if (due > 0) this.#interrupt(RTC_PF, due);
  }

  #at(time: number, kind: number, action: () => void): void {
    this.off(kind);
    const left = time - this.now;
    if (left <= 0) {
      action();
      return;
    }
    const look = () => this.#at(time, kind, action);
    this.#timers.set(kind, setTimeout(look, Math.min(left, 1e9)));
  }

  #interrupt(kind: number, count = 1): void {
    this.count += count;
    this.#kinds |= RTC_IRQF | kind;
    this.file?.wake();
  }

  /** What read(2) gives: an unsigned long, or an int. */
  take(size: number): Uint8Array {
    const { bytes } = u64.create(BigInt(this.count * 256 + this.#kinds));
    [this.count, this.#kinds] = [0, 0];
    return bytes.subarray(0, size === 4 ? 4 : 8);
  }
}

/** struct rtc_time of a time. */
function brokenDown(time: number) {
  const date = new Date(time);
  const year = date.getUTCFullYear();
  return {
    tm_sec: date.getUTCSeconds(),
    tm_min: date.getUTCMinutes(),
    tm_hour: date.getUTCHours(),
    tm_mday: date.getUTCDate(),
    tm_mon: date.getUTCMonth(),
    tm_year: year - 1900,
    tm_wday: date.getUTCDay(),
    /** From 1 on, unlike struct tm's. */
    tm_yday: Math.floor((time - Date.UTC(year, 0)) / DAY) + 1,
  };
}

/** EINVAL: there is no 30th of February. */
function timeOf(tm: Time): number {
  const { tm_year, tm_mon, tm_mday, tm_hour, tm_min, tm_sec } = tm;
  const time = Date.UTC(1900 + tm_year, tm_mon, tm_mday, tm_hour, tm_min, tm_sec);
  const same = brokenDown(time);
  if (!(time >= 0) || FIELDS.some((field) => tm[field] !== same[field])) throw errno('EINVAL');
  return time;
}

const seconds = (time: number) => Math.floor(time / 1000);
const iso = ({ now }: Rtc) => new Date(now).toISOString();

export default defineDevice({
  name: 'rtc0',
  className: 'rtc',
  doc: 'A real time clock, with an alarm and periodic interrupts.',
  ioctls: rtc_ioctls,
  probe: () => new Rtc(),
  remove: (rtc) => rtc.off(RTC_AF, RTC_UF, RTC_PF),
  open(file) {
    if (file.device.file) throw errno('EBUSY');
    file.device.file = file;
  },
  /** The alarm stays on: it may have to wake the machine. */
  release({ device }) {
    device.off(RTC_UF, RTC_PF);
    device.file = undefined;
  },
  async read({ device }, size, call) {
    if (size !== 4 && size < 8) throw errno('EINVAL');
    device.tick();
    await call.waitEvent(() => device.count > 0);
    return device.take(size);
  },
  poll: ({ device }) => (device.count > 0 ? POLLIN | POLLRDNORM : 0),
  ioctl: {
    RTC_AIE_ON: ({ device }) => device.alarmOn(),
    RTC_AIE_OFF: ({ device }) => device.off(RTC_AF),
    RTC_UIE_ON: ({ device }) => device.updateOn(),
    RTC_UIE_OFF: ({ device }) => device.off(RTC_UF),
    RTC_PIE_ON: ({ device }) => device.periodicOn(),
    RTC_PIE_OFF: ({ device }) => device.off(RTC_PF),
    RTC_ALM_SET({ device }, { tm_hour, tm_min, tm_sec }) {
      const time = timeOf({ ...brokenDown(device.now), tm_hour, tm_min, tm_sec });
      device.off(RTC_AF);
      device.alarm = time > device.now ? time : time + DAY;
    },
    RTC_ALM_READ({ device }, tm) {
      Object.assign(tm, brokenDown(device.alarm));
    },
    RTC_RD_TIME({ device }, tm) {
      Object.assign(tm, brokenDown(device.now));
    },
    RTC_SET_TIME({ device }, tm) {
      device.now = timeOf(tm);
    },
    RTC_IRQP_READ({ device }, out) {
      out.value = BigInt(device.rate);
    },
    RTC_IRQP_SET({ device }, rate) {
      if (rate < 1 || rate > RTC_MAX_FREQ) throw errno('EINVAL');
      device.rate = rate;
      if (device.isOn(RTC_PF)) device.periodicOn();
    },
    RTC_WKALM_SET({ device }, { enabled, time }) {
      device.alarm = timeOf(time);
      device.off(RTC_AF);
      if (enabled) device.alarmOn();
    },
    RTC_WKALM_RD({ device }, alarm) {
      alarm.enabled = Number(device.isOn(RTC_AF));
      Object.assign(alarm.time, brokenDown(device.alarm));
    },
    RTC_PARAM_GET(_file, arg) {
      if (arg.param !== BigInt(RTC_PARAM_FEATURES) || arg.index !== 0) throw errno('EINVAL');
      arg.uvalue = BigInt((1 << RTC_FEATURE_ALARM) | (1 << RTC_FEATURE_UPDATE_INTERRUPT));
    },
    RTC_VL_READ() {},
  },
  attributes: {
    name: () => 'rtc-model rtc-model.0',
    date: (rtc) => iso(rtc).slice(0, 10),
    time: (rtc) => iso(rtc).slice(11, 19),
    since_epoch: ({ now }) => `${seconds(now)}`,
    hctosys: () => '0',
    range: () => '[0,8640000000000]',
    'device/power/wakeup': () => 'enabled',
    max_user_freq: {
      show: ({ maxUserFreq }) => maxUserFreq,
      store(rtc, text) {
        if (!/^\d+$/.test(text) || !(+text > 0 && +text < 4096)) throw errno('EINVAL');
        rtc.maxUserFreq = text;
      },
    },
    wakealarm: {
      show: (rtc) => (rtc.isOn(RTC_AF) ? `${seconds(rtc.alarm)}` : ''),
      /** Since 1970, `+` from now, `+=` from the alarm on; what is past turns it off. */
      store(rtc, text) {
        const [, sign, digits] = /^(\+=?|)(\d{1,11})$/.exec(text) ?? [];
        if (digits === undefined) throw errno('EINVAL');
        if (rtc.isOn(RTC_AF) && sign !== '+=' && digits !== '0') throw errno('EBUSY');
        const from = sign === '+' ? rtc.now : sign === '+=' ? rtc.alarm : 0;
        rtc.off(RTC_AF);
        rtc.alarm = (seconds(from) + Number(digits)) * 1000;
        if (rtc.alarm > rtc.now) rtc.alarmOn();
      },
    },
  },
});
