/** Two devices whose arguments are not plain: nested, changed later, of any size. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineDevice, Engine } from 'dmabuf-shim';
import {
  anonymous,
  array,
  charArray,
  field,
  flags,
  ioctls,
  ior,
  iowr,
  s32,
  struct,
  u16,
  u32,
  u64,
  union,
} from 'dmabuf-shim/ioctl';

const twist_point = struct('twist_point', { x: u32, y: u32 });
const twist_turn = struct('twist_turn', {
  from: twist_point,
  to: array(twist_point, 2),
  name: charArray(16),
  _: anonymous(union({ word: u32, halves: array(u16, 2) })),
  count: u32,
});
const twist_state = struct('twist_state', {
  turns: u32,
  flags: field(u32, { flags: flags({ TWIST_TURNED: 1, TWIST_DRAWN: 2 }) }),
});
const twist_draw = struct('twist_draw', { buffer: s32, fence: s32 });
const stretch_set = struct('stretch_set', { a: u32, b: u32, c: u64 });

const twist = defineDevice({
  name: 'twist',
  ioctls: ioctls({
    TWIST_IOC_TURN: iowr('\xc1', 1, twist_turn),
    TWIST_IOC_STATE: ior('\xc1', 2, twist_state),
    TWIST_IOC_DRAW: iowr('\xc1', 3, twist_draw),
  }),
  probe: (kernel) => ({ turns: 0, engine: new Engine(kernel, 'twister') }),
  ioctl: {
    async TWIST_IOC_TURN({ device }, arg) {
      await sleep(20);
      device.turns++;
      const [, last] = arg.to;
      if (last) last.y = 7;
      arg.name = 'a, b={c}';
      arg.count++;
    },
    TWIST_IOC_STATE({ device }, arg) {
      arg.turns = device.turns;
      arg.flags = 1;
    },
    TWIST_IOC_DRAW({ device }, arg, call) {
      const buffer = call.getDmaBuf(arg.buffer);
      const fence = device.engine.submit({
        name: 'draw',
        writes: [buffer],
        async run(memory) {
          await sleep(20);
          memory.write(buffer, Buffer.from('drawn'));
        },
      });
      arg.fence = call.installFence(fence);
    },
  },
});

const stretch = defineDevice({
  name: 'stretch',
  extensible: true,
  ioctls: ioctls({ STRETCH_IOC_SET: iowr('\xc2', 1, stretch_set) }),
  ioctl: {
    STRETCH_IOC_SET(_file, arg) {
      arg.a++;
    },
  },
});

export default [twist, stretch];
