/** Ioctls as tables: what a row says in data, shown on small models of DRM's and of V4L2's dispatchers. */
import { expect, onTestFinished, test } from 'vitest';
import {
  _IOC,
  _IOC_READ,
  _IOC_WRITE,
  array,
  type Init,
  io,
  ioctls,
  ior,
  iow,
  iowr,
  O_NONBLOCK,
  O_RDWR,
  POLLIN,
  ptr,
  struct,
  u32,
  u64,
  union,
} from '../../ioctl/index.js';
import {
  type Argument,
  EXTENSIBLE,
  errno,
  type FileOperations,
  type IoctlStyle,
  ioctlOperations,
  type Kernel,
  MAP_SHARED,
  makeShmem,
  miscRegister,
  PROT_READ,
  PROT_WRITE,
  SystemError,
  type UserArray,
  Wait,
} from '../../src/index.js';
import { addressOf } from '../../src/posix.js';
import { testKernel } from '../run.js';

const PAGE = 4096;
const BOTH = _IOC_READ | _IOC_WRITE;

/** What came of a call: the result, or the errno. */
function outcome(call: () => number): string {
  try {
    return String(call());
  } catch (error) {
    if (error instanceof SystemError) return String(error.code);
    throw error;
  }
}

/** A new kernel with a device, opened. */
function opened(f_op: FileOperations, flags = 0) {
  const kernel = testKernel();
  miscRegister(kernel, 'model', f_op);
  const fd = kernel.sys.open('/dev/model', O_RDWR | flags);
  onTestFinished(() => kernel.sys.close(fd));
  const ask = (request: number, argument: Argument = null) =>
    outcome(() => kernel.sys.ioctl(fd, request, argument));
  return { kernel, fd, ask };
}

