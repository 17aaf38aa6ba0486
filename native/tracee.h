/* A thread that we trace for the blink of an eye. */
#ifndef DMABUF_SHIM_TRACEE_H
#define DMABUF_SHIM_TRACEE_H

#include <stdbool.h>
#include <sys/types.h>

enum { TRACEE_GONE = 0 }; /* in place of a stop's status */

/* The status of the next stop (signal | event << 8), or TRACEE_GONE; never waits for more. */
int tracee_wait(pid_t tid);

/* After TRACEE_GONE or ESRCH: reaps what only a tracer can reap. */
void tracee_reap(pid_t tid);

/* Resumes until the next entry into a system call, or the exit from it. False: gone. */
bool tracee_to_syscall_stop(pid_t tid);

/* The same, to the exit from a call that may last. */
bool tracee_to_late_stop(pid_t tid);

/* Resumes until the exit of the system call that the registers are set for. False: gone. */
bool tracee_run_call(pid_t tid);

#endif
