/** Devices for test/kit/device.test.ts and test/programs/device.c: one of everything that a definition can have. */
import {
  cstring,
  io,
  ioctls,
  ior,
  iow,
  iowr,
  O_CLOEXEC,
  O_RDWR,
  requests,
  s32,
  struct,
  u32,
  u64,
} from '../ioctl/index.js';
import {
  allocateScattered,
  type DeviceCall,
  type DmaBuf,
  DmaFence,
  defineDevice,
  dmaFenceContextAlloc,
  errno,
  exportHeapBuffer,
  heapBufOps,
  type KernelCore,
  makeShmem,
} from '../src/index.js';
import { native } from '../src/native.js';

export const PAGE = 4096;

export const gadget_sum = struct('gadget_sum', { a: u32, b: u32, sum: u64 });
export const gadget_fds = struct('gadget_fds', { buffer: s32, fence: s32 });
export const gadget_event = struct('gadget_event', { number: u32, zero: u32 });

/** 'T' is the type of terminals' requests, 0x89 that of sockets'. */
export const gadget_ioctls = ioctls({
  GADGET_SUM: iowr('T', 0xe0, gadget_sum),
  GADGET_STORE: iow('\x89', 0xe1, gadget_sum),
  GADGET_LOAD: ior('\x89', 0xe2, gadget_sum),
  GADGET_NAME: iow('T', 0xe3, u32, { arg: cstring }),
  GADGET_NUMBER: io('T', 0xe4),
  GADGET_FAIL: io('T', 0xe5),
  GADGET_WAIT: io('T', 0xe6),
  GADGET_GO: io('T', 0xe7),
  GADGET_TAKE: iow('T', 0xe8, gadget_fds),
  GADGET_GIVE: iowr('T', 0xe9, gadget_fds),
  GADGET_GIVE_BADLY: iowr('T', 0xea, gadget_fds),
  GADGET_POST: iow('T', 0xeb, gadget_event),
  /** The number says that it is written, and it is read. */
  GADGET_LIAR: ior('T', 0xec, u32, { copy: 1 }),
  GADGET_POINTER: iow('T', 0xed, u64),
});
export const {
  GADGET_SUM,
  GADGET_STORE,
  GADGET_LOAD,
  GADGET_NAME,
  GADGET_NUMBER,
  GADGET_FAIL,
  GADGET_WAIT,
  GADGET_GO,
  GADGET_TAKE,
  GADGET_GIVE,
  GADGET_GIVE_BADLY,
  GADGET_POST,
  GADGET_LIAR,
  GADGET_POINTER,
} = requests(gadget_ioctls);

/** What happened, for a test to look at. */
export interface Gadget {
  readonly kernel: KernelCore;
  readonly memory: ReturnType<typeof makeShmem>;
  readonly log: string[];
  open: number;
  go: boolean;
  speed: number;
}

function makeGadget(kernel: KernelCore): Gadget {
  const memory = makeShmem(kernel, 'gadget', 2 * PAGE);
  memory.bytes().set(Buffer.from('from the driver'));
  return { kernel, memory, log: [], open: 0, go: false, speed: 1 };
}

function makeBuffer(kernel: KernelCore): DmaBuf {
  const placement = allocateScattered(kernel.memory, PAGE);
  const info = { exp_name: 'gadget', ops: heapBufOps, size: PAGE, flags: O_RDWR | O_CLOEXEC };
  return exportHeapBuffer(kernel, placement, info);
}

function makeFence(kernel: KernelCore): DmaFence {
  return new DmaFence(kernel, {
    ops: { getDriverName: () => 'gadget', getTimelineName: () => 'gadget' },
    context: dmaFenceContextAlloc(kernel),
    seqno: 1,
  });
}

function give(kernel: KernelCore, fds: { buffer: number; fence: number }, call: DeviceCall): void {
  fds.buffer = call.installDmaBuf(makeBuffer(kernel));
  const fence = makeFence(kernel);
  try {
    fds.fence = call.installFence(fence);
  } finally {
    fence.put();
  }
}

/** How GADGET_FAIL fails, by its argument. */
const failures = [
  () => {
    throw errno('ENOSPC');
  },
  () => {
    throw new TypeError('a mistake');
  },
  async () => {
    throw errno('ENOSPC');
  },
  async () => {
    throw new TypeError('a later mistake');
  },
];

/** What the devices are to be besides. */
interface Kind {
  name: string;
  extensible?: boolean;
  /** In place of those that a test looks at. */
  gadgets?: Gadget[];
}

