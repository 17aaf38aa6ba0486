/** What the compiler, and defineDevice() itself, say of a declaration: types flow, mistakes do not pass. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { io, ioctls, iowr, s32, struct, u64, type View } from '../../ioctl/index.js';
import { defineDevice, errno } from '../../src/index.js';

const job = struct('job', { id: u64, fd: s32 });
const event = struct('event', { id: u64 });
const table = ioctls({ JOB_IOC_ADD: iowr('\xb9', 1, job), JOB_IOC_RESET: io('\xb9', 2) });
const handlers = { JOB_IOC_ADD() {}, JOB_IOC_RESET() {} };

describe('types', () => {
  test('each handler has its argument, the device, and the state of its file', () => {
    defineDevice({
      name: 'job',
      ioctls: table,
      events: event,
      options: { delay: 20, label: '', loud: false },
      probe(_kernel, options) {
        expectTypeOf(options).toEqualTypeOf<{
          readonly delay: number;
          readonly label: string;
          readonly loud: boolean;
        }>();
        return { queue: [options.delay] };
      },
      open(file) {
        expectTypeOf(file.device).toEqualTypeOf<{ queue: number[] }>();
        return { jobs: 0n };
      },
      ioctl: {
        async JOB_IOC_ADD(file, arg, call) {
          expectTypeOf(arg).toEqualTypeOf<View<typeof job>>();
          expectTypeOf(file.state).toEqualTypeOf<{ jobs: bigint }>();
          expectTypeOf(call.signal).toEqualTypeOf<AbortSignal>();
          file.queueEvent({ id: file.state.jobs });
          // @ts-expect-error an event has no field of that name
          file.queueEvent({ number: 1n });
          // @ts-expect-error nor has the argument
          arg.number = 1n;
        },
        JOB_IOC_RESET(_file, arg) {
          expectTypeOf(arg).toEqualTypeOf<number>();
          return 0;
        },
      },
      release(file) {
        expectTypeOf(file.state).toEqualTypeOf<{ jobs: bigint }>();
      },
    });
  });

  test('what nobody would wait for cannot be async', () => {
    // @ts-expect-error what it gives is the state of the file
    defineDevice({ name: 'job', async open() {} });
    // @ts-expect-error what it gives is the device
    defineDevice({ name: 'job', probe: async () => ({ jobs: 1 }) });
    // @ts-expect-error its errors would be lost
    defineDevice({ name: 'job', async release() {} });
    // @ts-expect-error the text would be missing
    defineDevice({ name: 'job', attributes: { jobs: async () => '1' } });
    // @ts-expect-error likewise
    defineDevice({ name: 'job', attributes: { jobs: { show: async () => '1' } } });
    // @ts-expect-error what is thrown would not be what write(2) fails with
    defineDevice({ name: 'job', attributes: { jobs: { async store() {} } } });
    const jobs = new Set<unknown>();
    defineDevice({
      name: 'job',
      open: () => jobs.add(1),
      release: () => jobs.delete(1),
      attributes: { jobs: { store: (_device, text) => jobs.add(text) } },
    });
  });

  test('a handler that is missing, or one too many, does not compile, and is refused', () => {
    // @ts-expect-error no handlers at all
    expect(() => defineDevice({ name: 'job', ioctls: table })).toThrow(
      'job: JOB_IOC_ADD has no handler',
    );
    expect(() =>
      // @ts-expect-error JOB_IOC_RESET has no handler
      defineDevice({ name: 'job', ioctls: table, ioctl: { JOB_IOC_ADD() {} } }),
    ).toThrow('job: JOB_IOC_RESET has no handler');
    expect(() =>
      // @ts-expect-error there is no such ioctl
      defineDevice({ name: 'job', ioctls: table, ioctl: { ...handlers, JOB_IOC_MORE() {} } }),
    ).toThrow('job: no ioctl JOB_IOC_MORE');
  });
});

test('errnos are those of Linux’s that programs see', () => {
  expect(errno('EREMOTEIO')).toMatchObject({ code: 'EREMOTEIO', errno: 121 });
  // @ts-expect-error Windows has it
  expect(() => errno('WSAEINTR')).toThrow(new TypeError('WSAEINTR is no errno of Linux’s'));
  // @ts-expect-error only the kernel itself has it
  expect(() => errno('ERESTARTSYS')).toThrow(TypeError);
  // @ts-expect-error every object has that
  expect(() => errno('constructor')).toThrow(TypeError);
});

test.each(['', '/dev/x', '../x', 'a//b', 'a b'])('"%s" is no name for a node', (name) => {
  expect(() => defineDevice({ name })).toThrow(/is no name below \/dev/);
});

test('two ioctls with one number are refused', () => {
  const twice = ioctls({ A: io('\xb9', 1), B: io('\xb9', 1) });
  expect(() => defineDevice({ name: 'x', ioctls: twice, ioctl: { A() {}, B() {} } })).toThrow(
    'x: A and B have the same number',
  );
});
