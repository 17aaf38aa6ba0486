/*
 * killed TIMES [THREADS]: kills children that allocate, bracket and map all the time, at any moment, in
 * one thread or several. killed: is such a child itself.
 */
#include "kit.h"

static void *hammer(void *udmabuf) {
    for (;;) {
        int fd = udmabuf ? udmabuf_buf(4 * PAGE) : heap_buf(4 * PAGE, O_RDWR | O_CLOEXEC);
        struct dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
        ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
        void *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) munmap(at, 4 * PAGE);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc == 1) hammer(NULL);
    int times = atoi(argv[1]), threads = argc > 2 ? atoi(argv[2]) : 1, killed = 0, before = open_fds();
    srandom(20);
    for (int i = 0; i < times; i++) {
        pid_t child = fork();
        if (child == 0) {
            void *udmabuf = i % 2 ? argv : NULL;
            pthread_t thread;
            for (int more = 1; more < threads; more++) pthread_create(&thread, NULL, hammer, udmabuf);
            hammer(udmabuf);
        }
        struct timespec moment = {0, random() % 3000000};
        nanosleep(&moment, NULL);
        int status;
        if (kill(child, SIGKILL) || waitpid(child, &status, 0) != child) return 1;
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    printf("%d killed, %d new descriptors\n", killed, open_fds() - before);
    return 0;
}
