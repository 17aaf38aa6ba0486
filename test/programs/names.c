/*
 * names WHAT [FOLDER]: calls that make names of ours, take them away, change their inodes or watch them. A line for
 * each answer.
 */
#include "kit.h"
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <sys/un.h>
#include <utime.h>

#define HEAPS "/dev/dma_heap"
#define HEAP HEAPS "/system"
#define SYSFS "/sys/devices/virtual/dma_heap"

static void say(const char *what, long result) { printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done"); }

static void is(const char *path) {
    struct stat st;
    if (lstat(path, &st)) printf("%s: %s\n", path, strerrorname_np(errno));
    else printf("%s: %06o %d:%d\n", path, st.st_mode, (int)st.st_uid, (int)st.st_gid);
}

static void list(const char *path) {
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    printf("in %s:", path);
    for (int i = 0; i < n; i++)
        if (entries[i]->d_name[0] != '.') printf(" %s", entries[i]->d_name);
    putchar('\n');
}

static int name_socket(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), result = bind(fd, (void *)&at, sizeof at), code = errno;
    close(fd);
    errno = code;
    return result;
}

/* What root may do in a directory of devtmpfs. */
static void make(void) {
    struct stat st;
    umask(022);
    say("mkdir over ours", mkdir(HEAPS, 0755));
    say("mkdir", mkdir(HEAPS "/by-path", 0777));
    is(HEAPS "/by-path");
    say("mkdir again", mkdir(HEAPS "/by-path", 0777));
    say("symlink", symlink("../system", HEAPS "/by-path/pci-0"));
    say("open through it", open(HEAPS "/by-path/pci-0", O_RDWR));
    say("rmdir of what is full", rmdir(HEAPS "/by-path"));
    say("stat", stat(HEAP, &st));
    say("mknod", mknod(HEAPS "/copy", S_IFCHR | 0600, st.st_rdev));
    struct dma_heap_allocation_data data = {.len = 4096, .fd_flags = O_RDWR | O_CLOEXEC};
    say("it is the same device", ioctl(open(HEAPS "/copy", O_RDWR), DMA_HEAP_IOCTL_ALLOC, &data));
    say("link", link(HEAP, HEAPS "/by-path/hard"));
    say("rename", rename(HEAPS "/copy", HEAPS "/by-path/moved"));
    list(HEAPS);
    list(HEAPS "/by-path");
    say("rename over a directory", rename(HEAP, HEAPS "/by-path"));
    say("rename to another file system", rename(HEAP, "/sys/x"));
    int fd = open(HEAPS "/by-path/moved", O_RDWR);
    say("unlink", unlink(HEAPS "/by-path/moved"));
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    readlink(path, target, sizeof target - 1);
    printf("%s\n", target);
    say("still open", fstat(fd, &st));
    printf("nlink %d\n", (int)st.st_nlink);
    say("a file", open(HEAPS "/file", O_CREAT | O_RDWR, 0600));
    say("a file without a name", open(HEAPS, O_TMPFILE | O_RDWR, 0600));
    say("a FIFO", mkfifo(HEAPS "/fifo", 0600));
    say("a socket", name_socket(HEAPS "/socket"));
    say("a socket over ours", name_socket(HEAP));
    unlink(HEAPS "/by-path/pci-0"), unlink(HEAPS "/by-path/hard");
    say("rmdir", rmdir(HEAPS "/by-path"));
    say("unlink ours", unlink("/dev/udmabuf"));
    is("/dev/udmabuf");
    say("and again", unlink("/dev/udmabuf"));
    say("a file of its name", open("/dev/udmabuf", O_CREAT | O_RDWR, 0600));
    say("a directory of its name", mkdir("/dev/udmabuf", 0755));
    say("rmdir", rmdir("/dev/udmabuf"));
    list(HEAPS);
}

