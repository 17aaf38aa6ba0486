/* uevents WHAT: sockets of NETLINK_KOBJECT_UEVENT, without any library. */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
