/* What a trace shows of: a buffer that is mapped, a list behind a struct, a fence that is polled, and waited for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

struct fence_data { uint32_t value; char name[32]; int32_t fence; };
#define CREATE_FENCE _IOWR('W', 0, struct fence_data)
#define INC _IOW('W', 1, uint32_t)

int main(void) {
    setlinebuf(stdout);
    int heap = open("/dev/dma_heap/system", O_RDWR), udmabuf = open("/dev/udmabuf", O_RDWR);
    int timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR);
    struct dma_heap_allocation_data data = {.len = 8192, .fd_flags = O_RDWR | O_CLOEXEC};
    ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data);
    void *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
    printf("%p\n", map);
    mmap(0, 12288, PROT_READ, MAP_SHARED, data.fd, 0);

    int memfd = memfd_create("memory", MFD_ALLOW_SEALING);
    ftruncate(memfd, 8192);
    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK);
    struct { struct udmabuf_create_list head; struct udmabuf_create_item items[2]; } list = {
        {.count = 2}, {{.memfd = memfd, .size = 4096}, {.memfd = memfd, .offset = 4096, .size = 4096}}};
    ioctl(udmabuf, UDMABUF_CREATE_LIST, &list);

    struct fence_data fence = {.value = 1};
    ioctl(timeline, CREATE_FENCE, &fence);
    struct pollfd fds[] = {{.fd = 0, .events = POLLPRI}, {.fd = fence.fence, .events = POLLIN}};
    poll(fds, 2, 0);
    uint32_t one = 1;
    int child = fork();
    if (child == 0) {
        usleep(20000);
        ioctl(timeline, INC, &one);
        return 0;
    }
    poll(fds, 2, -1);
    waitpid(child, 0, 0);
    poll(fds, 1, 0); /* nothing of ours */
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fence.fence, &set);
    select(fence.fence + 1, &set, 0, 0, 0);
    return 0;
}
