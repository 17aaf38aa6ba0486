/*
 * interrupts WHAT: signals for calls that wait for a busy buffer, in the ways that Linux has; and arguments of these
 * calls that are unusual. Each line ends in what is seen.
 */
#include "fences.h"
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>

static int tl, buf;
static volatile int handled;
static __thread volatile int here;

static void on_signal(int signal) {
    (void)signal;
    __sync_fetch_and_add(&handled, 1);
    here++;
}

static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    return set;
}

static pid_t signal_later(int ms, int signal) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid) return pid;
    rest(ms);
    kill(getppid(), signal);
    _exit(0);
}

static const char *result(long r) { return r < 0 ? err(errno) : r ? "ready" : "0"; }

/* Only the call's own mask lets the signal through. */
static void masked(void) {
    sigset_t none = set_of(0), usr = set_of(SIGUSR1), now;
    struct pollfd p = {buf, POLLIN, 0};
    fd_set set;
    sigprocmask(SIG_BLOCK, &usr, NULL);
    pid_t child = signal_later(50, SIGUSR1);
    const char *seen = result(ppoll(&p, 1, NULL, &none));
    SAY("ppoll: %s, handled %d, same %d", seen, handled, p.fd == buf);
    waitpid(child, NULL, 0);
    memset(&p, 0x5a, sizeof p);
    access("/dev/null", F_OK);
    SAY("its array is left alone: %d", p.fd == 0x5a5a5a5a);
    FD_ZERO(&set);
    FD_SET(buf, &set);
    child = signal_later(50, SIGUSR1);
    seen = result(pselect(buf + 1, &set, NULL, NULL, NULL, &none));
    SAY("pselect: %s, handled %d, same %d", seen, handled, FD_ISSET(buf, &set));
    waitpid(child, NULL, 0);
    sigprocmask(SIG_BLOCK, NULL, &now);
    SAY("blocked again: %d", sigismember(&now, SIGUSR1));
    /* One that nobody handles: it goes on waiting. */
    signal(SIGUSR2, SIG_IGN);
    child = signal_later(50, SIGUSR2);
    struct timespec half = {0, 200000000};
    p = (struct pollfd){buf, POLLIN, 0};
    SAY("ppoll, ignored signal: %s", result(ppoll(&p, 1, &half, &none)));
    waitpid(child, NULL, 0);
}

enum { THREADS = 6, SIGNALS = 10 };
static int strange, woken;

static void *wait_thread(void *how) {
    sigset_t none = set_of(0);
    for (;;) {
        struct pollfd p = {buf, POLLIN, 0};
        here = 0;
        long r = how == NULL ? ppoll(&p, 1, NULL, &none) : how == (void *)1 ? poll(&p, 1, -1) : bufsync(buf, R);
        if (r >= 0) break;
        if (errno != EINTR || !here) __sync_fetch_and_add(&strange, 1);
    }
    __sync_fetch_and_add(&woken, 1);
    return NULL;
}

/* Signals of the process: one thread handles each, whichever; the others know nothing of it. */
static void threads(int only_masked) {
    pthread_t thread[THREADS];
    sigset_t usr = set_of(SIGUSR1);
    if (only_masked) pthread_sigmask(SIG_BLOCK, &usr, NULL);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, wait_thread, only_masked ? NULL : (void *)(1 + i % 2));
    pthread_sigmask(SIG_BLOCK, &usr, NULL);
    rest(100);
    for (int i = 0; i < SIGNALS; i++) {
        kill(getpid(), SIGUSR1);
        for (int ms = 0; handled <= i && ms < 5000; ms += 5) rest(5);
    }
    SAY("handled %d", handled);
    inc(tl, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    SAY("strange %d, woken %d", strange, woken);
}

enum { MANY = 16 };

static void *wait_once(void *unused) {
    struct pollfd p = {buf, POLLIN, 0};
    (void)unused;
    return (void *)(long)(poll(&p, 1, -1) < 0 && errno == EINTR);
}

