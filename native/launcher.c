/*
 * launcher FD program [argument...]
 *
 * Installs the seccomp filter that it is sent, sends back the listener, and becomes the program.
 * FD is a SOCK_SEQPACKET socket. In: u32 flags, then struct sock_filter[]. Out: struct report, with
 * the listener (SCM_RIGHTS) when step is LISTENER. Nothing else of the process is changed: working
 * directory, environment, signal dispositions and descriptors are as they were inherited.
 *
 * A memfd may come with the filter (SCM_RIGHTS): program and arguments, as many as there are here, then
 * the environment, each ended by NUL. They replace those of the launcher, which Node can give as text only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum step { LISTENER, NO_NEW_PRIVS, SECCOMP, EXEC, STRINGS };
enum { NOT_INSTALLED = 126, NOT_RUN = 126, NOT_FOUND = 127 }; /* exit statuses, as a shell's */

struct report {
    uint32_t step;
    int32_t error;
};

static struct {
    uint32_t flags;
    struct sock_filter filter[BPF_MAXINSNS];
} program;

static int report(int socket, enum step step, int error, int listener) {
    struct report report = {step, error};
    struct iovec data = {&report, sizeof report};
    union {
        char bytes[CMSG_SPACE(sizeof listener)];
        struct cmsghdr header;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (listener >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof listener);
        memcpy(CMSG_DATA(&control.header), &listener, sizeof listener);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* Receives `program`; what comes with it, or -1, into `strings`. */
static ssize_t receive(int socket, int *strings) {
    struct iovec data = {&program, sizeof program};
    union {
        char bytes[CMSG_SPACE(sizeof *strings)];
        struct cmsghdr header;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length;
    do length = recvmsg(socket, &message, MSG_TRUNC | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    *strings = -1;
    if (length >= 0 && CMSG_FIRSTHDR(&message))
        memcpy(strings, CMSG_DATA(&control.header), sizeof *strings);
    return length;
}

/* Takes `argc` arguments and then the environment from a memfd; the arguments, or NULL. */
static char **take_strings(int memfd, int argc) {
    struct stat stat;
    if (fstat(memfd, &stat)) return NULL;
    size_t size = (size_t)stat.st_size, count = 0;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd, 0);
    if (bytes == MAP_FAILED) return NULL;
    close(memfd);
    for (size_t i = 0; i < size; i++) count += !bytes[i];
    char **vector = calloc(count + 2, sizeof *vector); /* both lists end with NULL */
    if (!vector) return NULL;
    char **next = vector;
    for (char *string = bytes; string < bytes + size; string += strlen(string) + 1) {
        if (next == vector + argc) next++;
        *next++ = string;
    }
    environ = vector + argc + 1;
    return vector;
}

static int install(unsigned long flags, const struct sock_fprog *filter) {
    flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
    if (listener < 0 && errno == EINVAL && flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
    }
    return listener;
}

static int descriptor(const char *text) {
    char *end;
    long number = strtol(text, &end, 10);
    return *end || end == text || number < 0 || number > INT32_MAX ? -1 : (int)number;
}

int main(int argc, char **argv) {
    int socket = argc > 2 ? descriptor(argv[1]) : -1, strings;
    ssize_t length = receive(socket, &strings);
    if (length < (ssize_t)sizeof program.flags || length > (ssize_t)sizeof program) {
        static const char usage[] = "launcher: to be started by dmabuf-shim only\n";
        return write(STDERR_FILENO, usage, sizeof usage - 1) < 0 ? 1 : NOT_INSTALLED;
    }
    struct sock_fprog filter = {
        .len = (unsigned short)((length - sizeof program.flags) / sizeof *program.filter),
        .filter = program.filter};
    char **arguments = strings < 0 ? argv + 2 : take_strings(strings, argc - 2);
    if (!arguments) {
        report(socket, STRINGS, errno, -1);
        return NOT_INSTALLED;
    }

    /* Without CAP_SYS_ADMIN only those may have a filter who give up what setuid programs gain. */
    int listener = install(program.flags, &filter);
    if (listener < 0 && errno == EACCES) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
            report(socket, NO_NEW_PRIVS, errno, -1);
            return NOT_INSTALLED;
        }
        listener = install(program.flags, &filter);
    }
    if (listener < 0) {
        report(socket, SECCOMP, errno, -1);
        return NOT_INSTALLED;
    }
    /* From here on the filter holds for us too; nobody answers until the listener has arrived. */
    if (report(socket, LISTENER, 0, listener)) return NOT_INSTALLED;
    close(listener);
    fcntl(socket, F_SETFD, FD_CLOEXEC);

    execvp(arguments[0], arguments);
    int error = errno;
    report(socket, EXEC, error, -1);
    return error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_RUN;
}
