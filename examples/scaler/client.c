/* Scales a picture of 2 x 2 pixels to 4 x 4, and looks at what has come of it. */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scaler.h"

static int check(int result, const char *what)
{
    if (result >= 0) return result;
    perror(what);
    exit(1);
}

/* A dma-buf for a picture of side x side pixels, mapped. */
static __u32 *allocate(int heap, __u32 side, struct scaler_image *image)
{
    struct dma_heap_allocation_data data = {.len = side * side * 4, .fd_flags = O_RDWR | O_CLOEXEC};
    check(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data), "allocate");
    *image = (struct scaler_image){data.fd, side, side, side * 4};
    __u32 *pixels = mmap(NULL, data.len, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
    if (pixels == MAP_FAILED) check(-1, "mmap");
    return pixels;
}

static void cpu_access(int fd, __u64 flags)
{
    check(ioctl(fd, DMA_BUF_IOCTL_SYNC, &(struct dma_buf_sync){flags}), "sync");
}

int main(void)
{
    int heap = check(open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC), "/dev/dma_heap/system");
    int scaler = check(open("/dev/scaler", O_RDWR | O_CLOEXEC), "/dev/scaler");
    struct scaler_job job = {.flags = 0};
    __u32 *small = allocate(heap, 2, &job.src), *large = allocate(heap, 4, &job.dst);

    cpu_access(job.src.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
    for (__u32 i = 0; i < 4; i++) small[i] = 0x111111 * (i + 1);
    cpu_access(job.src.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);

    check(ioctl(scaler, SCALER_IOC_SCALE, &job), "SCALER_IOC_SCALE");
    struct pollfd done = {.fd = job.out_fence_fd, .events = POLLIN};
    check(poll(&done, 1, -1), "poll");

    struct scaler_event event;
    check(read(scaler, &event, sizeof(event)), "read");
    printf("job %llu: status %d at %llu ns\n", event.id, event.status, event.timestamp);

    cpu_access(job.dst.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) printf("%06x%c", large[y * 4 + x], x < 3 ? ' ' : '\n');
    cpu_access(job.dst.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);

    close(job.out_fence_fd);
    munmap(small, 2 * 2 * 4);
    munmap(large, 4 * 4 * 4);
    close(job.src.fd);
    close(job.dst.fd);
    close(scaler);
    close(heap);
    return 0;
}
