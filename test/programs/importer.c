/*
 * A program and a device that does not see the CPU's caches, on one buffer of two pages.
 *
 * importer draw       the program writes, and the device reads without SYNC in between
 * importer look       the device writes, and the program reads without SYNC in between
 * importer draw-sync  the same, as it should be done
 * importer look-sync
 *
 * Prints what the reader saw.
 */
#include "../../examples/dma_importer.h"
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 8192

static void call(int fd, unsigned long request, void *argument, const char *what)
{
	if (ioctl(fd, request, argument)) {
		perror(what);
		exit(1);
	}
}
#define CALL(fd, request, argument) call(fd, request, argument, #request)

static void bracket(int buffer, uint64_t flags)
{
	struct dma_buf_sync sync = { flags };
	CALL(buffer, DMA_BUF_IOCTL_SYNC, &sync);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int sync = strstr(what, "-sync") != NULL, draw = !strncmp(what, "draw", 4);
	struct dma_heap_allocation_data data = { .len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDWR), device = open("/dev/dma_importer", O_RDWR);
	if (heap < 0 || device < 0) return perror("open"), 1;
	CALL(heap, DMA_HEAP_IOCTL_ALLOC, &data);
	int buffer = data.fd;
	char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0), seen[8] = "";
	if (bytes == MAP_FAILED) return perror("mmap"), 1;
	memset(bytes, '.', SIZE);

	struct dma_importer_setup setup = { .name = "gpu", .flags = DMA_IMPORTER_NONCOHERENT | DMA_IMPORTER_IOMMU };
	CALL(device, DMA_IMPORTER_IOCTL_SETUP, &setup);
	struct dma_importer_attach attach = { .fd = buffer };
	CALL(device, DMA_IMPORTER_IOCTL_ATTACH, &attach);
	struct dma_importer_map map = { .handle = attach.handle, .direction = DMA_IMPORTER_BIDIRECTIONAL };
	CALL(device, DMA_IMPORTER_IOCTL_MAP, &map);
	struct dma_importer_segment segment;
	struct dma_importer_segments segments = { (uintptr_t)&segment, .count = 1, .handle = attach.handle };
	CALL(device, DMA_IMPORTER_IOCTL_GET_SEGMENTS, &segments);

	if (draw) {
		if (sync) bracket(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
		memcpy(bytes + 4096, "drawn", 5);
		if (sync) bracket(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
		struct dma_importer_transfer read = { .source = segment.address + 4096, .data = (uintptr_t)seen,
						      .length = 5, .op = DMA_IMPORTER_OP_READ };
		CALL(device, DMA_IMPORTER_IOCTL_TRANSFER, &read);
	} else {
		struct dma_importer_transfer fill = { .destination = segment.address, .length = SIZE, .value = '#',
						      .op = DMA_IMPORTER_OP_FILL };
		CALL(device, DMA_IMPORTER_IOCTL_TRANSFER, &fill);
		if (sync) bracket(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		for (int i = 0; i < 5; i++) seen[i] = bytes[i * 1024];
		if (sync) bracket(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	printf("%s\n", seen);
	return 0;
}
