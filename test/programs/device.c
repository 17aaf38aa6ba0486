/* device NODE SECTION: the calls of test/kit/device.test.ts on a device of test/gadget.ts; a line for each. */
#include "kit.h"
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/uio.h>

struct gadget_sum { __u32 a, b; __u64 sum; };
struct gadget_more { struct gadget_sum sum; __u64 more; };
struct gadget_fds { __s32 buffer, fence; };
struct gadget_event { __u32 number, zero; };
#define GADGET_SUM _IOWR('T', 0xe0, struct gadget_sum)
#define GADGET_SUM_SHORT _IOWR('T', 0xe0, __u64)
#define GADGET_SUM_LONG _IOWR('T', 0xe0, struct gadget_more)
#define GADGET_STORE _IOW(0x89, 0xe1, struct gadget_sum)
#define GADGET_LOAD _IOR(0x89, 0xe2, struct gadget_sum)
#define GADGET_NAME _IOW('T', 0xe3, __u32)
#define GADGET_NUMBER _IO('T', 0xe4)
#define GADGET_FAIL _IO('T', 0xe5)
#define GADGET_WAIT _IO('T', 0xe6)
#define GADGET_GO _IO('T', 0xe7)
#define GADGET_TAKE _IOW('T', 0xe8, struct gadget_fds)
#define GADGET_GIVE _IOWR('T', 0xe9, struct gadget_fds)
#define GADGET_GIVE_BADLY _IOWR('T', 0xea, struct gadget_fds)
#define GADGET_POST _IOW('T', 0xeb, struct gadget_event)
#define GADGET_LIAR _IOR('T', 0xec, __u32)
#define GADGET_POINTER _IOW('T', 0xed, __u64)

static const char *node;
static int fd;
static char *page, *constant, *gone;

static void bad_memory(void) {
    page = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    constant = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gone = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, PAGE);
}

static void calls(void) {
    struct gadget_sum sum = {1, 2, 10};
    T("SUM", ioctl(fd, GADGET_SUM, &sum));
    SAY("%u %u %llu", sum.a, sum.b, sum.sum);
    T("STORE", ioctl(fd, GADGET_STORE, &sum));
    sum = (struct gadget_sum){7, 7, 7};
    T("LOAD", ioctl(fd, GADGET_LOAD, &sum));
    SAY("%u %u %llu", sum.a, sum.b, sum.sum);
    T("NAME", ioctl(fd, GADGET_NAME, "c\xc3\xa4sar"));
    T("NUMBER", ioctl(fd, GADGET_NUMBER, 41L));
    __u32 value = 9;
    T("LIAR", ioctl(fd, GADGET_LIAR, &value));
    SAY("%u", value);
    struct gadget_sum *at = &sum;
    T("POINTER", ioctl(fd, GADGET_POINTER, &at));
    SAY("%u %u %llu", sum.a, sum.b, sum.sum);
    at = (struct gadget_sum *)gone;
    T("POINTER to nothing", ioctl(fd, GADGET_POINTER, &at));
    at = (struct gadget_sum *)constant;
    T("POINTER to constants", ioctl(fd, GADGET_POINTER, &at));

    int zero = open("/dev/zero", O_RDWR), p[2], path = open(node, O_PATH), closed = dup(fd);
    if (pipe(p)) return;
    close(closed);
    T("closed", ioctl(closed, GADGET_SUM, &sum));
    T("-1", ioctl(-1, GADGET_SUM, &sum));
    T("/dev/zero", ioctl(zero, GADGET_SUM, &sum));
    T("a pipe", ioctl(p[0], GADGET_SUM, &sum));
    T("O_PATH", ioctl(path, GADGET_SUM, &sum));
    T("NULL", ioctl(fd, GADGET_SUM, NULL));
    T("not mapped", ioctl(fd, GADGET_SUM, gone));
    T("constant", ioctl(fd, GADGET_SUM, constant));
    T("beyond the end of memory", ioctl(fd, GADGET_SUM, page + PAGE - 8));
    T("not aligned", ioctl(fd, GADGET_SUM, page + PAGE - 17));
    T("STORE, constant", ioctl(fd, GADGET_STORE, constant));
    T("LOAD, constant", ioctl(fd, GADGET_LOAD, constant));
    T("NAME, NULL", ioctl(fd, GADGET_NAME, NULL));
    memset(page, 'x', PAGE);
    T("NAME without an end", ioctl(fd, GADGET_NAME, page + 8));
    T("no such number", ioctl(fd, _IOWR('T', 0xdf, struct gadget_sum), &sum));
    T("no such type", ioctl(fd, _IOWR('U', 0xe0, struct gadget_sum), &sum));
    T("another direction", ioctl(fd, _IOW('T', 0xe0, struct gadget_sum), &sum));
    T("FAIL", ioctl(fd, GADGET_FAIL, 0L));
    T("FAIL by mistake", ioctl(fd, GADGET_FAIL, 1L));
    T("FAIL later", ioctl(fd, GADGET_FAIL, 2L));
    T("FAIL later by mistake", ioctl(fd, GADGET_FAIL, 3L));
    F("refused", open(node, O_RDWR | O_TRUNC));
    T("write", write(fd, "x", 1));
    T("lseek", lseek(fd, 0, SEEK_SET));
    T("NAME", ioctl(fd, GADGET_NAME, "calls"));
    close(zero), close(p[0]), close(p[1]), close(path);
}

