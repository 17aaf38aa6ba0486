/*
 * waits WAY WHAT TIMEOUT [restart]: waits for WHAT among a pipe, a socket, an eventfd and a timerfd.
 * WAY: poll, ppoll, select, pselect6, epoll, or sync, which is DMA_BUF_SYNC_START of a buffer.
 * WHAT: sync_file, buffer, or a device that gives a descriptor for ioctl 1. TIMEOUT: milliseconds, or -1.
 *
 * Prints "waiting"; then what was ready, and after how many microseconds. A child does what standard input
 * says: f signals the fence; p, s, e and t make the pipe, the socket, the eventfd and the timerfd ready.
 * SIGUSR1 has a handler, with SA_RESTART if that is asked for.
 */
#include "fences.h"
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

enum { N = 5 };
static const char *names[N] = {"fence", "pipe", "socket", "eventfd", "timerfd"};
static int fds[N], pipe_in, socket_in, tl = -1;
static volatile int caught;

static void on_signal(int signal) { caught = signal; }

static double us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void obey(void) {
    struct itimerspec soon = {.it_value = {0, 1}};
    uint64_t one = 1;
    for (int c; (c = getchar()) != EOF;) {
        int ok = c == 'f'   ? !inc(tl, 1)
                 : c == 'p' ? write(pipe_in, "x", 1) == 1
                 : c == 's' ? write(socket_in, "x", 1) == 1
                 : c == 'e' ? write(fds[3], &one, sizeof one) == sizeof one
                 : c == 't' ? !timerfd_settime(fds[4], 0, &soon, NULL)
                            : 1;
        if (!ok) _exit(1);
    }
    _exit(0);
}

/* Sets a bit for each that is ready; how many, or -1. */
static int wait_all(const char *way, int ms, unsigned *ready) {
    struct pollfd p[N];
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L}, *limit = ms < 0 ? NULL : &ts;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000L};
    struct epoll_event e[N];
    fd_set r;
    int n, max = 0, ep;
    FD_ZERO(&r);
    for (int i = 0; i < N; i++) {
        p[i] = (struct pollfd){fds[i], POLLIN, 0};
        FD_SET(fds[i], &r);
        if (fds[i] >= max) max = fds[i] + 1;
    }
    if (!strcmp(way, "poll")) n = poll(p, N, ms);
    else if (!strcmp(way, "ppoll")) n = ppoll(p, N, limit, NULL);
    else if (!strcmp(way, "select")) n = select(max, &r, NULL, NULL, ms < 0 ? NULL : &tv);
    else if (!strcmp(way, "pselect6")) n = pselect(max, &r, NULL, NULL, limit, NULL);
    else {
        ep = epoll_create1(EPOLL_CLOEXEC);
        for (int i = 0; i < N; i++) {
            e[0] = (struct epoll_event){.events = EPOLLIN, .data.u32 = i};
            if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], e)) return -1;
        }
        n = epoll_wait(ep, e, N, ms);
        for (int i = 0; i < n; i++) *ready |= 1 << e[i].data.u32;
        return n;
    }
    for (int i = 0; i < N && n > 0; i++)
        if (strstr(way, "poll") ? p[i].revents != 0 : FD_ISSET(fds[i], &r)) *ready |= 1 << i;
    return n;
}

int main(int argc, char **argv) {
    const char *way = argv[1], *what = argv[2];
    int p[2], s[2], n, ms = atoi(argv[3]);
    unsigned ready = 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = argc > 4 ? SA_RESTART : 0};
    sigaction(SIGUSR1, &action, NULL);
    if (what[0] == '/') {
        int device = open(what, O_RDWR);
        fds[0] = ioctl(device, 1, 0);
        close(device);
    } else {
        tl = timeline("waits");
        int f = fence(tl, 1);
        fds[0] = f;
        if (!strcmp(what, "buffer")) {
            fds[0] = heap_buf(PAGE, O_RDWR | O_CLOEXEC);
            if (import(fds[0], WR, f)) return 1;
            close(f);
        }
    }
    if (fds[0] < 0 || pipe(p) || socketpair(AF_UNIX, SOCK_STREAM, 0, s)) return 1;
    fds[1] = p[0], pipe_in = p[1], fds[2] = s[0], socket_in = s[1];
    fds[3] = eventfd(0, 0), fds[4] = timerfd_create(CLOCK_MONOTONIC, 0);
    pid_t child = fork();
    if (!child) obey();
    close(0);
    puts("waiting");
    fflush(stdout);
    double start = us();
    if (!strcmp(way, "sync")) n = bufsync(fds[0], R) ? -1 : 1, ready = n > 0;
    else n = wait_all(way, ms, &ready);
    int e = errno;
    double took = us() - start;
    if (n < 0) printf("%s", err(e));
    else if (n == 0) printf("nothing");
    for (int i = 0; i < N; i++)
        if (ready & 1 << i) printf("%s ", names[i]);
    printf(" after %.0f, signal %d\n", took, caught == SIGUSR1);
    fflush(stdout);
    kill(child, SIGKILL);
    reap(child);
    return 0;
}
