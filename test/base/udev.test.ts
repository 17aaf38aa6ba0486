/** What programs that know udev find of our devices, and hear of them. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import {
  type BaseDevice,
  classRegister,
  deviceUnregister,
  type Kernel,
  kobjectUeventEnv,
  pathId,
  platformDeviceRegisterSimple,
  platformDriverRegister,
} from '../../src/index.js';
import { compile, GCC, needs } from '../programs.js';
import { run, testKernel, until } from '../run.js';

const UDEVADM: [string, string] = ['udevadm', 'udev'];
const needsUdevadm = needs(UDEVADM);

/** Skips where a header is missing, or the compiler. */
function needsHeader(header: string, debianPackage: string) {
  return (context: TestContext): void => {
    needs(GCC)(context);
    if (!existsSync(`/usr/include/${header}`)) {
      context.skip(`there is no <${header}> here (Debian: apt install ${debianPackage})`);
    }
  };
}

function client(name: string, library: string): string {
  const source = fileURLToPath(new URL(`../programs/${name}.c`, import.meta.url));
  return compile(source, 'dynamic', '-Wl,--no-as-needed', `-l${library}`);
}

/** A card and its connector, as a graphics driver has them; with what udevd's rules say of them. */
function card(kernel: Kernel) {
  const parent = platformDeviceRegisterSimple(kernel, 'vkms');
  const driver = platformDriverRegister(kernel, { name: 'vkms' });
  const drm = classRegister(kernel, {
    name: 'drm',
    udev: (dev: BaseDevice) => ({
      properties: pathId(dev),
      ...(dev.devt && {
        tags: ['seat', 'uaccess'],
        links: ['dri/by-path/platform-vkms-card'],
      }),
    }),
  });
  const add = () =>
    kernel.addCharDevice({
      ...{ name: 'dri/card0', className: 'drm', major: 226, minor: 0, mode: 0o660 },
      ...{ f_op: {}, parent, type: { name: 'drm_minor' } },
    }) as BaseDevice;
  return { parent, driver, drm, add, remove: () => kernel.charDevices.remove('dri/card0') };
}

/** In whatever order: libudev keeps them in a hash table. */
const TAGS = /:(?:seat:uaccess|uaccess:seat):$/;

/** The lines of `P: …` blocks, without what is other every time. */
const properties = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter((line) => /^[PNSE]: /.test(line) && !/USEC_INITIALIZED|SEQNUM/.test(line))
    .sort();

/** What a program prints while it runs. */
function output(child: ChildProcess) {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return {
    get text() {
      return text;
    },
    has: (what: string | RegExp, times = 1) =>
      until(`${what} in ${text}`, () => text.split(what).length > times),
  };
}

describe('the database', () => {
  test('says of each node what udevd would: its time, its properties, its tags, its links', async () => {
    const kernel = testKernel();
    const { add, remove } = card(kernel);
    add();
    const script = `cat /run/udev/data/c226:0; ls /run/udev/tags/seat /run/udev/tags/uaccess
      readlink /dev/dri/by-path/platform-vkms-card /dev/char/226:0; test -S /run/udev/control && echo udevd
      wc -c < /run/udev/data/c10:127; cat /sys/kernel/uevent_seqnum`;
    const { stdout } = await run(kernel, 'sh', ['-c', script]);
    expect(stdout.split('\n')).toEqual([
      'S:dri/by-path/platform-vkms-card',
      expect.stringMatching(/^I:\d+$/),
      ...['E:ID_PATH=platform-vkms', 'E:ID_PATH_TAG=platform-vkms'],
      ...['G:seat', 'G:uaccess', 'Q:seat', 'Q:uaccess', 'V:1'],
      ...['/run/udev/tags/seat:', 'c226:0', '', '/run/udev/tags/uaccess:', 'c226:0'],
      ...['../card0', '../dri/card0', 'udevd', '0', expect.stringMatching(/^\d+$/), ''],
    ]);
    remove();
    const gone = 'ls /run/udev/data /run/udev/tags/seat; ls /dev/dri/by-path /dev/char';
    expect((await run(kernel, 'sh', ['-c', gone])).stdout).not.toMatch(/226|vkms/);
  });
});