/** A page of memory with `bytes` at its start, and another mapping of it that can only be read. */
function readOnly(kernel: Kernel, bytes: Uint8Array) {
  const memory = makeShmem(kernel, 'page', PAGE);
  miscRegister(kernel, 'page', { mmap: () => [{ memory, offset: 0, length: PAGE }] });
  const fd = kernel.sys.open('/dev/page', O_RDWR);
  const [both, read] = [PROT_READ | PROT_WRITE, PROT_READ].map(
    (prot) => new Uint8Array(kernel.sys.mmap(PAGE, prot, MAP_SHARED, fd)),
  ) as [Uint8Array, Uint8Array];
  both.set(bytes);
  onTestFinished(() => {
    for (const each of [both, read]) kernel.sys.munmap(each.buffer as ArrayBuffer);
    kernel.sys.close(fd);
    memory.close();
  });
  return { address: addressOf(read), bytes: both };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

// ---- as DRM has it: of any direction and size, and the struct comes back also with an error

const AUTH = 1;
const MASTER = 2;
const like_get_cap = struct('like_get_cap', { capability: u64, value: u64 });
const like_gem_close = struct('like_gem_close', { handle: u32, pad: u32 });
const like_drm_ioctls = ioctls({
  LIKE_DRM_GEM_CLOSE: iow('d', 0x09, like_gem_close),
  LIKE_DRM_GET_CAP: iowr('d', 0x0c, like_get_cap),
  LIKE_DRM_AUTH_MAGIC: iow('d', 0x11, u32),
  LIKE_DRM_SET_MASTER: io('d', 0x1e),
  LIKE_DRM_FLINK: iowr('d', 0x0a, like_gem_close),
});
const DRM: IoctlStyle = {
  match: 'type and number',
  unknown: 'EINVAL',
  beyond: 'ignored',
  copyOutOnError: true,
};

/** `may`: what its caller may do. */
const likeDrm = (may: number) =>
  ioctlOperations(
    like_drm_ioctls,
    {
      ...DRM,
      of: () => undefined,
      permit(_file, flags) {
        if (flags & ~may) throw errno('EACCES');
      },
    },
    {
      LIKE_DRM_GEM_CLOSE(_file, { pad }) {
        throw errno(pad ? 'EINVAL' : 'ENOENT');
      },
      LIKE_DRM_GET_CAP(_file, arg) {
        const { capability } = arg;
        arg.value = 0n;
        if (capability !== 5n) throw errno('EINVAL');
        arg.value = 3n;
      },
      LIKE_DRM_AUTH_MAGIC: { flags: MASTER, handle: (_file, { value }) => value },
      LIKE_DRM_SET_MASTER: () => 0,
      LIKE_DRM_FLINK: {
        flags: AUTH,
        handle(_file, arg) {
          arg.pad = 7;
        },
      },
    },
  );

test.each([
  [0, 'EINVAL', '05000000000000005500000000000000'],
  [1, '0', '05000000000000005500000000000000'],
  [8, '0', '05000000000000005500000000000000'],
  [12, '0', '05000000000000000300000000000000'],
  [16, '0', '05000000000000000300000000000000'],
  [20, '0', '05000000000000000300000000000000'],
  [4096, '0', '05000000000000000300000000000000'],
  [16383, '0', '05000000000000000300000000000000'],
])(
  'DRM: of a struct of %i bytes what is missing is zero, and what is beyond stays',
  (size, result, bytes) => {
    const { ask } = opened(likeDrm(AUTH | MASTER));
    const given = new Uint8Array(16384).fill(0xee);
    given.set(like_get_cap.create({ capability: 5n, value: 0x55n }).bytes);
    expect(ask(_IOC(BOTH, 'd', 0x0c, size), given)).toBe(result);
    expect(hex(given.subarray(0, 16))).toBe(bytes);
    expect(given.subarray(16).every((byte) => byte === 0xee)).toBe(true);
  },
);

test.each([
  ['none', 0, 'EINVAL', '05000000000000005500000000000000'],
  ['write', _IOC_WRITE, '0', '05000000000000005500000000000000'],
  ['read', _IOC_READ, 'EINVAL', '00000000000000000000000000000000'],
  ['read and write', BOTH, '0', '05000000000000000300000000000000'],
])(
  'DRM: direction %s: what both sides say is copied, out also with an error',
  (_name, dir, result, bytes) => {
    const { ask } = opened(likeDrm(AUTH | MASTER));
    const given = like_get_cap.create({ capability: 5n, value: 0x55n });
    expect(ask(_IOC(dir, 'd', 0x0c, 16), given)).toBe(result);
    expect(hex(given.bytes)).toBe(bytes);
  },
);

test('DRM: an unknown number is EINVAL, whatever it points at, and another type ENOTTY', () => {
  const { ask } = opened(likeDrm(AUTH | MASTER));
  expect(ask(_IOC(BOTH, 'd', 0xff, 16))).toBe('EINVAL');
  expect(ask(_IOC(BOTH, 'e', 0x0c, 16))).toBe('ENOTTY');
  expect(ask(_IOC(0, 'd', 0x1e, 0))).toBe('0');
});

test('DRM: the address comes before permission, permission before the driver', () => {
  const { ask } = opened(likeDrm(MASTER));
  const { LIKE_DRM_AUTH_MAGIC, LIKE_DRM_FLINK, LIKE_DRM_GEM_CLOSE } = like_drm_ioctls;
  const given = like_gem_close.create({ handle: 1, pad: 5 });
  expect(ask(LIKE_DRM_FLINK.request, 0)).toBe('EFAULT');
  expect(ask(LIKE_DRM_FLINK.request, given)).toBe('EACCES');
  expect(given.pad).toBe(5);
  expect(ask(LIKE_DRM_AUTH_MAGIC.request, u32.create(9))).toBe('9');
  expect(ask(LIKE_DRM_GEM_CLOSE.request, given)).toBe('EINVAL');
});

test('DRM: memory that cannot be written is EFAULT, whatever else is wrong; what is only read need not be', () => {
  const { ask, kernel } = opened(likeDrm(AUTH));
  const { LIKE_DRM_FLINK, LIKE_DRM_GEM_CLOSE, LIKE_DRM_GET_CAP } = like_drm_ioctls;
  const { address, bytes } = readOnly(kernel, like_get_cap.create({ capability: 6n }).bytes);
  expect(ask(LIKE_DRM_GET_CAP.request, address)).toBe('EFAULT');
  expect(ask(LIKE_DRM_FLINK.request, address)).toBe('EFAULT');
  expect(ask(LIKE_DRM_GEM_CLOSE.request, address)).toBe('ENOENT');
  expect(bytes[0]).toBe(6);
});

// ---- as V4L2 has it: exact; cleared from a field on; arrays; errors that tell where they are

const PRIO = 1;
const like_plane = struct('like_plane', { bytesused: u32, length: u32 });
const like_buffer = struct('like_buffer', {
  index: u32,
  type: u32,
  m: union({ offset: u32, planes: ptr }),
  length: u32,
  reserved: u32,
});
const like_control = struct('like_control', { id: u32, value: u32 });
const like_controls = struct('like_controls', { count: u32, error_idx: u32, controls: ptr });
const like_v4l2_ioctls = ioctls({
  LIKE_V4L2_QUERYCAP: ior('V', 0, struct('like_cap', { version: u32, reserved: array(u32, 3) })),
  LIKE_V4L2_QUERYBUF: iowr('V', 9, like_buffer),
  LIKE_V4L2_G_CTRLS: iowr('V', 71, like_controls),
  LIKE_V4L2_S_CTRLS: iowr('V', 72, like_controls),
  LIKE_V4L2_S_PRIO: iow('V', 68, u32),
});
const MULTIPLANAR = 9;
const planes: UserArray<typeof like_plane> = {
  element: like_plane,
  pointer: 'm.planes',
  count: 'length',
  max: 8,
  when: (arg) => (arg as ReturnType<typeof like_buffer.view>).type === MULTIPLANAR,
};
const controls: UserArray<typeof like_control> = {
  element: like_control,
  pointer: 'controls',
  count: 'count',
  max: 1024,
};

function likeV4l2(isBusy = false) {
  const values = new Map([[1, 10]]);
  return ioctlOperations(
    like_v4l2_ioctls,
    {
      copiesUnknown: true,
      of: () => values,
      permit(_values, flags) {
        if (isBusy && flags & PRIO) throw errno('EBUSY');
      },
    },
    {
      LIKE_V4L2_QUERYCAP(_values, arg) {
        if (arg.bytes.some(Boolean)) throw errno('EPROTO');
        arg.version = 61;
      },
      LIKE_V4L2_QUERYBUF: {
        arrays: [planes],
        handle(_values, arg, call) {
          for (const [i, plane] of [...call.array(planes)].entries()) {
            plane.length = plane.bytesused + i;
          }
          if (arg.type !== MULTIPLANAR) arg.m.offset = 0x1000;
        },
      },
      LIKE_V4L2_G_CTRLS: {
        arrays: [controls],
        copyOutOnError: true,
        handle: (_values, arg, call) => {
          for (const [i, control] of [...call.array(controls)].entries()) {
            const value = values.get(control.id);
            arg.error_idx = i;
            if (value === undefined) throw errno('EINVAL');
            control.value = value;
          }
        },
      },
      LIKE_V4L2_S_CTRLS: {
        clearAfter: 'count',
        flags: PRIO,
        handle(_values, { controls, error_idx }) {
          if (controls || error_idx) throw errno('EPROTO');
        },
      },
      LIKE_V4L2_S_PRIO: { flags: PRIO, handle: (_values, { value }) => value },
    },
  );
}

test('V4L2: what the kernel only fills begins as zeros; another size or direction is ENOTTY', () => {
  const { ask } = opened(likeV4l2());
  const { arg, request } = like_v4l2_ioctls.LIKE_V4L2_QUERYCAP;
  const cap = arg.create({ version: 5, reserved: [1, 2, 3] });
  expect(ask(request, cap)).toBe('0');
  expect(cap.toObject()).toEqual({ version: 61, reserved: [0, 0, 0] });
  for (const size of [0, 4, 12, 20, 4096])
    expect(ask(_IOC(_IOC_READ, 'V', 0, size), 0)).toBe('ENOTTY');
  expect(ask(request, 0)).toBe('EFAULT');
});

test('V4L2: the argument of an unknown request is looked at before it is ENOTTY', () => {
  const { ask } = opened(likeV4l2());
  expect(ask(_IOC(BOTH, 'V', 192, 4), new Uint8Array(4))).toBe('ENOTTY');
  expect(ask(_IOC(BOTH, 'V', 192, 4), 0)).toBe('EFAULT');
  expect(ask(_IOC(_IOC_READ, 'V', 192, 4), 0)).toBe('ENOTTY');
});

test('V4L2: fields behind those that the caller gives are cleared, and need not be there', () => {
  const { ask, kernel } = opened(likeV4l2());
  const { request } = like_v4l2_ioctls.LIKE_V4L2_S_CTRLS;
  const given = like_controls.create({ count: 3, error_idx: 4, controls: 5n });
  expect(ask(request, given)).toBe('0');
  expect(given.toObject()).toEqual({ count: 3, error_idx: 0, controls: 0n });
  expect(ask(request, new Uint8Array(4))).toBe('EFAULT');
  expect(ask(request, readOnly(kernel, given.bytes).address)).toBe('EFAULT');
});

test('V4L2: an array comes in and goes out with the struct, whose pointer stays; only where it is one', () => {
  const { ask } = opened(likeV4l2());
  const { request } = like_v4l2_ioctls.LIKE_V4L2_QUERYBUF;
  const array2 = array(like_plane, 2).create([{ bytesused: 5 }, { bytesused: 6 }]);
  const at = BigInt(addressOf(array2.bytes));
  const buffer = like_buffer.create({ type: MULTIPLANAR, length: 2, m: { planes: at } });
  expect(ask(request, buffer)).toBe('0');
  expect(array2.toObject().map(({ length }) => length)).toEqual([5, 7]);
  expect(buffer.m.planes).toBe(at);
  const single = like_buffer.create({ type: 1, length: 4096 });
  expect(ask(request, single)).toBe('0');
  expect(single.m.offset).toBe(0x1000);
});

test('V4L2: too many elements are EINVAL, none there EFAULT; then nothing is told', () => {
  const { ask } = opened(likeV4l2());
  const { request } = like_v4l2_ioctls.LIKE_V4L2_G_CTRLS;
  const asked = (init: Init<typeof like_controls>) => {
    const given = like_controls.create({ error_idx: 99, ...init });
    return [ask(request, given), given.error_idx];
  };
  expect(asked({ count: 1025 })).toEqual(['EINVAL', 99]);
  expect(asked({ count: 1024 })).toEqual(['EFAULT', 99]);
  expect(asked({ count: 1, controls: 1n })).toEqual(['EFAULT', 99]);
  expect(asked({ count: 0 })).toEqual(['0', 99]);
});

test('V4L2: the struct and its array tell of an error where the row says so', () => {
  const { ask } = opened(likeV4l2());
  const two = array(like_control, 2).create([{ id: 1 }, { id: 2, value: 8 }]);
  const given = like_controls.create({ count: 2, controls: BigInt(addressOf(two.bytes)) });
  expect(ask(like_v4l2_ioctls.LIKE_V4L2_G_CTRLS.request, given)).toBe('EINVAL');
  expect(given.error_idx).toBe(1);
  expect(two.toObject()).toEqual([
    { id: 1, value: 10 },
    { id: 2, value: 8 },
  ]);
});

test('V4L2: priority comes behind the address, and before all that the driver says', () => {
  const { ask } = opened(likeV4l2(true));
  const { LIKE_V4L2_S_CTRLS, LIKE_V4L2_S_PRIO } = like_v4l2_ioctls;
  expect(ask(LIKE_V4L2_S_PRIO.request, 0)).toBe('EFAULT');
  expect(ask(LIKE_V4L2_S_PRIO.request, u32.create(1))).toBe('EBUSY');
  const given = like_controls.create({ count: 3, error_idx: 4 });
  expect(ask(LIKE_V4L2_S_CTRLS.request, given)).toBe('EBUSY');
  expect(given.error_idx).toBe(4);
});

// ---- other styles and rows

const pair = struct('pair', { a: u32, b: u32 });
const pair_ioctls = ioctls({
  PAIR_GET: ior('p', 1, pair),
  PAIR_SET: iow('p', 1, pair),
  PAIR_WAIT: iowr('p', 2, pair),
  PAIR_LATER: iowr('p', 3, pair),
  PAIR_SUM: iow('p', 4, pair),
});

function pairs(style: IoctlStyle = {}, log: string[] = []) {
  let [a, b] = [1, 2];
  let isReady = false;
  const operations = ioctlOperations(
    pair_ioctls,
    { ...style, who: '/dev/model', of: (file) => file },
    {
      PAIR_GET(_file, arg) {
        arg.a = a;
        arg.b = b;
      },
      PAIR_SET(file, arg) {
        [a, b] = [arg.a, arg.b];
        isReady = true;
        file.changed.wakeUp();
      },
      PAIR_WAIT(file, arg, call) {
        call.onFailure(() => log.push('undone'));
        if (!isReady) return new Wait([file.changed]);
        arg.b = a;
        return 5;
      },
      async PAIR_LATER(_file, arg, call) {
        const { address, size } = call.argument;
        log.push(`${size} bytes${address > 0 ? '' : ' nowhere'}`);
        await call.waitEvent(() => isReady);
        arg.a = a;
      },
      PAIR_SUM: { plain: (_file, arg) => arg.a + arg.b },
    },
  );
  return { ...operations, poll: () => (isReady ? POLLIN : 0) };
}

test('two directions of one number are two requests, also where structs may grow', () => {
  for (const style of [{}, EXTENSIBLE]) {
    const { ask } = opened(pairs(style));
    const given = pair.create({ a: 7 });
    expect(ask(pair_ioctls.PAIR_GET.request, given)).toBe('0');
    expect(given.toObject()).toEqual({ a: 1, b: 2 });
    expect(ask(pair_ioctls.PAIR_SET.request, pair.create({ a: 5, b: 6 }))).toBe('0');
    expect(ask(pair_ioctls.PAIR_GET.request, given)).toBe('0');
    expect(given.toObject()).toEqual({ a: 5, b: 6 });
    expect(ask(_IOC(BOTH, 'p', 1, 8), given)).toBe('ENOTTY');
  }
});

test('two requests that a style cannot tell apart are refused', () => {
  expect(() => pairs({ match: 'type and number' })).toThrow(
    new TypeError('PAIR_GET and PAIR_SET cannot be told apart'),
  );
});

test('by number alone: whatever the type; the rest is EINVAL', () => {
  const one = ioctls({ ONE_GET: iowr('o', 0, pair) });
  const rows = { ONE_GET: (_file: unknown, arg: { a: number; b: number }) => arg.a + arg.b };
  const style: IoctlStyle = { match: 'number', unknown: 'EINVAL', beyond: 'ignored' };
  const { ask } = opened(ioctlOperations(one, { ...style, of: (file) => file }, rows));
  const given = pair.create({ a: 3, b: 4 });
  expect(ask(one.ONE_GET.request, given)).toBe('7');
  expect(ask(_IOC(BOTH, 'x', 0, 4), given)).toBe('3');
  expect(ask(_IOC(_IOC_READ, 'o', 0, 8), given)).toBe('0');
  expect(ask(_IOC(BOTH, 'o', 1, 8), given)).toBe('EINVAL');
});

test('what the caller has beyond the struct is E2BIG unless it is zero, as copy_struct_from_user() has it', () => {
  const { ask } = opened(pairs(EXTENSIBLE));
  const long = new Uint8Array([3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
  const SUM = (size: number) => _IOC(_IOC_WRITE, 'p', 4, size);
  expect(ask(SUM(12), long)).toBe('7');
  expect(ask(SUM(4), long)).toBe('3');
  long[11] = 1;
  expect(ask(SUM(12), long)).toBe('E2BIG');
  expect(ask(SUM(8), long)).toBe('7');
});

test('a request that came with a later release is none before', () => {
  const table = ioctls({ OLD: io('o', 1), NEW: io('o', 2) });
  for (const [version, result] of [
    ['5.10', 'ENOTTY'],
    ['6.12', '2'],
  ] as const) {
    const kernel = testKernel({ version });
    const rows = {
      OLD: () => 1,
      NEW: { since: 'DMA_BUF_IOCTL_EXPORT_SYNC_FILE' as const, handle: () => 2 },
    };
    miscRegister(kernel, 'model', ioctlOperations(table, { of: (file) => file }, rows));
    const fd = kernel.sys.open('/dev/model', O_RDWR);
    expect(outcome(() => kernel.sys.ioctl(fd, table.OLD.request, 0))).toBe('1');
    expect(outcome(() => kernel.sys.ioctl(fd, table.NEW.request, 0))).toBe(result);
    kernel.sys.close(fd);
  }
});

test('a file that does not take requests yet says so before it looks at any memory', () => {
  const FIRST = 1;
  const table = ioctls({ SETUP: iow('s', 1, u32), GO: iow('s', 2, u32) });
  let isSetUp = false;
  const operations = ioctlOperations(
    table,
    {
      of: (file) => file,
      admit(_file, flags) {
        if (!isSetUp && flags !== FIRST) throw errno('ENODEV');
      },
    },
    {
      SETUP: {
        flags: FIRST,
        handle() {
          isSetUp = true;
        },
      },
      GO: () => 1,
    },
  );
  const { ask } = opened(operations);
  expect(ask(table.GO.request, 0)).toBe('ENODEV');
  expect(ask(table.SETUP.request, 0)).toBe('EFAULT');
  expect(ask(table.SETUP.request, u32.create(1))).toBe('0');
  expect(ask(table.GO.request, u32.create(1))).toBe('1');
});

test('a handler that waits is asked again, with the same argument, and the caller gets what it made of it', async () => {
  const { fd, kernel, ask } = opened(pairs());
  const given = pair.create({ a: 9 });
  const waits = kernel.sys.promises.ioctl(fd, pair_ioctls.PAIR_WAIT.request, given);
  expect(ask(pair_ioctls.PAIR_SET.request, pair.create({ a: 4 }))).toBe('0');
  expect(await waits).toBe(5);
  expect(given.toObject()).toEqual({ a: 9, b: 4 });
});

test('a wait that is given up is undone', () => {
  const log: string[] = [];
  const { ask } = opened(pairs({}, log));
  expect(ask(pair_ioctls.PAIR_WAIT.request, pair.create())).toBe('EDEADLK');
  expect(log).toEqual(['undone']);
});

test('a handler may be async; O_NONBLOCK is EAGAIN; it knows what the caller has passed', async () => {
  const log: string[] = [];
  const { fd, kernel, ask } = opened(pairs(EXTENSIBLE, log), O_NONBLOCK);
  const short = new Uint8Array(4);
  const LATER = _IOC(BOTH, 'p', 3, 4);
  expect(ask(LATER, short)).toBe('EAGAIN');
  expect(ask(pair_ioctls.PAIR_SET.request, pair.create({ a: 4 }))).toBe('0');
  expect(await kernel.sys.promises.ioctl(fd, LATER, short)).toBe(0);
  expect(short[0]).toBe(4);
  expect(log).toEqual(['4 bytes', '4 bytes']);
});

test('what is no result is EIO, and the log has whose it was', () => {
  const table = ioctls({ ODD: io('o', 1) });
  const rows = { ODD: () => 1.5 };
  const { fd, kernel } = opened(
    ioctlOperations(table, { who: '/dev/model', of: (file) => file }, rows),
  );
  expect(() => kernel.sys.ioctl(fd, table.ODD.request, 0)).toThrow(
    '/dev/model: ODD gave 1.5: a result is an integer from -4095 to 2147483647, or nothing',
  );
});

test('a row that makes no sense is refused', () => {
  const table = ioctls({ SET: iow('s', 1, pair), GET: ior('s', 2, pair) });
  const handle = () => 0;
  const make = (rows: { SET: object; GET: object }) => () =>
    ioctlOperations(table, { of: (file) => file }, rows as never);
  expect(make({ SET: { clearAfter: 'c', handle }, GET: { handle } })).toThrow(
    new TypeError('SET: its argument has no field c'),
  );
  expect(make({ SET: { handle }, GET: { plain: handle } })).toThrow(
    new TypeError('GET gives something back: it cannot be plain'),
  );
});
