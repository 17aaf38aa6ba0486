/* memfds, and opening one anew. */
#include "napi_util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

EXPORT(memfdCreate) {
    ARGUMENTS(2);
    char name[NAME_MAX];
    int error = string_arg(env, argv[0], name, sizeof name);
    /* The kernel's answer to a name that is too long. */
    if (error) return answer(env, -EINVAL);
    unsigned flags = (unsigned)long_arg(env, argv[1]);
    return answer_errno(env, memfd_create(name, flags | MFD_CLOEXEC));
}

EXPORT(reopen) {
    ARGUMENTS(2);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", int_arg(env, argv[0]));
    int fd = open(path, int_arg(env, argv[1]) | O_CLOEXEC);
    /* The path is ours: what is missing is the descriptor. */
    return answer(env, fd >= 0 ? fd : errno == ENOENT ? -EBADF : -errno);
}
