/*
 * System calls in another thread's name: the thread waits in a notification, is seized with ptrace,
 * made to leave its call, and runs ours at the same `syscall` instruction.
 *
 * Each call runs between two system call stops (PTRACE_SYSCALL). A single step would need one stop
 * only, but reports itself with a forced SIGTRAP, which for good resets the program's action for
 * SIGTRAP if that is blocked or ignored.
 */
#include "inject.h"
#include "notify.h"
#include "tracee.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { ALL_MODES = 07777 };

struct call {
    uint64_t nr, args[6];
    int64_t result;
    int32_t base; /* index of the call whose result is added to args[0], or -1 */
    uint32_t fd_argument, fd_index; /* that argument is a lent descriptor; 6: none is */
    bool always, on_failure, quiet;
};

/* Descriptors that calls need. */
struct loan {
    int *ours, *theirs;
    mode_t *modes; /* of what they are of */
    uint32_t count, lent;
    bool kept;     /* one could not be taken back */
    bool apart;    /* no thread of the program's may get at them */
    uint64_t mark; /* in the last argument: the filter lets the call through */
};

struct injection {
    struct call *calls;
    size_t count;
    struct loan loan;
};

/* 0, -ESRCH when the notification has ended, or what is wrong with the listener. */
static int still_waits(int listener, uint64_t id) {
    int error = listener_ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
    return error == -ENOENT ? -ESRCH : error;
}

/* Puts the descriptors into the table of a thread that waits in the notification: 0, or why one more did not go in (EMFILE). */
static int lend(int listener, uint64_t id, struct loan *loan) {
    for (loan->lent = 0; loan->lent < loan->count; loan->lent++) {
        struct seccomp_notif_addfd addfd = {.id = id,
                                            .srcfd = (uint32_t)loan->ours[loan->lent],
                                            .newfd_flags = O_CLOEXEC};
        int fd = notif_addfd(listener, &addfd);
        if (fd < 0) return fd;
        loan->theirs[loan->lent] = fd;
    }
    return 0;
}

bool leave_call(int listener, uint64_t id, pid_t tid, int error) {
    struct seccomp_notif_resp response = {.id = id, .error = -error};
    /* Interrupted first, answered then: the other way round it might get back to its code. */
    if (ptrace(PTRACE_INTERRUPT, tid, 0, 0)) return false;
    /* This may fail: without WAIT_KILLABLE_RECV the interruption has itself ended the call. */
    listener_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    return tracee_wait(tid) != TRACEE_GONE;
}

bool run_call(pid_t tid, const registers *original, uint64_t after, uint64_t nr,
              const uint64_t *args, int64_t *result) {
    registers r = *original;
    arch_set_call(&r, after, nr, args);
    if (arch_set(tid, &r) || !tracee_run_call(tid) || arch_get(tid, &r)) return false;
    *result = is_interrupted(arch_result(&r)) ? -EINTR : arch_result(&r);
    return true;
}

/* What the thread is to see: the first result, or the first failure. False: the thread is gone. */
static bool run_calls(pid_t tid, const registers *original, uint64_t after,
                      struct injection *injection, int64_t *outcome) {
    struct call *calls = injection->calls;
    int64_t failure = 0;
    for (size_t i = 0; i < injection->count; i++) {
        struct call *call = &calls[i];
        uint64_t args[6];
        bool wanted = call->always || (failure ? call->on_failure : !call->on_failure);
        bool based = call->base < 0 || !has_failed(calls[call->base].result);
        if (!wanted || !based) continue;
        memcpy(args, call->args, sizeof args);
        if (call->base >= 0) args[0] += (uint64_t)calls[call->base].result;
        if (call->fd_argument < 6) args[call->fd_argument] = injection->loan.theirs[call->fd_index];
        if (!run_call(tid, original, after, call->nr, args, &call->result)) return false;
        if (!failure && has_failed(call->result)) failure = call->result;
    }
    *outcome = failure ? failure : calls[0].quiet ? 0 : calls[0].result;
    return true;
}

