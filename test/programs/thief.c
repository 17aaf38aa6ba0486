/*
 * thief MILLISECONDS: is given a udmabuf of one page of a memfd, and tries to come by the pages beside it: by the
 * mapping that it has, and by a descriptor of the memfd, which threads of it look for as long as others map the
 * udmabuf: in their own table, in those of all threads, by number and by pidfd.
 */
#include "kit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

enum { WINDOW = 8, PAGES = 16, FDS = 16 };
static atomic_int over;
static atomic_long looks, caught, mapped;
static int buffer;

static void is_secret(int fd) {
    char text[8] = {0};
    if (fd < 0) return;
    if (pread(fd, text, 6, 0) == 6 && !memcmp(text, "SECRET", 6)) caught++;
    close(fd);
}

static void *by_number(void *unused) {
    while (!over) {
        looks++;
        for (int fd = 3; fd < FDS; fd++) is_secret(syscall(SYS_fcntl, fd, F_DUPFD, 100));
    }
    return unused;
}

/* The next threads that there will be. */
static void *by_pidfd(void *unused) {
    pid_t self = getpid();
    while (!over) {
        looks++;
        for (pid_t tid = self; tid < self + 4000 && !over; tid++) {
            int pidfd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
            if (pidfd < 0) continue;
            for (int fd = 3; fd < FDS; fd++) is_secret(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
            close(pidfd);
        }
    }
    return unused;
}

static void *by_proc(void *unused) {
    while (!over) {
        looks++;
        DIR *tasks = opendir("/proc/self/task");
        for (struct dirent *e; tasks && (e = readdir(tasks));)
            for (int fd = 3; fd < FDS; fd++) is_secret(open(L("/proc/self/task/%s/fd/%d", e->d_name, fd), O_RDWR));
        if (tasks) closedir(tasks);
    }
    return unused;
}

static void *map(void *unused) {
    while (!over) {
        char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
        if (at == MAP_FAILED) continue;
        if (!strcmp(at, "public")) mapped++;
        munmap(at, PAGE);
    }
    return unused;
}

static void steal(int milliseconds) {
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
    SAY("the window: %s", at);
    F("mremap to two pages", (long)mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    F("mremap of it once more", (long)mremap(at, 0, PAGE, MREMAP_MAYMOVE));
    char *place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SAY("mremap to elsewhere: %d", mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    F("and then to two pages", (long)mremap(place, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    F("remap_file_pages", syscall(SYS_remap_file_pages, place, PAGE, 0, 0, 0));
    SAY("the window still: %s", place);
    F("ftruncate", ftruncate(buffer, 1 << 20));
    pthread_t threads[4];
    void *(*const all[])(void *) = {by_number, by_pidfd, by_proc, map};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, all[i], NULL);
    usleep(milliseconds * 1000);
    over = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SAY("looked: %d, mapped: %d, caught: %ld", looks > 0, mapped > 0, caught);
    SAY("threads: %d", entries("/proc/self/task"));
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    if (!fork()) {
        buffer = recv_fd(pair[1]);
        steal(atoi(argv[1]));
        exit(0);
    }
    int memfd = sealed_memfd(PAGES * PAGE, F_SEAL_SHRINK);
    char *all = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    strcpy(all, "SECRET");
    strcpy(all + WINDOW * PAGE, "public");
    strcpy(all + (WINDOW + 1) * PAGE, "SECRET");
    send_fd(pair[0], udmabuf_of(memfd, WINDOW * PAGE, PAGE));
    wait(NULL);
    struct stat stat;
    fstat(memfd, &stat);
    SAY("the memfd’s mode: %o", stat.st_mode & 07777);
    return 0;
}
