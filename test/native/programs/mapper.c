/*
 * mapper MODE FD LENGTH COUNT: maps FD as often as told and looks at what it gets.
 * Prints "N ns" (a mapping, with the check and the munmap) and, in mode timer, how many ticks of how many have been told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int fd;
static size_t length;
static long count;
static timer_t timer;
static volatile int ticks;

static void on_tick(int signal) {
    (void)signal;
    /* Those that came while it was pending are one signal. */
    ticks += 1 + timer_getoverrun(timer);
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    _exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

/* mmap with a look at the registers that a system call must leave alone. */
static void *map(void) {
    long result, number = SYS_mmap;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = MAP_SHARED, r8 __asm__("r8") = fd, r9 __asm__("r9") = 0;
    long rdi = 0, rsi = (long)length, rdx = PROT_READ | PROT_WRITE;
    register long rbp_like __asm__("r15") = 0x1234567812345678;
    __asm__ volatile("syscall"
                     : "=a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8),
                       "+r"(r9), "+r"(rbp_like)
                     : "0"(number)
                     : "rcx", "r11", "memory");
    if (rdi || rsi != (long)length || rdx != 3 || r10 != MAP_SHARED || r8 != fd || r9 ||
        rbp_like != 0x1234567812345678)
        fail("registers changed");
#else
    register long x0 __asm__("x0") = 0, x1 __asm__("x1") = (long)length, x2 __asm__("x2") = 3;
    register long x3 __asm__("x3") = MAP_SHARED, x4 __asm__("x4") = fd, x5 __asm__("x5") = 0;
    register long x7 __asm__("x7") = 0x12345678, x8 __asm__("x8") = number;
    __asm__ volatile("svc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x7),
                       "+r"(x8)
                     :
                     : "memory");
    result = x0;
    if (x1 != (long)length || x2 != 3 || x3 != MAP_SHARED || x4 != fd || x5 || x7 != 0x12345678 ||
        x8 != number)
        fail("registers changed");
#endif
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return MAP_FAILED;
    }
    return (void *)result;
}

static void *work(void *forever) {
    double start = now();
    for (long i = 0; i < count || forever; i++) {
        volatile char *mapping = map();
        if (mapping == MAP_FAILED) fail("mmap");
        for (size_t page = 0; page < length / 4096; page++)
            if (mapping[page * 4096] != (char)('A' + page)) fail("wrong page");
        mapping[1] = 'Z';
        if (munmap((void *)mapping, length)) fail("munmap");
    }
    printf("%.0f ns\n", (now() - start) / count);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    const char *mode = argv[1];
    double started = 0;
    fd = atoi(argv[2]);
    length = strtoul(argv[3], NULL, 0);
    count = atol(argv[4]);
    sigset_t blocked, after;
    signal(SIGTRAP, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (!strcmp(mode, "timer")) {
        struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
        struct itimerspec every = {{0, 1000000}, {0, 1000000}};
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
        sigaction(SIGALRM, &action, NULL);
        if (timer_create(CLOCK_MONOTONIC, &event, &timer)) fail("timer");
        timer_settime(timer, 0, &every, NULL);
        started = now();
    }
    if (!strcmp(mode, "thread") || !strcmp(mode, "threads-forever")) {
        pthread_t threads[3];
        void *forever = mode[6] == 's' ? "" : NULL;
        for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work, forever);
        for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    } else if (!strcmp(mode, "exec")) {
        /* Another thread's execve makes the leader vanish in the middle of what it does. */
        pthread_t thread;
        pthread_create(&thread, NULL, work, "");
        usleep((useconds_t)count);
        execlp("true", "true", NULL);
    } else if (!strcmp(mode, "exec-in-thread")) {
        pthread_t thread;
        void *exec(void *argument);
        pthread_create(&thread, NULL, exec, NULL);
        work("");
    } else {
        work(!strcmp(mode, "forever") ? "" : NULL);
    }
    sigprocmask(SIG_SETMASK, NULL, &after);
    if (sigismember(&after, SIGUSR2) != 1 || sigismember(&after, SIGUSR1) != 0) fail("mask");
    if (signal(SIGTRAP, SIG_DFL) != SIG_IGN) fail("SIGTRAP's action");
    if (!strcmp(mode, "timer")) printf("%d of %.0f ticks\n", ticks, (now() - started) / 1e6);
    return 0;
}

void *exec(void *argument) {
    (void)argument;
    usleep((useconds_t)count);
    execlp("true", "true", NULL);
    return NULL;
}
