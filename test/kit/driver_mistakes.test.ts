/** Drivers that are wrong: what their programs see is EIO, and the log has a line that says whose mistake it was. */
import { beforeEach, describe, expect, test } from 'vitest';
import { io, ioctls, O_RDONLY, O_RDWR } from '../../ioctl/index.js';
import {
  defineDevice,
  errno,
  type Kernel,
  MAP_SHARED,
  makeShmem,
  PROT_READ,
} from '../../src/index.js';
import { needs } from '../programs.js';
import { run, testKernel } from '../run.js';

const bugs = (kernel: Kernel) =>
  kernel.log.records.map(({ text }) => text).filter((text) => text.startsWith('BUG'));

const code = (name: string) => expect.objectContaining({ code: name });

/** What no compiler would let pass. */
const wrong = (value: unknown) => value as never;

/** Prints the result of each ioctl, or its errno. */
const IOCTLS = `
import errno, fcntl, sys
with open('/dev/wrong', 'r+b', buffering=0) as file:
    for argument in range(int(sys.argv[2])):
        try:
            print(fcntl.ioctl(file, int(sys.argv[1]), argument))
        except OSError as error:
            print(errno.errorcode.get(error.errno, error.errno))
`;

const wrong_ioctls = ioctls({ WRONG_GO: io('w', 1) });

describe('a program', () => {
  beforeEach(needs(['python3', 'python3']));

  /** What a program sees of a handler that is called with 0, 1 … */
  const seen = async (kernel: Kernel, count: number) => {
    const args = ['-c', IOCTLS, `${wrong_ioctls.WRONG_GO.request}`, `${count}`];
    const { stdout } = await run(kernel, 'python3', args);
    return stdout.trim().split('\n');
  };

  test('sees the errno that is thrown, and EIO if Linux has none of that name', async () => {
    const kernel = testKernel();
    const names = ['EREMOTEIO', 'EKEYREJECTED', 'EBOGUS', 'ERESTARTSYS', 'WSAEINTR'];
    kernel.addDevice(
      defineDevice({
        name: 'wrong',
        ioctls: wrong_ioctls,
        ioctl: {
          WRONG_GO(_file, number) {
            throw errno(names[number] as 'EIO');
          },
        },
      }),
    );
    expect(await seen(kernel, names.length)).toEqual([
      'EREMOTEIO',
      'EKEYREJECTED',
      'EIO',
      'EIO',
      'EIO',
    ]);
    expect(bugs(kernel).map((text) => text.split('\n', 1)[0])).toEqual([
      'BUG: ioctl: TypeError: EBOGUS is no errno of Linux’s',
      'BUG: ioctl: TypeError: ERESTARTSYS is no errno of Linux’s',
      'BUG: ioctl: TypeError: WSAEINTR is no errno of Linux’s',
    ]);
  });

  test('sees EIO for what is no result; the log says whose it was, and none of our own stack', async () => {
    const kernel = testKernel();
    const answers = [
      1.5,
      Number.NaN,
      'x',
      2 ** 31,
      -4096,
      10n,
      true,
      [],
      -512,
      -22,
      null,
      2 ** 31 - 1,
    ];
    const ioctl = { WRONG_GO: (_: unknown, number: number) => wrong(answers[number]) };
    kernel.addDevice(defineDevice({ name: 'wrong', ioctls: wrong_ioctls, ioctl }));
    expect(await seen(kernel, answers.length)).toEqual([
      ...Array(9).fill('EIO'),
      'EINVAL',
      '0',
      '2147483647',
    ]);
    const shown = ['1.5', 'NaN', "'x'", '2147483648', '-4096', '10n', 'true', '[]', '-512'];
    const why = 'a result is an integer from -4095 to 2147483647, or nothing';
    expect(bugs(kernel)).toEqual(
      shown.map((value) => `BUG: ioctl: TypeError: /dev/wrong: WRONG_GO gave ${value}: ${why}`),
    );
  });

  test('reads no more than it asked for, nor what are no bytes; what it writes is taken at most once', async () => {
    const kernel = testKernel();
    const texts: unknown[] = [Buffer.alloc(4097), 'text', undefined, Buffer.alloc(0)];
    kernel.addDevice(
      defineDevice({
        name: 'wrong',
        read: () => wrong(texts.shift()),
        write: (_file, bytes) => bytes.length + 1,
      }),
    );
    const read = 'dd if=/dev/wrong bs=4096 2>&1 | grep -o "Input/output error"';
    const script = `${read}; ${read}; ${read}; ${read}; (echo x > /dev/wrong) 2>&1 | grep -o "I/O error"`;
    const { stdout } = await run(kernel, 'sh', ['-c', script]);
    expect(stdout).toBe(`${'Input/output error\n'.repeat(3)}I/O error\n`);
    expect(bugs(kernel)).toEqual([
      'BUG: read: TypeError: /dev/wrong: read gave 4097 bytes, and at most 4096 were asked for',
      "BUG: read: TypeError: /dev/wrong: read gave 'text', which is no Uint8Array",
      'BUG: read: TypeError: /dev/wrong: read gave undefined, which is no Uint8Array',
      'BUG: write: TypeError: /dev/wrong: write gave 3: a result is an integer from -4095 to 2, or nothing',
    ]);
  });

  test('is not told that memory is mapped that is not there', async () => {
    const kernel = testKernel();
    const memory = makeShmem(kernel, 'memory', 4096);
    const maps = [[], [{ memory, offset: 0, length: 4096 }], undefined];
    kernel.addDevice(defineDevice({ name: 'wrong', mmap: () => wrong(maps.shift()) }));
    const script = `
import mmap, os
fd = os.open('/dev/wrong', os.O_RDWR)
for _ in range(3):
    try:
        mmap.mmap(fd, 8192)
    except OSError as error:
        print(error.strerror)`;
    const { stdout } = await run(kernel, 'python3', ['-c', script]);
    expect(stdout).toBe('Input/output error\n'.repeat(3));
    expect(bugs(kernel)).toEqual([
      'BUG: mmap: TypeError: /dev/wrong: mmap gave 0 bytes, and 8192 were asked for',
      'BUG: mmap: TypeError: /dev/wrong: mmap gave 4096 bytes, and 8192 were asked for',
      'BUG: mmap: TypeError: /dev/wrong: mmap gave undefined, which is no array of pieces of memory',
    ]);
  });

  test('sees EIO where nobody waits for the promise that a driver gives', async () => {
    const kernel = testKernel();
    const fail = async () => {
      throw errno('EBUSY');
    };
    kernel.addDevice(defineDevice({ name: 'opens', open: wrong(fail) }));
    kernel.addDevice(
      defineDevice({
        name: 'others',
        attributes: { said: wrong(fail), taken: { store: wrong(fail) } },
        release: wrong(fail),
      }),
    );
    const files = '/sys/class/misc/others';
    const script = `cat /dev/opens ${files}/said; echo x > ${files}/taken; : < /dev/others`;
    const { stderr } = await run(kernel, 'sh', ['-c', script]);
    expect(stderr.match(/(Input\/output|I\/O) error/g)).toHaveLength(3);
    await expect.poll(() => bugs(kernel).length).toBe(4);
    const why = 'gave a promise, and nobody waits for it: it cannot be async';
    expect(bugs(kernel)).toEqual([
      `BUG: openat: TypeError: /dev/opens: open ${why}`,
      `BUG: openat: TypeError: /dev/others: said: show ${why}`,
      `BUG: write: TypeError: /dev/others: taken: store ${why}`,
      `BUG: /dev/others: release: TypeError: release ${why}`,
    ]);
    expect(kernel.files.size).toBe(0);
  });
});

