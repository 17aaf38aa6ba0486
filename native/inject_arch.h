/* The registers of a stopped thread, as injection needs them: all that differs between machines. */
#ifndef DMABUF_SHIM_INJECT_ARCH_H
#define DMABUF_SHIM_INJECT_ARCH_H

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

/* The kernel's own, never seen by a program. */
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

#if defined(__x86_64__)

#define INJECT_AUDIT_ARCH AUDIT_ARCH_X86_64
enum { SYSCALL_INSTRUCTION = 2 }; /* bytes of `syscall` */
typedef struct user_regs_struct registers;

/* Stopped on its way out of the notified call, which has answered ERESTARTSYS? */
static inline bool arch_at_call(const registers *r, const struct seccomp_data *call) {
    return r->rip == call->instruction_pointer && (int)r->orig_rax == call->nr &&
           (int64_t)r->rax == -ERESTARTSYS && r->rdi == call->args[0] &&
           r->rsi == call->args[1] && r->rdx == call->args[2] && r->r10 == call->args[3] &&
           r->r8 == call->args[4] && r->r9 == call->args[5];
}

/* Lets the thread, once resumed, execute the notified instruction again, as this call. */
static inline void arch_set_call(registers *r, uint64_t after, uint64_t nr, const uint64_t *args) {
    r->rip = after - SYSCALL_INSTRUCTION;
    r->rax = nr;
    r->orig_rax = (uint64_t)-1; /* no restart of the call before */
    r->rdi = args[0];
    r->rsi = args[1];
    r->rdx = args[2];
    r->r10 = args[3];
    r->r8 = args[4];
    r->r9 = args[5];
}

static inline int64_t arch_result(const registers *r) { return (int64_t)r->rax; }

/* Lets the thread go on behind the instruction with this result. */
static inline void arch_set_result(registers *r, uint64_t after, int64_t result) {
    r->rip = after;
    r->rax = (uint64_t)result;
    r->orig_rax = (uint64_t)-1;
}

/* `r`: the registers at the notified call. It has ended with `result`, which may be to restart it. */
static inline void arch_set_restart(registers *r, uint64_t after, const struct seccomp_data *call,
                                    int64_t result) {
    r->rip = after;
    r->rax = (uint64_t)result;
    r->orig_rax = (uint64_t)call->nr;
}

#elif defined(__aarch64__)

#define INJECT_AUDIT_ARCH AUDIT_ARCH_AARCH64
enum { SYSCALL_INSTRUCTION = 4 }; /* bytes of `svc #0` */
typedef struct user_regs_struct registers;

/*
 * arm64 prepares the restart before the stop: the program counter is back at the instruction and x0
 * holds the first argument again. (x7 cannot be changed at a system call's stops; nobody does.)
 */
static inline bool arch_at_call(const registers *r, const struct seccomp_data *call) {
    bool same = r->pc == call->instruction_pointer - SYSCALL_INSTRUCTION &&
                (int)r->regs[8] == call->nr;
    for (int i = 0; i < 6; i++) same = same && r->regs[i] == call->args[i];
    return same;
}

static inline void arch_set_call(registers *r, uint64_t after, uint64_t nr, const uint64_t *args) {
    r->pc = after - SYSCALL_INSTRUCTION;
    r->regs[8] = nr;
    for (int i = 0; i < 6; i++) r->regs[i] = args[i];
}

static inline int64_t arch_result(const registers *r) { return (int64_t)r->regs[0]; }

static inline void arch_set_result(registers *r, uint64_t after, int64_t result) {
    r->pc = after;
    r->regs[0] = (uint64_t)result;
}

/* x0 comes back from the call before, which therefore had the same. */
static inline void arch_set_restart(registers *r, uint64_t after, const struct seccomp_data *call,
                                    int64_t result) {
    (void)call;
    arch_set_result(r, after, result);
}

#else
#error "injection is written for x86-64 and arm64"
#endif

static inline int arch_get(pid_t tid, registers *r) {
    struct iovec area = {r, sizeof *r};
    return ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &area) ? -errno : 0;
}

static inline int arch_set(pid_t tid, const registers *r) {
    struct iovec area = {(void *)r, sizeof *r};
    return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &area) ? -errno : 0;
}

/* As arch_set, for the last time: whatever call came before, it is not restarted. */
static inline int arch_set_final(pid_t tid, const registers *r) {
    int error = arch_set(tid, r);
#if defined(__aarch64__)
    /* x86-64 has orig_rax for it; here it is a register set of its own. */
    int none = -1;
    struct iovec area = {&none, sizeof none};
    if (!error && ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &area)) error = -errno;
#endif
    return error;
}

#endif
