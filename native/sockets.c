/* Sockets by their numbers. */
#include "napi_util.h"

#include <sys/socket.h>

EXPORT(socket) {
    ARGUMENTS(3);
    int type = int_arg(env, argv[1]) | SOCK_CLOEXEC;
    return answer_errno(env, socket(int_arg(env, argv[0]), type, int_arg(env, argv[2])));
}

EXPORT(bind) {
    ARGUMENTS(2);
    void *address;
    size_t length;
    if (!bytes_arg(env, argv[1], &address, &length)) return answer(env, -EINVAL);
    return answer_errno(env, bind(int_arg(env, argv[0]), address, length));
}
