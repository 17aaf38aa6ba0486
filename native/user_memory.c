/* Other processes: their memory, their descriptors; and limits of our own. */
#include "napi_util.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

typedef ssize_t (*process_vm_call)(pid_t, const struct iovec *, unsigned long,
                                   const struct iovec *, unsigned long, unsigned long);

static inline napi_value process_vm(napi_env env, napi_callback_info info, process_vm_call call) {
    ARGUMENTS(5);
    void *bytes;
    size_t size;
    if (!bytes_arg(env, argv[2], &bytes, &size)) return answer(env, -EINVAL);
    uint64_t offset = word_arg(env, argv[3]), length = word_arg(env, argv[4]);
    if (offset > size || length > size - offset) return answer(env, -EINVAL);
    struct iovec local = {(char *)bytes + offset, length};
    struct iovec remote = {(void *)word_arg(env, argv[1]), length};
    return answer_errno(env, call(int_arg(env, argv[0]), &local, 1, &remote, 1, 0));
}

EXPORT(processVmReadv) { return process_vm(env, info, process_vm_readv); }

EXPORT(processVmWritev) { return process_vm(env, info, process_vm_writev); }

EXPORT(pidfdOpen) {
    ARGUMENTS(2);
    /* Close-on-exec by the kernel's own choice, as is pidfd_getfd's. */
    return answer_errno(env, syscall(SYS_pidfd_open, int_arg(env, argv[0]),
                                     (unsigned)long_arg(env, argv[1])));
}

EXPORT(pidfdGetfd) {
    ARGUMENTS(2);
    return answer_errno(
        env, syscall(SYS_pidfd_getfd, int_arg(env, argv[0]), int_arg(env, argv[1]), 0));
}

/*
 * poll(2), without waiting, of descriptors of another process: `struct pollfd[]`. Those that cannot be had for other
 * reasons than that there are none end it: -errno.
 */
EXPORT(pollOf) {
    enum { AT_ONCE = 64 };
    ARGUMENTS(2);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[1], &bytes, &length)) return answer(env, -EINVAL);
    int pidfd = int_arg(env, argv[0]), error = 0;
    int64_t ready = 0;
    size_t count = length / sizeof(struct pollfd);
    for (size_t first = 0; first < count && !error; first += AT_ONCE) {
        struct pollfd part[AT_ONCE];
        size_t size = count - first < AT_ONCE ? count - first : AT_ONCE;
        memcpy(part, (struct pollfd *)bytes + first, size * sizeof *part);
        for (size_t i = 0; i < size; i++) {
            int fd = part[i].fd;
            part[i].fd = -1;
            part[i].revents = 0;
            if (fd < 0 || error) continue;
            part[i].fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
            if (part[i].fd >= 0) continue;
            if (errno == EBADF) part[i].fd = INT_MAX; /* POLLNVAL */
            else error = errno;
        }
        int polled = poll(part, size, 0);
        if (polled < 0 && !error) error = errno;
        ready += polled;
        for (size_t i = 0; i < size; i++) {
            if (part[i].fd >= 0 && part[i].fd != INT_MAX) close(part[i].fd);
            ((struct pollfd *)bytes)[first + i].revents = part[i].revents;
        }
    }
    return answer(env, error ? -error : ready);
}

EXPORT(kcmp) {
    ARGUMENTS(5);
    return answer_errno(env, syscall(SYS_kcmp, int_arg(env, argv[0]), int_arg(env, argv[1]),
                                     int_arg(env, argv[2]), word_arg(env, argv[3]),
                                     word_arg(env, argv[4])));
}

EXPORT(raiseNofile) {
    ARGUMENTS(1);
    struct rlimit limit;
    rlim_t wanted = word_arg(env, argv[0]);
    if (getrlimit(RLIMIT_NOFILE, &limit)) return answer(env, -errno);
    if (limit.rlim_cur < wanted && wanted > limit.rlim_max) {
        struct rlimit higher = {wanted, wanted}; /* needs CAP_SYS_RESOURCE */
        if (!setrlimit(RLIMIT_NOFILE, &higher)) return answer(env, (int64_t)wanted);
        wanted = limit.rlim_max;
    }
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit)) return answer(env, -errno);
    }
    return answer(env, (int64_t)limit.rlim_cur);
}
