/*
 * paused TIMES: a program that maps a part of somebody else's memfd all the time is stopped and continued at any
 * moment. Meanwhile another one makes calls that have nothing to do with it.
 */
#include "kit.h"
#include <stdatomic.h>
#include <sys/time.h>

static struct { atomic_int mapped, failed; } *shared;

static void map(int buffer) {
    for (;;) {
        char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
        if (at == MAP_FAILED || strcmp(at, "public")) shared->failed++;
        else shared->mapped++;
        if (at != MAP_FAILED) munmap(at, PAGE);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int memfd = sealed_memfd(2 * PAGE, F_SEAL_SHRINK), buffer = udmabuf_of(memfd, PAGE, PAGE);
    if (pwrite(memfd, "public", 7, PAGE) != 7) return 1;
    close(memfd);
    pid_t child = fork();
    if (!child) map(buffer);
    srandom(7);
    int served = 0;
    for (int i = 0; i < atoi(argv[1]); i++) {
        usleep(random() % 2000);
        kill(child, SIGSTOP);
        served += access("/dev/udmabuf", F_OK) == 0;
        kill(child, SIGCONT);
    }
    int before = shared->mapped;
    while (shared->mapped == before) usleep(1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    SAY("mapped: %d, failed: %d, others served: %d", shared->mapped > 0, shared->failed, served);
    return 0;
}
