/**
 * `dma_importer.h`: /dev/dma_importer, a device that imports dma-bufs. It is this project's own: no
 * kernel has it. Each open file is a device, with limits that the program chooses, to which buffers are
 * attached; its engine reaches memory by the addresses that mapping gave it, and by nothing else.
 *
 *     SETUP, ATTACH, MAP, GET_SEGMENTS, then TRANSFER, or SET_RING and KICK; UNMAP, DETACH
 *
 * Handles are of one open file, and not 0. Closing it undoes whatever is left. Requests are matched
 * exactly; ENOTTY for any other. A field that is named pad, and an unknown flag, is EINVAL unless 0. ENODEV:
 * before SETUP.
 */

import { array } from './array.js';
import { charArray, ptr, s32, u32, u64, type View } from './ctype.js';
import { choice, flags } from './flags.js';
import { io, ioctls, iow, iowr, requests } from './ioctl.js';
import { doc, field, struct } from './struct.js';

export const DMA_IMPORTER_NAME_LEN = 32;

/** The device is behind an IOMMU: what it has mapped becomes contiguous as far as its limits let it. */
export const DMA_IMPORTER_IOMMU = 1 << 0;
/** The device does not see what is in the CPU's caches. */
export const DMA_IMPORTER_NONCOHERENT = 1 << 1;
/** No bounce buffers: memory beyond `dma_mask` cannot be mapped. */
export const DMA_IMPORTER_NO_SWIOTLB = 1 << 2;

