/** The driver model: what a driver registers is what programs find in /sys and /dev. */
import { describe, expect, test } from 'vitest';
import { O_RDONLY, O_RDWR, O_WRONLY } from '../../ioctl/index.js';
import { onUevent } from '../../src/base/kobject_uevent.js';
import {
  BaseDevice,
  type BinAttribute,
  busRegister,
  busUnregister,
  classRegister,
  classUnregister,
  defineDevice,
  deviceAdd,
  deviceCreate,
  deviceUnregister,
  driverRegister,
  driverUnregister,
  errno,
  type Kernel,
  miscRegister,
  platformDeviceRegisterSimple,
  platformDriverRegister,
} from '../../src/index.js';
import { recording } from '../conformance.js';
import { needs } from '../programs.js';
import { run, testKernel, until } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });

function read(kernel: Kernel, path: string): Buffer {
  const fd = kernel.sys.open(path, O_RDONLY);
  const bytes = Buffer.alloc(8192);
  try {
    return bytes.subarray(0, kernel.sys.read(fd, bytes));
  } finally {
    kernel.sys.close(fd);
  }
}

function write(kernel: Kernel, path: string, bytes: string | Uint8Array): number {
  const fd = kernel.sys.open(path, O_WRONLY);
  try {
    return kernel.sys.write(fd, Buffer.from(bytes));
  } finally {
    kernel.sys.close(fd);
  }
}

