/* ways: every way to come to a new process or thread; in each of them a buffer is made and used. */
#include "kit.h"
#include <linux/sched.h>
#include <sched.h>
#include <spawn.h>

extern char **environ;
static char stack[1 << 16] __attribute__((aligned(16)));
static volatile int made = -1;

static int works(int fd) {
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return 0;
    *at = 'w';
    int fine = *at == 'w' && lseek(fd, 0, SEEK_END) == PAGE;
    munmap(at, PAGE);
    return fine;
}

static int both_kinds(void) {
    int heap = heap_buf(PAGE, O_RDWR | O_CLOEXEC), udmabuf = udmabuf_buf(PAGE);
    int fine = works(heap) && works(udmabuf);
    close(heap);
    close(udmabuf);
    return fine;
}

static int make(void *unused) {
    (void)unused;
    made = heap_buf(PAGE, O_RDWR | O_CLOEXEC);
    return !both_kinds();
}

static void *in_thread(void *unused) {
    return make(unused) ? "failed" : NULL;
}

static int ended_well(pid_t pid) {
    int status = -1;
    return pid > 0 && waitpid(pid, &status, __WALL) == pid && status == 0;
}

static void say(const char *way, int fine) {
    printf("%s: %s\n", way, fine ? "fine" : "failed");
}

int main(int argc, char **argv) {
    if (argc > 1) return !both_kinds();
    setvbuf(stdout, NULL, _IONBF, 0);
    char *again[] = {argv[0], "again", NULL};
    say("itself", both_kinds());

    pid_t pid = fork();
    if (pid == 0) _exit(!both_kinds());
    say("fork", ended_well(pid));

    pid = fork();
    if (pid == 0) execv(argv[0], again), _exit(1);
    say("fork and exec", ended_well(pid));

    pid = vfork();
    if (pid == 0) execv(argv[0], again), _exit(1);
    say("vfork and exec", ended_well(pid));

    say("posix_spawn", !posix_spawn(&pid, argv[0], NULL, NULL, again, environ) && ended_well(pid));

    pthread_t thread;
    void *result = "failed";
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, &result);
    say("thread", !result && works(made));
    close(made);

    pid = clone(make, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
    say("clone with shared memory and descriptors", ended_well(pid) && works(made));
    close(made);

    pid = clone(make, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    say("clone with shared memory", ended_well(pid) && !works(made));

    pid = clone(make, stack + sizeof stack, CLONE_FILES, NULL);
    say("clone without a signal", ended_well(pid));

    struct clone_args args = {.exit_signal = SIGCHLD};
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) _exit(!both_kinds());
    say("clone3", ended_well(pid));
    return 0;
}