/** `gadgets` gets what each kernel's probe makes. */
export const gadget = ({ name, extensible = false, gadgets = [] }: Kind) =>
  defineDevice({
    name,
    extensible,
    ioctls: gadget_ioctls,
    events: gadget_event,
    options: { greeting: 'hello', times: 1, loud: false },
    probe(kernel, options) {
      const made = makeGadget(kernel);
      made.log.push(`probe ${options.greeting} ${options.times} ${options.loud}`);
      gadgets.push(made);
      return made;
    },
    remove({ log, memory }) {
      log.push('remove');
      memory.close();
    },
    open({ device, flags }) {
      if (flags & 0o1000) throw errno('EPERM'); // O_TRUNC
      device.open++;
      return { stored: 0n, name: '' };
    },
    release({ device, state }) {
      device.open--;
      device.log.push(`release ${state.name}`);
    },
    mmap: ({ device }, { length, offset }) => {
      if (offset + length > device.memory.size) throw errno('EINVAL');
      return [{ memory: device.memory, offset, length }];
    },
    ioctl: {
      GADGET_SUM(_file, arg) {
        arg.sum = BigInt(arg.a + arg.b) + arg.sum;
      },
      GADGET_STORE(file, arg) {
        file.state.stored = arg.sum;
      },
      GADGET_LOAD(file, arg) {
        if (arg.bytes.some(Boolean)) throw errno('EPROTO');
        arg.sum = file.state.stored;
      },
      GADGET_NAME(file, arg) {
        file.state.name = arg.value;
        return arg.value.length;
      },
      GADGET_NUMBER: (_file, arg) => Math.floor(arg / 2),
      GADGET_FAIL: (_file, arg) => failures[arg]?.(),
      async GADGET_WAIT({ device, state }, _arg, call) {
        call.signal.addEventListener('abort', () => device.log.push(`aborted ${state.name}`));
        device.log.push('waits');
        await call.waitEvent(() => device.go);
        return 7;
      },
      GADGET_GO(file) {
        file.device.go = true;
        file.wake();
      },
      GADGET_TAKE(_file, arg, call) {
        if (arg.fence >= 0) call.getFence(arg.fence);
        return call.getDmaBuf(arg.buffer).size;
      },
      GADGET_GIVE({ kernel }, arg, call) {
        give(kernel, arg, call);
      },
      async GADGET_GIVE_BADLY({ kernel }, arg, call) {
        await null;
        give(kernel, arg, call);
        throw errno('ENOSPC');
      },
      GADGET_POST(file, { number }) {
        file.queueEvent({ number });
      },
      GADGET_LIAR: (_file, arg) => arg.value,
      GADGET_POINTER(_file, { value }, call) {
        const sum = call.copyFromUser(value, gadget_sum);
        sum.sum = BigInt(sum.a + sum.b);
        call.copyToUser(value, sum);
      },
    },
    attributes: {
      greeting: () => 'hello',
      nothing: () => '',
      refused() {
        throw errno('ENODATA');
      },
      'power/speed': {
        show: ({ speed }) => `${speed}`,
        store(device, text) {
          const speed = Number(text);
          if (!Number.isInteger(speed)) throw errno('EINVAL');
          device.speed = speed;
        },
      },
      reset: {
        store(device, text) {
          device.log.push(`reset ${text}`);
        },
      },
    },
  });

/** A device like a pipe: what is written is read, 8 bytes at a time. */
export const pipe = defineDevice({
  name: 'class/pipe0',
  className: 'pipes',
  mode: 0o640,
  probe: () => ({ bytes: Buffer.alloc(0), room: 16 }),
  async read({ device }, size, call) {
    await call.waitEvent(() => device.bytes.length > 0);
    const part = device.bytes.subarray(0, size);
    device.bytes = device.bytes.subarray(size);
    return part;
  },
  write(file, bytes) {
    const part = bytes.subarray(0, 8);
    if (part.includes(0x21)) throw errno('EPERM'); // !
    file.device.bytes = Buffer.concat([file.device.bytes, part]);
    file.wake();
    return part.length;
  },
  poll: ({ device }) => (device.bytes.length > 0 ? 0x41 : 0) | 0x104,
});

/** Descriptors that this process has. */
export function openDescriptors(): number {
  let count = 0;
  for (let fd = 0; fd < 1024; fd++) if (native.fcntl(fd, 1, 0) >= 0) count++;
  return count;
}
