/*
 * epolls WHAT: a sync_file or a buffer in an epoll instance, and what is told of it, looked at twice: by
 * level, by edge, as one shot, changed, taken out.
 */
#include "fences.h"

static int ep;

static int looks(void) {
    struct epoll_event e;
    return epoll_wait(ep, &e, 1, 0);
}
static long ctl(int op, int fd, unsigned events) {
    struct epoll_event e = {.events = EPOLLIN | events};
    return epoll_ctl(ep, op, fd, &e);
}
static void told(const char *what) {
    int first = looks();
    printf("%s: %d %d\n", what, first, looks());
}

int main(int argc, char **argv) {
    struct thing x = thing(argc > 1 && !strcmp(argv[1], "buffer") ? BUF_IN : FENCE);
    ep = epoll_create1(EPOLL_CLOEXEC);
    ctl(EPOLL_CTL_ADD, x.fd, 0);
    told("pending");
    inc(x.t, 1);
    told("level");
    ctl(EPOLL_CTL_MOD, x.fd, EPOLLET);
    told("edge");
    ctl(EPOLL_CTL_MOD, x.fd, EPOLLONESHOT);
    told("one shot");
    ctl(EPOLL_CTL_MOD, x.fd, EPOLLONESHOT);
    told("one shot, armed again");
    ctl(EPOLL_CTL_MOD, x.fd, 0);
    told("level again");
    ctl(EPOLL_CTL_DEL, x.fd, 0);
    told("taken out");
    return 0;
}