/* Takes lent descriptors back: whether the thread has none any more. */
static bool close_lent(pid_t tid, const registers *original, uint64_t after,
                       struct loan *loan) {
    for (uint32_t i = 0; i < loan->lent; i++) {
        uint64_t args[6] = {(uint64_t)loan->theirs[i]};
        int64_t result;
        if (!run_call(tid, original, after, SYS_close, args, &result)) return false;
        if (has_failed(result) && loan->apart) {
            /* A filter of the program's own forbids it. What is not the program's would stay with it. */
            loan->kept = true;
            kill(tid, SIGKILL);
            return false;
        }
    }
    return true;
}

/* With the thread itself. `refused`, a negative errno: it makes none of the calls and sees that. */
static bool in_thread(const struct seccomp_data *data, pid_t tid, const registers *original,
                      struct injection *i, int refused, int64_t *outcome) {
    uint64_t after = data->instruction_pointer;
    *outcome = i->calls[0].result = refused;
    if (!refused && !run_calls(tid, original, after, i, outcome)) return false;
    return close_lent(tid, original, after, &i->loan);
}

/* The helper makes the program's call, and waits in the notification of that. 0, or why it does not: -ESRCH: it is gone. */
static int meet_helper(int listener, pid_t helper, struct seccomp_notif *notif) {
    int status = TRACEE_AT_CALL;
    bool inside = true; /* the call */
    registers r;
    if (!tracee_to_syscall_stop(helper)) return -ESRCH;
    for (;;) {
        if (!tracee_resume(helper, status)) return -ESRCH;
        int error = receive_from(listener, helper, notif);
        if (error == -ENOMEM) ptrace(PTRACE_INTERRUPT, helper, 0, 0);
        if (error != -EAGAIN && error != -ENOMEM) return error;
        status = tracee_wait(helper);
        if (status == TRACEE_GONE) return -ESRCH;
        if (error == -ENOMEM) return error;
        /* Its process stops, by SIGSTOP: that interrupts the call, which is then made again. */
        if (status != TRACEE_AT_CALL) continue;
        inside = !inside;
        if (inside) continue;
        if (arch_get(helper, &r)) return -ESRCH;
        /* A filter that the program has got meanwhile. */
        if (!is_interrupted(arch_result(&r))) return -EPERM;
    }
}

/*
 * Has a thread that was made for this, and is at its first stop, make the calls, and lets it end. It comes by the
 * descriptors in a notification: that of the program's own call once more, which its own filters have let through.
 * False: it is gone.
 */
static bool use_helper(int listener, const struct seccomp_data *data, pid_t helper,
                       struct injection *i, int64_t *outcome) {
    registers own, r;
    uint64_t after = data->instruction_pointer;
    uint64_t exit_args[6] = {0, 0, 0, 0, 0, i->loan.mark};
    struct seccomp_notif notif;
    if (arch_get(helper, &own)) return false;
    r = own;
    arch_set_call(&r, after, (uint64_t)data->nr, data->args);
    if (arch_set(helper, &r)) return false;
    int refused = meet_helper(listener, helper, &notif);
    if (refused == -ESRCH) return false;
    if (!refused) {
        refused = lend(listener, notif.id, &i->loan);
        if (!leave_call(listener, notif.id, helper, ERESTARTSYS)) return false;
    }
    *outcome = i->calls[0].result = refused;
    if (!refused && !run_calls(helper, &own, after, i, outcome)) return false;
    if (!close_lent(helper, &own, after, &i->loan)) return false;
    /* By itself: it may take long to close what it has of the program's files. */
    r = own;
    arch_set_call(&r, after, SYS_exit, exit_args);
    return !arch_set(helper, &r) && !ptrace(PTRACE_DETACH, helper, 0, 0);
}

