/*
 * anywhere NODE: a device of test/supervisor/poll/told.test.ts that is ready for what an ioctl says, opened anew for each
 * way in which a descriptor of it comes to a number, and waited for there, beside an eventfd: when it is not ready, and
 * when it is.
 */
#include "kit.h"
#include <sys/eventfd.h>
#include <sys/syscall.h>

#define READY _IO(0xbd, 1) /* is ready for so much, and says so */

static int fd, event;

/* `by` is waited for; calls of `fd` say what it is ready for. */
static void look(const char *name, int by) {
    struct pollfd both[] = {{event, POLLIN, 0}, {by, POLLIN | POLLPRI, 0}};
    ioctl(fd, READY, 0);
    int nothing = poll(both, 2, 0);
    ioctl(fd, READY, POLLPRI);
    int count = poll(both, 2, -1);
    SAY("%s, %s: %d, then %d %x", name, by >= 768 ? "high" : "low", nothing, count, (unsigned)both[1].revents);
}

static int opened(void) { return fd; }
static int duplicate(void) { return dup(fd); }
static int by_fcntl(void) { return fcntl(fd, F_DUPFD, 20); }
static int to_low(void) { return dup2(fd, 100); }
static int to_low_3(void) { return syscall(SYS_dup3, fd, 101, 0); }
static int from_low(void) { return dup(dup2(fd, 102)); }
static int to_high(void) { return dup2(fd, 900); }
/* No call but the wait names what it gives. */
static int received(void) {
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send_fd(pair[0], fd);
    return recv_fd(pair[1]);
}
static int of_process(void) {
    return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), fd, 0);
}

static const struct { const char *name; int (*come)(void); } ways[] = {
    {"open", opened}, {"dup", duplicate}, {"F_DUPFD", by_fcntl}, {"dup2", to_low}, {"dup3", to_low_3},
    {"dup of a low one", from_low}, {"dup2 upwards", to_high}, {"SCM_RIGHTS", received},
    {"pidfd_getfd", of_process}};

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    event = eventfd(0, 0);
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        fflush(stdout);
        if (!fork()) {
            fd = open(argv[1], O_RDWR);
            look(ways[i].name, ways[i].come());
            exit(0);
        }
        wait(NULL);
    }
    return 0;
}
