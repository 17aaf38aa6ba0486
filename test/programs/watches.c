/*
 * watches FOLDER DEVICE: what inotify tells of names that are made in a folder, and go, and of what has them. A line for
 * each call, with the events that came of it. The nodes have the number of DEVICE. watches FOLDER OTHER -: what others
 * do there.
 */
#include "kit.h"
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int in;
static const char *watched[64];

static void watch(const char *name, const char *path) {
    int wd = inotify_add_watch(in, path, IN_ALL_EVENTS);
    if (wd < 0) printf("watch %s: %s\n", path, err(errno));
    else if (wd < 64) watched[wd] = name;
}

static void events(const char *what, int result) {
    static const struct { unsigned bit; const char *name; } names[] = {
        {IN_ACCESS, "ACCESS"}, {IN_MODIFY, "MODIFY"}, {IN_ATTRIB, "ATTRIB"}, {IN_CLOSE_WRITE, "CLOSE_WRITE"},
        {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"}, {IN_MOVED_FROM, "MOVED_FROM"}, {IN_MOVED_TO, "MOVED_TO"},
        {IN_CREATE, "CREATE"}, {IN_DELETE, "DELETE"}, {IN_DELETE_SELF, "DELETE_SELF"}, {IN_MOVE_SELF, "MOVE_SELF"},
        {IN_IGNORED, "IGNORED"}, {IN_ISDIR, "ISDIR"}, {IN_Q_OVERFLOW, "Q_OVERFLOW"},
    };
    char buffer[4096] __attribute__((aligned(8)));
    int code = errno;
    stat("/dev/udmabuf", &(struct stat){0}); /* whatever was closed is noticed by now */
    ssize_t n = read(in, buffer, sizeof buffer);
    printf("%s: %s\n", what, result < 0 ? err(code) : "done");
    for (char *p = buffer; n > 0 && p < buffer + n;) {
        struct inotify_event *e = (void *)p;
        printf("  %s", e->wd >= 0 && e->wd < 64 ? watched[e->wd] : "?");
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
            if (e->mask & names[i].bit) printf(" %s", names[i].name);
        printf("%s%s%s\n", e->cookie ? " (cookie)" : "", e->len ? " " : "", e->len ? e->name : "");
        p += sizeof *e + e->len;
    }
    fflush(stdout);
}

#define E(call) events(#call, call)

static void list(const char *path) {
    DIR *dir = opendir(path);
    while (dir && readdir(dir)) continue;
    if (dir) closedir(dir);
}

int main(int argc, char **argv) {
    struct stat device;
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (argc == 4) { /* FOLDER FOLDER -: what others do in them, a line of input after the other */
        watch("folder", argv[1]), watch("other", argv[2]);
        puts("watching");
        fflush(stdout);
        char line[64];
        while (fgets(line, sizeof line, stdin)) events(strtok(line, "\n"), 0);
        return 0;
    }
    if (argc < 3 || chdir(argv[1]) || stat(argv[2], &device)) return 2;
    dev_t number = device.st_rdev;
    watch("folder", ".");
    E(mknod("a", S_IFCHR | 0600, number));
    E(link("a", "b"));
    watch("a", "a");
    int fd = open("a", O_RDWR);
    events("open", fd);
    E(close(fd));
    E(chmod("a", 0640));
    E(utimensat(AT_FDCWD, "b", NULL, 0));
    E(link("b", "c"));
    E(unlink("b"));
    E(rename("a", "d"));
    E(rename("c", "d"));
    E(unlink("c"));
    fd = open("d", O_RDONLY);
    events("open", fd);
    E(unlink("d"));
    E(fchmod(fd, 0600));
    E(close(fd));

    E(mknod("x", S_IFCHR | 0600, number));
    E(mknod("y", S_IFCHR | 0600, number));
    watch("x", "x"), watch("y", "y");
    E(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_EXCHANGE));
    E(rename("x", "y"));
    E(unlink("y"));

    E(mkdir("sub", 0755));
    watch("sub", "sub");
    E(symlink("nothing", "sub/l"));
    E(mknod("sub/n", S_IFCHR | 0600, number));
    E(mkdir("sub/below", 0755));
    list("sub");
    events("list", 0);
    E(chmod("sub", 0750));
    E(rename("sub/n", "n"));
    E(rename("sub", "moved"));
    E(rmdir("moved"));
    E(unlink("moved/l"));
    E(rmdir("moved/below"));
    E(rmdir("moved"));
    E(unlink("n"));

    E(mkdir("held", 0755));
    watch("held", "held");
    fd = open("held", O_RDONLY | O_DIRECTORY);
    events("open", fd);
    E(rmdir("held"));
    E(close(fd));
    E(mkdir("over", 0755));
    E(mkdir("under", 0755));
    watch("over", "over"), watch("under", "under");
    E(rename("over", "under"));
    E(rmdir("under"));
    E(symlink("a", "link"));
    E(unlink("link"));
    return 0;
}