/* Many wait, and each has a signal of its own, again if it came too early: threads of one process, then processes. */
static void each(void) {
    pthread_t thread[MANY];
    pid_t child[MANY];
    int interrupted = 0, status;
    for (int i = 0; i < MANY; i++) pthread_create(&thread[i], NULL, wait_once, NULL);
    rest(100);
    for (int i = 0; i < MANY; i++) {
        void *was = NULL;
        do pthread_kill(thread[i], SIGUSR1), rest(5);
        while (pthread_tryjoin_np(thread[i], &was));
        interrupted += was != NULL;
    }
    SAY("threads %d", interrupted);
    interrupted = 0;
    fflush(stdout);
    for (int i = 0; i < MANY; i++)
        if (!(child[i] = fork())) _exit(wait_once(NULL) != NULL);
    rest(100);
    for (int i = 0; i < MANY; i++) {
        do kill(child[i], SIGUSR1), rest(5);
        while (waitpid(child[i], &status, WNOHANG) == 0);
        interrupted += WEXITSTATUS(status);
    }
    SAY("processes %d", interrupted);
}

/* Threads wait while another one has the process become another program: their calls are over. */
static void become(void) {
    pthread_t thread;
    for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, wait_once, NULL);
    rest(50);
    execl("/bin/echo", "echo", "another program", NULL);
}

/* Stopped and continued, poll(2) keeps to its time: it is not so long again after that. */
static void stopped(void) {
    enum { TIME = 2000 };
    volatile long *last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t self = getpid(), child = fork();
    if (!child) {
        for (int i = 0; i < 4; i++) rest(60), kill(self, SIGSTOP), rest(20), *last = now(), kill(self, SIGCONT);
        _exit(0);
    }
    struct pollfd p = {buf, POLLIN, 0};
    long from = now(), r = poll(&p, 1, TIME), end = now();
    waitpid(child, NULL, 0);
    SAY("poll: %s, in time %d", result(r), end - from >= TIME && end - *last < TIME);
}

static void arguments(void) {
    struct pollfd many[200] = {{buf, POLLIN, 0}};
    fd_set set, big[2];
    char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fd_set *last = (fd_set *)(page + PAGE - sizeof *last);
    munmap(page + PAGE, PAGE);
    FD_ZERO(&set);
    FD_SET(buf, &set);
    FD_SET(buf, &set);
    long from = now();
    const char *seen = result(select(buf + 1, &set, NULL, NULL, &(struct timeval){0, 1100000}));
    SAY("select, more microseconds than a second has: %s, %d", seen, now() - from >= 1100);
    SAY("select, negative microseconds: %s", result(select(buf + 1, &set, NULL, NULL, &(struct timeval){0, -1})));
    FD_ZERO(last);
    FD_SET(buf, last);
    SAY("select, a set at the end of its page: %s", result(select(4096, last, NULL, NULL, &(struct timeval){0, 1})));
    memset(big, 0, sizeof big);
    FD_SET(buf, &big[0]);
    SAY("select of INT_MAX: %s", result(select(INT_MAX, &big[0], NULL, NULL, &(struct timeval){0, 1})));
    SAY("ppoll, a mask of three bytes: %s", result(syscall(SYS_ppoll, many, 1, NULL, &(uint64_t){0}, 3)));
    for (int i = 1; i < 200; i++) many[i].fd = -1;
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, 100});
    SAY("poll of more than may be open: %s", result(poll(many, 200, 1)));
    struct timespec month = {31 * 86400, 0};
    pid_t child = later(100, tl, 1);
    SAY("ppoll for a month: %s", result(ppoll(many, 1, &month, NULL)));
    waitpid(child, NULL, 0);
}

static void *after_leader(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    struct epoll_event event = {.events = EPOLLIN};
    SAY("epoll_ctl: %s", result(epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, buf, &event)));
    DIR *dir = opendir("/dev");
    int found = 0;
    for (struct dirent *d; (d = readdir(dir));) found |= !strcmp(d->d_name, "dma_heap");
    SAY("/dev has dma_heap: %d", found);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    tl = timeline("tA");
    buf = heap_buf(PAGE, O_RDWR | O_CLOEXEC);
    import(buf, WR, fence(tl, 1));
    if (!strcmp(what, "masked")) masked();
    if (!strcmp(what, "threads")) threads(0);
    if (!strcmp(what, "masked-threads")) threads(1);
    if (!strcmp(what, "stopped")) stopped();
    if (!strcmp(what, "each")) each();
    if (!strcmp(what, "become")) become();
    if (!strcmp(what, "arguments")) arguments();
    if (!strcmp(what, "leader")) {
        static pthread_t self;
        pthread_t thread;
        self = pthread_self();
        pthread_create(&thread, NULL, after_leader, &self);
        pthread_exit(NULL);
    }
    return 0;
}
