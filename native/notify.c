/*
 * The supervisor's side of seccomp user notification (seccomp_unotify(2)).
 *
 * The listener's ioctls take a mutex and may give EINTR before they have done anything: they are
 * made again, since no JavaScript could do better.
 */
#include "notify.h"
#include "tracee.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

int listener_ioctl(int listener, unsigned long request, void *argument) {
    int result;
    do result = ioctl(listener, request, argument);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int notif_addfd(int listener, struct seccomp_notif_addfd *addfd) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = listener_ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, addfd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* The notification's id is the first field of struct seccomp_notif. */
static bool id_arg(napi_env env, napi_value value, uint64_t *id) {
    void *bytes;
    size_t length;
    if (!bytes_arg(env, value, &bytes, &length) || length < sizeof *id) return false;
    memcpy(id, bytes, sizeof *id);
    return true;
}

EXPORT(notifSizes) {
    (void)info;
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes)) return answer(env, -errno);
    napi_value array;
    napi_create_array_with_length(env, 3, &array);
    napi_set_element(env, array, 0, answer(env, sizes.seccomp_notif));
    napi_set_element(env, array, 1, answer(env, sizes.seccomp_notif_resp));
    napi_set_element(env, array, 2, answer(env, sizes.seccomp_data));
    return array;
}

/* Longer than struct seccomp_notif of any kernel so far, 80 bytes. */
enum { MAX_NOTIF = 256 };

struct put_by {
    struct put_by *next;
    int listener;
    unsigned char notif[MAX_NOTIF];
};

bool can_put_by(void) {
    struct seccomp_notif_sizes sizes;
    return !syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) &&
           sizes.seccomp_notif <= MAX_NOTIF;
}

/* In the order in which they came. Only the thread that answers receives. */
static struct put_by *first, **end = &first;

int listener_put_by(void) { return first ? first->listener : -1; }

static bool take_put_by(int listener, void *notif, size_t size) {
    for (struct put_by **at = &first; *at; at = &(*at)->next) {
        struct put_by *found = *at;
        if (found->listener != listener) continue;
        *at = found->next;
        if (end == &found->next) end = at;
        memcpy(notif, found->notif, size < MAX_NOTIF ? size : MAX_NOTIF);
        free(found);
        return true;
    }
    return false;
}

static int receive(int listener, void *notif, size_t size) {
    memset(notif, 0, size);
    return listener_ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notif);
}

int receive_notification(int listener, void *notif, size_t size) {
    if (size < sizeof(struct seccomp_notif)) return -EINVAL;
    if (take_put_by(listener, notif, size)) return 0;
    return receive(listener, notif, size);
}

int receive_from(int listener, pid_t tid, struct seccomp_notif *notif) {
    struct pollfd ready = {listener, POLLIN, 0};
    for (;;) {
        if (poll(&ready, 1, 1) <= 0 || !(ready.revents & POLLIN)) {
            if (tracee_has_stopped(tid)) return -EAGAIN;
            if (!tracee_lives(tid)) return -ESRCH;
            continue;
        }
        struct put_by *other = malloc(sizeof *other);
        if (!other) return -ENOMEM;
        int error = receive(listener, other->notif, MAX_NOTIF);
        memcpy(notif, other->notif, sizeof *notif);
        if (error || (pid_t)notif->pid == tid) {
            free(other);
            /* ENOENT: its caller was killed meanwhile. */
            if (error != -ENOENT) return error;
            continue;
        }
        other->listener = listener;
        other->next = NULL;
        *end = other;
        end = &other->next;
    }
}

EXPORT(notifRecv) {
    ARGUMENTS(2);
    void *notif;
    size_t size;
    if (!bytes_arg(env, argv[1], &notif, &size)) return answer(env, -EINVAL);
    return answer(env, receive_notification(int_arg(env, argv[0]), notif, size));
}

EXPORT(notifPutBy) {
    (void)info;
    return answer(env, listener_put_by());
}

EXPORT(notifSend) {
    ARGUMENTS(2);
    void *response;
    size_t length;
    if (!bytes_arg(env, argv[1], &response, &length) ||
        length < sizeof(struct seccomp_notif_resp))
        return answer(env, -EINVAL);
    rest();
    return answer(env,
                  listener_ioctl(int_arg(env, argv[0]), SECCOMP_IOCTL_NOTIF_SEND, response));
}

EXPORT(notifIdValid) {
    ARGUMENTS(2);
    uint64_t id;
    if (!id_arg(env, argv[1], &id)) return answer(env, -EINVAL);
    return answer(env,
                  listener_ioctl(int_arg(env, argv[0]), SECCOMP_IOCTL_NOTIF_ID_VALID, &id));
}

EXPORT(notifSetFlags) {
    ARGUMENTS(2);
    /* The flags are the argument itself, not pointed at. */
    return answer(env, listener_ioctl(int_arg(env, argv[0]), SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                                      (void *)word_arg(env, argv[1])));
}

EXPORT(notifAddfd) {
    ARGUMENTS(6);
    struct seccomp_notif_addfd addfd = {.srcfd = (uint32_t)int_arg(env, argv[2]),
                                        .flags = (uint32_t)int_arg(env, argv[3]),
                                        .newfd = (uint32_t)int_arg(env, argv[4]),
                                        .newfd_flags = (uint32_t)int_arg(env, argv[5])};
    uint64_t id;
    if (!id_arg(env, argv[1], &id)) return answer(env, -EINVAL);
    addfd.id = id;
    return answer(env, notif_addfd(int_arg(env, argv[0]), &addfd));
}
