/* uevents WHAT: sockets of NETLINK_KOBJECT_UEVENT, without any library. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(int groups, int *fd) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    *fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    return *fd < 0 ? -1 : bind(*fd, (void *)&address, sizeof address);
}

static int option(int fd, int which) {
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, which, &value, &length) ? -errno : value;
}

/* Reads what there is; how many messages, and the ACTION@DEVPATH of the last. */
static void drain(int fd) {
    static char text[65536], last[256];
    int count = 0;
    for (ssize_t n; (n = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0; count++) snprintf(last, sizeof last, "%s", text);
    printf("%d %s\n", count, last);
    fflush(stdout);
}

static void answer(const char *what, int result) {
    printf(" %s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void addresses(int fd) {
    for (int peer = 0; peer < 2; peer++) {
        struct sockaddr_nl at = {0};
        socklen_t length = sizeof at;
        int result = (peer ? getpeername : getsockname)(fd, (void *)&at, &length);
        const char *pid = at.nl_pid == 0 ? "none" : at.nl_pid == (unsigned)getpid() ? "own" : "other";
        printf(" %s %d: family %d, pid %s, groups %x, length %d\n", peer ? "getpeername" : "getsockname", result,
               at.nl_family, pid, at.nl_groups, length);
    }
}

/* What a socket answers that is none of Unix, and what of that a duplicate answers. */
static void calls(const char *which, int fd) {
    struct sockaddr_nl plain = {.nl_family = AF_NETLINK}, group = {.nl_family = AF_NETLINK, .nl_groups = 6};
    struct sockaddr_nl port = {.nl_family = AF_NETLINK, .nl_pid = 77};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    printf("%s\n", which);
    addresses(fd);
    printf(" %d %d %d\n", option(fd, SO_DOMAIN), option(fd, SO_PROTOCOL), option(fd, SO_TYPE));
    answer("listen", listen(fd, 1));
    answer("shutdown", shutdown(fd, SHUT_RD));
    answer("shutdown, how not", shutdown(fd, 7));
    answer("connect to a path", connect(fd, (void *)&local, sizeof local));
    answer("connect, too short", connect(fd, (void *)&plain, 8));
    answer("connect to nothing", connect(fd, (void *)&plain, 0));
    answer("connect, too long", connect(fd, (void *)&plain, 200));
    answer("connect, bad address", connect(fd, (void *)8, sizeof plain));
    answer("connect to groups", connect(fd, (void *)&group, sizeof group));
    addresses(fd);
    answer("connect to a port", connect(fd, (void *)&port, sizeof port));
    addresses(fd);
    answer("connect", connect(fd, (void *)&plain, sizeof plain));
    answer("disconnect", connect(fd, &nobody, sizeof nobody));
    addresses(fd);
    answer("bind to a path", bind(fd, (void *)&local, sizeof local));
    answer("bind, too short", bind(fd, (void *)&plain, 8));
    answer("bind, bad address", bind(fd, (void *)8, sizeof plain));
    answer("bind to another port", bind(fd, (void *)&port, sizeof port));
    port.nl_pid = getpid(), port.nl_groups = 1;
    answer("bind to its own", bind(fd, (void *)&port, sizeof port));
    addresses(fd);
}

/* One that was sent and received. */
static int passed(int fd) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {.header = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec byte = {"", 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int pair[2];
    char got;
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    sendmsg(pair[0], &message, 0);
    byte.iov_base = &got;
    recvmsg(pair[1], &message, 0);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

int main(int argc, char **argv) {
    int fd, other;
    struct sockaddr_nl address;
    socklen_t length = sizeof address;
    if (!strcmp(argv[1], "names")) {
        printf("%d", open_socket(1, &fd));
        getsockname(fd, (void *)&address, &length);
        printf(" %d %d %d %d\n", address.nl_family, address.nl_pid == (unsigned)getpid(), address.nl_groups, length);
        printf("%d", open_socket(2, &other));
        getsockname(other, (void *)&address, &length);
        printf(" %d %d\n", (int)address.nl_pid < 0, address.nl_groups);
        printf("%d %d %d\n", option(fd, SO_DOMAIN), option(fd, SO_PROTOCOL), option(fd, SO_TYPE));
        int pair[2], group = 2;
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        printf("%d %d\n", option(pair[0], SO_DOMAIN), option(pair[0], SO_TYPE));
        printf("%d", setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group));
        getsockname(fd, (void *)&address, &length);
        printf(" %d\n", address.nl_groups);
    } else if (!strcmp(argv[1], "calls")) {
        static const char *const ways[] = {"itself", "dup", "dup2", "dup3", "F_DUPFD", "SCM_RIGHTS"};
        for (int i = 0; i < 6; i++) {
            if ((fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)) < 0) return 1;
            int others[] = {fd, dup(fd), dup2(fd, 40), dup3(fd, 41, O_CLOEXEC), fcntl(fd, F_DUPFD, 50), passed(fd)};
            calls(ways[i], others[i]);
            for (int n = 3; n < 1024; n++) close(n);
        }
    } else if (!strcmp(argv[1], "many")) {
        for (int i = 0; i < 300; i++)
            if (open_socket(1 + i % 3, &fd) || (i % 2 && close(fd))) return 1;
        puts("opened");
    } else { /* once a line has come, whatever is there by then */
        if (open_socket(atoi(argv[1]), &fd)) return 1;
        puts("listening");
        fflush(stdout);
        for (int c = 0; c != EOF && c != '\n';) c = getchar();
        drain(fd);
    }
    return 0;
}
