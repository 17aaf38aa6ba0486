/* SPDX-License-Identifier: MIT */
/*
 * `dma_importer.h`: /dev/dma_importer, a device that imports dma-bufs. It is
 * this project's own: no kernel has it. Each open file is a device, with limits
 * that the program chooses, to which buffers are attached; its engine reaches
 * memory by the addresses that mapping gave it, and by nothing else.
 *
 *     SETUP, ATTACH, MAP, GET_SEGMENTS, then TRANSFER, or SET_RING and KICK; UNMAP, DETACH
 *
 * Handles are of one open file, and not 0. Closing it undoes whatever is left.
 * Requests are matched exactly; ENOTTY for any other. A field that is named
 * pad, and an unknown flag, is EINVAL unless 0. ENODEV: before SETUP.
 *
 * Generated from dma_importer.ts by dmabuf-shim header.
 */
#ifndef _UAPI_DMA_IMPORTER_H
#define _UAPI_DMA_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DMA_IMPORTER_NAME_LEN 32

/*
 * The device is behind an IOMMU: what it has mapped becomes contiguous as far
 * as its limits let it.
 */
#define DMA_IMPORTER_IOMMU		(1 << 0)
/* The device does not see what is in the CPU's caches. */
#define DMA_IMPORTER_NONCOHERENT	(1 << 1)
/* No bounce buffers: memory beyond `dma_mask` cannot be mapped. */
#define DMA_IMPORTER_NO_SWIOTLB		(1 << 2)

/**
 * struct dma_importer_setup - Argument of DMA_IMPORTER_IOCTL_SETUP
 * @name: in: name of the device; empty: dma_importer.N
 * @dma_mask: in: the highest address that it can reach; 0: 32 bits
 * @segment_boundary_mask: in: no segment crosses a multiple of it + 1; 0: no
 *     limit
 * @max_segment_size: in: bytes a segment at most; 0: 64 KiB
 * @max_segments: in: entries a scatterlist at most, 1: contiguous memory; 0: no
 *     limit
 * @flags: in: DMA_IMPORTER_IOMMU, DMA_IMPORTER_NONCOHERENT,
 *     DMA_IMPORTER_NO_SWIOTLB
 * @pad: in: 0
 */
struct dma_importer_setup {
	char name[DMA_IMPORTER_NAME_LEN];
	__u64 dma_mask;
	__u64 segment_boundary_mask;
	__u32 max_segment_size;
	__u32 max_segments;
	__u32 flags;
	__u32 pad;
};

/* The importer can have the buffer move: see DMA_IMPORTER_MOVED. */
#define DMA_IMPORTER_DYNAMIC (1 << 0)

/**
 * struct dma_importer_attach - Argument of DMA_IMPORTER_IOCTL_ATTACH
 * @fd: in: a dma-buf
 * @flags: in: DMA_IMPORTER_DYNAMIC or 0
 * @handle: out: the attachment
 * @pad: in: 0
 */
struct dma_importer_attach {
	__s32 fd;
	__u32 flags;
	__u32 handle;
	__u32 pad;
};

/**
 * struct dma_importer_handle - An attachment, for requests that need nothing
 *   else
 * @handle: in: the attachment; ENOENT if there is none
 * @pad: in: 0
 */
struct dma_importer_handle {
	__u32 handle;
	__u32 pad;
};

/* Directions: <linux/dma-direction.h>. */
#define DMA_IMPORTER_BIDIRECTIONAL	0
#define DMA_IMPORTER_TO_DEVICE		1
#define DMA_IMPORTER_FROM_DEVICE	2

/**
 * struct dma_importer_map - Argument of DMA_IMPORTER_IOCTL_MAP
 * @handle: in: the attachment
 * @direction: in: DMA_IMPORTER_TO_DEVICE: the device reads; _FROM_DEVICE: it
 *     writes; _BIDIRECTIONAL
 * @nents: out: segments as the device has them
 * @orig_nents: out: pieces of memory that they are made of
 */
struct dma_importer_map {
	__u32 handle;
	__u32 direction;
	__u32 nents;
	__u32 orig_nents;
};

/**
 * struct dma_importer_segment - A segment of a scatterlist
 * @address: the first address
 * @length: bytes
 */
struct dma_importer_segment {
	__u64 address;
	__u64 length;
};

/*
 * The pieces of memory, by physical address, instead of the device's segments.
 */
#define DMA_IMPORTER_PAGES (1 << 0)

/**
 * struct dma_importer_segments - Argument of DMA_IMPORTER_IOCTL_GET_SEGMENTS
 * @segments: in: room for `count` of struct dma_importer_segment
 * @count: in: how many there is room for; out: how many there are
 * @handle: in: the attachment
 * @flags: in: DMA_IMPORTER_PAGES or 0
 * @pad: in: 0
 */
struct dma_importer_segments {
	__u64 segments;
	__u32 count;
	__u32 handle;
	__u32 flags;
	__u32 pad;
};

