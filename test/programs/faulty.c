/*
 * faulty FAULT: makes one mistake, or, as FAULT-mended, the same without the mistake. What is left is left to
 * the end of the process; what a report is to find is the call that the mistake is about.
 */
#include "../../examples/dma_importer.h"
#include "kit.h"
#include <linux/sync_file.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

struct sw_sync_create_fence_data {
    __u32 value;
    char name[32];
    __s32 fence;
};
#define SW_SYNC_IOC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence_data)
#define SW_SYNC_IOC_INC _IOW('W', 1, __u32)

static int mended;
static char *map;

static int check(int result, const char *what) {
    if (result >= 0) return result;
    perror(what);
    exit(1);
}

static int allocate(void) {
    return check(heap_buf(2 * PAGE, O_RDWR | O_CLOEXEC), "allocate");
}

static void map_all(int fd) {
    map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(map == MAP_FAILED ? -1 : 0, "mmap");
}

static void sync_buffer(int fd, __u64 flags) {
    struct dma_buf_sync sync = {.flags = flags};
    check(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), "sync");
}
#define START(fd, how) sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_##how)
#define END(fd, how) sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_##how)

static int timeline(void) {
    return check(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC), "sw_sync");
}

static int fence(int line, __u32 value) {
    struct sw_sync_create_fence_data data = {.value = value, .name = "faulty"};
    check(ioctl(line, SW_SYNC_IOC_CREATE_FENCE, &data), "fence");
    return data.fence;
}

static int device(__u32 flags) {
    struct dma_importer_setup setup = {.name = "gpu", .flags = flags, .max_segment_size = 1u << 31};
    int fd = check(open("/dev/dma_importer", O_RDWR | O_CLOEXEC), "device");
    check(ioctl(fd, DMA_IMPORTER_IOCTL_SETUP, &setup), "setup");
    return fd;
}

static __u32 attach(int device, int fd) {
    struct dma_importer_attach attach = {.fd = fd};
    check(ioctl(device, DMA_IMPORTER_IOCTL_ATTACH, &attach), "attach");
    return attach.handle;
}

static __u64 map_for(int device, __u32 handle) {
    struct dma_importer_map map = {.handle = handle};
    struct dma_importer_segment segment;
    struct dma_importer_segments segments = {.handle = handle, .count = 1};
    segments.segments = (__u64)(uintptr_t)&segment;
    check(ioctl(device, DMA_IMPORTER_IOCTL_MAP, &map), "map");
    check(ioctl(device, DMA_IMPORTER_IOCTL_GET_SEGMENTS, &segments), "segments");
    return segment.address;
}

static void unmap_and_detach(int device, __u32 handle) {
    struct dma_importer_handle which = {.handle = handle};
    check(ioctl(device, DMA_IMPORTER_IOCTL_UNMAP, &which), "unmap");
    check(ioctl(device, DMA_IMPORTER_IOCTL_DETACH, &which), "detach");
}

static int fill(int device, __u64 address, __u64 length) {
    struct dma_importer_transfer transfer = {.op = DMA_IMPORTER_OP_FILL, .value = '#'};
    transfer.destination = address;
    transfer.length = length;
    return ioctl(device, DMA_IMPORTER_IOCTL_TRANSFER, &transfer);
}

static void descriptor(void) {
    int fd = allocate();
    if (mended) close(fd);
}

static void duplicate(void) {
    int fd = allocate(), other = dup(fd);
    close(fd);
    if (mended) close(other);
}

static void node(void) {
    int fd = check(open("/dev/dma_heap/system", O_RDWR), "open");
    if (mended) close(fd);
}

static void sync_file(void) {
    int line = timeline(), fd = fence(line, 1);
    __u32 one = 1;
    check(ioctl(line, SW_SYNC_IOC_INC, &one), "inc");
    close(line);
    if (mended) close(fd);
}

static void mapping(void) {
    int fd = allocate();
    map_all(fd);
    close(fd);
    if (mended) munmap(map, 2 * PAGE);
}

static void udmabuf_mapping(void) {
    int fd = check(udmabuf_buf(2 * PAGE), "udmabuf");
    map_all(fd);
    close(fd);
    if (mended) munmap(map, 2 * PAGE);
}

static void handle(void) {
    int fd = allocate(), gpu = device(0);
    __u32 which = attach(gpu, fd);
    close(fd);
    if (mended) {
        map_for(gpu, which);
        unmap_and_detach(gpu, which);
        close(gpu);
    }
}

/* The child gets a buffer by a message; what it has inherited is not its own. */
static void received(void) {
    int pair[2], before = allocate();
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {{0}};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    pid_t child = check(fork(), "fork");
    if (child == 0) {
        int fd;
        check(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), "recvmsg");
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
        if (mended) close(fd);
        _exit(0);
    }
    int fd = allocate();
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    check(sendmsg(pair[0], &message, 0), "sendmsg");
    close(fd);
    waitpid(child, NULL, 0);
    close(before);
}

