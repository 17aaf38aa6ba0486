/**
 * examples/watchdog.ts and examples/rtc.ts: drivers that Linux has, declared by defineDevice. Programs of Debian's find
 * nothing missing, and what each call gives is what Linux 6.1 gave (fixtures/models, recorded with the same programs).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { type IoctlTable, O_RDWR, type StructType, u64 } from '../../ioctl/index.js';
import { loadDevices } from '../../src/cli/devices.js';
import type { DeviceOptions, Kernel } from '../../src/index.js';
import { loadModule } from '../../uapi/load.js';
import { cli } from '../cli.js';
import { GCC, LINKAGES, needs, needsCompiler, program } from '../programs.js';
import { run, testKernel, until } from '../run.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const example = (name: string) => path(`../../examples/${name}.ts`);
const code = (name: string) => expect.objectContaining({ code: name });

async function kernelWith(name: string, options: DeviceOptions = {}): Promise<Kernel> {
  const kernel = testKernel();
  for (const device of await loadDevices(example(name))) kernel.addDevice(device, options);
  return kernel;
}

/** What a shell under the kernel prints: both ways, as it comes. */
async function shell(kernel: Kernel, script: string) {
  const { status, stdout, stderr } = await run(kernel, 'sh', ['-c', script]);
  return { status, text: stdout + stderr };
}

const WATCHDOG: [string, string] = ['wdctl', 'util-linux'];
const HWCLOCK: [string, string] = ['/usr/sbin/hwclock', 'util-linux-extra'];
const RTCWAKE: [string, string] = ['/usr/sbin/rtcwake', 'util-linux'];
const BUSYBOX: [string, string] = ['busybox', 'busybox'];

describe.each([
  ['watchdog', 'watchdog', 7, 1],
  ['rtc', 'rtc', 16, 3],
])('the definitions of %s', (name, header, ioctls, structs) => {
  beforeEach(needsCompiler);

  test(`are those of <linux/${header}.h>`, async () => {
    const exports = await loadModule(example(name));
    const ours: Record<string, number> = {};
    const { [`${name}_ioctls`]: table } = exports as Record<string, IoctlTable>;
    for (const def of Object.values(table ?? {})) ours[def.name] = def.request;
    expect(Object.keys(ours).length).toBeGreaterThanOrEqual(ioctls);
    const types = Object.values(exports).filter(isStruct);
    expect(types).toHaveLength(structs);
    for (const { fields, size, tag } of types) {
      ours[`sizeof(struct ${tag})`] = size;
      for (const field of fields) {
        ours[`offsetof(struct ${tag}, ${field.name})`] = field.offset;
        ours[`sizeof(((struct ${tag} *)0)->${field.name})`] = field.type.size;
      }
    }
    for (const [key, value] of Object.entries(exports)) {
      if (typeof value === 'number') ours[key] = value;
    }
    expect(Object.keys(ours).length).toBeGreaterThan(20);
    expect(evaluate(`#include <linux/${header}.h>`, Object.keys(ours))).toEqual(ours);
  });
});

function isStruct(value: unknown): value is StructType {
  return value instanceof Object && 'tag' in value && 'fields' in value;
}

