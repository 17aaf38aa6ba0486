/*
 * steps: does what each line of its standard input says, and answers with a line: "ok NUMBER", or the
 * name of the error. Descriptors and mappings are known by letters. Lengths are in pages.
 */
#include "kit.h"

static int fds[128];
static char *maps[128];
static int ends[2] = {-1, -1};
static pid_t child;

static long udmabuf(int memfd, long pages, long first) {
    return udmabuf_of(memfd, first * PAGE, pages * PAGE);
}

static long count_of(int fd) {
    char path[64], line[128];
    long count = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *fdinfo = fopen(path, "r");
    if (!fdinfo) return -1;
    while (fgets(line, sizeof line, fdinfo)) sscanf(line, "count: %ld", &count);
    fclose(fdinfo);
    return count;
}

static long hold(char *const *argv) {
    int ready[2];
    if (pipe(ready)) return -1;
    child = fork();
    if (child == 0) {
        /* The parent goes on when exec, or this process itself, has closed the pipe. */
        fcntl(ready[1], F_SETFD, FD_CLOEXEC);
        if (argv) execv(argv[0], argv);
        close(ready[1]);
        for (;;) pause();
    }
    char byte;
    close(ready[1]);
    while (read(ready[0], &byte, 1) > 0);
    close(ready[0]);
    return child < 0 ? -1 : 0;
}

static long do_step(const char *name, int a, int b, long x, long y, char *self) {
    if (!strcmp(name, "alloc")) return fds[a] = heap_buf(x * PAGE, O_RDWR | (y ? 0 : O_CLOEXEC));
    if (!strcmp(name, "memfd")) return fds[a] = sealed_memfd(x * PAGE, F_SEAL_SHRINK);
    if (!strcmp(name, "unsealed")) return fds[a] = sealed_memfd(x * PAGE, 0);
    if (!strcmp(name, "truncate")) return ftruncate(fds[a], x * PAGE);
    if (!strcmp(name, "size")) return lseek(fds[a], 0, SEEK_END);
    if (!strcmp(name, "udmabuf")) return fds[a] = udmabuf(fds[b], x, y);
    if (!strcmp(name, "open")) return fds[a] = open("/dev/gem", O_RDWR | O_CLOEXEC);
    if (!strcmp(name, "ioctl")) return ioctl(fds[b], y, x);
    if (!strcmp(name, "export")) return fds[a] = ioctl(fds[b], y, x);
    if (!strcmp(name, "count")) return count_of(fds[a]);
    if (!strcmp(name, "dup")) return fds[a] = dup(fds[b]);
    if (!strcmp(name, "dup2")) return dup2(fds[b], fds[a]);
    if (!strcmp(name, "close")) return close(fds[a]);
    if (!strcmp(name, "map")) {
        void *at = mmap(NULL, x * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[b], y * PAGE);
        if (at == MAP_FAILED) return -1;
        maps[a] = at;
        return 0;
    }
    if (!strcmp(name, "anon")) {
        void *at = mmap(NULL, x * PAGE, y, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) return -1;
        maps[a] = at;
        return 0;
    }
    if (!strcmp(name, "protect")) return mprotect(maps[a], x * PAGE, y);
    /* Where something was mapped before. */
    if (!strcmp(name, "at")) {
        void *at = mmap(maps[a], x * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fds[b], 0);
        return at == MAP_FAILED ? -1 : 0;
    }
    if (!strcmp(name, "pin")) {
        uint64_t range[2] = {(uintptr_t)maps[a], x * PAGE};
        return ioctl(fds[b], y, range);
    }
    if (!strcmp(name, "unmap")) return munmap(maps[a] + y * PAGE, x * PAGE);
    if (!strcmp(name, "move")) {
        void *to = mmap(NULL, x * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        maps[a] = mremap(maps[a], x * PAGE, x * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
        return maps[a] == MAP_FAILED ? -1 : 0;
    }
    if (!strcmp(name, "put")) return maps[a][y * PAGE] = (char)x, 0;
    if (!strcmp(name, "get")) return maps[a][y * PAGE];
    if (!strcmp(name, "write")) {
        char byte = (char)x;
        return pwrite(fds[a], &byte, 1, y * PAGE);
    }
    if (!strcmp(name, "read")) {
        char byte = 0;
        return pread(fds[a], &byte, 1, y * PAGE) == 1 ? byte : -1;
    }
    if (!strcmp(name, "fork")) return hold(NULL);
    if (!strcmp(name, "exec")) {
        char *argv[] = {self, "hold", NULL};
        return hold(argv);
    }
    if (!strcmp(name, "restart")) {
        printf("ok 0\n");
        return execv(self, (char *[]){self, NULL});
    }
    if (!strcmp(name, "kill")) return kill(child, SIGKILL) || waitpid(child, NULL, 0) < 0 ? -1 : 0;
    if (!strcmp(name, "socketpair")) return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    if (!strcmp(name, "send")) return send_fd(ends[0], fds[a]);
    if (!strcmp(name, "receive")) return fds[a] = recv_fd(ends[1]);
    /* The socket that it was started with as descriptor 3. */
    if (!strcmp(name, "outside")) return send_fd(3, fds[a]);
    if (!strcmp(name, "hangup")) return close(ends[0]) | close(ends[1]);
    if (!strcmp(name, "crash")) abort();
    errno = ENOSYS;
    return -1;
}

int main(int argc, char **argv) {
    char line[128], name[16], a, b;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) for (;;) pause();
    while (fgets(line, sizeof line, stdin)) {
        long x = 0, y = 0;
        a = b = 0;
        sscanf(line, "%15s %c %c %ld %ld", name, &a, &b, &x, &y);
        long result = do_step(name, a, b, x, y, argv[0]);
        if (result < 0) printf("%s\n", err(errno));
        else printf("ok %ld\n", result);
    }
    return 0;
}
