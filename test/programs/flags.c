/* flags NODE: the flags of open files as the device says that it sees them, in what is read from it; a line each. */
#include "kit.h"
#include <sys/ioctl.h>
#include <sys/wait.h>

static void seen(const char *what, int fd) {
    char text[64] = "";
    if (read(fd, text, sizeof text - 1) < 0) snprintf(text, sizeof text, "%s", err(errno));
    printf("%s: %s, %o\n", what, text, fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND));
    fflush(stdout);
}

int main(int argc, char **argv) {
    int on = 1, off = 0, status;
    int fd = open(argv[1], O_RDWR), appending = open(argv[1], O_RDWR | O_APPEND);
    seen("opened", fd);
    seen("opened to append", appending);
    fcntl(fd, F_SETFL, O_APPEND);
    seen("set to append", fd);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    seen("set not to block", fd);
    seen("the other", appending);
    fcntl(fd, F_SETFL, 0);
    seen("set back", fd);
    ioctl(fd, FIONBIO, &on);
    seen("FIONBIO", fd);
    int copy = dup(fd);
    close(fd);
    seen("by its duplicate", copy);
    if (!fork()) {
        ioctl(copy, FIONBIO, &off);
        fcntl(copy, F_SETFL, O_APPEND);
        _exit(0);
    }
    wait(&status);
    seen("set by a child", copy);
    return 0;
}