/** What constant expressions are in C. */
function evaluate(include: string, expressions: string[]): Record<string, number> {
  const values = expressions.map((text, i) => `unsigned int value_${i} = (${text});`);
  const input = ['#include <stddef.h>', include, ...values, ''].join('\n');
  const { status, stdout, stderr } = spawnSync(GCC[0], ['-S', '-xc', '-o-', '-'], {
    input,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  // In the data section: "value_3:" and then ".long 1074288393", or ".zero 4".
  const found = new Map<number, number>();
  for (const [, i, long] of stdout.matchAll(/^value_(\d+):\n\s+\.(?:long\s+(-?\d+)|zero\s+4)$/gm)) {
    found.set(Number(i), Number(long ?? 0) >>> 0);
  }
  return Object.fromEntries(expressions.map((text, i) => [text, found.get(i) ?? Number.NaN]));
}

describe.each(LINKAGES)('call by call (%s)', (linkage) => {
  beforeEach(needsCompiler);

  test.each(['watchdog', 'rtc'])('%s is as Linux 6.1 has it', async (name) => {
    const recorded = readFileSync(path(`../../fixtures/models/${name}.txt`), 'utf8');
    const kernel = await kernelWith(name);
    const { stdout, stderr } = await run(kernel, program(name, linkage), [], { exact: true });
    expect(stderr).toBe('');
    // An alarm that is set from now on: how many seconds the program has taken so far is the machine's business.
    const settled = (text: string) =>
      text.replaceAll(/^(wakealarm \+.*\nWKALM_RD .*):\d\d$/gm, '$1:…');
    expect(settled(stdout)).toBe(settled(recorded));
  });
});

describe('run --trace', () => {
  beforeEach(needsCompiler);

  test('shows what is really copied, whatever the numbers say', async () => {
    const trace = (name: string) =>
      cli('run', '--exact', '--device', example(name), '--trace', '--', program(name)).stderr.split(
        '\n',
      );
    const watchdog = trace('watchdog');
    expect(watchdog).toContain('ioctl(3, WDIOC_SETOPTIONS, [8]) = -1 ENOTTY');
    expect(watchdog).toContain('ioctl(3, WDIOC_SETTIMEOUT, [45]) = 0');
    const rtc = trace('rtc');
    expect(rtc).toContain('ioctl(3, RTC_IRQP_SET, 0x40) = 0');
    expect(rtc.find((line) => line.includes('RTC_PARAM_GET, {param=0,'))).toMatch(
      /\{param=0, uvalue=0, .*\} => \{uvalue=17, svalue=17, ptr=17\}\) = 0$/,
    );
  });
});

describe('/dev/watchdog', () => {
  describe('wdctl', () => {
    beforeEach(needs(WATCHDOG));

    test('says what it is, reading /sys', () => {
      const { status, stdout, stderr } = cli('run', '--device', example('watchdog'), '--', 'wdctl');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^Device: +\/dev\/watchdog0\n/);
      expect(stdout).toMatch(/^Identity: +Software Watchdog \[version 0\]$/m);
      expect(stdout).toMatch(/^Timeout: +60 seconds$/m);
      expect(stdout).toMatch(/^Pre-timeout: +0 seconds$/m);
      expect(stdout).toMatch(/^MAGICCLOSE .* 0 +0$/m);
    });

    test('sets the timeout, as root on Linux, and closes it without harm', async () => {
      const kernel = await kernelWith('watchdog', { timeout: 30 });
      const script = 'wdctl -s 7; wdctl -x -f KEEPALIVEPING; wdctl /dev/watchdog';
      const { text } = await shell(kernel, script);
      expect(text).toMatch(/^Timeout has been set to 7 seconds\.$/m);
      expect(text.match(/^Timeout: +7 seconds$/gm)?.length).toBeGreaterThanOrEqual(2);
      expect((await shell(kernel, 'cat /sys/class/watchdog/watchdog0/state')).text).toBe(
        'inactive\n',
      );
      expect(kernel.dmesg()).toEqual([]);
    });
  });

  describe('busybox watchdog', () => {
    beforeEach(needs(BUSYBOX));

    test('writes to it again and again, and stops it when it is told to end', async () => {
      const kernel = await kernelWith('watchdog');
      const args = ['watchdog', '-F', '-t', '100ms', '-T', '60', '/dev/watchdog'];
      const child = kernel.spawn('busybox', args, { stdio: 'inherit' });
      const fileOf = (name: string) => shell(kernel, `cat /sys/class/watchdog/watchdog0/${name}`);
      let pings = 0;
      while (pings < 3) {
        if ((await fileOf('status')).text === '0x8000\n') pings++;
      }
      expect((await fileOf('state')).text).toBe('active\n');
      child.kill('SIGTERM');
      await until('it ends', () => child.exitCode !== null || child.signalCode !== null);
      expect((await fileOf('state')).text).toBe('inactive\n');
      expect((await fileOf('triggered')).text).toBe('0\n');
      expect(kernel.dmesg()).toEqual([]);
    });
  });

  test('triggers when nobody writes, and says so', async () => {
    const kernel = await kernelWith('watchdog', { timeout: 1 });
    await shell(kernel, 'exec 3>/dev/watchdog; echo >&3');
    await until('it triggers', () => kernel.dmesg().some((line) => line.includes('softdog')));
    expect(kernel.dmesg().map((line) => line.replace(/^\[.*?\] /, ''))).toEqual([
      'watchdog: watchdog0: watchdog did not stop!',
      'softdog: Triggered - Reboot ignored',
    ]);
    const { text } = await shell(kernel, 'cat /sys/class/watchdog/watchdog0/triggered');
    expect(text).toBe('1\n');
  });

  test('has an event before that, if it is asked for', async () => {
    const kernel = await kernelWith('watchdog', { timeout: 60 });
    const { sys } = kernel;
    const { watchdog_ioctls: table } = (await loadModule(example('watchdog'))) as {
      watchdog_ioctls: IoctlTable;
    };
    const fd = sys.open('/dev/watchdog0', O_RDWR);
    const set = (name: string, value: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(value);
      sys.ioctl(fd, table[name]?.request ?? 0, bytes);
      return bytes.readInt32LE();
    };
    expect(() => set('WDIOC_SETPRETIMEOUT', 60)).toThrow(code('EINVAL'));
    set('WDIOC_SETPRETIMEOUT', 59);
    expect(set('WDIOC_GETPRETIMEOUT', 0)).toBe(59);
    expect(set('WDIOC_GETTIMELEFT', 0)).toBe(60);
    sys.write(fd, Buffer.from('.'));
    await until('the event', () => kernel.dmesg().some((line) => /pretimeout event/.test(line)));
    sys.write(fd, Buffer.from('V'));
    sys.close(fd);
    expect(kernel.dmesg()).toHaveLength(1);
  });
});

