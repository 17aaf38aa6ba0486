/*
 * A thread's own call, with another path, or two: where the path that it named leads through what only we have,
 * to something of the machine's.
 *
 * The thread makes the call itself: its credentials, its root, its umask count, and it waits as long as
 * opening takes (a FIFO's other end). All that while it is traced, so that its registers are its own
 * again afterwards: by a thread of ours for this alone, as our others have to serve the rest meanwhile.
 */
#include "inject.h"
#include "notify.h"
#include "tracee.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PATHS = 2, ROOM = 2 * PATH_MAX, SCRATCH = PATHS * ROOM, PATIENCE_NS = 10 * 1000 * 1000 };

struct redirection {
    int listener;
    struct seccomp_notif notif;
    pid_t tid;
    uint64_t mark; /* in the last argument: the filter lets the call through */
    uint32_t count;
    struct {
        uint32_t argument; /* which one it is */
        char text[PATH_MAX + 8];
    } paths[PATHS];

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t news;
    enum { STILL_THERE, ON_ITS_WAY, OVER } state; /* has it left the notified call? */
    int error;
    int64_t result;
    unsigned users;
};

static void unref(struct redirection *r) {
    pthread_mutex_lock(&r->lock);
    bool last = --r->users == 0;
    pthread_mutex_unlock(&r->lock);
    if (last) free(r);
}

static void tell(struct redirection *r, int state, int error) {
    pthread_mutex_lock(&r->lock);
    r->state = state;
    r->error = error;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

static bool set_mask(pid_t tid, uint64_t mask) {
    return ptrace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask) == 0;
}

/* The call itself. Signals interrupt it as they would have: `mask` is the thread's own. */
static bool make_call(struct redirection *r, const registers *original, uint64_t scratch,
                      uint64_t mask) {
    const struct seccomp_data *data = &r->notif.data;
    registers registers = *original;
    uint64_t args[6];
    for (int i = 0; i < 6; i++) args[i] = data->args[i];
    for (uint32_t i = 0; i < r->count; i++) args[r->paths[i].argument] = scratch + i * ROOM;
    args[5] = r->mark;
    arch_set_call(&registers, data->instruction_pointer, (uint64_t)data->nr, args);
    if (arch_set(r->tid, &registers) || !tracee_to_syscall_stop(r->tid)) return false;
    /* Not earlier: a handler would begin with these registers. */
    if (!set_mask(r->tid, mask) || !tracee_to_late_stop(r->tid)) return false;
    if (!set_mask(r->tid, ~(uint64_t)0) || arch_get(r->tid, &registers)) return false;
    r->result = arch_result(&registers);
    return true;
}

