/*
 * jail HOW FOLDER: names of ours from where /dev and /sys are by another way: HOW is `chroot`, with these bound below
 * FOLDER, or `bound`, there without chroot. A line for each answer; status 2: not allowed here.
 */
#include "kit.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void say(const char *what, long result) { printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done"); }

static void node(const char *what, int dirfd, const char *path) {
    struct stat st;
    if (fstatat(dirfd, path, &st, 0)) say(what, -1);
    else printf("%s: %s\n", what, S_ISCHR(st.st_mode) ? "node" : S_ISDIR(st.st_mode) ? "directory" : "file");
}

static int has(const char *path, const char *name) {
    int found = 0;
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) found += !strcmp(entry->d_name, name);
    if (directory) closedir(directory);
    return found;
}

static void bind_to(const char *folder, const char *name) {
    char target[4096];
    snprintf(target, sizeof target, "%s%s", folder, name);
    mkdir(target, 0755);
    if (mount(name, target, NULL, MS_BIND | MS_REC, NULL)) exit(2);
}

int main(int argc, char **argv) {
    (void)argc;
    const char *folder = argv[2];
    char cwd[4096], number[32] = "";
    int user = geteuid() ? CLONE_NEWUSER : 0;
    if (unshare(CLONE_NEWNS | user)) exit(2);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) exit(2);
    bind_to(folder, "/dev");
    bind_to(folder, "/sys");
    bind_to(folder, "/proc");
    say("into it", !strcmp(argv[1], "chroot") ? chroot(folder) || chdir("/") ? -1 : 0 : chdir(folder));
    int top = open(".", O_PATH | O_DIRECTORY);
    node("from the top", top, "dev/udmabuf");
    node("by the link of the root", AT_FDCWD, "/proc/self/root/dev/udmabuf");
    node("by that of the directory", AT_FDCWD, "/proc/self/cwd/dev/../sys/class/misc/udmabuf");
    node("by a relative path", AT_FDCWD, "dev/dma_heap/system");
    node("of sysfs", AT_FDCWD, "sys/class/dma_heap/system");
    say("change to dev", chdir("dev"));
    node("there", AT_FDCWD, "udmabuf");
    say("opened", open("udmabuf", O_RDWR));
    node("of the machine", AT_FDCWD, "null");
    node("of nobody", AT_FDCWD, "missing");
    printf("listed %d %d\n", has(".", "udmabuf"), has(".", "null"));
    int dev = open(".", O_RDONLY | O_DIRECTORY);
    node("from a descriptor", dev, "dma_heap/../udmabuf");
    say("out of it", chdir("dma_heap/.."));
    node("the way around", AT_FDCWD, "null");
    int fd = openat(top, "sys/class/misc/udmabuf/dev", O_RDONLY);
    say("attribute", fd);
    printf("%.*s", (int)read(fd, number, sizeof number), number);
    say("up", fchdir(top));
    say("into ours", chdir("sys/class/dma_heap/system"));
    printf("%s\n", getcwd(cwd, sizeof cwd) ? cwd : "nowhere");
    return 0;
}
