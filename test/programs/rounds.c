/*
 * rounds heap|udmabuf threads|processes COUNT ROUNDS: each round allocates a buffer, brackets an access,
 * maps it twice, writes through one mapping and compares through the other, unmaps and closes.
 */
#include "kit.h"

enum { PAGES = 3 };
static int rounds, use_udmabuf;

static void check(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void bracket(int fd, uint64_t flags) {
    struct dma_buf_sync sync = {flags | DMA_BUF_SYNC_RW};
    check(!ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), "DMA_BUF_IOCTL_SYNC");
}

static void *work(void *seed) {
    for (int round = 0; round < rounds; round++) {
        int fd = use_udmabuf ? udmabuf_buf(PAGES * PAGE) : heap_buf(PAGES * PAGE, O_RDWR | O_CLOEXEC);
        check(fd >= 0, "allocate");
        uint32_t *maps[2];
        for (int i = 0; i < 2; i++) {
            maps[i] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            check(maps[i] != MAP_FAILED, "mmap");
        }
        bracket(fd, DMA_BUF_SYNC_START);
        uint32_t value = (uint32_t)(uintptr_t)seed * 1000003 + (uint32_t)round;
        for (size_t i = 0; i < PAGES * PAGE / 4; i++) {
            check(maps[1][i] == 0, "a new buffer is zero");
            maps[0][i] = value + (uint32_t)i;
        }
        for (size_t i = 0; i < PAGES * PAGE / 4; i++) check(maps[1][i] == value + i, "compare");
        bracket(fd, DMA_BUF_SYNC_END);
        for (int i = 0; i < 2; i++) check(!munmap(maps[i], PAGES * PAGE), "munmap");
        check(!close(fd), "close");
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    use_udmabuf = !strcmp(argv[1], "udmabuf");
    int processes = !strcmp(argv[2], "processes"), count = atoi(argv[3]), failed = 0;
    rounds = atoi(argv[4]);
    int before = open_fds();
    pthread_t threads[64];
    for (int i = 0; i < count; i++) {
        void *seed = (void *)(uintptr_t)(i + 1);
        if (processes && fork() == 0) _exit(work(seed) != NULL);
        if (!processes) check(!pthread_create(&threads[i], NULL, work, seed), "pthread_create");
    }
    for (int i = 0; i < count; i++) {
        int status = 0;
        if (processes) wait(&status);
        else pthread_join(threads[i], NULL);
        failed += status != 0;
    }
    printf("%d failed, %d new descriptors\n", failed, open_fds() - before);
    return failed;
}