describe('this process', () => {
  test('is thrown what is wrong, for a test to see', () => {
    const kernel = testKernel();
    kernel.addDevice(
      defineDevice({
        name: 'wrong',
        ioctls: wrong_ioctls,
        ioctl: { WRONG_GO: () => 1.5 },
        read: () => new Uint8Array(2),
        mmap: () => [],
      }),
    );
    const { sys } = kernel;
    const fd = sys.open('/dev/wrong', O_RDWR);
    const { WRONG_GO } = wrong_ioctls;
    expect(() => sys.ioctl(fd, WRONG_GO.request)).toThrow('/dev/wrong: WRONG_GO gave 1.5');
    expect(() => sys.read(fd, new Uint8Array(1))).toThrow('/dev/wrong: read gave 2 bytes');
    expect(() => sys.mmap(8192, PROT_READ, MAP_SHARED, fd)).toThrow(
      '/dev/wrong: mmap gave 0 bytes',
    );
    sys.close(fd);
  });

  test('has no device whose probe is async', () => {
    const kernel = testKernel();
    const device = defineDevice({ name: 'wrong', probe: wrong(async () => 1) });
    expect(() => kernel.addDevice(device)).toThrow('/dev/wrong: probe gave a promise');
    expect(() => kernel.sys.open('/dev/wrong', O_RDWR)).toThrow(code('ENOENT'));
  });

  test('gives the number of an ioctl; its definition is a TypeError', async () => {
    const kernel = testKernel();
    const ioctl = { WRONG_GO: () => 1 };
    kernel.addDevice(defineDevice({ name: 'right', ioctls: wrong_ioctls, ioctl }));
    const { sys } = kernel;
    const fd = sys.open('/dev/right', O_RDWR);
    const { WRONG_GO } = wrong_ioctls;
    expect(sys.ioctl(fd, WRONG_GO.request)).toBe(1);
    const why = new TypeError(
      'the request of an ioctl is a number: that of a definition is its `request`',
    );
    expect(() => sys.ioctl(fd, wrong(WRONG_GO))).toThrow(why);
    await expect(sys.promises.ioctl(fd, wrong(WRONG_GO))).rejects.toThrow(why);
    sys.close(fd);
    const machine = sys.open('/dev/null', O_RDWR);
    expect(() => sys.ioctl(machine, wrong(WRONG_GO))).toThrow(why);
    expect(() => sys.ioctl(machine, WRONG_GO.request)).toThrow(code('ENOTTY'));
    sys.close(machine);
  });

  test('opens an attribute that can be written, too, whatever it has to say', () => {
    const kernel = testKernel();
    const show = () => {
      throw errno('EAGAIN');
    };
    kernel.addDevice(defineDevice({ name: 'x', attributes: { both: { show, store() {} } } }));
    const { sys } = kernel;
    const fd = sys.open('/sys/class/misc/x/both', O_RDWR);
    expect(() => sys.read(fd, new Uint8Array(1))).toThrow(code('EBADF'));
    expect(sys.write(fd, new Uint8Array(1))).toBe(1);
    sys.close(fd);
    expect(() => sys.open('/sys/class/misc/x/both', O_RDONLY)).toThrow(code('EAGAIN'));
  });
});
