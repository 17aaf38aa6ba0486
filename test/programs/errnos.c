/* errnos FOLDER: calls with more than one thing wrong, or with what only the machine knows; a line for each answer. */
#include "kit.h"
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static void say(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

int main(int argc, char **argv) {
    static char long_path[8192];
    struct { struct open_how how; char tail[8]; } more = {.how.flags = O_RDONLY};
    struct open_how named = {.flags = O_PATH | O_CREAT};
    struct stat st;
    char bytes[512];
    char *nowhere = (char *)8;
    if (argc < 2 || chdir(argv[1])) return 1;
    memset(long_path, 'x', sizeof long_path - 1);
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    say("newfstatat without a path", syscall(SYS_newfstatat, fd, NULL, &st, AT_EMPTY_PATH));
    say("statx without a path", syscall(SYS_statx, fd, NULL, AT_EMPTY_PATH, STATX_BASIC_STATS, bytes));
    say("newfstatat, path and flags", syscall(SYS_newfstatat, fd, nowhere, &st, 0x7fff0000));
    say("statx, path and flags", syscall(SYS_statx, fd, nowhere, 0x7fff0000, 0, bytes));
    say("faccessat2, path and flags", syscall(SYS_faccessat2, fd, nowhere, 0, 0x7fff0000));
    say("readlink, path and size", syscall(SYS_readlinkat, AT_FDCWD, nowhere, bytes, 0));
    say("readlink, long path and size", syscall(SYS_readlinkat, AT_FDCWD, long_path, bytes, 0));
    say("truncate, path and length", truncate(nowhere, -1));
    say("truncate, long path and length", truncate(long_path, -1));
    say("truncate, length", truncate("/dev/udmabuf/missing", -1));
    say("open, path", open(nowhere, O_RDONLY));
    say("open, long path", open(long_path, O_RDONLY));
    say("open, path and flags", open(nowhere, O_TMPFILE | O_RDONLY, 0));
    say("openat2, tail", syscall(SYS_openat2, AT_FDCWD, ".", &more, sizeof more));
    more.tail[5] = 1;
    say("openat2, tail that is not empty", syscall(SYS_openat2, AT_FDCWD, ".", &more, sizeof more));
    more.how.flags = (uint64_t)-1;
    say("openat2, tail and flags", syscall(SYS_openat2, AT_FDCWD, nowhere, &more, sizeof more));
    more.how.flags = O_RDONLY;
    more.how.mode = 0600;
    say("openat2, tail and mode", syscall(SYS_openat2, AT_FDCWD, nowhere, &more, sizeof more));
    say("openat2, size", syscall(SYS_openat2, AT_FDCWD, nowhere, &more, 8192));
    say("openat2, flags beside O_PATH", syscall(SYS_openat2, AT_FDCWD, "/dev", &named, sizeof named));
    say("open, flags beside O_PATH", open("/dev", O_PATH | O_CREAT | O_EXCL | O_RDWR, 0600));
    static const char *const up[] = {"/dev/null/..", "/dev/null/../zero", "/dev/null/../udmabuf/.", "/dev/../dev/null"};
    for (unsigned i = 0; i < sizeof up / sizeof *up; i++) {
        printf("%s\n", up[i]);
        say("stat", stat(up[i], &st));
        say("open", open(up[i], O_RDONLY));
        say("access", access(up[i], F_OK));
        say("readlink", readlink(up[i], bytes, sizeof bytes));
        say("listxattr", listxattr(up[i], bytes, sizeof bytes));
        say("truncate", truncate(up[i], 0));
        say("chdir", chdir(up[i]));
    }
    if (argc < 3) return 0;
    setxattr("/dev", "trusted.dmabuf-shim", "1", 1, 0);
    say("getxattr of /dev", getxattr("/dev", "trusted.dmabuf-shim", bytes, sizeof bytes));
    printf("listxattr of /dev: %d\n", (int)listxattr("/dev", bytes, sizeof bytes));
    removexattr("/dev", "trusted.dmabuf-shim");
    return 0;
}
