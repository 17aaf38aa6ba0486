/*
 * Signals with their senders, which libuv does not tell. The handler writes to a pipe that the event
 * loop reads. Actions belong to the process, so the state here does too; one environment uses it.
 */
#include "watch.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

struct event {
    int signal, code;
    pid_t pid;
    bool renewed;
};

static atomic_bool taken;
static atomic_int writer = -1;  /* the pipe's end of the handler */
static atomic_int in_handlers;  /* threads that may still use it */
static sigset_t watched;

static void tell(int signal, const siginfo_t *info, bool renewed) {
    int saved = errno;
    atomic_fetch_add(&in_handlers, 1);
    int fd = atomic_load(&writer);
    struct event event = {signal, info->si_code, info->si_pid, renewed};
    /* A full pipe means thousands of signals behind: one less does not matter. */
    if (fd >= 0 && write(fd, &event, sizeof event) < 0) errno = saved;
    atomic_fetch_sub(&in_handlers, 1);
    errno = saved;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    tell(signal, info, false);
}

/*
 * A handler of its own: the kernel chooses it when a thread takes the signal, so that one that was
 * taken before the renewal is told as that however late its thread gets a processor.
 */
static void on_renewed(int signal, siginfo_t *info, void *context) {
    (void)context;
    tell(signal, info, true);
}

static struct sigaction action_of(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    return action;
}

/* To ignore a signal first discards what no thread has taken yet. */
static void replace_actions(const struct sigaction *action) {
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&watched, number) != 1) continue;
        signal(number, SIG_IGN);
        sigaction(number, action, NULL);
    }
}

static void restore_defaults(void) {
    const struct sigaction defaults = {.sa_handler = SIG_DFL};
    replace_actions(&defaults);
    int fd = atomic_exchange(&writer, -1);
    while (atomic_load(&in_handlers)) sched_yield();
    if (fd >= 0) close(fd);
    sigemptyset(&watched);
    atomic_store(&taken, false);
}

static void ended(struct watch *watch) {
    restore_defaults();
    close(watch->fd);
}

static void readable(struct watch *watch) {
    struct event event;
    while (!watch->closing && read(watch->fd, &event, sizeof event) == sizeof event) {
        napi_env env = watch->env;
        napi_value renewed;
        napi_get_boolean(env, event.renewed, &renewed);
        napi_value argv[] = {answer(env, event.signal), answer(env, event.code),
                             answer(env, event.pid), renewed};
        watch_call(watch, 4, argv);
    }
}

static int install(napi_env env, napi_value signals) {
    struct sigaction action = action_of(on_signal);
    uint32_t count;
    if (napi_get_array_length(env, signals, &count) != napi_ok) return EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        napi_value element;
        if (napi_get_element(env, signals, i, &element) != napi_ok) return EINVAL;
        int number = int_arg(env, element);
        if (sigaction(number, &action, NULL)) return errno;
        sigaddset(&watched, number);
    }
    return 0;
}

EXPORT(watchSignals) {
    ARGUMENTS(2);
    int ends[2];
    if (atomic_exchange(&taken, true)) return throw_errno(env, EBUSY, "watchSignals");
    sigemptyset(&watched);
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC)) {
        atomic_store(&taken, false);
        return throw_errno(env, errno, "watchSignals");
    }
    atomic_store(&writer, ends[1]);
    int error = install(env, argv[0]);
    napi_value watch = NULL;
    if (error)
        throw_errno(env, error, "watchSignals");
    else
        watch = watch_start(env, ends[0], argv[1], readable, ended, "watchSignals");
    if (!watch) {
        restore_defaults();
        close(ends[0]);
    }
    return watch;
}

EXPORT(renewSignals) {
    (void)info;
    struct sigaction action = action_of(on_renewed);
    replace_actions(&action);
    return answer(env, 0);
}

EXPORT(raiseDefault) {
    ARGUMENTS(1);
    int number = int_arg(env, argv[0]);
    sigset_t set;
    sigemptyset(&set);
    if (sigaddset(&set, number)) return answer(env, -EINVAL);
    /* SIGKILL and SIGSTOP have no other action; setting it is EINVAL. */
    if (signal(number, SIG_DFL) == SIG_ERR && number != SIGKILL && number != SIGSTOP)
        return answer(env, -errno);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return answer_errno(env, kill(getpid(), number));
}
