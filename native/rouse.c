/*
 * Keeps a processor awake while a program is about to need it.
 *
 * Giving a program a descriptor (SECCOMP_IOCTL_NOTIF_ADDFD) has the program's thread wake up to take it,
 * mostly on another processor than ours. An idle one takes long to get going, on a virtual machine
 * tens of microseconds, and we would wait. So it is woken while we still prepare the file: by a
 * thread of the lowest priority (SCHED_IDLE, which gives way to anybody at once) that turns in
 * circles until the call is answered, for LONGEST at most.
 */
#include "napi_util.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 100000 /* ns */

enum { RESTING, ROUSED, STOPPED };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two that follow */
static unsigned users;
static pthread_t thread;
static atomic_int state;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    for (int i = 0; i < 32; i++) __builtin_ia32_pause();
#elif defined(__aarch64__)
    for (int i = 0; i < 32; i++) __asm__ volatile("yield");
#endif
}

static void *turn(void *unused) {
    (void)unused;
    struct sched_param param = {0};
    /* Without it we might stand in the way: then rather not at all. */
    if (sched_setscheduler(0, SCHED_IDLE, &param)) return NULL;
    while (atomic_load(&state) != STOPPED) {
        int roused = ROUSED;
        syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, RESTING, NULL, NULL, 0);
        int64_t end = now() + LONGEST;
        while (atomic_load_explicit(&state, memory_order_relaxed) == ROUSED && now() < end)
            pause_briefly();
        atomic_compare_exchange_strong(&state, &roused, RESTING);
    }
    return NULL;
}

static bool start(void) {
    sigset_t all, before;
    sigfillset(&all);
    atomic_store(&state, RESTING);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are for the others */
    int error = pthread_create(&thread, NULL, turn, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static void stop(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    if (--users == 0) {
        atomic_store(&state, STOPPED);
        syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        pthread_join(thread, NULL);
    }
    pthread_mutex_unlock(&lock);
}

static bool use(napi_env env) {
    struct instance *instance = instance_of(env);
    if (instance->rouses) return true;
    pthread_mutex_lock(&lock);
    bool usable = users > 0 || start();
    if (usable) users++;
    pthread_mutex_unlock(&lock);
    if (usable) napi_add_env_cleanup_hook(env, stop, NULL);
    return instance->rouses = usable;
}

EXPORT(rouse) {
    (void)info;
    int resting = RESTING;
    if (!use(env)) return answer(env, -EAGAIN);
    if (atomic_compare_exchange_strong(&state, &resting, ROUSED))
        syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return answer(env, 0);
}

void rest(void) {
    int roused = ROUSED;
    atomic_compare_exchange_strong(&state, &roused, RESTING);
}