/* Puts the paths into memory of the thread's, for the time of the call. False: the thread is gone. */
static bool with_paths(struct redirection *r, const registers *original, uint64_t mask) {
    uint64_t after = r->notif.data.instruction_pointer;
    uint64_t map[6] = {
        0, SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
    int64_t page, ignored;
    if (!run_call(r->tid, original, after, SYS_mmap, map, &page)) return false;
    r->result = page;
    if (has_failed(page)) return true;
    struct iovec ours[PATHS], theirs[PATHS];
    for (uint32_t i = 0; i < r->count; i++) {
        ours[i] = (struct iovec){r->paths[i].text, strlen(r->paths[i].text) + 1};
        theirs[i] = (struct iovec){(char *)page + i * ROOM, ours[i].iov_len};
    }
    if (process_vm_writev(r->tid, ours, r->count, theirs, r->count, 0) < 0)
        r->result = -errno;
    else if (!make_call(r, original, (uint64_t)page, mask))
        return false;
    uint64_t unmap[6] = {(uint64_t)page, SCRATCH, 0, 0, 0, r->mark};
    return run_call(r->tid, original, after, SYS_munmap, unmap, &ignored);
}

/*
 * The signal that has ended the call is still to come. For the thread it comes in the call that it made
 * itself: after the handler that begins again, or fails with EINTR. (On arm64 it always begins again.)
 */
static bool interrupt(pid_t tid, const registers *original) {
    return !arch_set(tid, original) && !ptrace(PTRACE_INTERRUPT, tid, 0, 0) &&
           !ptrace(PTRACE_CONT, tid, 0, 0) && tracee_wait(tid) != TRACEE_GONE;
}

/* With the thread stopped: 0, or -ESRCH when it is gone or elsewhere (in a signal handler). */
static int at_stop(struct redirection *r) {
    registers original;
    uint64_t mask;
    pid_t tid = r->tid;
    if (arch_get(tid, &original) || !arch_at_call(&original, &r->notif.data)) return -ESRCH;
    if (ptrace(PTRACE_GETSIGMASK, tid, sizeof mask, &mask)) return -ESRCH;
    if (!set_mask(tid, ~(uint64_t)0) || !with_paths(r, &original, mask)) return -ESRCH;
    bool interrupted = is_interrupted(r->result);
    registers finally = original;
    arch_set_result(&finally, r->notif.data.instruction_pointer, r->result);
    if (!interrupted && arch_set_final(tid, &finally)) return -ESRCH;
    if (!set_mask(tid, mask)) return -ESRCH;
    if (interrupted && !interrupt(tid, &original)) return -ESRCH;
    return 0;
}

static int follow(int listener, const struct seccomp_notif *notif, pid_t tid, void *what) {
    if (!leave_call(listener, notif->id, tid, ERESTARTSYS)) return -ESRCH;
    tell(what, ON_ITS_WAY, 0);
    return at_stop(what);
}

static void *redirect(void *data) {
    struct redirection *r = data;
    tell(r, OVER, with_tracee(r->listener, &r->notif, r->tid, follow, r));
    unref(r);
    return NULL;
}

static int start(struct redirection *r) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are for the others */
    int error = pthread_create(&thread, NULL, redirect, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) pthread_detach(thread);
    return -error;
}

/* Until it is over, or lasts: 0, -EINPROGRESS, or why it could not be. */
static int wait_a_little(struct redirection *r, double *result) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += PATIENCE_NS;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    while (r->state == STILL_THERE) pthread_cond_wait(&r->news, &r->lock);
    while (r->state != OVER)
        if (pthread_cond_timedwait(&r->news, &r->lock, &end)) break;
    int error = r->state == OVER ? r->error : -EINPROGRESS;
    if (!error) *result = (double)(is_interrupted(r->result) ? -EINTR : r->result);
    pthread_mutex_unlock(&r->lock);
    return error;
}

/* Arrays of the places and the paths. */
static int path_args(napi_env env, napi_value places, napi_value paths, struct redirection *r) {
    uint32_t count;
    if (napi_get_array_length(env, places, &r->count) != napi_ok ||
        napi_get_array_length(env, paths, &count) != napi_ok || count != r->count || count == 0 ||
        count > PATHS)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        napi_value place, path;
        if (napi_get_element(env, places, i, &place) != napi_ok ||
            napi_get_element(env, paths, i, &path) != napi_ok)
            return -EINVAL;
        r->paths[i].argument = (uint32_t)int_arg(env, place);
        if (r->paths[i].argument > 4) return -EINVAL;
        int error = string_arg(env, path, r->paths[i].text, sizeof r->paths[i].text);
        if (error) return error;
    }
    return 0;
}

EXPORT(redirectCall) {
    ARGUMENTS(7);
    void *notif, *result;
    size_t length, room;
    if (!bytes_arg(env, argv[1], &notif, &length) || length < sizeof(struct seccomp_notif) ||
        !typed_arg(env, argv[6], napi_float64_array, &result, &room) || room < 1)
        return answer(env, -EINVAL);
    struct redirection *r = calloc(1, sizeof *r);
    if (!r) return answer(env, -ENOMEM);
    r->listener = int_arg(env, argv[0]);
    memcpy(&r->notif, notif, sizeof r->notif);
    r->tid = int_arg(env, argv[2]);
    r->mark = word_arg(env, argv[5]);
    r->users = 2;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->news, NULL);
    int error = path_args(env, argv[3], argv[4], r);
    if (!error) error = start(r);
    if (error)
        free(r);
    else {
        error = wait_a_little(r, result);
        unref(r);
    }
    return answer(env, error);
}
