/* A uv_poll handle that calls JavaScript back, and its JavaScript object (interface FdWatch). */
#ifndef DMABUF_SHIM_WATCH_H
#define DMABUF_SHIM_WATCH_H

#include "napi_util.h"

#include <uv.h>

struct watch {
    uv_poll_t poll; /* must be first */
    napi_env env;
    napi_ref callback;
    napi_async_context context;
    napi_async_cleanup_hook_handle cleanup;
    unsigned refs; /* the uv handle, and the JavaScript object */
    bool closing;
    int fd;
    /* Called with an open handle scope. */
    void (*readable)(struct watch *watch);
    /* Called once, as soon as the watch has ended; optional. */
    void (*ended)(struct watch *watch);
};

/* Starts to watch `fd`. Answers the object, or throws: then `ended` is not called. */
napi_value watch_start(napi_env env, int fd, napi_value callback,
                       void (*readable)(struct watch *), void (*ended)(struct watch *),
                       const char *name);

/* Calls the callback as the event loop does: microtasks run, exceptions are uncaught ones. */
void watch_call(struct watch *watch, size_t argc, const napi_value *argv);

#endif
