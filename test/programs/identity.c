/*
 * identity WHAT [PATH]: what descriptors of links, directories and attributes of ours say that they are, and where names
 * relative to them lead. A line for each answer.
 */
#include "kit.h"
#include <sys/stat.h>
#include <sys/statfs.h>

static const char *answer(long result) { return result < 0 ? strerrorname_np(errno) : "done"; }

static void say(const char *what, long result) { printf("%s: %s\n", what, answer(result)); }

static const char *link_of(int fd) {
    static char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = 0;
    return target;
}

/* What an open descriptor is: its type, its name, its file system. */
static void is(const char *what, int fd) {
    struct stat st;
    struct statfs fs;
    if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs)) {
        printf("%s: %s\n", what, strerrorname_np(errno));
        return;
    }
    const char *type = S_ISLNK(st.st_mode) ? "link" : S_ISDIR(st.st_mode) ? "directory" : S_ISREG(st.st_mode) ? "file" : "node";
    printf("%s: %s %s, %lx\n", what, type, link_of(fd), (long)fs.f_type);
}

static int again(int fd, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

static void links(void) {
    char target[64] = "";
    char byte;
    int link = open("/sys/class/dma_heap/system", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    is("link", link);
    say("readlinkat", readlinkat(link, "", target, sizeof target - 1));
    printf("to %s\n", target);
    say("read", read(link, &byte, 1));
    say("ioctl", ioctl(link, UDMABUF_CREATE, &byte));
    say("above it", openat(link, "..", O_PATH));
    say("below it", openat(link, "dev", O_PATH));
    is("through /proc by name only", again(link, O_PATH));
    say("through /proc", again(link, O_RDONLY));
    say("not followed", open("/sys/class/dma_heap/system", O_RDONLY | O_NOFOLLOW));
    say("as a directory", open("/sys/class/dma_heap/system", O_PATH | O_NOFOLLOW | O_DIRECTORY));
}

/* As libudev goes: one component at a time. */
static void steps(void) {
    static const char *names[] = {"sys", "devices", "virtual", "dma_heap", "system", "subsystem"};
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        int next = openat(at, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
        is(names[i], next);
        if (i == 5) break;
        close(at);
        at = next;
    }
    say("uevent is there", faccessat(at, "uevent", F_OK, 0));
    say("so is the directory", (long)syscall(SYS_faccessat2, at, "", R_OK | X_OK, 0x1000 /* AT_EMPTY_PATH */));
    say("nothing else is", faccessat(at, "missing", F_OK, 0));
    int listed = again(at, O_RDONLY | O_DIRECTORY);
    is("to be listed", listed);
    int up = openat(listed, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    is("up", up);
    is("up and down", openat(up, "../misc/udmabuf/dev", O_RDONLY));
    is("through /proc", open("/proc/self/fd/3/../../..", O_PATH));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d/uevent", at);
    is("below what is open", open(path, O_RDONLY));
    say("change into it", fchdir(at));
    printf("%s\n", getcwd(path, sizeof path));
    is("here", open("dev", O_RDONLY));
}

static void attributes(void) {
    char text[64];
    int fd = open("/sys/class/misc/udmabuf/dev", O_RDONLY | O_CLOEXEC);
    is("attribute", fd);
    is("again by name only", again(fd, O_PATH));
    is("again", again(fd, O_RDONLY));
    say("to be written", again(fd, O_RDWR));
    struct stat st;
    fstat(fd, &st);
    printf("size %ld mode %o\n", (long)st.st_size, st.st_mode);
    ssize_t n = read(fd, text, sizeof text);
    printf("read %.*s", (int)n, text);
    printf("then %ld\n", (long)read(fd, text, sizeof text));
    printf("end %ld\n", (long)lseek(fd, 0, SEEK_END));
    lseek(fd, 0, SEEK_SET);
    n = read(fd, text, sizeof text);
    printf("again %.*s", (int)n, text);
    say("map", mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    say("cut", ftruncate(fd, 0));
}

static void twice(const char *path) {
    char text[64];
    int fd = open(path, O_RDONLY);
    for (int i = 0; i < 2; i++) {
        ssize_t n;
        while ((n = read(fd, text, sizeof text)) > 0) printf("%.*s", (int)n, text);
        lseek(fd, 0, SEEK_SET);
    }
    is("of", fd);
}

int main(int argc, char **argv) {
    if (argc > 2) twice(argv[2]);
    else if (!strcmp(argv[1], "links")) links();
    else if (!strcmp(argv[1], "steps")) steps();
    else attributes();
    return 0;
}
