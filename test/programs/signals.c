/* signals COUNT: allocates while a timer interrupts every millisecond, and keeps all that it was given. */
#include "kit.h"
#include <sys/resource.h>
#include <sys/time.h>

static volatile long ticks;
static void tick(int signal) {
    (void)signal;
    ticks++;
}

static int allocate(int heap) {
    struct dma_heap_allocation_data data = {.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC};
    return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1;
    struct rlimit limit = {.rlim_cur = (rlim_t)count + 64, .rlim_max = (rlim_t)count + 64};
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 1;
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    int heap = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);
    int before = open_fds(), failed = 0;
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < count; i++) {
        failed += allocate(heap) < 0;
        /* More of them, which are given back, until there have been enough signals. */
        while (ticks < i / 20) failed += close(allocate(heap)) != 0;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%d failed, %d new descriptors, %s\n", failed, open_fds() - before,
           ticks >= (count - 1) / 20 ? "interrupted" : "not interrupted");
    fflush(stdout);
    char byte;
    return read(STDIN_FILENO, &byte, 1) < 0;
}
