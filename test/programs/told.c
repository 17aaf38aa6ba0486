/*
 * told NODE: a device of test/supervisor/poll/told.test.ts that is ready for what an ioctl says, by poll, select and
 * epoll: by level, by edge, as one shot, without being asked, changed and taken out. Events are in hexadecimal; of an
 * epoll instance all are, of all its entries.
 */
#include "kit.h"
#include <sys/epoll.h>
#include <sys/select.h>

#define READY _IO(0xbd, 1) /* is ready for so much, and says so */

static int fd;
static struct { const char *name; unsigned flags; int ep; } rows[] = {
    {"level", 0, 0}, {"edge", EPOLLET, 0}, {"once", EPOLLONESHOT, 0}};
/* Those with "again" follow upon what they are already; others upon nothing. */
static const struct { const char *name; unsigned events; } states[] = {
    {"nothing", 0}, {"IN", POLLIN}, {"OUT", POLLOUT}, {"PRI", POLLPRI}, {"PRI again", POLLPRI}, {"ERR", POLLERR},
    {"ERR again", POLLERR}, {"HUP", POLLHUP}, {"HUP again", POLLHUP}, {"IN PRI", POLLIN | POLLPRI},
    {"OUT ERR", POLLOUT | POLLERR}, {"all", POLLIN | POLLOUT | POLLPRI | POLLERR | POLLHUP}};

static unsigned told(int ep) {
    struct epoll_event events[8];
    unsigned all = 0;
    int count = epoll_wait(ep, events, 8, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 != 0x123456789abcdefULL) all |= 0x80000000;
        all |= events[i].events;
    }
    return all;
}

static void control(int op, unsigned events) {
    for (int i = 0; i < 3; i++) {
        struct epoll_event e = {.events = events | rows[i].flags, .data.u64 = 0x123456789abcdefULL};
        if (epoll_ctl(rows[i].ep, op, fd, &e)) printf("epoll_ctl %d: %s\n", op, err(errno));
    }
}

static void look(const char *what, unsigned asked) {
    fd_set sets[3];
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(fd, &sets[i]);
    }
    int count = select(fd + 1, &sets[0], &sets[1], &sets[2], &(struct timeval){0});
    printf("%s: poll %x, select %d %d%d%d, epoll", what, (unsigned)ready(fd, asked, 0), count,
           !!FD_ISSET(fd, &sets[0]), !!FD_ISSET(fd, &sets[1]), !!FD_ISSET(fd, &sets[2]));
    for (int i = 0; i < 3; i++) {
        unsigned first = told(rows[i].ep);
        printf(" %s %x %x", rows[i].name, first, told(rows[i].ep));
    }
    printf("\n");
}

static void ready_for(unsigned events) {
    if (ioctl(fd, READY, events)) exit(1);
}

static void look_at_all(unsigned asked) {
    for (unsigned i = 0; i < sizeof states / sizeof *states; i++) {
        if (!strstr(states[i].name, "again")) {
            ready_for(0);
            control(EPOLL_CTL_MOD, asked);
        }
        ready_for(states[i].events);
        look(states[i].name, asked);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    fd = open(argv[1], O_RDWR);
    for (int i = 0; i < 3; i++) rows[i].ep = epoll_create1(0);
    control(EPOLL_CTL_ADD, 0);
    look_at_all(POLLIN | POLLOUT | POLLPRI);
    SAY("- asked for IN alone");
    look_at_all(POLLIN);
    SAY("- changed while it is ready");
    control(EPOLL_CTL_MOD, POLLIN | POLLPRI);
    look("all", POLLIN | POLLPRI);
    SAY("- taken out");
    control(EPOLL_CTL_DEL, 0);
    look("all", 0);
    return 0;
}
