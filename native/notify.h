/* The listener of a seccomp filter, for all who answer its notifications. */
#ifndef DMABUF_SHIM_NOTIFY_H
#define DMABUF_SHIM_NOTIFY_H

#include "napi_util.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* Made again after EINTR. What the ioctl answers, or a negative errno. */
int listener_ioctl(int listener, unsigned long request, void *argument);

/*
 * One notification into `notif` (struct seccomp_notif, or longer, as SECCOMP_GET_NOTIF_SIZES says), 0 or a negative
 * errno: of those that receive_from has put by, first.
 */
int receive_notification(int listener, void *notif, size_t size);

/*
 * The notification of `tid`, which is traced and makes a call now; those of others are put by. 0, -ESRCH when the thread
 * is gone, -EAGAIN when it has stopped, -ENOMEM.
 */
int receive_from(int listener, pid_t tid, struct seccomp_notif *notif);

/* Whether there is room for a notification of this kernel's. */
bool can_put_by(void);

/* The listener of the first notification that is put by, or -1. */
int listener_put_by(void);

/*
 * The descriptor that the caller has got, or a negative errno. No signal comes in between: with
 * SECCOMP_ADDFD_FLAG_SEND Linux (seen on 6.18) has the interrupted call return 0 without one.
 */
int notif_addfd(int listener, struct seccomp_notif_addfd *addfd);

#endif