describe('udevadm', () => {
  test('info: of a device by its directory, its class, its node', async (context) => {
    needsUdevadm(context);
    const kernel = testKernel();
    card(kernel).add();
    const info = async (...args: string[]) => {
      const { stdout, stderr } = await run(kernel, 'udevadm', ['info', ...args]);
      expect(stderr).toBe('');
      return properties(stdout);
    };
    const heap = [
      'E: DEVNAME=/dev/dma_heap/system',
      'E: DEVPATH=/devices/virtual/dma_heap/system',
      'E: MAJOR=254',
      'E: MINOR=0',
      'E: SUBSYSTEM=dma_heap',
      'N: dma_heap/system',
      'P: /devices/virtual/dma_heap/system',
    ];
    expect(await info('-q', 'all', '-p', '/sys/class/dma_heap/system')).toEqual(heap);
    expect(await info('-q', 'all', '-p', '/devices/virtual/dma_heap/system')).toEqual(heap);
    expect(await info('-n', '/dev/dma_heap/system')).toEqual(heap);
    expect(await info('-n', '/dev/udmabuf')).toContain('P: /devices/virtual/misc/udmabuf');
    expect(await info('-n', 'dri/by-path/platform-vkms-card')).toEqual([
      expect.stringMatching(/^E: CURRENT_TAGS=/),
      'E: DEVLINKS=/dev/dri/by-path/platform-vkms-card',
      'E: DEVMODE=0660',
      'E: DEVNAME=/dev/dri/card0',
      'E: DEVPATH=/devices/platform/vkms/drm/card0',
      'E: DEVTYPE=drm_minor',
      'E: ID_PATH=platform-vkms',
      'E: ID_PATH_TAG=platform-vkms',
      'E: MAJOR=226',
      'E: MINOR=0',
      'E: SUBSYSTEM=drm',
      expect.stringMatching(TAGS),
      'N: dri/card0',
      'P: /devices/platform/vkms/drm/card0',
      'S: dri/by-path/platform-vkms-card',
    ]);
  });

  test('info -e, --export-db and trigger -n: the machine’s devices, and ours among them', async (context) => {
    needsUdevadm(context);
    const kernel = testKernel();
    const { add } = card(kernel);
    add();
    const machines = spawnSync('udevadm', ['info', '-e'], { encoding: 'utf8' }).stdout;
    const paths = (text: string) => text.split('\n').filter((line) => line.startsWith('P: '));
    const own = [
      'P: /devices/platform/vkms',
      'P: /devices/platform/vkms/drm/card0',
      'P: /devices/virtual/dma_heap/system',
      'P: /devices/virtual/misc/udmabuf',
      'P: /module/udmabuf',
    ];
    for (const option of ['-e', '--export-db']) {
      const { stdout, stderr, status } = await run(kernel, 'udevadm', ['info', option]);
      expect([stderr, status]).toEqual(['', 0]);
      const all = new Set(paths(stdout));
      // What the machine has may come and go; its processors do not.
      const stay = paths(machines).filter((path) => path.includes('/devices/system/cpu/'));
      expect([...stay, ...own.slice(0, 4)].filter((path) => !all.has(path))).toEqual([]);
    }
    const trigger = await run(kernel, 'udevadm', ['trigger', '-n', '-v']);
    expect(trigger.stderr).toBe('');
    for (const path of own.slice(0, 4)) expect(trigger.stdout).toContain(`/sys${path.slice(3)}\n`);
  });

  test('info -a walks up to the parents; test-builtin path_id finds the way', async (context) => {
    needsUdevadm(context);
    const kernel = testKernel();
    card(kernel).add();
    const walk = await run(kernel, 'udevadm', ['info', '-a', '/dev/dri/card0']);
    for (const line of ['KERNEL=="card0"', 'SUBSYSTEM=="drm"', 'DRIVERS=="vkms"']) {
      expect(walk.stdout).toContain(line);
    }
    const args = ['test-builtin', 'path_id', '/sys/class/drm/card0'];
    const { stdout } = await run(kernel, 'udevadm', args);
    expect(stdout).toContain('ID_PATH=platform-vkms');
  });

  test('monitor: a device is added, changed by a program and by the driver, and removed', async (context) => {
    needsUdevadm(context);
    const kernel = testKernel();
    const { drm, add, remove } = card(kernel);
    const options = ['--kernel', '--udev', '--property', '--subsystem-match=drm'];
    const monitor = output(kernel.spawn('stdbuf', ['-oL', 'udevadm', 'monitor', ...options]));
    await monitor.has('the kernel uevent\n\n');
    const dev = add();
    await monitor.has(/^UDEV .* add /m);
    kobjectUeventEnv(dev, 'change', ['HOTPLUG=1', 'CONNECTOR=36']);
    await monitor.has(/^UDEV .* change /m);
    await run(kernel, 'sh', ['-c', 'echo change > /sys/class/drm/card0/uevent']);
    await monitor.has(/^UDEV .* change /m, 2);
    remove();
    const blocks = () => monitor.text.split('\n\n').slice(1, -1);
    await until('all events', () => blocks().length === 8);
    deviceUnregister(dev);
    expect(drm.devices.size).toBe(0);

    const events = blocks().map((block) => {
      const [head = '', ...vars] = block.trim().split('\n');
      const [who, action] = head.replace(/\[.*?\]/, ' ').split(/ +/);
      return { who, action, vars: vars.map((text) => text.split('=', 2) as [string, string]) };
    });
    // They come by two sockets, and each of these keeps their order.
    const heard = (by: string) => events.filter(({ who }) => who === by);
    for (const who of ['KERNEL', 'UDEV']) {
      const actions = heard(who).map(({ action }) => action);
      expect(actions).toEqual(['add', 'change', 'change', 'remove']);
      const numbers = heard(who).map(({ vars }) => Number(new Map(vars).get('SEQNUM')));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
    const says = (who: string, index: number) => Object.fromEntries(heard(who)[index]?.vars ?? []);
    const common = {
      SUBSYSTEM: 'drm',
      DEVTYPE: 'drm_minor',
      DEVPATH: '/devices/platform/vkms/drm/card0',
    };
    const node = { DEVNAME: '/dev/dri/card0', DEVMODE: '0660', MAJOR: '226', MINOR: '0' };
    expect(says('KERNEL', 0)).toEqual({
      ACTION: 'add',
      SEQNUM: expect.anything(),
      ...common,
      ...node,
    });
    expect(says('UDEV', 0)).toMatchObject({
      ...{ ACTION: 'add', ...common, ...node, USEC_INITIALIZED: expect.stringMatching(/^\d+$/) },
      ...{ ID_PATH: 'platform-vkms', TAGS: expect.stringMatching(TAGS) },
      CURRENT_TAGS: expect.stringMatching(TAGS),
      DEVLINKS: '/dev/dri/by-path/platform-vkms-card',
    });
    expect(says('UDEV', 1)).toMatchObject({ ACTION: 'change', HOTPLUG: '1', CONNECTOR: '36' });
    expect(says('KERNEL', 2)).toMatchObject({ ACTION: 'change', SYNTH_UUID: '0' });
    expect(says('UDEV', 3)).toMatchObject({
      ACTION: 'remove',
      TAGS: expect.stringMatching(TAGS),
      ...node,
    });
  });

  test('trigger: events that a program asks for reach another', async (context) => {
    needsUdevadm(context);
    const kernel = testKernel();
    const monitor = output(
      kernel.spawn('stdbuf', ['-oL', 'udevadm', 'monitor', '--udev', '--property']),
    );
    await monitor.has('UDEV - the event');
    await monitor.has('\n\n');
    const args = ['trigger', '--action=change', '--subsystem-match=dma_heap', '--verbose'];
    const { stdout, status } = await run(kernel, 'udevadm', args);
    expect([stdout, status]).toEqual(['/sys/devices/virtual/dma_heap/system\n', 0]);
    await monitor.has('DEVNAME=/dev/dma_heap/system');
  });
});

describe('libraries', () => {
  test('libudev enumerates, and hears from udevd and from the kernel', async (context) => {
    needsHeader('libudev.h', 'libudev-dev')(context);
    const kernel = testKernel();
    const { add, remove } = card(kernel);
    const dev = add();
    const udev = output(kernel.spawn(client('udev', 'udev'), ['drm', '3', 'udev']));
    const bare = output(kernel.spawn(client('udev', 'udev'), ['drm', '1', 'kernel']));
    await udev.has('listening\n');
    await bare.has('listening\n');
    // Of another subsystem: libudev's filter lets it go by.
    await run(kernel, 'sh', ['-c', 'echo change > /sys/class/misc/udmabuf/uevent']);
    kobjectUeventEnv(dev, 'change', ['HOTPLUG=1']);
    await udev.has('change card0');
    remove();
    add();
    await udev.has('add card0');
    const card0 = 'card0 /dev/dri/card0 drm_minor 1, below vkms: 2 platform-vkms';
    expect(udev.text.split('\n')).toEqual([
      `is ${card0}`,
      'listening',
      `change ${card0}`,
      `remove ${card0}`,
      `add ${card0}`,
      '',
    ]);
    await bare.has('change card0 /dev/dri/card0 drm_minor');
  });

  test('sd-device enumerates, and hears of what has a tag', async (context) => {
    needsHeader('systemd/sd-device.h', 'libsystemd-dev')(context);
    const kernel = testKernel();
    const dev = card(kernel).add();
    const heard = output(kernel.spawn(client('sd_device', 'systemd'), ['drm', '1', 'seat']));
    await heard.has('listening\n');
    const deaf = output(kernel.spawn(client('sd_device', 'systemd'), ['drm', '1', 'other']));
    await deaf.has('listening\n');
    kobjectUeventEnv(dev, 'change');
    await heard.has('change card0 /dev/dri/card0 platform-vkms vkms 1\n');
    expect(heard.text).toContain('is card0 /dev/dri/card0 platform-vkms vkms 1\n');
    expect(deaf.text).not.toContain('change');
  });

  test('GUdev, in Python', async (context) => {
    const look = "import gi; gi.require_version('GUdev', '1.0')";
    // Another Python before Debian's own does not know its packages.
    const python3 = ['python3', '/usr/bin/python3'].find(
      (each) => spawnSync(each, ['-c', look]).status === 0,
    );
    if (python3 === undefined) {
      return context.skip(
        'there is no GUdev for Python (Debian: apt install python3-gi gir1.2-gudev-1.0)',
      );
    }
    const kernel = testKernel();
    const dev = card(kernel).add();
    const script = `${look}
from gi.repository import GUdev, GLib
client = GUdev.Client(subsystems=['drm'])
loop = GLib.MainLoop()
def event(client, action, device):
    print(action, device.get_device_file(), device.get_property('HOTPLUG'), flush=True)
    loop.quit()
client.connect('uevent', event)
print([device.get_name() for device in client.query_by_subsystem('drm')], flush=True)
loop.run()`;
    const python = output(kernel.spawn(python3, ['-c', script]));
    await python.has("['card0']\n");
    kobjectUeventEnv(dev, 'change', ['HOTPLUG=1']);
    await python.has('change /dev/dri/card0 1\n');
  });
});