/* Each of its stops is then a switch, and not a wake-up of another processor. */
static void keep_near(pid_t helper) {
    cpu_set_t here;
    unsigned cpu;
    CPU_ZERO(&here);
    if (getcpu(&cpu, NULL)) return;
    CPU_SET(cpu, &here);
    sched_setaffinity(helper, sizeof here, &here);
}

/* What the descriptors are of cannot be opened anew meanwhile, by /proc/TID/fd of the helper: but for root. */
static void hide(const struct loan *loan) {
    for (uint32_t i = 0; i < loan->count; i++) {
        struct stat stat;
        loan->modes[i] = (mode_t)-1;
        if (!fstat(loan->ours[i], &stat) && !fchmod(loan->ours[i], 0))
            loan->modes[i] = stat.st_mode & ALL_MODES;
    }
}

static void show(const struct loan *loan) {
    for (uint32_t i = 0; i < loan->count; i++)
        if (loan->modes[i] != (mode_t)-1) fchmod(loan->ours[i], loan->modes[i]);
}

/*
 * With a thread of which the program knows nothing. It shares all but the descriptor table, so that what it is lent is
 * out of reach for the others.
 */
static bool in_helper(int listener, const struct seccomp_data *data, pid_t tid,
                      const registers *original, struct injection *i, int64_t *outcome) {
    registers r;
    uint64_t args[6] = {CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM};
    pid_t helper, process = tracee_process(tid);
    if (!can_put_by()) {
        *outcome = i->calls[0].result = -ENOTSUP;
        return true;
    }
    do {
        r = *original;
        arch_set_call(&r, data->instruction_pointer, SYS_clone, args);
        if (arch_set(tid, &r)) return false;
        if (!tracee_run_clone(tid, &helper)) {
            tracee_reap_others(process);
            return false;
        }
        if (!helper && arch_get(tid, &r)) return false;
        /* Linux makes no thread while a signal is on its way: SIGSTOP. */
    } while (!helper && is_interrupted(arch_result(&r)));
    *outcome = helper ? -EAGAIN : arch_result(&r);
    if (helper) {
        keep_near(helper);
        hide(&i->loan);
        if (tracee_wait(helper) == TRACEE_GONE || !use_helper(listener, data, helper, i, outcome))
            tracee_reap(helper);
        show(&i->loan);
        if (!tracee_to_syscall_stop(tid)) return false;
        /* A program with one thread has one again. */
        tracee_wait_gone(helper);
    }
    i->calls[0].result = *outcome;
    return true;
}

/* With the thread stopped: 0, or -ESRCH when it is gone or elsewhere (in a signal handler). */
static int at_stop(int listener, const struct seccomp_data *data, pid_t tid, struct injection *i,
                   int refused) {
    registers original;
    uint64_t mask, all = ~(uint64_t)0;
    int64_t outcome;
    if (arch_get(tid, &original)) return -ESRCH;
    if (!arch_at_call(&original, data)) return -ESRCH;
    if (ptrace(PTRACE_GETSIGMASK, tid, sizeof mask, &mask)) return -ESRCH;
    if (ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all)) return -ESRCH;
    if (i->loan.apart ? !in_helper(listener, data, tid, &original, i, &outcome)
                      : !in_thread(data, tid, &original, i, refused, &outcome))
        return -ESRCH;
    arch_set_result(&original, data->instruction_pointer, outcome);
    if (arch_set_final(tid, &original)) return -ESRCH;
    if (ptrace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask)) return -ESRCH;
    return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static unsigned hushing;

/* libuv may have another action by now: only the flag is changed. */
static void tell_of_stops(bool tell) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action)) return;
    action.sa_flags = tell ? action.sa_flags & ~SA_NOCLDSTOP : action.sa_flags | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
}

/*
 * Every stop would send us SIGCHLD, and libuv's handler costs more than the stop. The end of a child
 * is told all the same.
 */
static void hush_stops(bool hush) {
    pthread_mutex_lock(&lock);
    if (hush ? hushing++ == 0 : --hushing == 0) tell_of_stops(!hush);
    pthread_mutex_unlock(&lock);
}

