/* killed TIMES: kills children that allocate, bracket and map all the time, at any moment. */
#include "kit.h"

static void hammer(int which) {
    for (;;) {
        int fd = which ? udmabuf_buf(4 * PAGE) : heap_buf(4 * PAGE, O_RDWR | O_CLOEXEC);
        struct dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
        ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
        void *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) munmap(at, 4 * PAGE);
        close(fd);
    }
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1, killed = 0, before = open_fds();
    srandom(20);
    for (int i = 0; i < times; i++) {
        pid_t child = fork();
        if (child == 0) hammer(i % 2);
        struct timespec moment = {0, random() % 3000000};
        nanosleep(&moment, NULL);
        int status;
        if (kill(child, SIGKILL) || waitpid(child, &status, 0) != child) return 1;
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    printf("%d killed, %d new descriptors\n", killed, open_fds() - before);
    return 0;
}
