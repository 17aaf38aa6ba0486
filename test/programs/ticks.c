/* ticks NODE: reads events of the device of test/backing/event_socket.test.ts. */
#include "kit.h"
#include <sys/socket.h>

struct tick_event { __u32 number, zero; __u64 big; };
#define TICK _IOW(0xba, 1, __u32)

static int fd;
static void tick(__u32 count) { ioctl(fd, TICK, &count); }
static void nothing(int s) { (void)s; }

/* Reads until there are `count`, and says whether they are in order. */
static int all(int from, int count) {
    struct tick_event events[100];
    int got = 0;
    while (got < count) {
        struct pollfd p = {from, POLLIN, 0};
        if (poll(&p, 1, 10000) != 1) return -1;
        ssize_t size = read(from, events, sizeof events);
        if (size <= 0 || size % sizeof *events) return -2;
        for (unsigned i = 0; i < size / sizeof *events; i++)
            if (events[i].number != (unsigned)got++) return -3;
    }
    return got;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    struct tick_event e[8];
    int pair[2];
    fd = open(argv[1], O_RDWR | O_NONBLOCK);
    T("read, none", read(fd, e, sizeof e));
    SAY("poll 0x%x", (unsigned)ready(fd, POLLIN | POLLOUT, 0));
    tick(4000);
    SAY("poll 0x%x", (unsigned)ready(fd, POLLIN | POLLOUT, 0));
    SAY("all in order: %d", all(fd, 4000));
    SAY("poll 0x%x", (unsigned)ready(fd, POLLIN | POLLOUT, 0));
    tick(3);
    T("to nowhere", read(fd, (void *)8, 16));
    SAY("still there: %d", all(fd, 3));
    fcntl(fd, F_SETFL, 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        usleep(50000);
        tick(1);
        _exit(0);
    }
    T("blocking read", read(fd, e, sizeof e));
    waitpid(child, NULL, 0);
    fflush(stdout);
    tick(2);
    child = fork();
    if (!child) {
        SAY("a child reads: %d", all(fd, 2));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    tick(1);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    send_fd(pair[0], fd);
    int passed = recv_fd(pair[1]);
    SAY("passed on: %d", all(passed, 1));
    close(passed);
    SAY("write, blocking: %s", write(fd, e, 16) < 0 ? "not taken" : "taken");
    struct sigaction a = {.sa_handler = nothing};
    sigaction(SIGALRM, &a, NULL);
    ualarm(50000, 0);
    T("a signal", read(fd, e, sizeof e));
    return 0;
}
