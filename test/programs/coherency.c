/*
 * coherency: a program with a buffer and a device that does not see the CPU's caches, which uses them as its
 * arguments say, one after the other; it may leave brackets out. Ranges are FIRST,PAGES.
 *
 *   alloc PAGES | udmabuf PAGES | map RANGE | mapro RANGE | populate RANGE | unmap | device | undevice
 *   put RANGE VALUE | get RANGE | write RANGE (from the buffer, write(2)) | start FLAGS | end FLAGS
 *   fill RANGE VALUE (the device writes) | fetch RANGE (the device reads)
 *   fork (the child does the rest, the parent nothing) | nap MS
 *   child RANGE (a child reads the range, and ends) | drop (MADV_DONTNEED) | advise (MADV_POPULATE_READ)
 *   move (mremap, to where there is room) | again (unmaps all, and maps it in the same place)
 *
 * get and fetch print the first byte of each page.
 */
#include "../../examples/dma_importer.h"
#include "kit.h"

static int fd, device;
static char *map;
static size_t mapped;
static __u64 address;
static long first, count, value;

static void check(int failed, const char *what) {
    if (!failed) return;
    perror(what);
    exit(1);
}

static void parse(const char *range) {
    first = strtol(range, NULL, 10);
    count = strtol(strchr(range, ',') + 1, NULL, 10);
}

static void map_with(int prot, int flags) {
    mapped = count * PAGE;
    map = mmap(NULL, mapped, prot, flags, fd, first * PAGE);
    check(map == MAP_FAILED, "mmap");
}

static void print(const char *what, const char *bytes) {
    printf("%s", what);
    for (long i = 0; i < count; i++) printf(" %d", bytes[i * PAGE]);
    printf("\n");
}

static void make_device(void) {
    struct dma_importer_setup setup = {.name = "gpu", .max_segment_size = 1u << 31};
    struct dma_importer_segment segment;
    setup.flags = DMA_IMPORTER_NONCOHERENT | DMA_IMPORTER_IOMMU;
    device = open("/dev/dma_importer", O_RDWR | O_CLOEXEC);
    check(device < 0 || ioctl(device, DMA_IMPORTER_IOCTL_SETUP, &setup), "device");
    struct dma_importer_attach attach = {.fd = fd};
    check(ioctl(device, DMA_IMPORTER_IOCTL_ATTACH, &attach), "attach");
    struct dma_importer_map mapping = {.handle = attach.handle};
    check(ioctl(device, DMA_IMPORTER_IOCTL_MAP, &mapping), "map");
    struct dma_importer_segments segments = {.handle = attach.handle, .count = 1};
    segments.segments = (__u64)(uintptr_t)&segment;
    check(ioctl(device, DMA_IMPORTER_IOCTL_GET_SEGMENTS, &segments), "segments");
    address = segment.address;
}

static void transfer(int op, char *data) {
    struct dma_importer_transfer transfer = {.op = op, .length = count * PAGE};
    transfer.data = (__u64)(uintptr_t)data;
    if (op == DMA_IMPORTER_OP_FILL) {
        transfer.destination = address + first * PAGE;
        transfer.value = value;
    } else {
        transfer.source = address + first * PAGE;
    }
    check(ioctl(device, DMA_IMPORTER_IOCTL_TRANSFER, &transfer), "transfer");
}

static void sync_buffer(__u64 flags, const char *access) {
    if (strchr(access, 'r')) flags |= DMA_BUF_SYNC_READ;
    if (strchr(access, 'w')) flags |= DMA_BUF_SYNC_WRITE;
    struct dma_buf_sync sync = {.flags = flags};
    check(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), "sync");
}

static void child(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        volatile char byte;
        for (long i = 0; i < count; i++) byte = map[(first + i) * PAGE];
        (void)byte;
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
    (void)argc;
    for (char **arg = argv + 1; *arg; arg++) {
        const char *step = *arg;
        if (strchr("cpgwfm", step[0]) && arg[1] && strchr(arg[1], ',')) parse(*++arg);
        if (!strcmp(step, "alloc")) check((fd = heap_buf(atol(*++arg) * PAGE, O_RDWR)) < 0, "alloc");
        if (!strcmp(step, "udmabuf")) {
            long size = atol(*++arg) * PAGE;
            check((fd = udmabuf_of(sealed_memfd(size, F_SEAL_SHRINK), 0, size)) < 0, "udmabuf");
        }
        if (!strcmp(step, "map")) map_with(PROT_READ | PROT_WRITE, MAP_SHARED);
        if (!strcmp(step, "mapro")) map_with(PROT_READ, MAP_SHARED);
        if (!strcmp(step, "populate")) map_with(PROT_READ, MAP_SHARED | MAP_POPULATE);
        if (!strcmp(step, "unmap")) munmap(map, mapped);
        if (!strcmp(step, "device")) make_device();
        if (!strcmp(step, "undevice")) close(device);
        if (!strcmp(step, "put")) {
            value = atol(*++arg);
            for (long i = 0; i < count; i++) memset(map + (first + i) * PAGE, value, PAGE);
        }
        if (!strcmp(step, "get")) print("get", map + first * PAGE);
        if (!strcmp(step, "write")) {
            int ends[2];
            check(pipe(ends) || write(ends[1], map + first * PAGE, count * PAGE) < 0, "write");
        }
        if (!strcmp(step, "start")) sync_buffer(DMA_BUF_SYNC_START, *++arg);
        if (!strcmp(step, "end")) sync_buffer(DMA_BUF_SYNC_END, *++arg);
        if (!strcmp(step, "fill")) {
            value = atol(*++arg);
            transfer(DMA_IMPORTER_OP_FILL, NULL);
        }
        if (!strcmp(step, "fetch")) {
            char *data = malloc(count * PAGE);
            transfer(DMA_IMPORTER_OP_READ, data);
            print("fetch", data);
            free(data);
        }
        if (!strcmp(step, "fork")) {
            fflush(stdout);
            pid_t child = fork();
            if (child > 0) return waitpid(child, NULL, 0) < 0;
        }
        if (!strcmp(step, "nap")) usleep(atol(*++arg) * 1000);
        if (!strcmp(step, "child")) child();
        if (!strcmp(step, "drop")) check(madvise(map, mapped, MADV_DONTNEED), "drop");
        if (!strcmp(step, "advise")) check(madvise(map, mapped, 22), "advise");
        if (!strcmp(step, "move")) {
            char *room = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            map = mremap(map, mapped, mapped, MREMAP_MAYMOVE | MREMAP_FIXED, room);
            check(map == MAP_FAILED, "move");
        }
        if (!strcmp(step, "again")) {
            munmap(map, mapped);
            check(mmap(map, mapped, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != map, "again");
        }
    }
    return 0;
}
