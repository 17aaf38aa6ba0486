/* Unix sockets, and descriptors over them. */
#include "napi_util.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SCM_MAX_FD = 253 }; /* the kernel's limit a message */

union control {
    char bytes[CMSG_SPACE(sizeof(int) * SCM_MAX_FD)];
    struct cmsghdr align;
};

EXPORT(socketpair) {
    ARGUMENTS(1);
    int fds[2];
    if (socketpair(AF_UNIX, int_arg(env, argv[0]) | SOCK_CLOEXEC, 0, fds))
        return answer(env, -errno);
    napi_value pair;
    napi_create_array_with_length(env, 2, &pair);
    for (unsigned i = 0; i < 2; i++) napi_set_element(env, pair, i, answer(env, fds[i]));
    return pair;
}

EXPORT(setsockopt) {
    ARGUMENTS(4);
    void *value;
    size_t length;
    if (!bytes_arg(env, argv[3], &value, &length)) return answer(env, -EINVAL);
    return answer_errno(env, setsockopt(int_arg(env, argv[0]), int_arg(env, argv[1]),
                                        int_arg(env, argv[2]), value, (socklen_t)length));
}

EXPORT(sendmsg) {
    ARGUMENTS(4);
    struct iovec data;
    uint32_t count = 0;
    if (!bytes_arg(env, argv[1], &data.iov_base, &data.iov_len)) return answer(env, -EINVAL);
    if (napi_get_array_length(env, argv[2], &count) != napi_ok || count > SCM_MAX_FD)
        return answer(env, -EINVAL);
    union control control;
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        memset(control.bytes, 0, message.msg_controllen);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (uint32_t i = 0; i < count; i++) {
            napi_value element;
            if (napi_get_element(env, argv[2], i, &element) != napi_ok) return NULL;
            int fd = int_arg(env, element);
            memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
        }
    }
    int flags = int_arg(env, argv[3]) | MSG_NOSIGNAL;
    return answer_errno(env, sendmsg(int_arg(env, argv[0]), &message, flags));
}

EXPORT(recvmsg) {
    ARGUMENTS(4);
    struct iovec data;
    uint32_t count = 0;
    if (!bytes_arg(env, argv[1], &data.iov_base, &data.iov_len)) return answer(env, -EINVAL);
    if (napi_get_array_length(env, argv[2], &count) != napi_ok) return answer(env, -EINVAL);
    union control control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    int flags = int_arg(env, argv[3]) | MSG_CMSG_CLOEXEC;
    ssize_t received = recvmsg(int_arg(env, argv[0]), &message, flags);
    if (received < 0) return answer(env, -errno);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    for (; header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < fds; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (napi_set_element(env, argv[2], count++, answer(env, fd)) != napi_ok) close(fd);
        }
    }
    return answer(env, received);
}
