/* fdinfo N: opens the entry of a buffer's descriptor in /proc/self/fdinfo so many times, and reads the last. */
#include "kit.h"

int main(int argc, char **argv) {
    int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
    struct dma_heap_allocation_data data = {.len = 4096, .fd_flags = O_RDWR};
    char path[64], text[4096];
    if (argc < 2 || ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) return 1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", (int)data.fd);
    for (int i = atoi(argv[1]); i > 0; i--) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = read(fd, text, sizeof text);
        if (length <= 0) return 1;
        if (i == 1) fwrite(text, 1, (size_t)length, stdout);
        close(fd);
    }
    return 0;
}
