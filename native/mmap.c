/*
 * Mappings as external ArrayBuffers.
 *
 * A mapping is unmapped exactly once: by munmap, or when its memory is given up by JavaScript (the
 * buffer collected, or the environment torn down). munmap detaches the buffer first, so that stale
 * views have length 0. Detaching does not stop what holds the raw address: the caller must not
 * munmap while an asynchronous fs or crypto operation still works on the buffer.
 *
 * V8 counts the bytes of external buffers as external memory by itself (with a deleter they are not
 * free for it), so napi_adjust_external_memory would count them twice.
 */
#include "napi_util.h"

#include <search.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapping {
    void *address; /* the key in instance->mappings; must be first */
    size_t length; /* what was mapped: whole pages */
    bool mapped;
    unsigned refs; /* the buffer's memory, and munmap while it works */
    struct instance *instance;
};

static int by_address(const void *a, const void *b) {
    uintptr_t left = (uintptr_t)*(void *const *)a, right = (uintptr_t)*(void *const *)b;
    return left < right ? -1 : left > right;
}

static size_t whole_pages(size_t length) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (length + page - 1) & ~(page - 1);
}

static int unmap(struct mapping *mapping) {
    if (!mapping->mapped) return 0;
    if (munmap(mapping->address, mapping->length)) return -errno;
    mapping->mapped = false;
    tdelete(mapping, &mapping->instance->mappings, by_address);
    return 0;
}

static void mapping_unref(struct mapping *mapping) {
    if (--mapping->refs) return;
    if (mapping->mapped) tdelete(mapping, &mapping->instance->mappings, by_address);
    instance_unref(mapping->instance);
    free(mapping);
}

static void finalize(napi_env env, void *data, void *hint) {
    (void)env, (void)data;
    unmap(hint);
    mapping_unref(hint);
}

/* Takes over the mapping at `address`; unmaps it if that fails. */
static napi_value wrap(napi_env env, void *address, size_t length) {
    struct instance *instance = instance_of(env);
    struct mapping *mapping = malloc(sizeof *mapping);
    if (!mapping || !tsearch(memcpy(mapping, &(struct mapping){address, whole_pages(length), true,
                                                               1, instance},
                                    sizeof *mapping),
                             &instance->mappings, by_address)) {
        free(mapping);
        munmap(address, length);
        return answer(env, -ENOMEM);
    }
    instance->refs++;
    napi_value buffer;
    napi_status status =
        napi_create_external_arraybuffer(env, address, length, finalize, mapping, &buffer);
    if (status == napi_ok) return buffer;
    unmap(mapping);
    mapping_unref(mapping);
    return answer(env, status == napi_no_external_buffers_allowed ? -ENOTSUP : -ENOMEM);
}

EXPORT(mmap) {
    ARGUMENTS(5);
    size_t length = word_arg(env, argv[0]);
    int prot = int_arg(env, argv[1]), flags = int_arg(env, argv[2]), fd = int_arg(env, argv[3]);
    void *address = mmap(NULL, length, prot, flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE), fd,
                         (off_t)word_arg(env, argv[4]));
    if (address == MAP_FAILED) return answer(env, -errno);
    return wrap(env, address, length);
}

EXPORT(mmapPieces) {
    ARGUMENTS(2);
    void *elements;
    size_t count, total = 0;
    if (!typed_arg(env, argv[0], napi_float64_array, &elements, &count) || count % 3)
        return answer(env, -EINVAL);
    const double *pieces = elements;
    int prot = int_arg(env, argv[1]);
    for (size_t i = 0; i < count; i += 3) {
        size_t length = word_of_double(pieces[i + 2]);
        /* A length of 0 or of half a page would put the next piece at the wrong place. */
        if (!length || length != whole_pages(length)) return answer(env, -EINVAL);
        if (__builtin_add_overflow(total, length, &total)) return answer(env, -ENOMEM);
    }
    char *base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return answer(env, -errno);
    char *next = base;
    for (size_t i = 0; i < count; i += 3) {
        size_t length = word_of_double(pieces[i + 2]);
        if (mmap(next, length, prot, MAP_SHARED | MAP_FIXED, (int)pieces[i],
                 (off_t)word_of_double(pieces[i + 1])) == MAP_FAILED) {
            int error = errno;
            munmap(base, total);
            return answer(env, -error);
        }
        next += length;
    }
    return wrap(env, base, total);
}

EXPORT(munmap) {
    ARGUMENTS(1);
    void *address;
    size_t length;
    if (napi_get_arraybuffer_info(env, argv[0], &address, &length) != napi_ok || !address)
        return answer(env, -EINVAL);
    struct mapping **found = tfind(&address, &instance_of(env)->mappings, by_address);
    if (!found) return answer(env, -EINVAL);
    struct mapping *mapping = *found;
    mapping->refs++; /* a runtime may finalize the buffer while it detaches it */
    int error = napi_detach_arraybuffer(env, argv[0]) == napi_ok ? unmap(mapping) : -EBUSY;
    mapping_unref(mapping);
    return answer(env, error);
}

EXPORT(addressOf) {
    ARGUMENTS(1);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[0], &bytes, &length)) return answer(env, -EINVAL);
    return answer(env, (int64_t)(uintptr_t)bytes);
}
