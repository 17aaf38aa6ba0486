/* paths: what the nodes are, by every way to name them; a line for each. */
#include "kit.h"
#include <linux/fs.h>
#include <sys/sysmacros.h>

static void show(const char *label, int result, const struct stat *st) {
    if (result) printf("%s: %s\n", label, err(errno));
    else if (S_ISCHR(st->st_mode)) printf("%s: character device %u:%u\n", label, major(st->st_rdev), minor(st->st_rdev));
    else printf("%s: %s\n", label, S_ISDIR(st->st_mode) ? "directory" : S_ISLNK(st->st_mode) ? "link" : "other");
}

static void all_of(int dirfd, const char *path) {
    struct stat st;
    struct statx stx;
    char label[256];
    snprintf(label, sizeof label, "stat %s", path);
    show(label, fstatat(dirfd, path, &st, 0), &st);
    snprintf(label, sizeof label, "lstat %s", path);
    show(label, fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW), &st);
    int result = statx(dirfd, path, 0, STATX_BASIC_STATS, &stx);
    st.st_mode = stx.stx_mode;
    st.st_rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor);
    snprintf(label, sizeof label, "statx %s", path);
    show(label, result, &st);
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    snprintf(label, sizeof label, "open %s", path);
    show(label, fd < 0 ? fd : fstat(fd, &st), &st);
    if (fd >= 0) close(fd);
    printf("access %s: %s\n", path, faccessat(dirfd, path, F_OK, 0) ? err(errno) : "there");
}

int main(int argc, char **argv) {
    static const char *const absolute[] = {
        "/dev/dma_heap/system", "/dev/udmabuf", "//dev///dma_heap/./system", "/dev/../dev/udmabuf",
        "/dev/dma_heap/../udmabuf", "/proc/self/root/dev/udmabuf", "/dev/dma_heap", "/dev/dma_heap/",
        "/dev/udmabuf/", "/dev/dma_heap/missing", "/dev/udmabuf/below",
    };
    for (unsigned i = 0; i < sizeof absolute / sizeof *absolute; i++) all_of(AT_FDCWD, absolute[i]);
    for (int i = 1; i < argc; i++) all_of(AT_FDCWD, argv[i]);
    int dev = open("/dev", O_RDONLY | O_DIRECTORY), heaps = openat(dev, "dma_heap", O_RDONLY | O_DIRECTORY);
    all_of(dev, "udmabuf");
    all_of(dev, "dma_heap/system");
    all_of(heaps, "system");
    all_of(heaps, "../udmabuf");
    all_of(heaps, ".");
    int name = open("/dev/dma_heap", O_PATH | O_DIRECTORY);
    all_of(name, "system");
    if (chdir("/dev/dma_heap")) return 1;
    all_of(AT_FDCWD, "system");
    all_of(AT_FDCWD, "..//udmabuf");
    if (chdir("..")) return 1;
    all_of(AT_FDCWD, "dma_heap/system");
    if (fchdir(heaps)) return 1;
    all_of(AT_FDCWD, "./system");
    return 0;
}