/* What sysfs, or who is not root, is refused. */
static void refused(const char *dir) {
    char path[256], other[256];
    snprintf(path, sizeof path, "%s/probe", dir);
    snprintf(other, sizeof other, "%s/system", dir);
    say("mkdir", mkdir(path, 0755));
    say("mknod", mknod(path, S_IFIFO | 0600, 0));
    say("create", open(path, O_CREAT | O_RDWR, 0600));
    say("symlink", symlink("x", path));
    say("name a socket", name_socket(path));
    say("rename", rename(other, path));
    say("remove", remove(other));
    say("unlink of what is missing", unlink(path));
    say("over ours", mkdir(other, 0755));
}

/* The owner's to set: whose kernel it is. */
static void inode(void) {
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    struct stat st;
    is("/dev/udmabuf");
    say("chmod", chmod("/dev/udmabuf", 0640));
    is("/dev/udmabuf");
    int fd = open("/dev/udmabuf", O_RDWR);
    say("fchmod", fchmod(fd, 0606));
    int name = open("/dev/udmabuf", O_PATH);
    say("fchmod by name only", fchmod(name, 0600));
    fstat(fd, &st);
    printf("mode %o\n", st.st_mode);
    say("chown of nothing", chown("/dev/udmabuf", -1, -1));
    say("utimensat", utimensat(AT_FDCWD, "/dev/udmabuf", times, 0));
    stat("/dev/udmabuf", &st);
    printf("%ld.%ld\n", (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    say("utime", utime("/dev/udmabuf", &(struct utimbuf){1, 2}));
    stat("/dev/udmabuf", &st);
    printf("%ld\n", (long)st.st_mtim.tv_sec);
    say("setxattr", setxattr("/dev/udmabuf", "user.x", "1", 1, 0));
    say("truncate", truncate("/dev/udmabuf", 0));
    say("chmod 0", chmod("/dev/udmabuf", 0));
    struct statfs fs;
    say("statfs", statfs("/dev/udmabuf", &fs));
    printf("%lx\n", (long)fs.f_type);
    say("statfs", statfs(SYSFS "/system/dev", &fs));
    printf("%lx\n", (long)fs.f_type);
}

static void events(const char *what, int in) {
    static const char *names[] = {"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN",
                                  "MOVED_FROM", "MOVED_TO", "CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF"};
    char buffer[4096] __attribute__((aligned(8)));
    usleep(1000);
    stat("/dev/udmabuf", &(struct stat){0}); /* whatever was closed is noticed by now */
    ssize_t n = read(in, buffer, sizeof buffer);
    printf("%s:", what);
    for (char *p = buffer; n > 0 && p < buffer + n;) {
        struct inotify_event *e = (void *)p;
        for (int i = 0; i < 12; i++)
            if (e->mask >> i & 1) printf(" %s", names[i]);
        if (e->len) printf(" %s", e->name);
        p += sizeof *e + e->len;
    }
    putchar('\n');
}

static void watch(void) {
    int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    say("a node", inotify_add_watch(in, "/dev/udmabuf", IN_ALL_EVENTS));
    say("as a directory", inotify_add_watch(in, "/dev/udmabuf", IN_ALL_EVENTS | IN_ONLYDIR));
    int fd = open("/dev/udmabuf", O_RDWR);
    events("open", in);
    close(fd);
    events("close", in);
    chmod("/dev/udmabuf", 0600);
    events("chmod", in);
    close(open("/dev/udmabuf", O_PATH));
    events("nothing", in);
    close(in);
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    say("a directory", inotify_add_watch(in, HEAPS, IN_ALL_EVENTS & ~IN_OPEN & ~IN_CLOSE));
    if (!mkdir(HEAPS "/new", 0755)) rename(HEAPS "/new", HEAPS "/newer"), rmdir(HEAPS "/newer");
    events("changes", in);
}

/* Both ends of a rename by a way of ours, and what goes to the machine as without us. */
static void machine(const char *folder) {
    char from[4096], to[4096], path[4096];
    struct stat st;
    snprintf(from, sizeof from, HEAPS "/../..%s/from", folder);
    snprintf(to, sizeof to, HEAPS "/../..%s/to", folder);
    snprintf(path, sizeof path, "%s/to", folder);
    say("mkdir", mkdir(from, 0750));
    say("rename", rename(from, to));
    say("stat", stat(path, &st));
    printf("%o\n", st.st_mode);
    say("chmod", chmod(to, 0700));
    say("utimensat", utimensat(AT_FDCWD, to, NULL, 0));
    say("statfs", statfs(to, &(struct statfs){0}));
    say("watch", inotify_add_watch(inotify_init1(0), to, IN_CREATE));
    say("rename to ours", rename(to, HEAPS "/to"));
    say("link over ours", link("/proc/self/status", HEAP));
    say("rmdir", rmdir(to));
    say("mkfifo", mkfifo(from, 0600));
    say("link", link(from, to));
    say("unlink both", unlink(from) || unlink(to) ? -1 : 0);
    say("symlink", symlink("x", from));
    say("lchown", lchown(from, -1, -1));
    say("unlink", unlink(from));
}

/* Nodes of the machine's devices, and of none. */
static void numbers(void) {
    char byte = 1;
    struct stat st;
    say("mknod", mknod(HEAPS "/zero", S_IFCHR | 0600, makedev(1, 5)));
    int fd = open(HEAPS "/zero", O_RDONLY);
    say("open", fd);
    say("read", read(fd, &byte, 1));
    printf("%d\n", byte);
    fstat(fd, &st);
    printf("%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
    say("as a directory", open(HEAPS "/zero", O_RDONLY | O_DIRECTORY));
    say("by its name alone", open(HEAPS "/zero", O_PATH));
    mknod(HEAPS "/none", S_IFCHR | 0600, makedev(300, 7));
    say("of no device", open(HEAPS "/none", O_RDONLY));
    mknod(HEAPS "/block", S_IFBLK | 0600, makedev(300, 7));
    say("of no block device", open(HEAPS "/block", O_RDONLY));
    mknod(HEAPS "/whiteout", S_IFCHR | 0600, 0);
    say("of nothing", open(HEAPS "/whiteout", O_RDONLY));
}

/* What would have names of ours begin, or be mounted, somewhere. */
static void roots(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, HEAPS "/../..%s", folder);
    say("chroot to ours", chroot(HEAPS));
    say("chroot to a node", chroot(HEAP));
    say("chroot to nothing", chroot(HEAPS "/none"));
    say("pivot_root to ours", syscall(SYS_pivot_root, HEAPS, folder));
    say("pivot_root to a node", syscall(SYS_pivot_root, folder, HEAP));
    int result = syscall(SYS_pivot_root, folder, folder), code = errno;
    printf("pivot_root by a way of ours: %d\n", result == syscall(SYS_pivot_root, path, path) && code == errno);
    say("mount over ours", mount("none", HEAPS, "tmpfs", 0, NULL));
    say("mount of ours", mount(HEAPS, folder, NULL, MS_BIND, NULL));
    say("mount over nothing", mount("none", HEAPS "/none", "tmpfs", 0, NULL));
    say("mount by a way of ours", mount("none", path, "no such", 0, NULL));
    chdir(HEAPS);
    say("chroot to where it is", chroot("."));
}

int main(int argc, char **argv) {
    const char *what = argv[1], *argument = argc > 2 ? argv[2] : "";
    if (!strcmp(what, "make")) make();
    else if (!strcmp(what, "refused")) refused(argument);
    else if (!strcmp(what, "inode")) inode();
    else if (!strcmp(what, "watch")) watch();
    else if (!strcmp(what, "numbers")) numbers();
    else if (!strcmp(what, "roots")) roots(argument);
    else machine(argument);
    return 0;
}