static void sizes(void) {
    struct gadget_more more = {{1, 2, 10}, 0};
    T("shorter", ioctl(fd, GADGET_SUM_SHORT, &more));
    SAY("%u %u %llu", more.sum.a, more.sum.b, more.sum.sum);
    T("longer", ioctl(fd, GADGET_SUM_LONG, &more));
    SAY("%llu %llu", more.sum.sum, more.more);
    more.more = 1ull << 56;
    T("longer, not zero", ioctl(fd, GADGET_SUM_LONG, &more));
    SAY("%llu", more.sum.sum);
    memcpy(page + PAGE - 16, &more, 16);
    T("longer than memory", ioctl(fd, GADGET_SUM_LONG, page + PAGE - 16));
    T("nothing at all", ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'T', 0xe0, 0), NULL));
    T("no direction", ioctl(fd, _IO('T', 0xe0), NULL));
}

static void fds(void) {
    struct gadget_fds f = {-1, -1}, none = {-1, -1};
    int before = open_fds(), p[2];
    T("GIVE", ioctl(fd, GADGET_GIVE, &f));
    SAY("%d new, close-on-exec %d %d", open_fds() - before, fcntl(f.buffer, F_GETFD), fcntl(f.fence, F_GETFD));
    T("TAKE", ioctl(fd, GADGET_TAKE, &f));
    if (pipe(p)) return;
    struct gadget_fds wrong[] = {{-1, -1}, {1000, -1}, {p[0], -1}, {fd, -1}, {f.buffer, p[0]}, {f.fence, -1}, {f.buffer, f.buffer}};
    const char *names[] = {"-1", "closed", "a pipe", "the device", "a pipe as fence", "a fence as buffer", "a buffer as fence"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) T(names[i], ioctl(fd, GADGET_TAKE, &wrong[i]));
    char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f.buffer, 0);
    SAY("mapped: %d", map != MAP_FAILED && !(*map = 0));
    munmap(map, PAGE);
    close(f.buffer), close(f.fence), close(p[0]), close(p[1]);
    before = open_fds();
    memcpy(page, &none, sizeof none);
    mprotect(page, PAGE, PROT_READ);
    T("GIVE, constant", ioctl(fd, GADGET_GIVE, page));
    SAY("%d new", open_fds() - before);
    T("GIVE_BADLY", ioctl(fd, GADGET_GIVE_BADLY, &f));
    SAY("%d new", open_fds() - before);
    for (int room = 0; room < 2; room++) {
        struct rlimit limit, was;
        int last = dup(0);
        close(last);
        getrlimit(RLIMIT_NOFILE, &was);
        limit = was, limit.rlim_cur = last + room;
        setrlimit(RLIMIT_NOFILE, &limit);
        T(room ? "GIVE, room for one" : "GIVE, no room", ioctl(fd, GADGET_GIVE, &f));
        setrlimit(RLIMIT_NOFILE, &was);
        SAY("%d new", open_fds() - before);
    }
}

static void post(__u32 number) { ioctl(fd, GADGET_POST, &(struct gadget_event){number, 0}); }