int with_tracee(int listener, const struct seccomp_notif *notif, pid_t tid, work *work,
                void *what) {
    if (notif->data.arch != INJECT_AUDIT_ARCH) return -ENOTSUP;
    int error = still_waits(listener, notif->id);
    if (error) return error;
    if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)) {
        error = -errno;
        /* EPERM is also what a dying thread gives. */
        int gone = still_waits(listener, notif->id);
        return gone ? gone : error;
    }
    hush_stops(true);
    error = work(listener, notif, tid, what);
    if (ptrace(PTRACE_DETACH, tid, 0, 0)) {
        tracee_reap(tid);
        error = -ESRCH;
    }
    hush_stops(false);
    return error;
}

static int inject(int listener, const struct seccomp_notif *notif, pid_t tid, void *what) {
    struct injection *i = what;
    int refused = i->loan.apart ? 0 : lend(listener, notif->id, &i->loan);
    if (!leave_call(listener, notif->id, tid, ERESTARTSYS)) return -ESRCH;
    return at_stop(listener, &notif->data, tid, i, refused);
}

/* How a call ends for a signal. */
struct interruption {
    int error;
    uint64_t mask; /* address of the signals that it has blocked meanwhile, or 0: those that are anyway */
};

/*
 * Only a call that takes a mask can have a signal handled under it, with the thread's own mask back
 * after the handler. So the thread makes one, ppoll of nothing, which ends at once: the interruption
 * that is still to come looks like a signal to it. What it leaves is what the notified call would.
 */
static int look_with_mask(pid_t tid, const struct seccomp_data *data, int error, uint64_t mask) {
    registers original, r;
    uint64_t own, all = ~(uint64_t)0;
    uint64_t after = data->instruction_pointer;
    uint64_t args[6] = {data->args[0], 0, 0, mask, sizeof own};
    if (arch_get(tid, &original)) return -ESRCH;
    if (!arch_at_call(&original, data)) return -ESRCH;
    if (ptrace(PTRACE_GETSIGMASK, tid, sizeof own, &own)) return -ESRCH;
    /* Nothing is to be handled before the call has begun. */
    if (ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all)) return -ESRCH;
    r = original;
    arch_set_call(&r, after, SYS_ppoll, args);
    if (arch_set(tid, &r) || !tracee_to_syscall_stop(tid)) return -ESRCH;
    if (ptrace(PTRACE_SETSIGMASK, tid, sizeof own, &own)) return -ESRCH;
    if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) || !tracee_to_syscall_stop(tid)) return -ESRCH;
    arch_set_restart(&original, after, data, -error);
    return arch_set(tid, &original) ? -ESRCH : 0;
}

static int interrupt(int listener, const struct seccomp_notif *notif, pid_t tid, void *what) {
    const struct interruption *i = what;
    int error = i->mask ? ERESTARTSYS : i->error;
    if (!leave_call(listener, notif->id, tid, error)) return -ESRCH;
    return i->mask ? look_with_mask(tid, &notif->data, i->error, i->mask) : 0;
}

static napi_value property(napi_env env, napi_value object, const char *name) {
    napi_value value = NULL;
    if (napi_get_named_property(env, object, name, &value) != napi_ok) return undefined(env);
    return value;
}

