/* Arguments and answers of the addon's functions, and what the addon keeps for each environment. */
#ifndef DMABUF_SHIM_NAPI_UTIL_H
#define DMABUF_SHIM_NAPI_UTIL_H

#include "exports.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* One for each environment (the main thread, each worker). Counted, since finalizers may outlive it. */
struct instance {
    unsigned refs;
    void *mappings;       /* mmap.c: live mappings by address, a tsearch(3) tree */
    napi_ref watch_class; /* watch.c: the class of what watchFd gives out */
    bool rouses;          /* rouse.c: uses its thread */
};

static inline struct instance *instance_of(napi_env env) {
    void *data = NULL;
    napi_get_instance_data(env, &data);
    return data;
}

void instance_unref(struct instance *instance);

/* Declares `argv` with the first `count` arguments (undefined where there are fewer). */
#define ARGUMENTS(count)                                                                           \
    napi_value argv[count];                                                                        \
    size_t argc = count;                                                                           \
    napi_get_cb_info(env, info, &argc, argv, NULL, NULL)

/* What is no number becomes -1, which is no descriptor, pid or signal. */
static inline int int_arg(napi_env env, napi_value value) {
    int32_t number = -1;
    napi_get_value_int32(env, value, &number);
    return number;
}

/* Any integer up to 2^53; beyond that what is no valid address, length or offset anyway. */
static inline int64_t long_arg(napi_env env, napi_value value) {
    int64_t number = -1;
    napi_get_value_int64(env, value, &number);
    return number;
}

/* A system call's argument: negative numbers in two's complement, huge ones as the largest. */
static inline uint64_t word_of_double(double number) {
    if (number >= 0x1p64) return UINT64_MAX;
    if (number >= 0) return (uint64_t)number;
    if (number > -0x1p63) return (uint64_t)(int64_t)number;
    return number == number ? UINT64_MAX : 0;
}

static inline uint64_t word_arg(napi_env env, napi_value value) {
    double number = 0;
    napi_get_value_double(env, value, &number);
    return word_of_double(number);
}

/* The bytes of a Uint8Array; false for anything else. An empty one may have a null pointer. */
static inline bool bytes_arg(napi_env env, napi_value value, void **bytes, size_t *length) {
    napi_typedarray_type type;
    return napi_get_typedarray_info(env, value, &type, length, bytes, NULL, NULL) == napi_ok &&
           (type == napi_uint8_array || type == napi_uint8_clamped_array);
}

/* The elements of a typed array of exactly this type; `length` counts elements. */
static inline bool typed_arg(napi_env env, napi_value value, napi_typedarray_type wanted,
                             void **elements, size_t *length) {
    napi_typedarray_type type;
    return napi_get_typedarray_info(env, value, &type, length, elements, NULL, NULL) == napi_ok &&
           type == wanted;
}

/* A string into `buffer`: 0, or -EINVAL (no string, or a NUL inside), -ENAMETOOLONG. */
static inline int string_arg(napi_env env, napi_value value, char *buffer, size_t size) {
    size_t length;
    if (napi_get_value_string_utf8(env, value, buffer, size, &length) != napi_ok) return -EINVAL;
    /* A string that fills the buffer has probably been cut (never within a character). */
    if (length + 4 >= size) return -ENAMETOOLONG;
    return memchr(buffer, 0, length) ? -EINVAL : 0;
}

static inline napi_value answer(napi_env env, int64_t number) {
    napi_value value = NULL;
    if (number == (int32_t)number)
        napi_create_int32(env, (int32_t)number, &value);
    else
        napi_create_double(env, (double)number, &value);
    return value;
}

/* What a libc call returned, with -1 replaced by -errno. */
static inline napi_value answer_errno(napi_env env, int64_t returned) {
    return answer(env, returned == -1 ? -errno : returned);
}

static inline napi_value undefined(napi_env env) {
    napi_value value = NULL;
    napi_get_undefined(env, &value);
    return value;
}

/*
 * descriptors.c: the argument of an ioctl from a number, a bigint, null, or bytes, of which there must
 * be as many as the request says. 0, -EINVAL or -EFAULT.
 */
int ioctl_arg(napi_env env, napi_value value, unsigned long request, void **argument,
              bool *has_bytes);

/* rouse.c: what was roused is not needed any more. */
void rest(void);

/* Throws an Error with the fields of Node's own system errors; `error` is a positive errno. */
napi_value throw_errno(napi_env env, int error, const char *syscall);

#endif
