/* The numbers of this machine's system calls, for filters and for injectCalls. */
#include "exports.h"

#include <linux/audit.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Younger than the headers of Debian 12 (6.1); such numbers are the same on every machine. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#endif
#ifndef SYS_listmount
#define SYS_listmount 458
#endif

#define ROW(name) {#name, SYS_##name},

static const struct {
    const char *name;
    uint32_t number;
} TABLE[] = {
    /* paths */
    ROW(openat) ROW(openat2) ROW(newfstatat) ROW(statx) ROW(faccessat) ROW(faccessat2)
    ROW(readlinkat) ROW(getdents64) ROW(getcwd) ROW(chdir) ROW(fchdir) ROW(chroot) ROW(pivot_root)
    ROW(mkdirat) ROW(mknodat) ROW(unlinkat) ROW(linkat) ROW(symlinkat) ROW(renameat2)
    ROW(fchmodat) ROW(fchmodat2) ROW(fchownat) ROW(utimensat) ROW(truncate) ROW(statfs)
    ROW(getxattr) ROW(lgetxattr) ROW(fgetxattr) ROW(listxattr) ROW(llistxattr) ROW(setxattr)
    ROW(lsetxattr) ROW(removexattr) ROW(lremovexattr) ROW(name_to_handle_at)
    ROW(open_by_handle_at) ROW(inotify_add_watch) ROW(fanotify_mark) ROW(mount) ROW(umount2)
    ROW(statmount) ROW(listmount) ROW(open_tree) ROW(execve) ROW(execveat) ROW(renameat)
    /* descriptors */
    ROW(ioctl) ROW(close) ROW(close_range) ROW(dup) ROW(dup3) ROW(fcntl) ROW(read) ROW(write)
    ROW(readv) ROW(writev) ROW(pread64) ROW(pwrite64) ROW(preadv) ROW(pwritev) ROW(preadv2)
    ROW(pwritev2) ROW(lseek) ROW(fstat) ROW(fstatfs) ROW(ftruncate) ROW(fallocate) ROW(fsync)
    ROW(fdatasync) ROW(fchmod) ROW(fchown) ROW(flock) ROW(fadvise64) ROW(readahead) ROW(sendfile)
    ROW(splice) ROW(tee) ROW(vmsplice) ROW(copy_file_range) ROW(sync_file_range) ROW(pipe2)
    ROW(memfd_create) ROW(pidfd_open) ROW(pidfd_getfd) ROW(kcmp) ROW(process_vm_readv)
    ROW(process_vm_writev) ROW(userfaultfd)
    /* waiting */
    ROW(ppoll) ROW(pselect6) ROW(epoll_create1) ROW(epoll_ctl) ROW(epoll_pwait) ROW(epoll_pwait2)
    ROW(eventfd2) ROW(signalfd4) ROW(timerfd_create) ROW(timerfd_settime) ROW(inotify_init1)
    ROW(inotify_rm_watch) ROW(io_uring_setup) ROW(io_uring_enter) ROW(io_uring_register)
    ROW(io_setup) ROW(io_submit) ROW(nanosleep) ROW(clock_nanosleep) ROW(futex)
    /* sockets */
    ROW(socket) ROW(socketpair) ROW(bind) ROW(connect) ROW(listen) ROW(accept) ROW(accept4)
    ROW(sendto) ROW(recvfrom) ROW(sendmsg) ROW(recvmsg) ROW(sendmmsg) ROW(recvmmsg)
    ROW(getsockopt) ROW(setsockopt) ROW(getsockname) ROW(getpeername) ROW(shutdown)
    /* memory */
    ROW(mmap) ROW(munmap) ROW(mremap) ROW(mprotect) ROW(pkey_mprotect) ROW(madvise) ROW(msync)
    ROW(mincore) ROW(mlock) ROW(mlock2) ROW(mlockall) ROW(munlock) ROW(remap_file_pages) ROW(brk)
    /* processes */
    ROW(clone) ROW(clone3) ROW(unshare) ROW(setns) ROW(exit) ROW(exit_group) ROW(kill) ROW(tgkill)
    ROW(tkill) ROW(rt_sigqueueinfo) ROW(rt_tgsigqueueinfo) ROW(pidfd_send_signal) ROW(getpid)
    ROW(gettid) ROW(getppid) ROW(getuid) ROW(geteuid) ROW(sched_yield) ROW(prctl) ROW(ptrace) ROW(seccomp) ROW(rt_sigaction) ROW(rt_sigprocmask) ROW(rt_sigreturn)
    ROW(restart_syscall) ROW(setrlimit) ROW(prlimit64) ROW(uname)
#ifdef __x86_64__
    /* older forms that arm64 does not have */
    ROW(open) ROW(creat) ROW(stat) ROW(lstat) ROW(access) ROW(readlink) ROW(getdents) ROW(mkdir)
    ROW(rmdir) ROW(mknod) ROW(unlink) ROW(link) ROW(symlink) ROW(rename) ROW(chmod) ROW(chown)
    ROW(lchown) ROW(utime) ROW(utimes) ROW(futimesat) ROW(dup2) ROW(pipe) ROW(poll) ROW(select)
    ROW(epoll_create) ROW(epoll_wait) ROW(eventfd) ROW(signalfd) ROW(inotify_init) ROW(fork)
    ROW(vfork) ROW(arch_prctl) ROW(alarm) ROW(pause) ROW(time)
#endif
};

#if defined(__x86_64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_AARCH64
#else
#error "dmabuf-shim runs on x86-64 and arm64"
#endif

void define_system_calls(napi_env env, napi_value exports) {
    napi_value numbers, value;
    napi_create_object(env, &numbers);
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        napi_create_uint32(env, TABLE[i].number, &value);
        napi_set_named_property(env, numbers, TABLE[i].name, value);
    }
    napi_object_freeze(env, numbers);
    napi_set_named_property(env, exports, "SYS", numbers);
    napi_create_uint32(env, AUDIT_ARCH_HERE, &value);
    napi_set_named_property(env, exports, "AUDIT_ARCH", value);
}
