/* A thread that we trace for the blink of an eye. */
#ifndef DMABUF_SHIM_TRACEE_H
#define DMABUF_SHIM_TRACEE_H

#include <stdbool.h>
#include <sys/types.h>

/* In place of a stop's status, or one of these. */
enum {
    TRACEE_GONE = 0,
    TRACEE_AT_CALL = 5 /* SIGTRAP */ | 0x80, /* at the entry or the exit of a system call: PTRACE_O_TRACESYSGOOD */
};

/* The status of the next stop (signal | event << 8), or TRACEE_GONE; never waits for more. */
int tracee_wait(pid_t tid);

/* Goes on from a stop with this status to the next one, or into what it waits for. False: gone. */
bool tracee_resume(pid_t tid, int status);

/* After TRACEE_GONE or ESRCH: reaps what only a tracer can reap. */
void tracee_reap(pid_t tid);

/* The process of a thread, or -1 when it is gone. */
pid_t tracee_process(pid_t tid);

/* Where threads of a dying process may be traced that nobody knows of, made by one that was: reaps them, too. */
void tracee_reap_others(pid_t pid);

/* Resumes until the next entry into a system call, or the exit from it. False: gone. */
bool tracee_to_syscall_stop(pid_t tid);

/* The same, to the exit from a call that may last. */
bool tracee_to_late_stop(pid_t tid);

/*
 * Runs the clone(2) that the registers are set for, of a thread that is traced with PTRACE_O_TRACECLONE, up to where
 * `child`, which is traced and stopped then, has been made; 0: it has failed, and the thread is at its exit. False: gone.
 */
bool tracee_run_clone(pid_t tid, pid_t *child);

/* For a thread that runs to its end by itself: waits until there is nothing left of it, for some milliseconds at most. */
void tracee_wait_gone(pid_t tid);

/* Whether there is a stop to be waited for. */
bool tracee_has_stopped(pid_t tid);

/* Whether it is traced by this thread still, and has not ended. */
bool tracee_lives(pid_t tid);

/* Resumes until the exit of the system call that the registers are set for. False: gone. */
bool tracee_run_call(pid_t tid);

#endif
