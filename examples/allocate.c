/* cc -o allocate examples/allocate.c && dmabuf-shim run ./allocate */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    struct dma_heap_allocation_data data = {.len = 8192, .fd_flags = O_RDWR};
    int heap = open("/dev/dma_heap/system", O_RDONLY);
    if (heap < 0 || ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) return perror("allocate"), 1;
    char *bytes = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
    if (bytes == MAP_FAILED) return perror("mmap"), 1;
    ioctl(data.fd, DMA_BUF_IOCTL_SYNC, &(struct dma_buf_sync){DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE});
    strcpy(bytes, "written between START and END");
    ioctl(data.fd, DMA_BUF_IOCTL_SYNC, &(struct dma_buf_sync){DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE});
    printf("%d bytes: \"%s\"\n", 8192, bytes);
    return munmap(bytes, 8192) || close(data.fd) || close(heap);
}