/* The device has it mapped. */
#define DMA_IMPORTER_MAPPED	(1 << 0)
/*
 * The buffer has moved since MAP: what was mapped is not any more. Until the
 * next MAP.
 */
#define DMA_IMPORTER_MOVED	(1 << 1)

/**
 * struct dma_importer_info - Argument of DMA_IMPORTER_IOCTL_INFO
 * @handle: in: the attachment
 * @flags: out: DMA_IMPORTER_MAPPED, DMA_IMPORTER_MOVED
 * @size: out: bytes of the buffer
 * @moves: out: how often the buffer has moved
 * @pins: out: how often it is pinned by this device
 * @vmaps: out: how often it is mapped into the kernel by this device
 * @pad: in: 0
 */
struct dma_importer_info {
	__u32 handle;
	__u32 flags;
	__u64 size;
	__u32 moves;
	__u32 pins;
	__u32 vmaps;
	__u32 pad;
};

/*
 * The device reads `length` bytes at `source`; the program gets them at `data`.
 */
#define DMA_IMPORTER_OP_READ	0
/* The device writes the program's `length` bytes at `data` to `destination`. */
#define DMA_IMPORTER_OP_WRITE	1
/* The device writes the byte `value` `length` times, from `destination` on. */
#define DMA_IMPORTER_OP_FILL	2
/* The device copies `length` bytes from `source` to `destination`. */
#define DMA_IMPORTER_OP_COPY	3

/**
 * struct dma_importer_transfer - Argument of DMA_IMPORTER_IOCTL_TRANSFER
 * @source: in: address of the device
 * @destination: in: address of the device
 * @data: in: memory of the program
 * @length: in: bytes, at most 1 GiB
 * @op: in: DMA_IMPORTER_OP_*
 * @value: in: 0 to 255
 *
 * What an operation has no use for is 0.
 */
struct dma_importer_transfer {
	__u64 source;
	__u64 destination;
	__u64 data;
	__u64 length;
	__u32 op;
	__u32 value;
};

/*
 * In `control`: the descriptor is the engine's; it clears the bit when it is
 * done with it.
 */
#define DMA_IMPORTER_DESC_OWN		0x80000000
/* In `status`: the operation was carried out. */
#define DMA_IMPORTER_DESC_DONE		1
/* In `status`: an address was not mapped for it; the engine has stopped. */
#define DMA_IMPORTER_DESC_FAULT		2
/* In `status`: an operation that the engine does not have; it has stopped. */
#define DMA_IMPORTER_DESC_INVALID	3

/**
 * struct dma_importer_descriptor - A descriptor of the ring, in memory that the
 *   device has mapped for both directions
 * @source: address of the device
 * @destination: address of the device
 * @length: bytes
 * @value: byte of a FILL
 * @control: DMA_IMPORTER_DESC_OWN and DMA_IMPORTER_OP_*
 * @status: from the engine: DMA_IMPORTER_DESC_*
 *
 * The program fills it in, `control` last. The engine takes descriptors in
 * turn, from the first to the last and round again, until one is not its own.
 * FILL and COPY.
 */
struct dma_importer_descriptor {
	__u64 source;
	__u64 destination;
	__u32 length;
	__u32 value;
	__u32 control;
	__u32 status;
};

/**
 * struct dma_importer_ring - Argument of DMA_IMPORTER_IOCTL_SET_RING
 * @address: in: address of the device, a multiple of 8, of the first descriptor
 * @entries: in: descriptors, at most 65536; 0: no ring
 * @pad: in: 0
 */
struct dma_importer_ring {
	__u64 address;
	__u32 entries;
	__u32 pad;
};

/**
 * struct dma_importer_kick - Argument of DMA_IMPORTER_IOCTL_KICK
 * @done: out: descriptors that the engine took
 * @pad: in: 0
 */
struct dma_importer_kick {
	__u32 done;
	__u32 pad;
};

/* The kernel's code writes; without it, it reads. */
#define DMA_IMPORTER_CPU_WRITE (1 << 0)

/**
 * struct dma_importer_cpu_access - Argument of DMA_IMPORTER_IOCTL_CPU_ACCESS
 * @data: in: memory of the program
 * @offset: in: bytes into the buffer
 * @length: in: bytes
 * @handle: in: an attachment that is VMAPped, else EINVAL
 * @flags: in: DMA_IMPORTER_CPU_WRITE or 0
 */
struct dma_importer_cpu_access {
	__u64 data;
	__u64 offset;
	__u64 length;
	__u32 handle;
	__u32 flags;
};

/**
 * struct dma_importer_fault - Argument of DMA_IMPORTER_IOCTL_GET_FAULT
 * @address: out: where the last one was
 * @count: out: how many there were
 * @write: out: 1 if the last one was a write
 * @pad: in: 0
 */
struct dma_importer_fault {
	__u64 address;
	__u32 count;
	__u32 write;
	__u32 pad[2];
};