static void events(void) {
    struct gadget_event e[4];
    int nonblocking = open(node, O_RDWR | O_NONBLOCK), writing = open(node, O_WRONLY), ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, got;
    T("epoll_ctl", epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    SAY("poll %d, epoll %d", ready(fd, POLLIN, 0), epoll_wait(ep, &got, 1, 0));
    T("read, O_NONBLOCK", read(nonblocking, e, sizeof e));
    T("read, O_WRONLY", read(writing, e, sizeof e));
    T("read by F_SETFL", (fcntl(fd, F_SETFL, O_NONBLOCK), read(fd, e, sizeof e)));
    fcntl(fd, F_SETFL, 0);
    post(1), post(2), post(3);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SAY("poll 0x%x, epoll %d, select %d", ready(fd, POLLIN | POLLOUT, 0), epoll_wait(ep, &got, 1, 0),
        select(fd + 1, &set, NULL, NULL, &(struct timeval){0}));
    SAY("the other: poll %d", ready(nonblocking, POLLIN, 0));
    T("read too little", read(fd, e, 7));
    T("read nothing", read(fd, e, 0));
    T("read to nowhere", read(fd, gone, 8));
    T("read one and a half", read(fd, e, 12));
    SAY("%u", e[0].number);
    post(4), post(5);
    struct iovec two[] = {{e, 4}, {e + 1, 12}};
    T("readv", readv(fd, two, 2));
    SAY("%u, %u %u", e[0].number, e[1].number, e[2].number);
    volatile int none = -1;
    T("readv of -1", readv(fd, two, none));
    T("read the rest", read(fd, e, sizeof e));
    SAY("%u, poll %d", e[0].number, ready(fd, POLLIN, 0));
    pid_t child = fork();
    if (!child) {
        usleep(20000);
        post(6);
        _exit(0);
    }
    SAY("poll %d", ready(fd, POLLIN, -1));
    T("read", read(fd, e, sizeof e));
    waitpid(child, NULL, 0);
    child = fork();
    if (!child) {
        usleep(20000);
        post(7);
        _exit(0);
    }
    T("read waits", read(fd, e, sizeof e));
    SAY("%u", e[0].number);
    waitpid(child, NULL, 0);
}

static void transfers(void) {
    char b[32] = "";
    struct iovec two[] = {{"ab", 2}, {"cdefghij", 8}}, back[] = {{b, 3}, {b + 8, 24}};
    SAY("poll 0x%x", ready(fd, POLLIN | POLLOUT, 0));
    T("write", write(fd, "hello", 5));
    T("write nothing", write(fd, "", 0));
    T("write more than it takes", write(fd, "0123456789", 10));
    T("write what it does not take", write(fd, "!", 1));
    T("write from nowhere", write(fd, gone, 1));
    SAY("poll 0x%x", ready(fd, POLLIN | POLLOUT, 0));
    T("read", read(fd, b, 5));
    T("read to nowhere", read(fd, gone, 1));
    T("read the rest", read(fd, b + 5, 20));
    SAY("%s", b);
    T("writev", writev(fd, two, 2));
    memset(b, 0, sizeof b);
    T("readv", readv(fd, back, 2));
    SAY("%s %s", b, b + 8);
    int reading = open(node, O_RDONLY);
    T("write, O_RDONLY", write(reading, "x", 1));
    T("ioctl", ioctl(fd, GADGET_SUM, b));
    F("mmap", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
}

static void map(void) {
    char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    if (m == MAP_FAILED || second == MAP_FAILED) return;
    SAY("%s, %s", m, second);
    strcpy(m + PAGE, "from the program");
    SAY("%s", second);
    F("too much", mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
    F("beyond", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE));
    if (!fork()) _exit(m[PAGE] != 'f');
    int status;
    wait(&status);
    SAY("a child sees it: %d", status == 0);
}

static volatile int caught;
static void on_signal(int signal) {
    (void)signal;
    caught++;
}

/* waits until it is told to go on; what came of it, and whether there was a signal */
static void waits(int restart) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
    sigaction(SIGUSR1, &action, NULL);
    ioctl(fd, GADGET_NAME, restart ? "restart" : "plain");
    SAY("waiting");
    T("WAIT", ioctl(fd, GADGET_WAIT, 0));
    SAY("signal %d", caught > 0);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    node = argv[1];
    fd = open(node, O_RDWR);
    bad_memory();
    const char *section = argv[2];
    if (!strcmp(section, "calls")) calls();
    else if (!strcmp(section, "sizes")) sizes();
    else if (!strcmp(section, "fds")) fds();
    else if (!strcmp(section, "events")) events();
    else if (!strcmp(section, "transfers")) transfers();
    else if (!strcmp(section, "map")) map();
    else if (!strcmp(section, "wait")) waits(0);
    else if (!strcmp(section, "restart")) waits(1);
    else if (!strcmp(section, "nonblock")) T("WAIT", ioctl(open(node, O_RDWR | O_NONBLOCK), GADGET_WAIT, 0));
    else return 2;
    return 0;
}
