/* A thread that waits in a notification, traced: what injection and redirection share. */
#ifndef DMABUF_SHIM_INJECT_H
#define DMABUF_SHIM_INJECT_H

#include "inject_arch.h"

static inline bool has_failed(int64_t result) { return result < 0 && result >= -4095; }

/* ERESTARTSYS and its kin are for the kernel's own eyes. */
static inline bool is_interrupted(int64_t result) {
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

/* What is done with a thread while it is ours. 0, or -ESRCH when it is gone. */
typedef int work(int listener, const struct seccomp_notif *notif, pid_t tid, void *what);

/*
 * Traces the thread, if it waits in the notification, for the time of `work`. -ESRCH when the notification has ended,
 * -EPERM when somebody else traces it.
 */
int with_tracee(int listener, const struct seccomp_notif *notif, pid_t tid, work *work,
                void *what);

/*
 * Has the thread leave the notified call, as if that had failed with `error`: for ERESTARTSYS it stops where the kernel
 * would restart it. False: gone.
 */
bool leave_call(int listener, uint64_t id, pid_t tid, int error);

/* One call at the instruction that `after` is behind. False: the thread is gone. */
bool run_call(pid_t tid, const registers *original, uint64_t after, uint64_t nr,
              const uint64_t *args, int64_t *result);

#endif
