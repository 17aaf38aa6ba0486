/**
 * Every count returns to zero: pages, mappings, attachments, pins, vmaps, references; whatever is done in
 * whatever order, and whatever fails on the way.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as uapi from '../../../ioctl/index.js';
import { dmaBufList, Kernel, type KernelOptions } from '../../../src/index.js';
import { random } from '../../../src/mm/random.js';
import { native } from '../../../src/native.js';
import { Importer, type Segment } from '../../importer.js';
import { liveBuffers } from '../../run.js';

const PAGE = 4096;
const CMA = 64 * PAGE;
const HEAPS = ['system', 'reserved', 'movable'] as const;
const DEVICES: Parameters<typeof uapi.dma_importer_setup.create>[0][] = [
  { name: 'direct', dma_mask: 2n ** 48n - 1n, flags: uapi.DMA_IMPORTER_NONCOHERENT },
  { name: 'iommu', flags: uapi.DMA_IMPORTER_IOMMU | uapi.DMA_IMPORTER_NONCOHERENT },
  { name: 'near', dma_mask: 2n ** 32n - 1n },
  { name: 'whole', dma_mask: 2n ** 48n - 1n, max_segments: 1 },
];

/** A buffer at a device, as the program knows of it. */
interface Share {
  device: number;
  handle: number;
  direction: number;
  segments: Segment[];
}

class World {
  readonly kernel: Kernel;
  readonly importers: Importer[];
  readonly #nodes = new Map<string, number>();
  readonly #memfd: number;
  readonly fds: number[] = [];
  readonly shares: Share[] = [];

  constructor(options: KernelOptions) {
    const { kernel, memfd } = makeKernel(options);
    this.kernel = kernel;
    this.#memfd = memfd;
    for (const name of [...HEAPS.map((heap) => `dma_heap/${heap}`), 'udmabuf']) {
      this.#nodes.set(name, kernel.sys.open(`/dev/${name}`, uapi.O_RDWR | uapi.O_CLOEXEC));
    }
    this.importers = DEVICES.map((limits) => new Importer(kernel, limits));
  }

  allocate(heap: (typeof HEAPS)[number], pages: number): number {
    const fd_flags = uapi.O_RDWR | uapi.O_CLOEXEC;
    const data = uapi.dma_heap_allocation_data.create({ len: BigInt(pages * PAGE), fd_flags });
    const node = this.#nodes.get(`dma_heap/${heap}`) as number;
    this.kernel.sys.ioctl(node, uapi.DMA_HEAP_IOCTL_ALLOC, data);
    this.fds.push(data.fd);
    return data.fd;
  }

  /** Of the pages from `first` on of one memfd, which all udmabufs share. */
  udmabuf(first: number, pages: number): number {
    const [offset, size] = [BigInt(first * PAGE), BigInt(pages * PAGE)];
    const flags = uapi.UDMABUF_FLAGS_CLOEXEC;
    const create = uapi.udmabuf_create.create({ memfd: this.#memfd, flags, offset, size });
    const fd = this.kernel.sys.ioctl(
      this.#nodes.get('udmabuf') as number,
      uapi.UDMABUF_CREATE,
      create,
    );
    this.fds.push(fd);
    return fd;
  }

  importer(share: Share): Importer {
    return this.importers[share.device] as Importer;
  }

  attach(device: number, fd: number, flags: number): Share {
    const handle = (this.importers[device] as Importer).attach(fd, flags);
    const share = { device, handle, direction: 0, segments: [] };
    this.shares.push(share);
    return share;
  }

  map(share: Share, direction: number): void {
    share.segments = this.importer(share).map(share.handle, direction);
    share.direction = direction;
  }

  on(request: number, share: Share): void {
    this.importer(share).on(request, share.handle);
  }

  /** Whether the device has it mapped still: the buffer may have moved. */
  isMapped(share: Share): boolean {
    const { flags } = this.importer(share).info(share.handle);
    return (flags & uapi.DMA_IMPORTER_MAPPED) !== 0;
  }

  get faults(): number {
    return this.importers.reduce((sum, importer) => sum + importer.fault().count, 0);
  }

  /** Lets go of everything, and says what is left. */
  finish(): object {
    const { memory, sys } = this.kernel;
    memory.failNext = undefined;
    for (const importer of this.importers) importer.ioctl(uapi.DMA_IMPORTER_IOCTL_RESET, null);
    this.shares.length = 0;
    const attachments = [...dmaBufList(this.kernel)].map((dmabuf) => dmabuf.attachments.size);
    for (const fd of this.fds.splice(0)) sys.close(fd);
    return {
      attachments: attachments.filter((count) => count > 0),
      buffers: liveBuffers(this.kernel),
      pages: memory.used,
      cma: CMA - memory.meminfo().CmaFree,
      warnings: this.kernel.dmesg().filter((line) => /WARNING|DMA-API|BUG/.test(line)),
    };
  }
}

const NOTHING = { attachments: [], buffers: 0, pages: 0, cma: 0, warnings: [] };

function makeKernel(options: KernelOptions): { kernel: Kernel; memfd: number } {
  const kernel = new Kernel({
    devices: ['+dma_importer', '+dma_heap/reserved', '+dma_heap/movable'],
    ...options,
    memory: { size: 8 * 2 ** 30, cma: CMA, ...options.memory },
  });
  const memfd = native.memfdCreate('walk', 3);
  native.ftruncate(memfd, 32 * PAGE);
  native.fcntl(memfd, 1033, 2);
  onTestFinished(() => {
    kernel.close();
    native.close(memfd);
  });
  return { kernel, memfd };
}

/** Makes a step; false if it failed with an errno that these requests have. */
function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    if (['ENOMEM', 'EIO', 'EBUSY', 'EINVAL'].includes(code ?? '')) return false;
    throw error;
  }
}

