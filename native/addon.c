/* The export table, and the state of one environment. */
#include "napi_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

void instance_unref(struct instance *instance) {
    if (--instance->refs == 0) free(instance);
}

static void finalize_instance(napi_env env, void *data, void *hint) {
    (void)hint;
    struct instance *instance = data;
    if (instance->watch_class) napi_delete_reference(env, instance->watch_class);
    instance->watch_class = NULL;
    instance_unref(instance);
}

napi_value throw_errno(napi_env env, int error, const char *syscall) {
    char text[128];
    napi_value code, message, object, value;
    snprintf(text, sizeof text, "%s: %s, %s", uv_err_name(-error), uv_strerror(-error), syscall);
    napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
    if (napi_create_error(env, code, message, &object) != napi_ok) return NULL;
    napi_create_int32(env, -error, &value);
    napi_set_named_property(env, object, "errno", value);
    napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &value);
    napi_set_named_property(env, object, "syscall", value);
    napi_throw(env, object);
    return NULL;
}

static const struct {
    const char *name;
    napi_callback function;
} TABLE[] = {
#define ROW(name) {#name, js_##name},
    EXPORTS(ROW)
#undef ROW
};

NAPI_MODULE_INIT() {
    struct instance *instance = calloc(1, sizeof *instance);
    if (!instance) return throw_errno(env, ENOMEM, "calloc");
    instance->refs = 1;
    if (napi_set_instance_data(env, instance, finalize_instance, NULL) != napi_ok) {
        free(instance);
        return NULL;
    }
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        napi_value function;
        napi_create_function(env, TABLE[i].name, NAPI_AUTO_LENGTH, TABLE[i].function, NULL,
                             &function);
        napi_set_named_property(env, exports, TABLE[i].name, function);
    }
    define_system_calls(env, exports);
    return exports;
}