/** What a shell says, line by line. */
async function shell(kernel: Kernel, script: string): Promise<string[]> {
  const { stdout, stderr } = await run(kernel, 'sh', ['-c', script]);
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

/** What root saw of attributes on a real kernel. */
const asRoot = recording('6.1', 'attrs').split('-- as an ordinary user')[0] as string;

const node = { mode: 0o600, f_op: {} };

describe('numbers', () => {
  test('the lowest that is free is given, and given back', () => {
    const { charDevices } = testKernel();
    expect(charDevices.nextMinor(226, 0)).toBe(0);
    expect(charDevices.nextMinor(226, 128)).toBe(128);
    expect(charDevices.nextMinor(226, 0)).toBe(1);
    expect(charDevices.nextMinor(226, 128)).toBe(129);
    charDevices.freeMinor(226, 0);
    expect(charDevices.nextMinor(226, 0)).toBe(0);
  });

  test('two nodes have two numbers: the second is EBUSY, and nothing of it stays', () => {
    const kernel = testKernel();
    const card = { ...node, className: 'drm', major: 226, minor: 0 };
    kernel.addCharDevice({ ...card, name: 'dri/card0' });
    expect(() => kernel.addCharDevice({ ...card, name: 'dri/card1' })).toThrow(code('EBUSY'));
    expect(() => kernel.sys.open('/dev/dri/card1', O_RDWR)).toThrow(code('ENOENT'));
    expect(read(kernel, '/sys/dev/char/226:0/uevent').toString()).toContain('DEVNAME=dri/card0');
    kernel.charDevices.remove('dri/card0');
    kernel.addCharDevice({ ...card, name: 'dri/card1' });
    expect(read(kernel, '/sys/dev/char/226:0/uevent').toString()).toContain('DEVNAME=dri/card1');
  });

  test('a device that is removed gives its number to the next, of misc and of a class of its own', () => {
    const kernel = testKernel();
    for (const className of ['misc', 'own']) {
      const first = kernel.addDevice(defineDevice({ name: 'first', className }));
      const before = read(kernel, `/sys/class/${className}/first/dev`).toString();
      first.remove();
      kernel.addDevice(defineDevice({ name: 'second', className })).remove();
      const third = kernel.addDevice(defineDevice({ name: 'third', className }));
      expect(read(kernel, `/sys/class/${className}/third/dev`).toString()).toBe(before);
      third.remove();
    }
  });

  test('regions of character devices do not overlap', () => {
    const { charDevices } = testKernel();
    charDevices.registerRegion({ major: 81, minor: 0 }, 256, 'video4linux');
    expect(() => charDevices.registerRegion({ major: 81, minor: 255 }, 1, 'x')).toThrow(
      code('EBUSY'),
    );
    charDevices.registerRegion({ major: 81, minor: 256 }, 1, 'x');
    charDevices.unregisterRegion({ major: 81, minor: 0 }, 256);
    charDevices.registerRegion({ major: 81, minor: 255 }, 1, 'x');
    const [first, second] = [charDevices.allocRegion('a'), charDevices.allocRegion('b')];
    expect(first.major).not.toBe(second.major);
  });
});

describe('attributes', () => {
  const edid = Uint8Array.from([0, 255, 255, 255, 255, 255, 255, 0, 16, 195, 191, 10]);

  test('an EDID is bytes: programs read what it is, whole and in part', async () => {
    const kernel = testKernel();
    const bytes: BinAttribute = { read: (offset, count) => edid.subarray(offset, offset + count) };
    kernel.addCharDevice({
      ...{ ...node, name: 'screen', className: 'drm', major: 226, minor: 0 },
      attributes: { edid: bytes, config: { ...bytes, size: 8 } },
    });
    expect(read(kernel, '/sys/class/drm/screen/edid')).toEqual(Buffer.from(edid));
    const files = '/sys/class/drm/screen';
    const lines = await shell(
      kernel,
      `cd ${files}; od -An -tx1 edid; od -An -tx1 -j2 -N3 config; stat -c '%A %s' edid config`,
    );
    expect(lines).toEqual([
      ' 00 ff ff ff ff ff ff 00 10 c3 bf 0a',
      ' ff ff ff',
      '-r--r--r-- 0',
      '-r--r--r-- 8',
    ]);
  });

  test('bytes are written where the file stands; text is as it came, whatever the position', () => {
    const kernel = testKernel();
    const seen: unknown[] = [];
    kernel.addDevice(
      defineDevice({
        name: 'gadget',
        probe: () => seen,
        attributes: {
          firmware: { size: 6, write: (log, data, offset) => void log.push([...data], offset) },
          text: { store: (log, text) => void log.push(text), mode: 0o222 },
        },
      }),
    );
    const { sys } = kernel;
    const fd = sys.open('/sys/class/misc/gadget/firmware', O_WRONLY);
    sys.write(fd, Buffer.from([0, 255]));
    sys.write(fd, Buffer.from([254]));
    sys.close(fd);
    write(kernel, '/sys/class/misc/gadget/text', 'a\n');
    expect(seen).toEqual([[0, 255], 0, [254], 2, 'a']);
    expect(() => sys.open('/sys/class/misc/gadget/firmware', O_RDONLY)).toThrow(code('EACCES'));
  });
});

describe('uevent files', () => {
  /** `heap uevent: write 'add' -> 3` of the recording, as text and result. */
  const recorded = [...asRoot.matchAll(/^heap uevent: write '(.*)' -> (.*)$/gm)]
    .map(([, text = '', result = '']) => ({ text: JSON.parse(`"${text}"`) as string, result }))
    .filter(({ text }) => text !== '');

  test('take what Linux takes, and refuse what it refuses', () => {
    const kernel = testKernel();
    const path = '/sys/class/dma_heap/system/uevent';
    const before = read(kernel, path);
    const fd = kernel.sys.open(path, O_RDWR);
    expect(recorded.length).toBeGreaterThan(40);
    for (const { text, result } of recorded) {
      let answer: string;
      try {
        answer = String(kernel.sys.write(fd, Buffer.from(text)));
      } catch (error) {
        answer = `-1 ${(error as { code: string }).code}`;
      }
      expect(`${text}: ${answer}`).toBe(`${text}: ${result}`);
    }
    kernel.sys.close(fd);
    expect(read(kernel, path)).toEqual(before);
  });

  test.each([
    [1, true],
    [56, true],
    [57, 'ENOMEM'],
    [63, 'ENOMEM'],
    [64, 'EINVAL'],
  ])('with %i keys: %s', (count, result) => {
    const kernel = testKernel();
    const keys = Array.from({ length: count }, (_, i) => ` K${i}=1`).join('');
    const text = `change 12345678-1234-1234-1234-123456789abc${keys}`;
    const send = () => write(kernel, '/sys/class/dma_heap/system/uevent', text);
    if (result === true) expect(send()).toBe(text.length);
    else expect(send).toThrow(code(result as string));
  });

  test('a shell writes them; of its mistakes the log tells, or, with `exact`, write(2) itself', async () => {
    const kernel = testKernel();
    const script = `cd /sys/class/misc/udmabuf; echo change > uevent && echo sent
      echo change 12345678-1234-1234-1234-123456789abc > uevent && echo sent
      echo nonsense 2>&- > uevent || echo refused; ls uevent`;
    expect(await shell(kernel, script)).toEqual(['sent', 'sent', 'uevent']);
    const refusal = /"nonsense\\n" written to \/sys\/\S+\/uevent: EINVAL/;
    expect(kernel.dmesg().filter((line) => refusal.test(line))).toHaveLength(1);
    const { stdout } = await run(kernel, 'sh', ['-c', script], { exact: true });
    expect(stdout).toBe('sent\nsent\nrefused\nuevent\n');
  });

  test('what is written sends events, however it is written', async () => {
    const kernel = testKernel();
    const events: string[] = [];
    onUevent(kernel, ({ vars }) => {
      events.push(vars.filter((text) => /^(ACTION|SYNTH)/.test(text)).join(' '));
    });
    const script = `cd /sys/class/misc/udmabuf; echo change > uevent
      echo add 12345678-1234-1234-1234-123456789abc > uevent`;
    expect((await run(kernel, 'sh', ['-c', script])).stderr).toBe('');
    const shells = [
      'ACTION=change SYNTH_UUID=0',
      'ACTION=add SYNTH_UUID=12345678-1234-1234-1234-123456789abc',
    ];
    await until('both', () => events.length === 2);
    expect(events).toEqual(shells);
    const python = `import os; f = os.open('/sys/class/misc/udmabuf/uevent', os.O_RDWR)
print(os.write(f, b'remove'), os.read(f, 9)); os.write(f, b'nonsense')`;
    const { stdout, stderr } = await run(kernel, 'python3', ['-c', python]);
    expect(stdout).toBe("6 b'MAJOR=10\\n'\n");
    expect(stderr).toMatch(/Invalid argument/);
    expect(events).toEqual([...shells, 'ACTION=remove SYNTH_UUID=0']);
    await until('all files go', () => kernel.files.size === 0);
  });
});

describe('a file of bytes', () => {
  test('is written at any place within its size, and not beyond', async (context) => {
    needs(['python3', 'python3'])(context);
    const kernel = testKernel();
    const rom = Buffer.from([0, 0xff, 0xff, 1, 2]);
    kernel.addDevice(
      defineDevice({
        name: 'rom',
        attributes: {
          rom: {
            size: rom.length,
            read: (_device, offset, count) => rom.subarray(offset, offset + count),
            write: (_device, bytes, offset) => rom.set(bytes, offset),
          },
        },
      }),
    );
    const script = `import errno, os
f = os.open('/sys/class/misc/rom/rom', os.O_RDWR)
print(os.pread(f, 9, 0), os.pwrite(f, b'AB', 1), os.write(f, b'cdefgh'), bytes(os.pread(f, 9, 0)))
for at in 5, 9:
  try: os.pwrite(f, b'x', at)
  except OSError as e: print(errno.errorcode[e.errno])`;
    const { stdout, stderr } = await run(kernel, 'python3', ['-c', script]);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^b'\\x00\\xff\\xff\\x01\\x02' 2 5 /),
      'EFBIG',
      'EFBIG',
      '',
    ]);
    expect(rom.toString()).toBe('cdefg');
  });
});

