/* removed FOLDER DEVICE: what is still to be had of a directory in FOLDER that was removed while it was the working directory. */
#include "kit.h"
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static char buffer[4096];

static void say(const char *what, long result) { printf("%s: %s\n", what, result < 0 ? err(errno) : "done"); }

static void links(const char *path) {
    struct stat st;
    if (stat(path, &st)) say(path, -1);
    else printf("%s: mode %o, %d links, %ld bytes\n", path, st.st_mode, (int)st.st_nlink, (long)st.st_size);
}

static void list(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    say(path, fd);
    long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    printf("getdents64 of %s: %ld %s\n", path, n, n < 0 ? err(errno) : "");
    struct dirent *entry;
    DIR *dir = opendir(path);
    errno = 0;
    while (dir && (entry = readdir(dir))) printf(" %s", entry->d_name);
    printf(" %s\n", errno ? err(errno) : "");
    if (dir) closedir(dir);
    close(fd);
}

int main(int argc, char **argv) {
    struct stat device;
    umask(022);
    if (argc < 3 || stat(argv[2], &device) || chdir(argv[1]) || mkdir("above", 0755) || mkdir("above/gone", 0755)) return 2;
    if (chdir("above/gone")) return 2;
    int fd = open(".", O_RDONLY | O_DIRECTORY), path = open(".", O_PATH);
    say("rmdir of itself", rmdir("."));
    say("rmdir", rmdir("../gone"));
    links("."), list("."), links(".."), list("..");
    struct stat st;
    say("fstat", fstat(fd, &st)), say("fstatat", fstatat(path, "", &st, AT_EMPTY_PATH));
    say("access", access(".", W_OK));
    say("chmod", chmod(".", 0700));
    say("getcwd", syscall(SYS_getcwd, buffer, sizeof buffer));
    say("inotify", inotify_add_watch(inotify_init1(0), ".", IN_ALL_EVENTS));
    say("stat of nothing", stat("x", &st));
    say("open", open("x", O_CREAT | O_RDWR, 0600));
    say("openat", openat(fd, "x", O_CREAT | O_RDWR, 0600));
    say("mkdir", mkdir("x", 0700));
    say("mkdir of itself", mkdir(".", 0700));
    say("mkdirat", mkdirat(path, "x", 0700));
    say("symlink", symlink("x", "x"));
    say("mknod", mknod("x", S_IFCHR | 0600, device.st_rdev));
    say("unlink", unlink("x"));
    say("back by its name", stat("../gone", &st));
    if (mknod("../node", S_IFCHR | 0600, device.st_rdev)) return 3;
    say("link", link("../node", "x"));
    say("rename", rename("../node", "x"));
    say("rename of a directory", rename("../../above", "x"));
    unlink("../node");
    say("enter", chdir("."));
    say("rmdir of what is above", rmdir("../../above"));
    links(".."), list("..");
    say("two up", stat("../..", &st));
    printf("the folder: %d\n", stat(argv[1], &device) == 0 && device.st_ino == st.st_ino);
    say("and down", stat("../../above", &st));
    say("up", chdir(".."));
    say("getcwd", syscall(SYS_getcwd, buffer, sizeof buffer));
    say("up", chdir(".."));
    say("getcwd", syscall(SYS_getcwd, buffer, sizeof buffer));
    say("to what is gone", fchdir(fd));
    list(".");
    return 0;
}
