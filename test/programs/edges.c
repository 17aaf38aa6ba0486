/*
 * edges NODE: a device of test/kit/device_io.test.ts in an epoll instance, by edge: what each call brings, looked at twice,
 * of entries for input, for output, and for both. Then entries made and taken out, often.
 */
#include "kit.h"
#include <sys/epoll.h>

#define EDGES_READY _IO(0xbd, 1) /* is ready for so much, and says so */
#define EDGES_LOOK _IO(0xbd, 2)  /* does nothing */
#define EDGES_POST _IO(0xbd, 3)  /* queues an event */

static int fds[3], eps[3];
static const unsigned wanted[] = {EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT};

static void told(const char *what) {
    printf("%s:", what);
    for (int i = 0; i < 3; i++) {
        struct epoll_event first = {0}, second = {0};
        epoll_wait(eps[i], &first, 1, 0);
        printf(" %x/%x", first.events, epoll_wait(eps[i], &second, 1, 0) > 0 ? second.events : 0);
    }
    printf("\n");
}

static void ready_for(unsigned events) { ioctl(fds[0], EDGES_READY, events); }

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    fds[0] = open(argv[1], O_RDWR);
    for (int i = 0; i < 3; i++) {
        struct epoll_event e = {.events = wanted[i] | EPOLLET};
        if (i > 0) fds[i] = dup(fds[0]);
        eps[i] = epoll_create1(0);
        epoll_ctl(eps[i], EPOLL_CTL_ADD, fds[i], &e);
    }
    told("at first");
    ready_for(0), told("woken for nothing");
    ready_for(EPOLLIN), told("input");
    ready_for(EPOLLIN), told("input again");
    for (int i = 0; i < 3; i++) ready_for(EPOLLIN);
    told("three times at once");
    ioctl(fds[0], EDGES_LOOK, 0), told("no wake-up");
    ready_for(EPOLLIN | EPOLLOUT), told("output too");
    ready_for(EPOLLIN | EPOLLOUT), told("both again");
    ready_for(EPOLLOUT), told("output");
    ready_for(EPOLLOUT), told("output again");
    ready_for(0), told("nothing");
    for (int i = 0; i < 3; i++) ioctl(fds[0], EDGES_POST, 0), told("an event");
    char event[4];
    T("read", read(fds[0], event, sizeof event));
    told("not the last");
    for (int i = 0; i < 2; i++) T("read", read(fds[0], event, sizeof event));
    ready_for(EPOLLOUT), told("the last");
    ready_for(EPOLLIN);
    int failed = 0, made[50];
    for (int i = 0; i < 2000; i++) {
        struct epoll_event e = {.events = EPOLLIN};
        int fd = made[i % 50] = fcntl(fds[0], F_DUPFD, 100 + i % 50);
        failed |= epoll_ctl(eps[0], EPOLL_CTL_ADD, fd, &e) | epoll_ctl(eps[1], EPOLL_CTL_ADD, fd, &e);
        failed |= epoll_ctl(eps[0], EPOLL_CTL_MOD, fd, &e) | epoll_ctl(eps[0], EPOLL_CTL_DEL, fd, &e);
        /* still in the other */
        failed |= epoll_wait(eps[1], &e, 1, 0) != 1 || epoll_ctl(eps[1], EPOLL_CTL_DEL, fd, &e);
        if (i % 50 == 49) for (int k = 0; k < 50; k++) close(made[k]);
    }
    SAY("made and taken out: %d", failed);
    struct epoll_event e = {0};
    T("twice", epoll_ctl(eps[0], EPOLL_CTL_ADD, fds[0], &e));
    T("out", epoll_ctl(eps[0], EPOLL_CTL_DEL, fds[0], &e));
    T("out twice", epoll_ctl(eps[0], EPOLL_CTL_DEL, fds[0], &e));
    T("in what is none", epoll_ctl(0, EPOLL_CTL_ADD, fds[0], &e));
    T("done", ioctl(fds[0], EDGES_LOOK, 0));
    return 0;
}