#define DMA_IMPORTER_IOC_MAGIC 0xba

/**
 * DOC: DMA_IMPORTER_IOCTL_SETUP - Makes the device
 *
 * EBUSY: it is made already. EINVAL: a mask that is not 2^n − 1, a size below
 * 4096.
 */
#define DMA_IMPORTER_IOCTL_SETUP \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x00, struct dma_importer_setup)

/**
 * DOC: DMA_IMPORTER_IOCTL_ATTACH - dma_buf_attach()
 *
 * EBADF, EINVAL: `fd` is no dma-buf. ENOMEM. Otherwise what its exporter
 * answers.
 */
#define DMA_IMPORTER_IOCTL_ATTACH \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x01, struct dma_importer_attach)

/**
 * DOC: DMA_IMPORTER_IOCTL_DETACH - dma_buf_detach()
 *
 * EBUSY while it is mapped, pinned, or mapped into the kernel.
 */
#define DMA_IMPORTER_IOCTL_DETACH \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x02, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_MAP - dma_buf_map_attachment()
 *
 * EBUSY: it is mapped. EINVAL: more segments than the device takes, or a
 * direction that there is not. ENOMEM, EIO: it cannot be mapped.
 */
#define DMA_IMPORTER_IOCTL_MAP \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x03, struct dma_importer_map)

/**
 * DOC: DMA_IMPORTER_IOCTL_UNMAP - dma_buf_unmap_attachment()
 *
 * EINVAL: it is not mapped.
 */
#define DMA_IMPORTER_IOCTL_UNMAP \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x04, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_GET_SEGMENTS - The scatterlist
 *
 * EINVAL: it is not mapped. Nothing is written when there is not room for all.
 */
#define DMA_IMPORTER_IOCTL_GET_SEGMENTS \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x05, struct dma_importer_segments)

/**
 * DOC: DMA_IMPORTER_IOCTL_PIN - dma_buf_pin()
 *
 * EINVAL: the attachment is not dynamic. ENOMEM.
 */
#define DMA_IMPORTER_IOCTL_PIN \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x06, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_UNPIN - dma_buf_unpin()
 *
 * EINVAL: it is not pinned.
 */
#define DMA_IMPORTER_IOCTL_UNPIN \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x07, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_VMAP - dma_buf_vmap()
 *
 * EINVAL: the exporter has none. ENOMEM.
 */
#define DMA_IMPORTER_IOCTL_VMAP \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x08, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_VUNMAP - dma_buf_vunmap()
 *
 * EINVAL: it is not mapped.
 */
#define DMA_IMPORTER_IOCTL_VUNMAP \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x09, struct dma_importer_handle)

/**
 * DOC: DMA_IMPORTER_IOCTL_CPU_ACCESS - Kernel code reads or writes the buffer,
 *   between dma_buf_begin_cpu_access() and dma_buf_end_cpu_access()
 *
 * EINVAL: outside the buffer. EFAULT.
 */
#define DMA_IMPORTER_IOCTL_CPU_ACCESS \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x0a, struct dma_importer_cpu_access)

/**
 * DOC: DMA_IMPORTER_IOCTL_INFO - What has become of an attachment
 */
#define DMA_IMPORTER_IOCTL_INFO \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x0b, struct dma_importer_info)

/**
 * DOC: DMA_IMPORTER_IOCTL_TRANSFER - The engine does one thing, now
 *
 * EIO: an address is not mapped for it, and nothing was done. EFAULT.
 */
#define DMA_IMPORTER_IOCTL_TRANSFER \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x0c, struct dma_importer_transfer)

/**
 * DOC: DMA_IMPORTER_IOCTL_SET_RING - Where the engine's descriptors are; it
 *   begins with the first
 */
#define DMA_IMPORTER_IOCTL_SET_RING \
	_IOW(DMA_IMPORTER_IOC_MAGIC, 0x0d, struct dma_importer_ring)

/**
 * DOC: DMA_IMPORTER_IOCTL_KICK - The engine goes through the descriptors that
 *   are its own
 *
 * EINVAL: there is no ring. EIO: it came upon one that it could not carry out,
 * or the ring itself is not mapped; it has stopped there.
 */
#define DMA_IMPORTER_IOCTL_KICK \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x0e, struct dma_importer_kick)

/**
 * DOC: DMA_IMPORTER_IOCTL_GET_FAULT - The faults of this device so far
 */
#define DMA_IMPORTER_IOCTL_GET_FAULT \
	_IOWR(DMA_IMPORTER_IOC_MAGIC, 0x0f, struct dma_importer_fault)

/**
 * DOC: DMA_IMPORTER_IOCTL_RESET - Unmaps, unpins and detaches everything, and
 *   forgets the faults
 */
#define DMA_IMPORTER_IOCTL_RESET _IO(DMA_IMPORTER_IOC_MAGIC, 0x10)

#endif /* _UAPI_DMA_IMPORTER_H */
