/* System calls on descriptors and paths. */
#include "napi_util.h"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORT(open) {
    ARGUMENTS(3);
    char path[PATH_MAX + 8];
    int error = string_arg(env, argv[0], path, sizeof path);
    if (error) return answer(env, error);
    int flags = int_arg(env, argv[1]) | O_CLOEXEC;
    return answer_errno(env, open(path, flags, (mode_t)int_arg(env, argv[2])));
}

EXPORT(close) {
    ARGUMENTS(1);
    return answer_errno(env, close(int_arg(env, argv[0])));
}

EXPORT(dup) {
    ARGUMENTS(1);
    return answer_errno(env, fcntl(int_arg(env, argv[0]), F_DUPFD_CLOEXEC, 0));
}

EXPORT(fcntl) {
    ARGUMENTS(3);
    int fd = int_arg(env, argv[0]), command = int_arg(env, argv[1]);
    return answer_errno(env, fcntl(fd, command, (long)long_arg(env, argv[2])));
}

EXPORT(read) {
    ARGUMENTS(2);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[1], &bytes, &length)) return answer(env, -EINVAL);
    return answer_errno(env, read(int_arg(env, argv[0]), bytes, length));
}

EXPORT(pread) {
    ARGUMENTS(3);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[1], &bytes, &length)) return answer(env, -EINVAL);
    return answer_errno(env, pread(int_arg(env, argv[0]), bytes, length, long_arg(env, argv[2])));
}

EXPORT(write) {
    ARGUMENTS(2);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[1], &bytes, &length)) return answer(env, -EINVAL);
    return answer_errno(env, write(int_arg(env, argv[0]), bytes, length));
}

EXPORT(lseek) {
    ARGUMENTS(3);
    int fd = int_arg(env, argv[0]), whence = int_arg(env, argv[2]);
    return answer_errno(env, lseek(fd, long_arg(env, argv[1]), whence));
}

EXPORT(ftruncate) {
    ARGUMENTS(2);
    return answer_errno(env, ftruncate(int_arg(env, argv[0]), long_arg(env, argv[1])));
}

int ioctl_arg(napi_env env, napi_value value, unsigned long request, void **argument,
              bool *has_bytes) {
    size_t length;
    napi_valuetype type = napi_undefined;
    *argument = NULL;
    napi_typeof(env, value, &type);
    *has_bytes = type == napi_object;
    if (type == napi_number) {
        *argument = (void *)word_arg(env, value);
    } else if (type == napi_bigint) {
        uint64_t word;
        bool lossless;
        napi_get_value_bigint_uint64(env, value, &word, &lossless);
        *argument = (void *)word;
    } else if (type == napi_object) {
        if (!bytes_arg(env, value, argument, &length)) return -EINVAL;
        /* What the request's size says beyond the array's end is not the caller's memory. */
        if (_IOC_DIR(request) != _IOC_NONE && _IOC_SIZE(request) > length) return -EFAULT;
    }
    return 0;
}

EXPORT(ioctl) {
    ARGUMENTS(3);
    int fd = int_arg(env, argv[0]);
    unsigned long request = (unsigned int)long_arg(env, argv[1]);
    void *argument;
    bool has_bytes;
    int error = ioctl_arg(env, argv[2], request, &argument, &has_bytes);
    return error ? answer(env, error) : answer_errno(env, ioctl(fd, request, argument));
}

EXPORT(pipe) {
    ARGUMENTS(1);
    int fds[2];
    if (pipe2(fds, int_arg(env, argv[0]))) return answer(env, -errno);
    napi_value pair;
    napi_create_array_with_length(env, 2, &pair);
    for (unsigned i = 0; i < 2; i++) napi_set_element(env, pair, i, answer(env, fds[i]));
    return pair;
}

EXPORT(poll) {
    ARGUMENTS(2);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[0], &bytes, &length)) return answer(env, -EINVAL);
    return answer_errno(env, poll(bytes, length / sizeof(struct pollfd), int_arg(env, argv[1])));
}

EXPORT(readlink) {
    ARGUMENTS(1);
    char path[PATH_MAX + 8], target[PATH_MAX];
    int error = string_arg(env, argv[0], path, sizeof path);
    if (error) return answer(env, error);
    ssize_t length = readlink(path, target, sizeof target);
    if (length < 0) return answer(env, -errno);
    napi_value value;
    napi_create_string_utf8(env, target, (size_t)length, &value);
    return value;
}

EXPORT(access) {
    ARGUMENTS(1);
    char path[PATH_MAX + 8];
    int error = string_arg(env, argv[0], path, sizeof path);
    if (error) return answer(env, error);
    return answer_errno(env, access(path, F_OK));
}

EXPORT(mknod) {
    ARGUMENTS(2);
    char path[PATH_MAX + 8];
    int error = string_arg(env, argv[0], path, sizeof path);
    if (error) return answer(env, error);
    return answer_errno(env, mknod(path, (mode_t)int_arg(env, argv[1]), 0));
}

