/**
 * A driver that has memory of its own, as a card's: buffer objects, which programs map through its node at made-up
 * offsets, and export as dma-bufs.
 */
import {
  type DmaBuf,
  type DmaBufOps,
  dmaBufExport,
  dmaBufFd,
  errno,
  type File,
  getDmaBuf,
  type Kernel,
  type KernelCore,
  makeShmem,
  miscRegister,
  type Shmem,
  TrackedMemory,
} from '../src/index.js';

const PAGE = 4096;

/** Requests of /dev/gem. The argument is a handle, but for CREATE, where it is a number of pages. */
export const GEM = {
  /** Answers a handle. */
  CREATE: 0x4701,
  /** The handle goes; what is mapped or exported keeps the object. */
  CLOSE: 0x4702,
  /** As PRIME: the same dma-buf as long as it lives. */
  EXPORT: 0x4703,
  /** As VIDIOC_EXPBUF: a new dma-buf each time. */
  EXPBUF: 0x4704,
  /** Fails with EBUSY while the object is mapped through the node, as VIDIOC_REQBUFS does. */
  FREE: 0x4705,
} as const;

/** Where an object can be mapped through the node, in pages. */
export const offsetOf = (handle: number) => handle * 256;

export class BufferObject {
  readonly memory: Shmem;
  /** As it is mapped through the node. */
  readonly mapped: TrackedMemory;
  dmabuf: DmaBuf | undefined;
  #references = 1;
  readonly #gone: () => void;

  constructor(kernel: KernelCore, pages: number, gone: () => void) {
    this.memory = makeShmem(kernel, 'gem', pages * PAGE);
    this.mapped = new TrackedMemory(kernel, this.memory, (mapped) =>
      mapped ? this.get() : this.put(),
    );
    this.#gone = gone;
  }

  get(): void {
    this.#references++;
  }

  put(): void {
    if (--this.#references > 0) return;
    this.memory.close();
    this.#gone();
  }
}

const objectOf = (dmabuf: DmaBuf) => dmabuf.priv as BufferObject;

const ops: DmaBufOps = {
  mapDmaBuf() {
    throw errno('EINVAL');
  },
  unmapDmaBuf() {},
  mmap: (dmabuf, vma) => dmabuf.ownPieces(vma),
  vmap: (dmabuf) => objectOf(dmabuf).memory.bytes(),
  release(dmabuf) {
    const object = objectOf(dmabuf);
    if (object.dmabuf === dmabuf) object.dmabuf = undefined;
    object.put();
  },
};

/** Adds the driver; its objects that live. */
export function exporter(kernel: Kernel): Set<BufferObject> {
  const live = new Set<BufferObject>();
  /** By open file, and by number: they go with the file. */
  const handles = new Map<File, Map<number, BufferObject>>();
  let next = 1;
  const find = (file: File, handle: number) => {
    const object = handles.get(file)?.get(handle);
    if (!object) throw errno('ENOENT');
    return object;
  };
  const exported = (object: BufferObject) => {
    const { memory } = object;
    const dmabuf = dmaBufExport(kernel, {
      ...{ exp_name: 'gem', ops, size: memory.size, flags: 2, memory, priv: object },
    });
    object.get();
    return dmabuf;
  };
  miscRegister(kernel, 'gem', {
    open(file) {
      handles.set(file, new Map());
    },
    release(file) {
      for (const object of handles.get(file)?.values() ?? []) object.put();
      handles.delete(file);
    },
    ioctl(file, request, arg, task) {
      switch (request) {
        case GEM.CREATE: {
          const object = new BufferObject(kernel, arg, () => live.delete(object));
          live.add(object);
          handles.get(file)?.set(next, object);
          return next++;
        }
        case GEM.CLOSE:
          find(file, arg).put();
          handles.get(file)?.delete(arg);
          return 0;
        case GEM.EXPORT: {
          const object = find(file, arg);
          if (object.dmabuf) getDmaBuf(object.dmabuf);
          else object.dmabuf = exported(object);
          return dmaBufFd(task, object.dmabuf, 0);
        }
        case GEM.EXPBUF:
          return dmaBufFd(task, exported(find(file, arg)), 0);
        case GEM.FREE:
          if (find(file, arg).mapped.isMapped) throw errno('EBUSY');
          return 0;
        default:
          throw errno('ENOTTY');
      }
    },
    mmap(file, { offset, length }) {
      const handle = Math.floor(offset / PAGE / 256);
      const object = find(file, handle);
      const from = offset - handle * 256 * PAGE;
      if (from + length > object.memory.size) throw errno('EINVAL');
      return [{ memory: object.mapped, offset: from, length }];
    },
  });
  return live;
}
