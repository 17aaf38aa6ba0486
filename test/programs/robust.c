/*
 * robust ROUNDS: does all that there is to do with buffers and fences, and is ready for every errno that a correct
 * program may see: it tries again, and where memory or descriptors are short, first lets go of what it has. Prints
 * "ok" if all came right in the end, and how often something had failed.
 */
#include "fences.h"
#include <sys/epoll.h>

enum { BUFFERS_HELD = 3, PATIENCE = 200 };
static long failed;

/* Whether the call that has just failed may be made again. */
static int again(void) {
    failed++;
    switch (errno) {
    case EINTR: case EAGAIN: case ENOMEM: case EMFILE: case ENFILE: case ENOSPC: case EIO: return 1;
    }
    return 0;
}

/* The call's result, made as often as it takes. */
#define TRY(call) ({ \
    long r_; \
    int left_ = PATIENCE; \
    while ((r_ = (long)(call)) < 0 && again() && --left_ > 0); \
    if (r_ < 0) die(#call); \
    r_; })

static void die(const char *what) {
    printf("%s: %s\n", what, err(errno));
    exit(1);
}

static void expect(int ok, const char *what) {
    if (ok) return;
    printf("not so: %s\n", what);
    exit(1);
}

static int allocate(int heap) {
    struct dma_heap_allocation_data d = {.len = 2 * PAGE, .fd_flags = O_RDWR | O_CLOEXEC};
    return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &d) ? -1 : (int)d.fd;
}

/* All of them or none. */
static int allocate_all(int heap, int *fds) {
    for (int i = 0; i < BUFFERS_HELD; i++) {
        fds[i] = allocate(heap);
        if (fds[i] >= 0) continue;
        int e = errno;
        while (i > 0) close(fds[--i]);
        errno = e;
        return -1;
    }
    return 0;
}

static char *map(int fd) {
    return (char *)TRY(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static void use(int fd, char c) {
    TRY(ioctl(fd, DMA_BUF_SET_NAME, "robust"));
    expect(TRY(lseek(fd, 0, SEEK_END)) == 2 * PAGE, "size");
    char *bytes = map(fd);
    TRY(bufsync(fd, WR));
    memset(bytes, c, 2 * PAGE);
    TRY(bufsync(fd, WR | DMA_BUF_SYNC_END));
    munmap(bytes, 2 * PAGE);
    bytes = map(fd);
    TRY(bufsync(fd, R));
    expect(bytes[0] == c && bytes[2 * PAGE - 1] == c, "what was written");
    TRY(bufsync(fd, R | DMA_BUF_SYNC_END));
    munmap(bytes, 2 * PAGE);
    struct stat st;
    TRY(fstat(fd, &st));
}

/* A fence holds the buffer up, and then does not. */
static void wait_for(int fd) {
    int tl = TRY(timeline("robust")), f = TRY(fence(tl, 1)), g = TRY(fence(tl, 1));
    int both = TRY(merge(f, g, "both"));
    TRY(import(fd, RW, both));
    int of_buffer = TRY(export(fd, RW));
    struct pollfd p[2] = {{fd, POLLOUT, 0}, {of_buffer, POLLIN, 0}};
    expect(TRY(poll(p, 2, 0)) == 0, "held up");
    int ep = TRY(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event e = {.events = EPOLLOUT};
    TRY(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    expect(epoll_wait(ep, &e, 1, 0) == 0, "held up, by epoll");
    pid_t child = later(1, tl, 1);
    expect(TRY(poll(p, 2, -1)) > 0, "woken");
    reap(child);
    TRY(bufsync(fd, RW));
    TRY(bufsync(fd, RW | DMA_BUF_SYNC_END));
    expect(TRY(poll(p, 2, 0)) == 2, "free");
    expect(TRY(epoll_wait(ep, &e, 1, 1000)) == 1, "free, by epoll");
    struct sync_file_info i = {0};
    TRY(ioctl(both, SYNC_IOC_FILE_INFO, &i));
    expect(i.status == 1, "signalled");
    TRY(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
    int all[] = {tl, f, g, both, of_buffer, ep};
    for (unsigned k = 0; k < sizeof all / sizeof *all; k++) close(all[k]);
}

static void use_udmabuf(void) {
    int memfd = sealed_memfd(2 * PAGE, F_SEAL_SHRINK);
    int device = TRY(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
    struct udmabuf_create create = {memfd, UDMABUF_FLAGS_CLOEXEC, 0, 2 * PAGE};
    int fd = TRY(ioctl(device, UDMABUF_CREATE, &create));
    char *bytes = map(fd);
    bytes[PAGE] = 'u';
    munmap(bytes, 2 * PAGE);
    char c = 0;
    expect(pread(memfd, &c, 1, PAGE) == 1 && c == 'u', "the memfd's bytes");
    close(fd);
    close(device);
    close(memfd);
}

int main(int argc, char **argv) {
    int before = open_fds(), rounds = argc > 1 ? atoi(argv[1]) : 1;
    for (int round = 0; round < rounds; round++) {
        struct stat st;
        TRY(stat("/dev/dma_heap/system", &st));
        int fds[BUFFERS_HELD], heap = TRY(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC));
        TRY(allocate_all(heap, fds));
        for (int i = 0; i < BUFFERS_HELD; i++) use(fds[i], 'a' + i);
        wait_for(fds[0]);
        use_udmabuf();
        for (int i = 0; i < BUFFERS_HELD; i++) close(fds[i]);
        close(heap);
    }
    expect(open_fds() == before, "no descriptor more");
    printf("ok, %ld failed\n", failed);
    return 0;
}
