/* transfers NODE ATTRIBUTE: reads, writes and waits for a device of test/supervisor/transfers.test.ts; a line each. transfers NODE: splices. */
#include "kit.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static char text[64];

static void readings(const char *name, int fd) {
    memset(text, 0, sizeof text);
    who = name;
    W("write", write(fd, "hello", 5));
    W("read", read(fd, text, sizeof text));
    WSAY("%s", text);
    struct iovec parts[] = {{"he", 2}, {"llo", 3}}, into[] = {{text, 1}, {text + 1, 63}};
    W("writev", writev(fd, parts, 2));
    W("readv", readv(fd, into, 2));
}

/* Between it and what has other ways to move bytes. */
static void between(const char *name, int fd, int wrong) {
    int memory = memfd_create("m", 0), full[2], empty[2];
    off_t start = 0;
    loff_t at = 0;
    who = name;
    if (pipe(full) || pipe(empty)) exit(1);
    if (write(full[1], text, 4) < 0 || write(memory, text, 4) < 0) exit(1);
    W("splice to a pipe", splice(fd, NULL, empty[1], NULL, 4, SPLICE_F_NONBLOCK));
    W("splice from a pipe", splice(full[0], NULL, fd, NULL, 4, SPLICE_F_NONBLOCK));
    W("splice from an offset of a pipe", splice(full[0], &at, fd, NULL, 4, SPLICE_F_NONBLOCK));
    W("splice from the wrong end", splice(full[1], NULL, fd, NULL, 4, SPLICE_F_NONBLOCK));
    W("splice to what is closed", splice(fd, NULL, wrong, NULL, 4, 0));
    W("splice of nothing", splice(fd, NULL, wrong, NULL, 0, 0));
    W("splice with other flags", splice(fd, NULL, wrong, NULL, 4, 16));
    W("sendfile to a pipe", sendfile(empty[1], fd, NULL, 4));
    W("sendfile from memory", sendfile(fd, memory, &start, 4));
    W("sendfile of nothing", sendfile(fd, memory, &start, 0));
    W("sendfile from what is closed", sendfile(fd, wrong, NULL, 4));
    W("copy_file_range to memory", copy_file_range(fd, NULL, memory, NULL, 4, 0));
    W("copy_file_range from memory", copy_file_range(memory, &at, fd, NULL, 4, 0));
    W("copy_file_range from what is closed", copy_file_range(wrong, NULL, fd, NULL, 4, 0));
    W("tee", tee(full[0], fd, 4, SPLICE_F_NONBLOCK));
    W("vmsplice", vmsplice(fd, &(struct iovec){text, 4}, 1, 0));
    close(memory), close(full[0]), close(full[1]), close(empty[0]), close(empty[1]);
}

int main(int argc, char **argv) {
    if (argc == 2) {
        between(argv[1], open(argv[1], O_RDWR), 1000);
        return 0;
    }
    if (argc < 3) return 2;
    int null = open("/dev/null", O_RDWR), fd = open(argv[1], O_RDWR), next = open("/dev/null", O_RDWR);
    SAY("others as ever: %d", next == null + 1 || fd == null + 1);
    readings("opened", fd);
    T("pread", pread(fd, text, 1, 0));
    struct pollfd p = {fd, POLLIN, 0};
    T("poll of nothing", poll(&p, 1, 0));
    T("write", write(fd, "x", 1));
    T("poll", poll(&p, 1, -1));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    T("select", select(fd + 1, &set, NULL, NULL, NULL));
    T("read", read(fd, text, sizeof text));

    int copy = dup(fd), far = fcntl(fd, F_DUPFD, 20), closing = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    SAY("all different: %d", fd != copy && copy != far && far != closing && fd != far);
    SAY("from 20 on: %d", far >= 20);
    SAY("close-on-exec: %d %d", fcntl(copy, F_GETFD), fcntl(closing, F_GETFD));
    readings("dup", copy);
    readings("F_DUPFD", far);
    readings("F_DUPFD_CLOEXEC", closing);
    dup2(fd, 0);
    readings("standard input", 0);
    SAY("dup2 to 12: %d", dup2(fd, 12));

    int attribute = open(argv[2], O_RDWR);
    T("store", write(attribute, "7", 1));
    T("store of nonsense", write(attribute, "?", 1));
    memset(text, 0, sizeof text);
    lseek(attribute, 0, SEEK_SET);
    T("show", read(attribute, text, sizeof text));
    SAY("%s", text);
    return 0;
}
