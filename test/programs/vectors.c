/* vectors NODE: the pipe of test/gadget.ts, by the calls that name a position. */
#include "kit.h"
#include <sys/uio.h>

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int fd = open(argv[1], O_RDWR), reading = open(argv[1], O_RDONLY), writing = open(argv[1], O_WRONLY);
    char b[16] = "";
    struct iovec out[] = {{"abc", 3}, {"de", 2}}, in[] = {{b, 2}, {b + 8, 8}};
    T("pwrite", pwrite(fd, "x", 1, 0));
    T("pread", pread(fd, b, 1, 0));
    T("pwritev", pwritev(fd, out, 2, 0));
    T("preadv", preadv(fd, in, 2, 0));
    T("preadv at -1", preadv(fd, in, 2, -1));
    T("pwritev2 at 0", pwritev2(fd, out, 2, 0, 0));
    T("preadv2 at 0", preadv2(fd, in, 2, 0, 0));
    T("preadv2 at -2", preadv2(fd, in, 2, -2, 0));
    T("pwritev2", pwritev2(fd, out, 2, -1, 0));
    T("preadv2, appending", preadv2(fd, in, 2, -1, RWF_APPEND));
    T("preadv2, O_WRONLY", preadv2(writing, in, 2, -1, 0));
    T("pwritev2, O_RDONLY", pwritev2(reading, out, 2, -1, 0));
    T("preadv2 to nowhere", preadv2(fd, (struct iovec *)8, 2, -1, 0));
    T("preadv2", preadv2(fd, in, 2, -1, RWF_HIPRI));
    SAY("%s %s", b, b + 8);
    return 0;
}
