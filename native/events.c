/* Descriptors that tell of events: inotify, locks of open file descriptions, epoll. */
#include "notify.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

EXPORT(inotifyInit) {
    ARGUMENTS(1);
    return answer_errno(env, inotify_init1(int_arg(env, argv[0]) | IN_CLOEXEC));
}

EXPORT(inotifyAddWatch) {
    ARGUMENTS(3);
    char path[PATH_MAX + 8];
    int error = string_arg(env, argv[1], path, sizeof path);
    if (error) return answer(env, error);
    uint32_t mask = (uint32_t)long_arg(env, argv[2]);
    return answer_errno(env, inotify_add_watch(int_arg(env, argv[0]), path, mask));
}

EXPORT(inotifyRmWatch) {
    ARGUMENTS(2);
    return answer_errno(env, inotify_rm_watch(int_arg(env, argv[0]), int_arg(env, argv[1])));
}

EXPORT(ofdLock) {
    ARGUMENTS(3);
    bool exclusive = true;
    napi_get_value_bool(env, argv[2], &exclusive);
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK,
                         .l_whence = SEEK_SET,
                         .l_start = long_arg(env, argv[1]),
                         .l_len = 1};
    return answer_errno(env, fcntl(int_arg(env, argv[0]), F_OFD_SETLK, &lock));
}

EXPORT(ofdTest) {
    ARGUMENTS(3);
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = long_arg(env, argv[1]),
                         .l_len = long_arg(env, argv[2])};
    if (fcntl(int_arg(env, argv[0]), F_OFD_GETLK, &lock)) return answer(env, -errno);
    return answer(env, lock.l_type == F_UNLCK ? -1 : lock.l_start);
}

EXPORT(epollCreate) {
    (void)info;
    return answer_errno(env, epoll_create1(EPOLL_CLOEXEC));
}

EXPORT(epollCtl) {
    ARGUMENTS(5);
    struct epoll_event event = {.events = (uint32_t)long_arg(env, argv[3])};
    uint64_t data;
    bool lossless;
    if (napi_get_value_bigint_uint64(env, argv[4], &data, &lossless) != napi_ok)
        data = word_arg(env, argv[4]);
    event.data.u64 = data;
    return answer_errno(env, epoll_ctl(int_arg(env, argv[0]), int_arg(env, argv[1]),
                                       int_arg(env, argv[2]), &event));
}

EXPORT(epollCtlEvent) {
    ARGUMENTS(4);
    struct epoll_event event;
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[3], &bytes, &length) || length != sizeof event)
        return answer(env, -EINVAL);
    memcpy(&event, bytes, sizeof event);
    return answer_errno(env, epoll_ctl(int_arg(env, argv[0]), int_arg(env, argv[1]),
                                       int_arg(env, argv[2]), &event));
}

/* epoll_pwait2 without a mask, or epoll_wait with the time rounded up (before Linux 5.11). */
static int wait_for_events(int epfd, struct epoll_event *events, int count, int64_t ns) {
    static atomic_bool lacking;
    if (!atomic_load_explicit(&lacking, memory_order_relaxed)) {
        struct timespec timeout = {ns / 1000000000, ns % 1000000000};
        long ready = syscall(SYS_epoll_pwait2, epfd, events, count, ns < 0 ? NULL : &timeout, NULL,
                             (size_t)0);
        if (ready >= 0 || errno != ENOSYS) return (int)ready;
        atomic_store_explicit(&lacking, true, memory_order_relaxed);
    }
    int64_t ms = ns < 0 ? -1 : ns / 1000000 + (ns % 1000000 > 0);
    return epoll_wait(epfd, events, count, ms > INT_MAX ? INT_MAX : (int)ms);
}

/* Pairs (data, events) into `out`; how many, or -errno. */
static int wait_into(int epfd, uint32_t *out, size_t room, int64_t ns) {
    struct epoll_event events[128];
    const size_t most = sizeof events / sizeof *events;
    int ready = wait_for_events(epfd, events, (int)(room < most ? room : most), ns);
    /* Interrupted is as good as nothing yet: whoever waits looks again. */
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < ready; i++) {
        out[2 * i] = events[i].data.u32;
        out[2 * i + 1] = events[i].events;
    }
    return ready;
}

EXPORT(epollWait) {
    ARGUMENTS(3);
    void *out;
    size_t length;
    if (!typed_arg(env, argv[1], napi_uint32_array, &out, &length) || length < 2)
        return answer(env, -EINVAL);
    return answer(env, wait_into(int_arg(env, argv[0]), out, length / 2, long_arg(env, argv[2])));
}

/*
 * epollWait, and the notification of what is ready first, if that is a listener registered under its
 * own number. A notification that could not be had (its caller was killed) clears that entry's events.
 */
EXPORT(epollReceive) {
    ARGUMENTS(4);
    void *out, *notif;
    size_t length, size;
    if (!typed_arg(env, argv[1], napi_uint32_array, &out, &length) || length < 2 ||
        !bytes_arg(env, argv[2], &notif, &size))
        return answer(env, -EINVAL);
    uint32_t *first = out;
    int put_by = listener_put_by(), before = put_by >= 0;
    if (before) {
        first[0] = (uint32_t)put_by;
        first[1] = EPOLLIN;
        if (length < 4) return answer(env, -EINVAL);
    }
    int ready = wait_into(int_arg(env, argv[0]), first + 2 * before, length / 2 - before,
                          before ? 0 : long_arg(env, argv[3]));
    if (before) ready = ready < 0 ? 1 : ready + 1;
    if (ready > 0 && first[0] != 0 && first[1] & EPOLLIN &&
        receive_notification((int)first[0], notif, size))
        first[1] = 0;
    return answer(env, ready);
}
