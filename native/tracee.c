/*
 * Waiting for a traced thread, in a process whose event loop reaps its own children.
 *
 * waitid only looks at an end (WNOWAIT): that is for libuv to see. A stop is taken at once: libuv would
 * take it for an end. It never sleeps in the kernel either: when another thread of the program calls execve, a traced leader disappears
 * without a word and its pid lives on untraced, so that a sleeping wait would last as long as the
 * program. A stop is some microseconds away, so looking again is also the faster way.
 */
#include "tracee.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EAGER_LOOKS = 2000,            /* about a millisecond */
    NAP_NS = 100 * 1000,
    PATIENCE_NAPS = 5000, /* at least half a second; then a call that hangs is interrupted */
    REAPING_NAPS = 100000,
    GOING_NAPS = 100,
    CLONE_STOP = SIGTRAP | PTRACE_EVENT_CLONE << 8,
};

/* What /proc/TID/status has behind a field ("\nTracerPid:"), in `text`; NULL when the thread is gone. */
static const char *status_text(pid_t tid, const char *field, char *text, size_t size) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    if (length < 0) return NULL;
    text[length] = 0;
    const char *found = strstr(text, field);
    return found ? found + strlen(field) : NULL;
}

/* A number of these, or -1. */
static long status_field(pid_t tid, const char *field) {
    char text[4096];
    const char *found = status_text(tid, field, text, sizeof text);
    return found ? atol(found) : -1;
}

static bool is_in_state(pid_t tid, char state) {
    char text[4096];
    const char *found = status_text(tid, "\nState:\t", text, sizeof text);
    return found && *found == state;
}

/* A process's first thread that has ended waits for the others; of that no wait tells. */
static bool is_zombie(pid_t tid) { return is_in_state(tid, 'Z'); }

static bool is_ours(pid_t tid) {
    return status_field(tid, "\nTracerPid:") == syscall(SYS_gettid);
}

bool tracee_lives(pid_t tid) { return is_ours(tid) && !is_zombie(tid); }

bool tracee_has_stopped(pid_t tid) {
    siginfo_t info = {.si_pid = 0};
    int flags = WSTOPPED | WNOHANG | WNOWAIT | __WALL;
    return waitid(P_PID, (id_t)tid, &info, flags) == 0 && info.si_pid == tid;
}

/* One look: the status of a stop, TRACEE_GONE, or -1 for nothing yet. */
static int look(pid_t tid) {
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL))
        return TRACEE_GONE; /* ECHILD: it is no longer ours */
    if (info.si_pid != tid) return -1;
    if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) return TRACEE_GONE;
    waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL);
    return info.si_status;
}

static void nap(void) { nanosleep(&(struct timespec){0, NAP_NS}, NULL); }

static int wait_for_stop(pid_t tid, bool may_last) {
    int status;
    for (unsigned looks = 0; (status = look(tid)) < 0; looks++) {
        if (looks < EAGER_LOOKS) {
            sched_yield();
            continue;
        }
        nap();
        unsigned naps = looks - EAGER_LOOKS + 1;
        if (naps % 16 == 0 && !tracee_lives(tid)) return TRACEE_GONE;
        /* It may be caught in a call that waits for us: a signal ends that with EINTR. */
        if (naps == PATIENCE_NAPS && !may_last) ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    }
    return status;
}

int tracee_wait(pid_t tid) { return wait_for_stop(tid, false); }

/* Whether a traced thread that ends has been reaped, or is somebody else's. */
static bool reaped(pid_t tid) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL) || info.si_pid ||
           !is_ours(tid);
}

/* Reaps the threads of a process, but for the first, that are ours: some we may never have heard of. Are there more? */
static bool reap_others(pid_t pid) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    bool more = false;
    if (!tasks) return false;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        pid_t tid = atoi(entry->d_name);
        if (tid > 0 && tid != pid && is_ours(tid) && !reaped(tid)) more = true;
    }
    closedir(tasks);
    return more;
}

pid_t tracee_process(pid_t tid) { return (pid_t)status_field(tid, "\nTgid:"); }

void tracee_reap_others(pid_t pid) {
    for (unsigned naps = 0; reap_others(pid) && naps < REAPING_NAPS; naps++) nap();
}

/*
 * A zombie of a traced thread waits for its tracer, and its process with it. Only a leader whose
 * parent is this process is left alone: that is the child that libuv waits for.
 */
void tracee_reap(pid_t tid) {
    pid_t pid = tracee_process(tid);
    bool is_child = pid == tid && status_field(tid, "\nPPid:") == getpid();
    for (unsigned naps = 0; naps < REAPING_NAPS; naps++) {
        bool more = pid > 0 && reap_others(pid);
        if (is_child ? !more : reaped(tid)) return;
        nap();
    }
}

bool tracee_resume(pid_t tid, int status) {
    /* SIGSTOP, which no mask keeps out, goes its way. */
    long signal = status >> 8 == 0 && status != TRACEE_AT_CALL ? status : 0;
    return ptrace(PTRACE_SYSCALL, tid, 0, signal) == 0;
}

/* The status of the next stop at a system call, or in a clone; TRACEE_GONE. */
static int to_syscall_stop(pid_t tid, bool may_last) {
    int status = TRACEE_AT_CALL;
    do {
        if (!tracee_resume(tid, status)) return TRACEE_GONE;
        status = wait_for_stop(tid, may_last);
    } while (status != TRACEE_GONE && status != TRACEE_AT_CALL && status != CLONE_STOP);
    return status;
}

bool tracee_to_syscall_stop(pid_t tid) { return to_syscall_stop(tid, false) == TRACEE_AT_CALL; }

bool tracee_to_late_stop(pid_t tid) { return to_syscall_stop(tid, true) == TRACEE_AT_CALL; }

bool tracee_run_clone(pid_t tid, pid_t *child) {
    unsigned long made = 0;
    if (!tracee_to_syscall_stop(tid)) return false;
    int status = to_syscall_stop(tid, false);
    if (status == CLONE_STOP && ptrace(PTRACE_GETEVENTMSG, tid, 0, &made)) return false;
    *child = (pid_t)made;
    return status != TRACEE_GONE;
}

void tracee_wait_gone(pid_t tid) {
    for (unsigned looks = 0; syscall(SYS_tkill, tid, 0) == 0; looks++) {
        if (looks < EAGER_LOOKS)
            sched_yield();
        else if (looks < EAGER_LOOKS + GOING_NAPS && !is_in_state(tid, 'T'))
            nap();
        else
            return; /* It is stopped with its process, or closes files. */
    }
}

bool tracee_run_call(pid_t tid) {
    return tracee_to_syscall_stop(tid) /* its entry */ && tracee_to_syscall_stop(tid) /* its exit */;
}
