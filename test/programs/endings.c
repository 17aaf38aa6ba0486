/*
 * endings HOW: leaves something behind, and ends, or lets go of a part of it, in one of the less common ways.
 */
#define _GNU_SOURCE
#include "kit.h"
#include <pthread.h>
#include <sys/syscall.h>

#define SIZE (2 * PAGE)

static int allocate(void) {
    int fd = heap_buf(SIZE, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    perror("allocate");
    exit(1);
}

static char *map_at(char *address, int flags, int fd) {
    char *map = mmap(address, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
    if (map != MAP_FAILED) return map;
    perror("mmap");
    exit(1);
}

static void *leave_later(void *unused) {
    /* /proc/PID shows nothing of a process whose first thread is gone. */
    usleep(50000);
    map_at(NULL, 0, allocate());
    return unused;
}

/* The first thread ends, and the process with another one. */
static void last_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, leave_later, NULL);
    pthread_exit(NULL);
}

/* As a program without a C library may end. */
static void exit_alone(void) {
    allocate();
    syscall(SYS_exit, 0);
}

enum { THREADS = 16 };
static pthread_barrier_t all_there;
static long ending;

static void *end(void *unused) {
    pthread_barrier_wait(&all_there);
    syscall(ending, 0);
    return unused;
}

static void end_at_once(long how) {
    pthread_t thread;
    ending = how;
    allocate();
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (int i = 1; i < THREADS; i++) pthread_create(&thread, NULL, end, NULL);
    end(NULL);
}

static void all_exit_group(void) {
    end_at_once(SYS_exit_group);
}

static void all_exit(void) {
    end_at_once(SYS_exit);
}

static void half(void) {
    int fd = allocate();
    char *map = map_at(NULL, 0, fd);
    close(fd);
    munmap(map, PAGE);
}

/* What was there before, and was unmapped in halves, is not left. */
static void again(void) {
    int fd = allocate();
    char *map = map_at(NULL, 0, fd);
    munmap(map, PAGE);
    munmap(map + PAGE, PAGE);
    map_at(map, MAP_FIXED_NOREPLACE, fd);
    close(fd);
}

static void fixed(void) {
    int fd = allocate();
    char *map = map_at(NULL, 0, fd);
    map_at(map, MAP_FIXED, fd);
    close(fd);
}

/* A length that is no multiple of a page. */
static void odd(void) {
    int fd = allocate();
    char *map = map_at(NULL, 0, fd);
    close(fd);
    munmap(map, SIZE - 1);
}

/* Whoever began it is this program, and not the one that it becomes. */
static void become(void) {
    struct dma_buf_sync start = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
    ioctl(allocate(), DMA_BUF_IOCTL_SYNC, &start);
    execlp("true", "true", (char *)NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} endings[] = {
    {"last-thread", last_thread}, {"exit-alone", exit_alone}, {"all-exit-group", all_exit_group},
    {"all-exit", all_exit},       {"half", half},             {"again", again},
    {"fixed", fixed},             {"odd", odd},               {"become", become},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(argv[1], endings[i].name)) continue;
        endings[i].run();
        return 0;
    }
    return 2;
}