/** Argument of DMA_IMPORTER_IOCTL_SETUP. */
export const dma_importer_setup = struct('dma_importer_setup', {
  name: doc(charArray(DMA_IMPORTER_NAME_LEN), 'in: name of the device; empty: dma_importer.N'),
  dma_mask: doc(u64, 'in: the highest address that it can reach; 0: 32 bits'),
  segment_boundary_mask: doc(u64, 'in: no segment crosses a multiple of it + 1; 0: no limit'),
  max_segment_size: doc(u32, 'in: bytes a segment at most; 0: 64 KiB'),
  max_segments: doc(u32, 'in: entries a scatterlist at most, 1: contiguous memory; 0: no limit'),
  flags: field(u32, {
    doc: 'in: DMA_IMPORTER_IOMMU, DMA_IMPORTER_NONCOHERENT, DMA_IMPORTER_NO_SWIOTLB',
    flags: flags({ DMA_IMPORTER_IOMMU, DMA_IMPORTER_NONCOHERENT, DMA_IMPORTER_NO_SWIOTLB }),
  }),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_setup = View<typeof dma_importer_setup>;

/** The importer can have the buffer move: see DMA_IMPORTER_MOVED. */
export const DMA_IMPORTER_DYNAMIC = 1 << 0;

/** Argument of DMA_IMPORTER_IOCTL_ATTACH. */
export const dma_importer_attach = struct('dma_importer_attach', {
  fd: doc(s32, 'in: a dma-buf'),
  flags: field(u32, {
    doc: 'in: DMA_IMPORTER_DYNAMIC or 0',
    flags: flags({ DMA_IMPORTER_DYNAMIC }),
  }),
  handle: doc(u32, 'out: the attachment'),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_attach = View<typeof dma_importer_attach>;

/** An attachment, for requests that need nothing else. */
export const dma_importer_handle = struct('dma_importer_handle', {
  handle: doc(u32, 'in: the attachment; ENOENT if there is none'),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_handle = View<typeof dma_importer_handle>;

/** Directions: <linux/dma-direction.h>. */
export const DMA_IMPORTER_BIDIRECTIONAL = 0;
export const DMA_IMPORTER_TO_DEVICE = 1;
export const DMA_IMPORTER_FROM_DEVICE = 2;

/** Argument of DMA_IMPORTER_IOCTL_MAP. */
export const dma_importer_map = struct('dma_importer_map', {
  handle: doc(u32, 'in: the attachment'),
  direction: field(u32, {
    doc: 'in: DMA_IMPORTER_TO_DEVICE: the device reads; _FROM_DEVICE: it writes; _BIDIRECTIONAL',
    flags: choice(0xffffffff, {
      DMA_IMPORTER_BIDIRECTIONAL,
      DMA_IMPORTER_TO_DEVICE,
      DMA_IMPORTER_FROM_DEVICE,
    }),
  }),
  nents: doc(u32, 'out: segments as the device has them'),
  orig_nents: doc(u32, 'out: pieces of memory that they are made of'),
});
export type dma_importer_map = View<typeof dma_importer_map>;

/** A segment of a scatterlist. */
export const dma_importer_segment = struct('dma_importer_segment', {
  address: doc(u64, 'the first address'),
  length: doc(u64, 'bytes'),
});
export type dma_importer_segment = View<typeof dma_importer_segment>;

/** The pieces of memory, by physical address, instead of the device's segments. */
export const DMA_IMPORTER_PAGES = 1 << 0;

/** Argument of DMA_IMPORTER_IOCTL_GET_SEGMENTS. */
export const dma_importer_segments = struct('dma_importer_segments', {
  segments: doc(ptr, 'in: room for `count` of struct dma_importer_segment'),
  count: doc(u32, 'in: how many there is room for; out: how many there are'),
  handle: doc(u32, 'in: the attachment'),
  flags: field(u32, {
    doc: 'in: DMA_IMPORTER_PAGES or 0',
    flags: flags({ DMA_IMPORTER_PAGES }),
  }),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_segments = View<typeof dma_importer_segments>;

/** The device has it mapped. */
export const DMA_IMPORTER_MAPPED = 1 << 0;
/** The buffer has moved since MAP: what was mapped is not any more. Until the next MAP. */
export const DMA_IMPORTER_MOVED = 1 << 1;

/** Argument of DMA_IMPORTER_IOCTL_INFO. */
export const dma_importer_info = struct('dma_importer_info', {
  handle: doc(u32, 'in: the attachment'),
  flags: field(u32, {
    doc: 'out: DMA_IMPORTER_MAPPED, DMA_IMPORTER_MOVED',
    flags: flags({ DMA_IMPORTER_MAPPED, DMA_IMPORTER_MOVED }),
  }),
  size: doc(u64, 'out: bytes of the buffer'),
  moves: doc(u32, 'out: how often the buffer has moved'),
  pins: doc(u32, 'out: how often it is pinned by this device'),
  vmaps: doc(u32, 'out: how often it is mapped into the kernel by this device'),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_info = View<typeof dma_importer_info>;

/** The device reads `length` bytes at `source`; the program gets them at `data`. */
export const DMA_IMPORTER_OP_READ = 0;
/** The device writes the program's `length` bytes at `data` to `destination`. */
export const DMA_IMPORTER_OP_WRITE = 1;
/** The device writes the byte `value` `length` times, from `destination` on. */
export const DMA_IMPORTER_OP_FILL = 2;
/** The device copies `length` bytes from `source` to `destination`. */
export const DMA_IMPORTER_OP_COPY = 3;

const OP = choice(0xff, {
  DMA_IMPORTER_OP_READ,
  DMA_IMPORTER_OP_WRITE,
  DMA_IMPORTER_OP_FILL,
  DMA_IMPORTER_OP_COPY,
});

/** Argument of DMA_IMPORTER_IOCTL_TRANSFER. What an operation has no use for is 0. */
export const dma_importer_transfer = struct('dma_importer_transfer', {
  source: doc(u64, 'in: address of the device'),
  destination: doc(u64, 'in: address of the device'),
  data: doc(ptr, 'in: memory of the program'),
  length: doc(u64, 'in: bytes, at most 1 GiB'),
  op: field(u32, { doc: 'in: DMA_IMPORTER_OP_*', flags: OP }),
  value: doc(u32, 'in: 0 to 255'),
});
export type dma_importer_transfer = View<typeof dma_importer_transfer>;

/** In `control`: the descriptor is the engine's; it clears the bit when it is done with it. */
export const DMA_IMPORTER_DESC_OWN = 0x80000000;
/** In `status`: the operation was carried out. */
export const DMA_IMPORTER_DESC_DONE = 1;
/** In `status`: an address was not mapped for it; the engine has stopped. */
export const DMA_IMPORTER_DESC_FAULT = 2;
/** In `status`: an operation that the engine does not have; it has stopped. */
export const DMA_IMPORTER_DESC_INVALID = 3;

/**
 * A descriptor of the ring, in memory that the device has mapped for both directions. The program fills
 * it in, `control` last. The engine takes descriptors in turn, from the first to the last and round
 * again, until one is not its own. FILL and COPY.
 */
export const dma_importer_descriptor = struct('dma_importer_descriptor', {
  source: doc(u64, 'address of the device'),
  destination: doc(u64, 'address of the device'),
  length: doc(u32, 'bytes'),
  value: doc(u32, 'byte of a FILL'),
  control: field(u32, {
    doc: 'DMA_IMPORTER_DESC_OWN and DMA_IMPORTER_OP_*',
    flags: [...flags({ DMA_IMPORTER_DESC_OWN }), ...OP],
  }),
  status: doc(u32, 'from the engine: DMA_IMPORTER_DESC_*'),
});
export type dma_importer_descriptor = View<typeof dma_importer_descriptor>;

/** Argument of DMA_IMPORTER_IOCTL_SET_RING. */
export const dma_importer_ring = struct('dma_importer_ring', {
  address: doc(u64, 'in: address of the device, a multiple of 8, of the first descriptor'),
  entries: doc(u32, 'in: descriptors, at most 65536; 0: no ring'),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_ring = View<typeof dma_importer_ring>;

/** Argument of DMA_IMPORTER_IOCTL_KICK. */
export const dma_importer_kick = struct('dma_importer_kick', {
  done: doc(u32, 'out: descriptors that the engine took'),
  pad: doc(u32, 'in: 0'),
});
export type dma_importer_kick = View<typeof dma_importer_kick>;

/** The kernel's code writes; without it, it reads. */
export const DMA_IMPORTER_CPU_WRITE = 1 << 0;

/** Argument of DMA_IMPORTER_IOCTL_CPU_ACCESS. */
export const dma_importer_cpu_access = struct('dma_importer_cpu_access', {
  data: doc(ptr, 'in: memory of the program'),
  offset: doc(u64, 'in: bytes into the buffer'),
  length: doc(u64, 'in: bytes'),
  handle: doc(u32, 'in: an attachment that is VMAPped, else EINVAL'),
  flags: field(u32, {
    doc: 'in: DMA_IMPORTER_CPU_WRITE or 0',
    flags: flags({ DMA_IMPORTER_CPU_WRITE }),
  }),
});
export type dma_importer_cpu_access = View<typeof dma_importer_cpu_access>;

/** Argument of DMA_IMPORTER_IOCTL_GET_FAULT. */
export const dma_importer_fault = struct('dma_importer_fault', {
  address: doc(u64, 'out: where the last one was'),
  count: doc(u32, 'out: how many there were'),
  write: doc(u32, 'out: 1 if the last one was a write'),
  pad: doc(array(u32, 2), 'in: 0'),
});
export type dma_importer_fault = View<typeof dma_importer_fault>;

export const DMA_IMPORTER_IOC_MAGIC = '\xba';
const TYPE = DMA_IMPORTER_IOC_MAGIC;

/** The ioctls of /dev/dma_importer. */
export const dma_importer_ioctls = ioctls({
  /** Makes the device. EBUSY: it is made already. EINVAL: a mask that is not 2^n − 1, a size below 4096. */
  DMA_IMPORTER_IOCTL_SETUP: iow(TYPE, 0x00, dma_importer_setup, { errors: [] }),
  /** dma_buf_attach(). EBADF, EINVAL: `fd` is no dma-buf. ENOMEM. Otherwise what its exporter answers. */
  DMA_IMPORTER_IOCTL_ATTACH: iowr(TYPE, 0x01, dma_importer_attach, { errors: ['ENOMEM'] }),
  /** dma_buf_detach(). EBUSY while it is mapped, pinned, or mapped into the kernel. */
  DMA_IMPORTER_IOCTL_DETACH: iow(TYPE, 0x02, dma_importer_handle, { errors: [] }),
  /**
   * dma_buf_map_attachment(). EBUSY: it is mapped. EINVAL: more segments than the device takes, or a direction
   * that there is not. ENOMEM, EIO: it cannot be mapped.
   */
  DMA_IMPORTER_IOCTL_MAP: iowr(TYPE, 0x03, dma_importer_map, { errors: ['EIO', 'ENOMEM'] }),
  /** dma_buf_unmap_attachment(). EINVAL: it is not mapped. */
  DMA_IMPORTER_IOCTL_UNMAP: iow(TYPE, 0x04, dma_importer_handle, { errors: [] }),
  /** The scatterlist. EINVAL: it is not mapped. Nothing is written when there is not room for all. */
  DMA_IMPORTER_IOCTL_GET_SEGMENTS: iowr(TYPE, 0x05, dma_importer_segments, { errors: [] }),
  /** dma_buf_pin(). EINVAL: the attachment is not dynamic. ENOMEM. */
  DMA_IMPORTER_IOCTL_PIN: iow(TYPE, 0x06, dma_importer_handle, { errors: ['ENOMEM'] }),
  /** dma_buf_unpin(). EINVAL: it is not pinned. */
  DMA_IMPORTER_IOCTL_UNPIN: iow(TYPE, 0x07, dma_importer_handle, { errors: [] }),
  /** dma_buf_vmap(). EINVAL: the exporter has none. ENOMEM. */
  DMA_IMPORTER_IOCTL_VMAP: iow(TYPE, 0x08, dma_importer_handle, { errors: ['ENOMEM'] }),
  /** dma_buf_vunmap(). EINVAL: it is not mapped. */
  DMA_IMPORTER_IOCTL_VUNMAP: iow(TYPE, 0x09, dma_importer_handle, { errors: [] }),
  /**
   * Kernel code reads or writes the buffer, between dma_buf_begin_cpu_access() and
   * dma_buf_end_cpu_access(). EINVAL: outside the buffer. EFAULT.
   */
  DMA_IMPORTER_IOCTL_CPU_ACCESS: iow(TYPE, 0x0a, dma_importer_cpu_access, { errors: [] }),
  /** What has become of an attachment. */
  DMA_IMPORTER_IOCTL_INFO: iowr(TYPE, 0x0b, dma_importer_info, { errors: [] }),
  /** The engine does one thing, now. EIO: an address is not mapped for it, and nothing was done. EFAULT. */
  DMA_IMPORTER_IOCTL_TRANSFER: iow(TYPE, 0x0c, dma_importer_transfer, { errors: [] }),
  /** Where the engine's descriptors are; it begins with the first. */
  DMA_IMPORTER_IOCTL_SET_RING: iow(TYPE, 0x0d, dma_importer_ring, { errors: [] }),
  /**
   * The engine goes through the descriptors that are its own. EINVAL: there is no ring. EIO: it came upon
   * one that it could not carry out, or the ring itself is not mapped; it has stopped there.
   */
  DMA_IMPORTER_IOCTL_KICK: iowr(TYPE, 0x0e, dma_importer_kick, { errors: [] }),
  /** The faults of this device so far. */
  DMA_IMPORTER_IOCTL_GET_FAULT: iowr(TYPE, 0x0f, dma_importer_fault, { errors: [] }),
  /** Unmaps, unpins and detaches everything, and forgets the faults. */
  DMA_IMPORTER_IOCTL_RESET: io(TYPE, 0x10, { errors: [] }),
});
export const {
  DMA_IMPORTER_IOCTL_SETUP,
  DMA_IMPORTER_IOCTL_ATTACH,
  DMA_IMPORTER_IOCTL_DETACH,
  DMA_IMPORTER_IOCTL_MAP,
  DMA_IMPORTER_IOCTL_UNMAP,
  DMA_IMPORTER_IOCTL_GET_SEGMENTS,
  DMA_IMPORTER_IOCTL_PIN,
  DMA_IMPORTER_IOCTL_UNPIN,
  DMA_IMPORTER_IOCTL_VMAP,
  DMA_IMPORTER_IOCTL_VUNMAP,
  DMA_IMPORTER_IOCTL_CPU_ACCESS,
  DMA_IMPORTER_IOCTL_INFO,
  DMA_IMPORTER_IOCTL_TRANSFER,
  DMA_IMPORTER_IOCTL_SET_RING,
  DMA_IMPORTER_IOCTL_KICK,
  DMA_IMPORTER_IOCTL_GET_FAULT,
  DMA_IMPORTER_IOCTL_RESET,
} = requests(dma_importer_ioctls);
