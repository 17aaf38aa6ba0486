/* The calls that can block, on a thread of libuv's pool: each answers with a promise. */
#include "napi_util.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

struct work {
    napi_async_work handle;
    napi_deferred deferred;
    napi_ref array; /* keeps the argument's bytes where they are */
    long (*call)(struct work *);
    int fd;
    unsigned long request;
    void *argument;
    size_t length;
    int timeout;
    long result;
};

static void execute(napi_env env, void *data) {
    (void)env;
    struct work *work = data;
    long returned = work->call(work);
    work->result = returned == -1 ? -errno : returned;
}

static void complete(napi_env env, napi_status status, void *data) {
    struct work *work = data;
    long result = status == napi_ok ? work->result : -ECANCELED;
    napi_resolve_deferred(env, work->deferred, answer(env, result));
    if (work->array) napi_delete_reference(env, work->array);
    napi_delete_async_work(env, work->handle);
    free(work);
}

/* Queues a copy of `plan`; `array`, if any, is kept until the call is over. */
static napi_value start(napi_env env, const struct work *plan, napi_value array, const char *name) {
    napi_value promise = NULL, resource_name;
    struct work *work = malloc(sizeof *work);
    if (!work) return throw_errno(env, ENOMEM, name);
    *work = *plan;
    napi_create_promise(env, &work->deferred, &promise);
    if (array) napi_create_reference(env, array, 1, &work->array);
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource_name);
    napi_create_async_work(env, NULL, resource_name, execute, complete, work, &work->handle);
    napi_queue_async_work(env, work->handle);
    return promise;
}

/* A promise of what is known already. */
static napi_value resolved(napi_env env, int number) {
    napi_deferred deferred;
    napi_value promise = NULL;
    napi_create_promise(env, &deferred, &promise);
    napi_resolve_deferred(env, deferred, answer(env, number));
    return promise;
}

static long call_poll(struct work *work) {
    return poll(work->argument, work->length / sizeof(struct pollfd), work->timeout);
}

EXPORT(pollAsync) {
    ARGUMENTS(2);
    struct work plan = {.call = call_poll, .timeout = int_arg(env, argv[1])};
    if (!bytes_arg(env, argv[0], &plan.argument, &plan.length)) return resolved(env, -EINVAL);
    return start(env, &plan, argv[0], "poll");
}

static long call_ioctl(struct work *work) {
    return ioctl(work->fd, work->request, work->argument);
}

EXPORT(ioctlAsync) {
    ARGUMENTS(3);
    struct work plan = {
        .call = call_ioctl,
        .fd = int_arg(env, argv[0]),
        .request = (unsigned int)long_arg(env, argv[1]),
    };
    bool has_bytes;
    int error = ioctl_arg(env, argv[2], plan.request, &plan.argument, &has_bytes);
    if (error) return resolved(env, error);
    return start(env, &plan, has_bytes ? argv[2] : NULL, "ioctl");
}
