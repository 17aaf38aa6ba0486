/* uv_poll for JavaScript. libuv makes the descriptor non-blocking, for all who share it. */
#include "watch.h"

#include <stdlib.h>

static void watch_unref(struct watch *watch) {
    if (--watch->refs == 0) free(watch);
}

static void on_closed(uv_handle_t *handle) {
    struct watch *watch = (struct watch *)handle;
    /* The cleanup hook keeps the environment alive, so it goes last. */
    napi_delete_reference(watch->env, watch->callback);
    napi_async_destroy(watch->env, watch->context);
    napi_remove_async_cleanup_hook(watch->cleanup);
    watch_unref(watch);
}

static void watch_close(struct watch *watch) {
    if (watch->closing) return;
    watch->closing = true;
    uv_close((uv_handle_t *)&watch->poll, on_closed);
    if (watch->ended) watch->ended(watch);
}

static void on_environment_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
    (void)handle;
    watch_close(data);
}

static void on_object_collected(napi_env env, void *data, void *hint) {
    (void)env, (void)hint;
    watch_unref(data);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct watch *watch = (struct watch *)poll;
    napi_handle_scope scope;
    /* libuv stops a handle with an error condition, which may be over once it has been read. */
    if (status < 0) uv_poll_start(poll, UV_READABLE | UV_DISCONNECT, on_poll);
    if (napi_open_handle_scope(watch->env, &scope) != napi_ok) return;
    watch->readable(watch);
    napi_close_handle_scope(watch->env, scope);
}

void watch_call(struct watch *watch, size_t argc, const napi_value *argv) {
    napi_env env = watch->env;
    napi_value callback, receiver, exception;
    bool pending = false;
    if (watch->closing) return;
    napi_get_reference_value(env, watch->callback, &callback);
    napi_get_global(env, &receiver);
    napi_make_callback(env, watch->context, receiver, callback, argc, argv, NULL);
    napi_is_exception_pending(env, &pending);
    if (pending && napi_get_and_clear_last_exception(env, &exception) == napi_ok)
        napi_fatal_exception(env, exception);
}

static struct watch *watch_of_this(napi_env env, napi_callback_info info) {
    napi_value receiver;
    void *data = NULL;
    napi_get_cb_info(env, info, NULL, NULL, &receiver, NULL);
    napi_unwrap(env, receiver, &data);
    struct watch *watch = data;
    return watch && !watch->closing ? watch : NULL;
}

static napi_value watch_construct(napi_env env, napi_callback_info info) {
    napi_value receiver = NULL;
    napi_get_cb_info(env, info, NULL, NULL, &receiver, NULL);
    return receiver;
}

static napi_value method_ref(napi_env env, napi_callback_info info) {
    struct watch *watch = watch_of_this(env, info);
    if (watch) uv_ref((uv_handle_t *)&watch->poll);
    return undefined(env);
}

static napi_value method_unref(napi_env env, napi_callback_info info) {
    struct watch *watch = watch_of_this(env, info);
    if (watch) uv_unref((uv_handle_t *)&watch->poll);
    return undefined(env);
}

static napi_value method_close(napi_env env, napi_callback_info info) {
    struct watch *watch = watch_of_this(env, info);
    if (watch) watch_close(watch);
    return undefined(env);
}

static napi_status new_object(napi_env env, napi_value *object) {
    static const napi_property_descriptor methods[] = {
        {.utf8name = "ref", .method = method_ref, .attributes = napi_default_method},
        {.utf8name = "unref", .method = method_unref, .attributes = napi_default_method},
        {.utf8name = "close", .method = method_close, .attributes = napi_default_method},
    };
    struct instance *instance = instance_of(env);
    napi_value class;
    if (instance->watch_class) {
        napi_get_reference_value(env, instance->watch_class, &class);
    } else {
        napi_define_class(env, "FdWatch", NAPI_AUTO_LENGTH, watch_construct, NULL,
                          sizeof methods / sizeof *methods, methods, &class);
        napi_create_reference(env, class, 1, &instance->watch_class);
    }
    return napi_new_instance(env, class, 0, NULL, object);
}

napi_value watch_start(napi_env env, int fd, napi_value callback,
                       void (*readable)(struct watch *), void (*ended)(struct watch *),
                       const char *name) {
    napi_value object, resource;
    napi_valuetype type;
    uv_loop_t *loop;
    napi_typeof(env, callback, &type);
    if (type != napi_function) return throw_errno(env, EINVAL, name);
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) return throw_errno(env, ENOMEM, name);
    int error = napi_get_uv_event_loop(env, &loop) == napi_ok ? 0 : UV_ENOTSUP;
    if (!error) error = uv_poll_init(loop, &watch->poll, fd);
    if (error) {
        free(watch);
        return throw_errno(env, -error, name);
    }
    watch->env = env;
    watch->refs = 1;
    watch->fd = fd;
    watch->readable = readable;
    napi_create_reference(env, callback, 1, &watch->callback);
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource);
    napi_async_init(env, NULL, resource, &watch->context);
    napi_add_async_cleanup_hook(env, on_environment_cleanup, watch, &watch->cleanup);
    error = uv_poll_start(&watch->poll, UV_READABLE | UV_DISCONNECT, on_poll);
    if (!error && new_object(env, &object) != napi_ok) error = UV_ENOMEM;
    if (!error && napi_wrap(env, object, watch, on_object_collected, NULL, NULL) != napi_ok)
        error = UV_ENOMEM;
    if (error) {
        watch_close(watch);
        return throw_errno(env, -error, name);
    }
    watch->refs++;
    watch->ended = ended;
    return object;
}

static void call_back(struct watch *watch) { watch_call(watch, 0, NULL); }

EXPORT(watchFd) {
    ARGUMENTS(2);
    return watch_start(env, int_arg(env, argv[0]), argv[1], call_back, NULL, "watchFd");
}
