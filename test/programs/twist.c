/* A client of the devices of test/programs/twist.ts: makes each of their calls, and what goes wrong with them. */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct twist_point { uint32_t x, y; };
struct twist_turn {
    struct twist_point from, to[2];
    char name[16];
    union { uint32_t word; uint16_t halves[2]; };
    uint32_t count;
};
struct twist_state { uint32_t turns, flags; };
struct twist_draw { int32_t buffer, fence; };
#define TWIST_IOC_TURN _IOWR(0xc1, 1, struct twist_turn)
#define TWIST_IOC_STATE _IOR(0xc1, 2, struct twist_state)
#define TWIST_IOC_DRAW _IOWR(0xc1, 3, struct twist_draw)
#define STRETCH_IOC_SET(size) _IOC(_IOC_READ | _IOC_WRITE, 0xc2, 1, size)

int main(void) {
    int twist = open("/dev/twist", O_RDWR), stretch = open("/dev/stretch", O_RDWR);
    int heap = open("/dev/dma_heap/system", O_RDWR);
    struct twist_turn turn = {.from = {1, 2}, .to = {{3, 4}, {5, 6}}, .name = "before", .word = 0x20001};
    struct twist_state state = {0xdead, 0xbeef};
    struct dma_heap_allocation_data data = {.len = 4096, .fd_flags = O_RDWR};
    if (twist < 0 || stretch < 0 || ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) return 1;
    if (ioctl(twist, TWIST_IOC_TURN, &turn) || strcmp(turn.name, "a, b={c}")) return 2;
    if (ioctl(twist, TWIST_IOC_STATE, &state) || state.turns != 1) return 3;
    ioctl(twist, TWIST_IOC_STATE, NULL);
    ioctl(twist, STRETCH_IOC_SET(16), &state);

    uint32_t set[6] = {7, 8, 9, 0, 0, 0};
    if (ioctl(stretch, STRETCH_IOC_SET(4), set) || ioctl(stretch, STRETCH_IOC_SET(24), set)) return 4;
    ioctl(stretch, STRETCH_IOC_SET(6), set);
    set[5] = 1;
    ioctl(stretch, STRETCH_IOC_SET(24), set);

    char *bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
    struct twist_draw draw = {.buffer = data.fd};
    if (bytes == MAP_FAILED || ioctl(twist, TWIST_IOC_DRAW, &draw)) return 5;
    struct dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
    if (ioctl(data.fd, DMA_BUF_IOCTL_SYNC, &sync) || strcmp(bytes, "drawn")) return 6;
    sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
    ioctl(data.fd, DMA_BUF_IOCTL_SYNC, &sync);
    puts("done");
    return 0;
}