describe('devices', () => {
  test('a platform device with a driver, a card below it and a connector below that, as vkms', async () => {
    const kernel = testKernel();
    const log: string[] = [];
    const parent = platformDeviceRegisterSimple(kernel, 'vkms');
    const driver = platformDriverRegister(kernel, {
      name: 'vkms',
      probe: (dev) => void log.push(`probe ${dev.name}`),
      remove: (dev) => void log.push(`remove ${dev.name}`),
    });
    expect(log).toEqual(['probe vkms']);
    const drm = classRegister(kernel, {
      name: 'drm',
      class_groups: [{ attrs: { version: { show: () => 'drm 1.1.0 20060810\n' } } }],
    });
    const card = kernel.addCharDevice({
      ...{ ...node, name: 'dri/card0', className: 'drm', major: 226, minor: 0, parent },
      type: { name: 'drm_minor' },
    });
    const connector = new BaseDevice(kernel, {
      ...{ name: 'card0-Virtual-1', parent: card, class: drm },
      type: { name: 'drm_connector' },
    });
    deviceAdd(connector);

    // As drm_core.txt of a real kernel says.
    const links = ['card0', 'card0/subsystem', 'card0/device'];
    const more = ['card0-Virtual-1', 'card0-Virtual-1/subsystem', 'card0-Virtual-1/device'];
    const lines = await shell(
      kernel,
      `cd /sys/class/drm; cat version; readlink ${[...links, ...more].join(' ')}
       cat card0/uevent card0/dev card0-Virtual-1/uevent card0/power/control
       readlink /sys/devices/platform/vkms/driver /sys/devices/platform/vkms/subsystem
       readlink /sys/bus/platform/devices/vkms /sys/bus/platform/drivers/vkms/vkms
       cat /sys/devices/platform/vkms/modalias /sys/devices/platform/vkms/uevent
       ls card0/device/drm/card0/card0-Virtual-1; test -c /dev/dri/card0 && echo node`,
    );
    expect(lines).toEqual([
      'drm 1.1.0 20060810',
      '../../devices/platform/vkms/drm/card0',
      '../../../../../class/drm',
      '../../../vkms',
      '../../devices/platform/vkms/drm/card0/card0-Virtual-1',
      '../../../../../../class/drm',
      '../../card0',
      ...['MAJOR=226', 'MINOR=0', 'DEVNAME=dri/card0', 'DEVTYPE=drm_minor', '226:0'],
      ...['DEVTYPE=drm_connector', 'auto'],
      '../../../bus/platform/drivers/vkms',
      '../../../bus/platform',
      '../../../devices/platform/vkms',
      '../../../../devices/platform/vkms',
      ...['platform:vkms', 'DRIVER=vkms', 'MODALIAS=platform:vkms'],
      ...['device', 'power', 'subsystem', 'uevent', 'node'],
    ]);

    deviceUnregister(connector);
    kernel.charDevices.remove('dri/card0');
    classUnregister(drm);
    deviceUnregister(parent);
    driverUnregister(driver);
    expect(log).toEqual(['probe vkms', 'remove vkms']);
    const gone = ['/sys/class/drm/card0', '/sys/devices/platform/vkms', '/dev/dri/card0'];
    const left = await shell(
      kernel,
      `for f in ${gone.join(' ')}; do test -e $f && echo $f; done; :`,
    );
    expect(left).toEqual(['']);
  });

  test('a bus of one’s own: whom drivers take, what they refuse, bind and unbind', () => {
    const kernel = testKernel();
    const released: string[] = [];
    const bus = busRegister(kernel, {
      name: 'media',
      match: (dev, drv) => dev.name.startsWith(drv.name),
      uevent: (dev, env) => env.add(`MEDIA=${dev.name}`),
      dev_groups: [{ attrs: { model: { show: () => 'vivid\n' } } }],
    });
    expect(() => busRegister(kernel, { name: 'media' })).toThrow(code('EEXIST'));
    const parent = platformDeviceRegisterSimple(kernel, 'vivid', 0);
    const [media0, other] = ['media0', 'other'].map(
      (name) =>
        new BaseDevice(kernel, { name, bus, parent, release: (dev) => released.push(dev.name) }),
    ) as [BaseDevice, BaseDevice];
    deviceAdd(media0);
    deviceAdd(other);
    expect(() => deviceAdd(media0)).toThrow(code('EEXIST'));
    const at = '/sys/devices/platform/vivid.0/media0';
    expect(read(kernel, `${at}/uevent`).toString()).toBe('MEDIA=media0\n');
    expect(read(kernel, `${at}/model`).toString()).toBe('vivid\n');

    const taken: string[] = [];
    const media = driverRegister(bus, {
      name: 'media',
      probe: ({ name }) => void taken.push(name),
      remove: ({ name }) => void taken.push(`not ${name}`),
    });
    expect(() => driverRegister(bus, { name: 'media' })).toThrow(code('EBUSY'));
    expect([media0.driver, other.driver]).toEqual([media, undefined]);
    const files = '/sys/bus/media/drivers/media';
    expect(read(kernel, `${at}/uevent`).toString()).toBe('DRIVER=media\nMEDIA=media0\n');
    write(kernel, `${files}/unbind`, 'media0\n');
    expect(() => write(kernel, `${files}/unbind`, 'media0')).toThrow(code('ENODEV'));
    expect(() => write(kernel, `${files}/bind`, 'other')).toThrow(code('ENODEV'));
    expect(media0.driver).toBeUndefined();
    write(kernel, `${files}/bind`, 'media0');
    expect(taken).toEqual(['media0', 'not media0', 'media0']);

    // One says no, one makes a mistake: the next one is asked.
    const asked: string[] = [];
    const refuse = (name: string, how: () => never) =>
      driverRegister(bus, {
        name,
        probe() {
          asked.push(name);
          how();
        },
      });
    refuse('o', () => {
      throw errno('ENODEV');
    });
    refuse('ot', () => {
      throw new TypeError('a mistake');
    });
    driverRegister(bus, { name: 'oth' });
    expect([asked, other.driver?.name]).toEqual([['o', 'ot'], 'oth']);
    expect(kernel.dmesg().join('\n')).toContain('BUG: ot other: probe: TypeError: a mistake');
    expect(() => busUnregister(bus)).toThrow(code('EBUSY'));
    for (const each of [...bus.drivers.values()]) driverUnregister(each);
    expect(taken.at(-1)).toBe('not media0');
    deviceUnregister(media0);
    deviceUnregister(other);
    expect(released).toEqual(['media0', 'other']);
    busUnregister(bus);
    expect(() => read(kernel, `${at}/uevent`)).toThrow(code('ENOENT'));
  });

  test('a device of a class without a number has no node', () => {
    const kernel = testKernel();
    const rc = classRegister(kernel, {
      name: 'rc',
      devnode: () => ({ name: 'rc/x', mode: 0o666 }),
    });
    const dev = deviceCreate(rc, undefined, undefined, 'mine', 'rc0');
    expect(dev.driver_data).toBe('mine');
    expect(read(kernel, '/sys/class/rc/rc0/uevent').toString()).toBe('');
    expect(() => read(kernel, '/dev/rc/x')).toThrow(code('ENOENT'));
    const another = deviceCreate(rc, undefined, { major: 240, minor: 3 }, undefined, 'rc1');
    expect(read(kernel, '/sys/class/rc/rc1/uevent').toString()).toBe(
      'MAJOR=240\nMINOR=3\nDEVNAME=rc/x\nDEVMODE=0666\n',
    );
    // A node without who serves it.
    expect(() => kernel.sys.open('/dev/rc/x', O_RDWR)).toThrow(code('ENXIO'));
    expect(() => classUnregister(rc)).toThrow(code('EBUSY'));
    deviceUnregister(dev);
    deviceUnregister(another);
    classUnregister(rc);
  });

  test('what cannot be made leaves the kernel as it was', () => {
    const kernel = testKernel();
    miscRegister(kernel, 'mine', {});
    const minor = kernel.charDevices.miscMinor();
    kernel.charDevices.freeMinor(10, minor);
    // Another name below /dev, the same one in /sys.
    expect(() => kernel.addDevice(defineDevice({ name: 'folder/mine' }))).toThrow(code('EEXIST'));
    expect(kernel.charDevices.miscMinor()).toBe(minor);
    expect(() => kernel.sys.open('/dev/folder/mine', O_RDWR)).toThrow(code('ENOENT'));
  });
});

describe('parameters of modules', () => {
  const path = '/sys/module/udmabuf/parameters/list_limit';
  /** What is written to list_limit in the recording, with the result and what it says then. */
  const recorded = [
    ...asRoot.matchAll(/^list_limit: write '(.+)' -> (.*)\nlist_limit: reads '(.*)'$/gm),
  ].map(([, text, result, says]) => [JSON.parse(`"${text}"`), result, JSON.parse(`"${says}"`)]);

  test('take the numbers that Linux takes', () => {
    const kernel = testKernel();
    expect(read(kernel, path).toString()).toBe('1024\n');
    expect(recorded.length).toBeGreaterThan(14);
    write(kernel, path, '7');
    for (const [text, result, says] of recorded.slice(1)) {
      let answer: string;
      try {
        answer = String(write(kernel, path, text));
      } catch (error) {
        answer = `-1 ${(error as { code: string }).code}`;
      }
      expect([text, answer, read(kernel, path).toString()]).toEqual([text, result, says]);
    }
    // Another kernel has its own.
    expect(read(testKernel(), path).toString()).toBe('1024\n');
  });
});