describe('random walks', () => {
  const walks = 10_000;
  const worlds = 10;

  test.each(Array.from({ length: worlds }, (_, i) => i))('%i', (index) => {
    const world = new World({
      memory: { fragmentation: (index % 3) / 2, seed: index },
      coherency: index % 2 ? 'strict' : 'coherent',
    });
    let [faults, failures] = [0, 0];
    for (let i = 0; i < walks / worlds; i++) {
      const seed = index * 1_000_000 + i;
      const told = walk(world, seed);
      expect({ seed, faults: world.faults }).toEqual({ seed, faults: told.faults });
      faults += told.faults;
      failures += told.failures;
      expect({ seed, ...world.finish() }).toEqual({ seed, ...NOTHING });
    }
    // A walk that never met any of these would show nothing.
    expect(faults).toBeGreaterThan(100);
    expect(failures).toBeGreaterThan(100);
  });

  /** Any steps in any order; how many faults it provoked, and how many allocations it had fail. */
  function walk(world: World, seed: number): { faults: number; failures: number } {
    const next = random(seed);
    const below = (n: number) => Math.floor(next() * n);
    const pick = <T>(list: readonly T[]): T | undefined => list[below(list.length)];
    let [faults, failures] = [0, 0];
    world.kernel.memory.failNext = () => {
      const fails = next() < 0.02;
      if (fails) failures++;
      return fails;
    };
    const onShare = (request: number) => () => {
      const share = pick(world.shares);
      if (share) world.on(request, share);
    };
    const steps: (() => void)[] = [
      () => void world.allocate(pick(HEAPS) as 'system', 1 + below(24)),
      () => void world.udmabuf(below(8), 1 + below(24)),
      () => {
        const [fd] = world.fds.splice(below(world.fds.length), 1);
        if (fd !== undefined) world.kernel.sys.close(fd);
      },
      () => {
        const fd = pick(world.fds);
        if (fd !== undefined) world.attach(below(DEVICES.length), fd, below(2));
      },
      () => {
        const share = pick(world.shares);
        if (share) world.map(share, below(3));
      },
      onShare(uapi.DMA_IMPORTER_IOCTL_UNMAP),
      onShare(uapi.DMA_IMPORTER_IOCTL_PIN),
      onShare(uapi.DMA_IMPORTER_IOCTL_UNPIN),
      onShare(uapi.DMA_IMPORTER_IOCTL_VMAP),
      onShare(uapi.DMA_IMPORTER_IOCTL_VUNMAP),
      () => {
        const at = below(world.shares.length);
        const share = world.shares[at];
        if (!share) return;
        world.on(uapi.DMA_IMPORTER_IOCTL_DETACH, share);
        world.shares.splice(at, 1);
      },
      () => {
        const share = pick(world.shares);
        if (!share || !world.isMapped(share)) return;
        const segment = pick(share.segments) as Segment;
        const wild = next() < 0.3;
        const address = wild ? segment.address + 2 ** 45 : segment.address;
        const length = 1 + below(segment.length);
        const importer = world.importer(share);
        if (wild) faults++;
        const done = attempt(() => {
          if (share.direction === uapi.DMA_IMPORTER_FROM_DEVICE) importer.fill(address, length, 7);
          else importer.read(address, length);
        });
        expect(done).toBe(!wild);
      },
    ];
    // Something to begin with.
    for (const step of [0, 0, 1, 3, 3, 3, 4, 4]) attempt(steps[step] as () => void);
    for (let i = 0; i < 25; i++) attempt(pick(steps) as () => void);
    return { faults, failures };
  }
});

describe('an allocation fails, each in turn', () => {
  /** All there is to do, with every kind of buffer at every device; how much of it failed. */
  function everything(world: World): number {
    let failed = 0;
    const step = (action: () => void) => {
      const done = attempt(action);
      if (!done) failed++;
      return done;
    };
    for (const heap of [...HEAPS, 'udmabuf'] as const) {
      let fd = -1;
      const make = () => {
        fd = heap === 'udmabuf' ? world.udmabuf(0, 9) : world.allocate(heap, 9);
      };
      if (!step(make)) continue;
      for (const device of DEVICES.keys()) {
        for (const flags of [uapi.DMA_IMPORTER_DYNAMIC, 0]) {
          step(() => {
            const share = world.attach(device, fd, flags);
            world.map(share, uapi.DMA_IMPORTER_BIDIRECTIONAL);
            world.on(uapi.DMA_IMPORTER_IOCTL_VMAP, share);
            if (flags) world.on(uapi.DMA_IMPORTER_IOCTL_PIN, share);
            if (flags) world.on(uapi.DMA_IMPORTER_IOCTL_UNPIN, share);
            world.on(uapi.DMA_IMPORTER_IOCTL_VUNMAP, share);
            world.on(uapi.DMA_IMPORTER_IOCTL_UNMAP, share);
            world.on(uapi.DMA_IMPORTER_IOCTL_DETACH, share);
          });
        }
      }
    }
    return failed;
  }

  test('and leaves nothing', () => {
    const world = new World({});
    let asked = 0;
    world.kernel.memory.failNext = () => ++asked < 0;
    const before = everything(world);
    expect(world.finish()).toEqual(NOTHING);
    const points = asked;
    expect(points).toBeGreaterThan(30);
    let failed = 0;
    for (let point = 0; point < points; point++) {
      let count = 0;
      world.kernel.memory.failNext = () => count++ === point;
      if (everything(world) > before) failed++;
      expect({ point, ...world.finish() }).toEqual({ point, ...NOTHING });
    }
    // Where there is another way to go on, a failure need not be one of the call's.
    expect(failed).toBeGreaterThan(points / 4);
  });
});