static void no_end(void) {
    int fd = allocate();
    START(fd, READ);
    if (mended) END(fd, READ);
    close(fd);
}

static void no_start(void) {
    int fd = allocate();
    if (mended) START(fd, WRITE);
    END(fd, WRITE);
    close(fd);
}

static void direction(void) {
    int fd = allocate();
    START(fd, RW);
    if (mended) END(fd, RW);
    else END(fd, WRITE);
    close(fd);
}

static void write_late(int fd, int close_first) {
    map_all(fd);
    START(fd, WRITE);
    strcpy(map, "in time");
    if (mended) strcpy(map + PAGE, "in time, too");
    END(fd, WRITE);
    if (close_first) close(fd);
    if (!mended) strcpy(map + PAGE, "too late");
}

/* The write is seen by the next SYNC … */
static void late_write(void) {
    int fd = allocate();
    write_late(fd, 0);
    START(fd, READ);
    END(fd, READ);
    munmap(map, 2 * PAGE);
    close(fd);
}

/* … or when the mapping goes … */
static void late_write_unmapped(void) {
    write_late(allocate(), 1);
    munmap(map, 2 * PAGE);
}

/* … or the process ends … */
static void late_write_exit(void) {
    write_late(allocate(), 1);
    if (mended) munmap(map, 2 * PAGE);
}

/* … or when the device comes … */
static void late_write_device(void) {
    int fd = allocate(), gpu = device(DMA_IMPORTER_IOMMU);
    __u32 which = attach(gpu, fd);
    write_late(fd, 0);
    __u64 address = map_for(gpu, which);
    check(fill(gpu, address, 2 * PAGE), "fill");
    START(fd, READ);
    END(fd, READ);
    unmap_and_detach(gpu, which);
    munmap(map, 2 * PAGE);
    close(fd);
    close(gpu);
}

/* … and of a udmabuf, through its memfd. */
static void late_write_udmabuf(void) {
    int memfd = sealed_memfd(2 * PAGE, F_SEAL_SHRINK);
    int fd = check(udmabuf_of(memfd, 0, 2 * PAGE), "udmabuf");
    map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    START(fd, WRITE);
    if (mended) strcpy(map, "in time");
    END(fd, WRITE);
    if (!mended) strcpy(map, "too late");
    munmap(map, 2 * PAGE);
    close(memfd);
    close(fd);
}

static void abandoned(void) {
    int line = timeline(), fd = fence(line, 1);
    __u32 one = 1;
    if (mended) check(ioctl(line, SW_SYNC_IOC_INC, &one), "inc");
    close(line);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    poll(&ready, 1, -1);
    close(fd);
}

static void fault(void) {
    int fd = allocate(), gpu = device(DMA_IMPORTER_IOMMU);
    __u32 which = attach(gpu, fd);
    __u64 address = map_for(gpu, which);
    fill(gpu, address, mended ? 2 * PAGE : 3 * PAGE);
    unmap_and_detach(gpu, which);
    close(fd);
    close(gpu);
}

/* With strict coherency: the device reads what is not written back, */
static void stale(void) {
    int fd = allocate(), gpu = device(DMA_IMPORTER_IOMMU | DMA_IMPORTER_NONCOHERENT);
    __u32 which = attach(gpu, fd);
    __u64 address = map_for(gpu, which);
    char bytes[8];
    struct dma_importer_transfer transfer = {.op = DMA_IMPORTER_OP_READ, .source = address, .length = 8};
    transfer.data = (__u64)(uintptr_t)bytes;
    map_all(fd);
    if (mended) START(fd, WRITE);
    strcpy(map, "drawn");
    if (mended) END(fd, WRITE);
    check(ioctl(gpu, DMA_IMPORTER_IOCTL_TRANSFER, &transfer), "transfer");
    munmap(map, 2 * PAGE);
    unmap_and_detach(gpu, which);
    close(fd);
    close(gpu);
}

/* Whoever is killed could not do any better. */
static void killed(void) {
    START(allocate(), WRITE);
    kill(getpid(), SIGKILL);
}

static const struct {
    const char *name;
    void (*run)(void);
} faults[] = {
    {"descriptor", descriptor},
    {"duplicate", duplicate},
    {"node", node},
    {"sync_file", sync_file},
    {"mapping", mapping},
    {"udmabuf-mapping", udmabuf_mapping},
    {"handle", handle},
    {"received", received},
    {"no-end", no_end},
    {"no-start", no_start},
    {"direction", direction},
    {"late-write", late_write},
    {"late-write-unmapped", late_write_unmapped},
    {"late-write-exit", late_write_exit},
    {"late-write-device", late_write_device},
    {"late-write-udmabuf", late_write_udmabuf},
    {"abandoned", abandoned},
    {"fault", fault},
    {"stale", stale},
    {"killed", killed},
};

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    char *suffix = strstr(argv[1], "-mended");
    mended = suffix != NULL;
    if (suffix) *suffix = 0;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(argv[1], faults[i].name)) continue;
        faults[i].run();
        return 0;
    }
    return 2;
}
