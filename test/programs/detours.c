/*
 * detours WHAT FOLDER: reaches files of the machine's by paths that lead through a directory of ours. A line for each
 * answer.
 */
#include "kit.h"
#include <sys/time.h>
#include <sys/wait.h>

static char folder[4096];

/* FOLDER/NAME by way of the heaps; two may be in use. */
static const char *detour(const char *name) {
    static char paths[2][8192];
    static int turn;
    char *path = paths[turn ^= 1];
    snprintf(path, sizeof paths[0], "/dev/dma_heap/../..%s/%s", folder, name);
    return path;
}

static void say(const char *what, int result) { printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done"); }

static void files(void) {
    struct stat st;
    char target[64] = "";
    umask(027);
    int fd = open(detour("made"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    say("create", fd);
    printf("mode %o, close-on-exec %d\n", fstat(fd, &st) ? 0 : st.st_mode & 0777, fcntl(fd, F_GETFD));
    say("create again", open(detour("made"), O_CREAT | O_EXCL | O_RDWR, 0666));
    say("as a directory", open(detour("made/"), O_RDONLY));
    say("by name only", fd = open(detour("made"), O_PATH));
    printf("flags %s\n", fcntl(fd, F_GETFL) & O_PATH ? "O_PATH" : "others");
    say("truncate", truncate(detour("made"), 7));
    say("stat", stat(detour("made"), &st));
    printf("size %ld\n", (long)st.st_size);
    say("access", access(detour("made"), R_OK));
    say("stat of what is missing", stat(detour("missing"), &st));
    say("open what is missing", open(detour("missing"), O_RDONLY));
    say("symlink", symlink("made", detour("link") + strlen("/dev/dma_heap/../..")));
    say("open a link", open(detour("link"), O_RDONLY | O_NOFOLLOW));
    say("readlink", (int)readlink(detour("link"), target, sizeof target - 1));
    printf("to %s\n", target);
    say("lstat", lstat(detour("link"), &st));
    printf("%s\n", S_ISLNK(st.st_mode) ? "a link" : "no link");
    say("chdir", chdir(detour("")));
    say("open what is here", open("made", O_RDONLY));
}

static void identity(void) {
    say("made", open(detour("secret"), O_CREAT | O_RDWR, 0600));
    say("setuid", setuid(65534));
    say("open", open(detour("secret"), O_RDONLY));
    say("chdir into it", chdir(detour("private")));
    struct stat st;
    say("stat in it", stat(detour("private/any"), &st));
}

static void root(void) {
    struct stat here, there;
    say("chroot", chroot(folder) || chdir("/") ? -1 : 0);
    say("create", open("/dev/dma_heap/../../inside", O_CREAT | O_RDWR, 0600));
    say("the same", stat("/inside", &here) || stat("/dev/dma_heap/../../inside", &there));
    printf("%s\n", here.st_ino == there.st_ino ? "one" : "two");
    say("outside", open("/dev/dma_heap/../../etc/passwd", O_RDONLY));
}

static void fifo(void) {
    int status;
    struct stat st;
    char byte = 0;
    const char *name = detour("fifo");
    say("mkfifo", mkfifo(name + strlen("/dev/dma_heap/../.."), 0600));
    fflush(stdout);
    if (fork() == 0) {
        usleep(50000);
        /* Others are served meanwhile. */
        if (stat("/dev/udmabuf", &st)) _exit(1);
        _exit(write(open(detour("fifo"), O_WRONLY), "x", 1) != 1);
    }
    int fd = open(name, O_RDONLY);
    say("open", fd);
    printf("read %d\n", (int)read(fd, &byte, 1));
    wait(&status);
    printf("writer %d\n", WEXITSTATUS(status));
}

static volatile int ticks;
static const char *at_tick;

static void tick(int signal) {
    (void)signal;
    /* What the handler is told of its own registers is true, or it could not do this. */
    if (++ticks == 3 && at_tick && open(at_tick, O_RDWR) < 0) abort();
}

static void signals(void) {
    struct itimerval every = {{0, 20000}, {0, 20000}};
    struct sigaction action = {.sa_handler = tick};
    const char *name = detour("fifo");
    say("mkfifo", mkfifo(name + strlen("/dev/dma_heap/../.."), 0600));
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    say("interrupted", open(name, O_RDONLY));
    ticks = 0;
    at_tick = name + strlen("/dev/dma_heap/../..");
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    say("restarted", open(name, O_RDONLY));
    printf("%s\n", ticks >= 3 ? "after the third" : "too early");
}

static void cwd(void) {
    struct stat st = {0};
    char target[64] = "";
    int fd = open("/proc/self/cwd", O_PATH | O_NOFOLLOW);
    say("by name only", fd);
    printf("%s\n", !fstat(fd, &st) && S_ISLNK(st.st_mode) ? "a link" : "no link");
    say("lstat", lstat("/proc/self/cwd", &st));
    printf("%s\n", S_ISLNK(st.st_mode) ? "a link" : "no link");
    say("chdir", chdir("/dev/dma_heap"));
    say("readlink", (int)readlink("/proc/self/cwd", target, sizeof target - 1));
    printf("to %s\n", target);
}

int main(int argc, char **argv) {
    if (argc < 3 || !realpath(argv[2], folder)) return 1;
    if (!strcmp(argv[1], "files")) files();
    if (!strcmp(argv[1], "identity")) identity();
    if (!strcmp(argv[1], "root")) root();
    if (!strcmp(argv[1], "fifo")) fifo();
    if (!strcmp(argv[1], "signals")) signals();
    if (!strcmp(argv[1], "cwd")) cwd();
    return 0;
}