EXPORT(renameat2) {
    ARGUMENTS(3);
    char from[PATH_MAX + 8], to[PATH_MAX + 8];
    int error = string_arg(env, argv[0], from, sizeof from);
    if (!error) error = string_arg(env, argv[1], to, sizeof to);
    if (error) return answer(env, error);
    return answer_errno(env, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to,
                                     (unsigned)int_arg(env, argv[2])));
}

EXPORT(isCached) {
    ARGUMENTS(1);
    char path[PATH_MAX + 8];
    int error = string_arg(env, argv[0], path, sizeof path);
    if (error) return answer(env, error);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    return answer_errno(env, fd < 0 ? fd : close(fd));
}

/* The order is that of `Stat` in src/native.ts. */
enum { STAT_FIELDS = 16 };

static void stat_fields(const struct stat *stat, double *out) {
    out[0] = (double)stat->st_dev;
    out[1] = (double)stat->st_ino;
    out[2] = stat->st_mode;
    out[3] = (double)stat->st_nlink;
    out[4] = stat->st_uid;
    out[5] = stat->st_gid;
    out[6] = (double)stat->st_rdev;
    out[7] = (double)stat->st_size;
    out[8] = (double)stat->st_blksize;
    out[9] = (double)stat->st_blocks;
    out[10] = (double)stat->st_atim.tv_sec;
    out[11] = (double)stat->st_atim.tv_nsec;
    out[12] = (double)stat->st_mtim.tv_sec;
    out[13] = (double)stat->st_mtim.tv_nsec;
    out[14] = (double)stat->st_ctim.tv_sec;
    out[15] = (double)stat->st_ctim.tv_nsec;
}

EXPORT(fstat) {
    ARGUMENTS(2);
    void *out;
    size_t length;
    struct stat stat;
    if (!typed_arg(env, argv[1], napi_float64_array, &out, &length) || length < STAT_FIELDS)
        return answer(env, -EINVAL);
    /* Not libc's fstat: that is newfstatat with an empty path, slower before Linux 6.11. */
    if (syscall(SYS_fstat, int_arg(env, argv[0]), &stat)) return answer(env, -errno);
    stat_fields(&stat, out);
    return answer(env, 0);
}

EXPORT(fstatat) {
    ARGUMENTS(4);
    char path[PATH_MAX + 8];
    void *out;
    size_t length;
    struct stat stat;
    int error = string_arg(env, argv[1], path, sizeof path);
    if (error) return answer(env, error);
    if (!typed_arg(env, argv[3], napi_float64_array, &out, &length) || length < STAT_FIELDS)
        return answer(env, -EINVAL);
    if (fstatat(int_arg(env, argv[0]), path, &stat, int_arg(env, argv[2])))
        return answer(env, -errno);
    stat_fields(&stat, out);
    return answer(env, 0);
}

/*
 * fstatat of an entry whose name is a number, as those of /proc/PID/fd are. A program that serves the file
 * (FUSE) is not asked for the latest: it may be waiting for us.
 */
static int stat_number(int directory, unsigned number, struct stat *stat) {
    char name[12], *digit = name + sizeof name - 1;
    *digit = 0;
    do *--digit = '0' + number % 10;
    while (number /= 10);
    return fstatat(directory, digit, stat, AT_STATX_DONT_SYNC);
}

EXPORT(fstatNumber) {
    ARGUMENTS(3);
    void *out;
    size_t length;
    struct stat stat;
    if (!typed_arg(env, argv[2], napi_float64_array, &out, &length) || length < STAT_FIELDS)
        return answer(env, -EINVAL);
    if (stat_number(int_arg(env, argv[0]), (unsigned)int_arg(env, argv[1]), &stat))
        return answer(env, -errno);
    stat_fields(&stat, out);
    return answer(env, 0);
}

/* The device and the inode of each: pairs into `out`, 0 and 0 where there is none; how many there are. */
EXPORT(inodesOfNumbers) {
    ARGUMENTS(3);
    void *numbers, *out;
    size_t count, length;
    if (!typed_arg(env, argv[1], napi_int32_array, &numbers, &count) ||
        !typed_arg(env, argv[2], napi_float64_array, &out, &length) || length / 2 < count)
        return answer(env, -EINVAL);
    int directory = int_arg(env, argv[0]);
    int64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat stat = {0};
        int number = ((int *)numbers)[i];
        if (number >= 0 && !stat_number(directory, (unsigned)number, &stat)) found++;
        else stat.st_dev = stat.st_ino = 0;
        ((double *)out)[2 * i] = (double)stat.st_dev;
        ((double *)out)[2 * i + 1] = (double)stat.st_ino;
    }
    return answer(env, found);
}

EXPORT(getdents64) {
    ARGUMENTS(2);
    void *bytes;
    size_t length;
    if (!bytes_arg(env, argv[1], &bytes, &length)) return answer(env, -EINVAL);
    return answer_errno(env, syscall(SYS_getdents64, int_arg(env, argv[0]), bytes, length));
}