static bool call_arg(napi_env env, napi_value object, uint32_t index, uint32_t fds,
                     struct call *call) {
    napi_value args = property(env, object, "args"), element;
    uint32_t nr, count;
    *call = (struct call){.base = -1, .result = -ECANCELED, .fd_argument = 6};
    if (napi_get_value_uint32(env, property(env, object, "nr"), &nr) != napi_ok) return false;
    call->nr = nr;
    napi_get_value_int32(env, property(env, object, "base"), &call->base);
    napi_get_value_bool(env, property(env, object, "always"), &call->always);
    napi_get_value_bool(env, property(env, object, "onFailure"), &call->on_failure);
    napi_get_value_bool(env, property(env, object, "quiet"), &call->quiet);
    if (call->base >= (int64_t)index || call->base < -1) return false;
    if (napi_get_array_length(env, args, &count) != napi_ok || count > 6) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (napi_get_element(env, args, i, &element) != napi_ok) return false;
        call->args[i] = word_arg(env, element);
    }
    napi_value lent = property(env, object, "fd");
    if (napi_get_array_length(env, lent, &count) == napi_ok && count == 2) {
        napi_get_element(env, lent, 0, &element);
        napi_get_value_uint32(env, element, &call->fd_argument);
        napi_get_element(env, lent, 1, &element);
        napi_get_value_uint32(env, element, &call->fd_index);
        if (call->fd_argument >= 6 || call->fd_index >= fds) return false;
    }
    return true;
}

/* An array of descriptors; undefined is an empty one. */
static int loan_arg(napi_env env, napi_value array, struct loan *loan) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env, array, &type);
    if (type == napi_undefined) return 0;
    if (napi_get_array_length(env, array, &loan->count) != napi_ok) return -EINVAL;
    loan->ours = calloc(loan->count + 1, sizeof *loan->ours);
    loan->theirs = calloc(loan->count + 1, sizeof *loan->theirs);
    loan->modes = calloc(loan->count + 1, sizeof *loan->modes);
    if (!loan->ours || !loan->theirs || !loan->modes) return -ENOMEM;
    for (uint32_t i = 0; i < loan->count; i++) {
        napi_value element;
        if (napi_get_element(env, array, i, &element) != napi_ok) return -EINVAL;
        loan->ours[i] = int_arg(env, element);
    }
    return 0;
}

static int calls_arg(napi_env env, napi_value array, uint32_t fds, struct call **calls,
                     uint32_t *count) {
    if (napi_get_array_length(env, array, count) != napi_ok || *count == 0) return -EINVAL;
    *calls = calloc(*count, sizeof **calls);
    if (!*calls) return -ENOMEM;
    for (uint32_t i = 0; i < *count; i++) {
        napi_value element;
        if (napi_get_element(env, array, i, &element) != napi_ok ||
            !call_arg(env, element, i, fds, *calls + i))
            return -EINVAL;
    }
    return 0;
}

EXPORT(injectCalls) {
    ARGUMENTS(8);
    void *notif, *results;
    size_t length, room;
    uint32_t count;
    struct injection injection = {0};
    struct loan *loan = &injection.loan;
    int error = loan_arg(env, argv[5], loan);
    napi_get_value_bool(env, argv[6], &loan->apart);
    loan->mark = word_arg(env, argv[7]);
    if (!error) error = calls_arg(env, argv[3], loan->count, &injection.calls, &count);
    /* The arrays come last: reading the calls may have run getters. */
    if (!error && (!bytes_arg(env, argv[1], &notif, &length) ||
                   length < sizeof(struct seccomp_notif) ||
                   !typed_arg(env, argv[4], napi_float64_array, &results, &room) || room < count))
        error = -EINVAL;
    if (!error) {
        injection.count = count;
        error = with_tracee(int_arg(env, argv[0]), notif, int_arg(env, argv[2]), inject,
                            &injection);
        if (loan->kept) error = -ENOTRECOVERABLE;
        for (uint32_t i = 0; i < count; i++)
            ((double *)results)[i] = (double)injection.calls[i].result;
    }
    free(injection.calls);
    free(loan->ours);
    free(loan->theirs);
    free(loan->modes);
    return answer(env, error);
}

EXPORT(interruptCall) {
    ARGUMENTS(5);
    void *notif;
    size_t length;
    struct interruption interruption = {int_arg(env, argv[3]), word_arg(env, argv[4])};
    if (!bytes_arg(env, argv[1], &notif, &length) || length < sizeof(struct seccomp_notif))
        return answer(env, -EINVAL);
    return answer(env, with_tracee(int_arg(env, argv[0]), notif, int_arg(env, argv[2]), interrupt,
                                   &interruption));
}
