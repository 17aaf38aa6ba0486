/** What a request's number says of its argument, and what it does not: directions, sizes, arrays behind the struct. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  field,
  flexible,
  ioctls,
  ior,
  iow,
  iowr,
  O_RDWR,
  ptr,
  requests,
  s32,
  struct,
  u32,
  u64,
} from '../../ioctl/index.js';
import { type DeviceDefinition, defineDevice } from '../../src/index.js';
import { testKernel } from '../run.js';

const code = (name: string) => expect.objectContaining({ code: name });

function opened(device: DeviceDefinition) {
  const kernel = testKernel();
  const { path } = kernel.addDevice(device);
  const fd = kernel.sys.open(path, O_RDWR);
  onTestFinished(() => kernel.sys.close(fd));
  return (request: number, argument: Uint8Array | { readonly bytes: Uint8Array }) =>
    kernel.sys.ioctl(fd, request, argument);
}

describe('two directions of one number', () => {
  /** As SPI_IOC_RD_MODE and SPI_IOC_WR_MODE, EVIOCGREP and EVIOCSREP. */
  const mode_ioctls = ioctls({ MODE_GET: ior('v', 1, u32), MODE_SET: iow('v', 1, u32) });
  const { MODE_GET, MODE_SET } = requests(mode_ioctls);
  const mode = (extensible: boolean) =>
    defineDevice({
      name: 'mode',
      extensible,
      ioctls: mode_ioctls,
      probe: () => ({ value: 42 }),
      ioctl: {
        MODE_GET(file, arg) {
          arg.value = file.device.value;
        },
        MODE_SET(file, arg) {
          file.device.value = arg.value;
        },
      },
    });

  test.each([false, true])('are two requests, extensible or not (%s)', (extensible) => {
    const ioctl = opened(mode(extensible));
    const value = u32.create(7);
    ioctl(MODE_GET, value);
    expect(value.value).toBe(42);
    ioctl(MODE_SET, u32.create(5));
    ioctl(MODE_GET, value);
    expect(value.value).toBe(5);
  });

  test('are refused where only the size tells them from each other, and that may be any', () => {
    const two = ioctls({ A: iow('v', 1, u32), B: iow('v', 1, u64) });
    const definition = { name: 'two', ioctls: two, ioctl: { A() {}, B() {} } };
    expect(() => defineDevice(definition)).not.toThrow();
    expect(() => defineDevice({ ...definition, extensible: true })).toThrow(
      'two: A and B have the same number',
    );
  });
});

describe('a number whose size is that of something else', () => {
  const large = struct('large', { a: u32, b: u32, c: u32, d: u32 });
  const size_ioctls = ioctls({
    /** `_IOW('q', 1, struct large *)`, as drivers write it by mistake. */
    LARGE_SET: iow('q', 1, ptr, { arg: large }),
    LARGE_GET: ior('q', 2, ptr, { arg: large }),
    /** FS_IOC_GETFLAGS is `_IOR('f', 1, long)`, and what it points at is an int. */
    INT_GET: ior('f', 1, u64, { arg: s32 }),
    INT_SET: iow('f', 2, u64, { arg: s32 }),
  });
  const { LARGE_SET, LARGE_GET, INT_GET, INT_SET } = requests(size_ioctls);
  const sizes = (extensible: boolean) =>
    defineDevice({
      name: 'sizes',
      extensible,
      ioctls: size_ioctls,
      probe: () => ({ d: 0, flags: 16 }),
      ioctl: {
        LARGE_SET({ device }, { d }) {
          device.d = d;
        },
        LARGE_GET({ device }, arg) {
          Object.assign(arg, { a: 1, b: 2, c: 3, d: device.d });
        },
        INT_GET({ device }, arg) {
          arg.value = device.flags;
        },
        INT_SET({ device }, { value }) {
          device.flags = value;
        },
      },
    });

  test.each([false, true])('copies what the pointer points at, all of it (%s)', (extensible) => {
    const ioctl = opened(sizes(extensible));
    ioctl(LARGE_SET, large.create({ a: 1, b: 2, c: 3, d: 4 }));
    const got = large.create({ a: 9, b: 9, c: 9, d: 9 });
    ioctl(LARGE_GET, got);
    expect(got.toObject()).toEqual({ a: 1, b: 2, c: 3, d: 4 });
    expect(() => ioctl(LARGE_SET, new Uint8Array(8))).toThrow(code('EFAULT'));
  });

  test.each([false, true])('and nothing of what lies behind it (%s)', (extensible) => {
    const ioctl = opened(sizes(extensible));
    const flags = struct('flags', { flags: s32, neighbour: u32 }).create({ neighbour: 0x1234 });
    ioctl(INT_GET, flags);
    expect(flags.toObject()).toEqual({ flags: 16, neighbour: 0x1234 });
    flags.flags = 7;
    ioctl(INT_SET, flags.bytes.subarray(0, 4));
    ioctl(INT_GET, flags);
    expect(flags.toObject()).toEqual({ flags: 7, neighbour: 0x1234 });
  });
});

describe('an array behind the struct', () => {
  const point = struct('point', { x: u32, y: u32 });
  const path = struct('path', {
    count: u32,
    length: u32,
    points: field(flexible(point), { countedBy: 'count' }),
  });
  const loose = struct('loose', { count: u32, points: flexible(point) });
  const path_ioctls = ioctls({
    PATH_DRAW: iow('p', 1, path),
    PATH_MEASURE: iowr('p', 2, path),
    PATH_LOOSE: iow('p', 3, loose),
  });
  const { PATH_DRAW, PATH_MEASURE, PATH_LOOSE } = requests(path_ioctls);
  const device = defineDevice({
    name: 'path',
    ioctls: path_ioctls,
    ioctl: {
      PATH_DRAW: (_file, { points }) => [...points].reduce((sum, { x, y }) => sum + x * y, 0),
      PATH_MEASURE(_file, arg) {
        arg.length = arg.points.length;
        for (const each of arg.points) each.y = 0;
      },
      PATH_LOOSE(_file, { count }, call) {
        const { address, size } = call.argument;
        return call.copyFromUser(address + size + (count - 1) * point.size, point).y;
      },
    },
  });
  const two = {
    count: 2,
    points: [
      { x: 2, y: 3 },
      { x: 4, y: 5 },
    ],
  };

  test('is there as far as its count says, in and out', () => {
    const ioctl = opened(device);
    expect(ioctl(PATH_DRAW, path.create(two))).toBe(26);
    const given = path.create({ ...two, count: 1 });
    ioctl(PATH_MEASURE, given);
    expect(given.toObject()).toEqual({
      count: 1,
      length: 1,
      points: [
        { x: 2, y: 0 },
        { x: 4, y: 5 },
      ],
    });
    expect(ioctl(PATH_DRAW, path.create({ count: 0 }))).toBe(0);
  });

  test('that is not there is EFAULT; that no kernel would copy, ENOMEM', () => {
    const ioctl = opened(device);
    expect(() => ioctl(PATH_DRAW, path.create({ ...two, count: 3 }))).toThrow(code('EFAULT'));
    expect(() => ioctl(PATH_DRAW, path.create({ count: 2 ** 32 - 1 }))).toThrow(code('ENOMEM'));
  });

  test('that nothing counts is where the argument ends', () => {
    const ioctl = opened(device);
    expect(ioctl(PATH_LOOSE, loose.create(two))).toBe(5);
  });
});