describe('/dev/rtc0', () => {
  describe('hwclock', () => {
    beforeEach(needs(HWCLOCK));
    const hwclock = '/usr/sbin/hwclock --rtc=/dev/rtc0 --noadjfile --utc';

    test('shows it', () => {
      const args = `${hwclock} --show --verbose`.split(' ');
      const { status, stdout } = cli('run', '--device', example('rtc'), '--', ...args);
      expect(status).toBe(0);
      expect(stdout).toContain('Using the rtc interface to the clock.');
      expect(stdout).toContain('...got clock tick');
      const shown = stdout.trim().split('\n').at(-1) ?? '';
      expect(Math.abs(Date.parse(shown) - Date.now())).toBeLessThan(60_000);
    });

    test('sets it; the machine’s time is what it was', async () => {
      const kernel = await kernelWith('rtc');
      const date = '2001-02-03 04:05:06';
      const { text } = await shell(kernel, `${hwclock} --set --date '${date}'; ${hwclock} --show`);
      expect(text).toMatch(/^2001-02-03 04:05:[0-5]\d/);
      const { text: sysfs } = await shell(kernel, 'cd /sys/class/rtc/rtc0; cat date since_epoch');
      expect(sysfs).toMatch(/^2001-02-03\n9811731\d\d\n$/);
      const { text: now } = await shell(kernel, `${hwclock} --systohc && ${hwclock} --show`);
      expect(Math.abs(Date.parse(now.trim()) - Date.now())).toBeLessThan(60_000);
    });
  });

  describe('rtcwake', () => {
    beforeEach(needs(RTCWAKE));
    const rtcwake = '/usr/sbin/rtcwake --device rtc0 --utc --adjfile /dev/null';

    test('waits for the alarm', async () => {
      const { status, text } = await shell(await kernelWith('rtc'), `${rtcwake} -m on -s 1 -v`);
      expect(status).toBe(0);
      expect(text).toMatch(/\.\.\. rtc0: 1a0$/m);
    });

    test('sets it, shows it, and takes it back', async () => {
      const kernel = await kernelWith('rtc');
      const script = `${rtcwake} -m no -s 60; ${rtcwake} -m show; ${rtcwake} -m disable; ${rtcwake} -m show`;
      const { text } = await shell(kernel, script);
      expect(text).toMatch(/^alarm: on .*\n/m);
      expect(text).toMatch(/^alarm: off$/m);
    });
  });

  test('read waits for an interrupt; who is alone can ask for as many as there are', async () => {
    const { sys } = await kernelWith('rtc');
    const { rtc_ioctls: table } = (await loadModule(example('rtc'))) as { rtc_ioctls: IoctlTable };
    const request = (name: string) => table[name]?.request ?? 0;
    const fd = sys.open('/dev/rtc0', O_RDWR);
    expect(() => sys.open('/dev/rtc0', O_RDWR)).toThrow(code('EBUSY'));
    sys.ioctl(fd, request('RTC_IRQP_SET'), 1024);
    sys.ioctl(fd, request('RTC_PIE_ON'));
    let interrupts = 0n;
    while (interrupts < 50n) {
      const data = u64.create();
      expect(await sys.promises.read(fd, data.bytes)).toBe(8);
      expect(data.value & 0xffn).toBe(0xc0n);
      interrupts += data.value >> 8n;
    }
    sys.close(fd);
    sys.close(sys.open('/dev/rtc0', O_RDWR));
  });
});
