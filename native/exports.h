/* Every function of the addon, by the name that JavaScript sees; src/native.ts has the contract. */
#ifndef DMABUF_SHIM_EXPORTS_H
#define DMABUF_SHIM_EXPORTS_H

#include <node_api.h>

#define EXPORTS(X)                                                                                 \
    /* descriptors.c */                                                                            \
    X(open)                                                                                        \
    X(close)                                                                                       \
    X(dup)                                                                                         \
    X(fcntl)                                                                                       \
    X(read)                                                                                        \
    X(pread)                                                                                       \
    X(write)                                                                                       \
    X(lseek)                                                                                       \
    X(ftruncate)                                                                                   \
    X(ioctl)                                                                                       \
    X(poll)                                                                                        \
    X(pipe)                                                                                        \
    X(readlink)                                                                                    \
    X(access)                                                                                      \
    X(mknod)                                                                                       \
    X(renameat2)                                                                                   \
    X(isCached)                                                                                    \
    X(fstat)                                                                                       \
    X(fstatat)                                                                                     \
    X(fstatNumber)                                                                                 \
    X(inodesOfNumbers)                                                                             \
    X(getdents64)                                                                                  \
    /* async.c */                                                                                  \
    X(pollAsync)                                                                                   \
    X(ioctlAsync)                                                                                  \
    /* memfd.c */                                                                                  \
    X(memfdCreate)                                                                                 \
    X(reopen)                                                                                      \
    /* mmap.c */                                                                                   \
    X(mmap)                                                                                        \
    X(mmapPieces)                                                                                  \
    X(munmap)                                                                                      \
    X(addressOf)                                                                                   \
    /* scm_rights.c */                                                                             \
    X(socketpair)                                                                                  \
    X(setsockopt)                                                                                  \
    X(sendmsg)                                                                                     \
    X(recvmsg)                                                                                     \
    /* sockets.c */                                                                                \
    X(socket)                                                                                      \
    X(bind)                                                                                        \
    /* events.c */                                                                                 \
    X(inotifyInit)                                                                                 \
    X(inotifyAddWatch)                                                                             \
    X(inotifyRmWatch)                                                                              \
    X(ofdLock)                                                                                     \
    X(ofdTest)                                                                                     \
    X(epollCreate)                                                                                 \
    X(epollCtl)                                                                                    \
    X(epollCtlEvent)                                                                               \
    X(epollWait)                                                                                   \
    X(epollReceive)                                                                                \
    /* watch.c */                                                                                  \
    X(watchFd)                                                                                     \
    /* signals.c */                                                                                \
    X(watchSignals)                                                                                \
    X(renewSignals)                                                                                \
    X(raiseDefault)                                                                                \
    /* user_memory.c */                                                                            \
    X(processVmReadv)                                                                              \
    X(processVmWritev)                                                                             \
    X(pidfdOpen)                                                                                   \
    X(pidfdGetfd)                                                                                  \
    X(pollOf)                                                                                      \
    X(kcmp)                                                                                        \
    X(raiseNofile)                                                                                 \
    /* notify.c */                                                                                 \
    X(notifSizes)                                                                                  \
    X(notifPutBy)                                                                                  \
    X(notifRecv)                                                                                   \
    X(notifSend)                                                                                   \
    X(notifIdValid)                                                                                \
    X(notifSetFlags)                                                                               \
    X(notifAddfd)                                                                                  \
    /* rouse.c */                                                                                  \
    X(rouse)                                                                                       \
    /* inject.c */                                                                                 \
    X(injectCalls)                                                                                 \
    X(interruptCall)                                                                               \
    /* redirect.c */                                                                               \
    X(redirectCall)

#define EXPORT(name) napi_value js_##name(napi_env env, napi_callback_info info)

#define DECLARE(name) EXPORT(name);
EXPORTS(DECLARE)
#undef DECLARE

/* system_calls.c: the tables SYS and AUDIT_ARCH. */
void define_system_calls(napi_env env, napi_value exports);

#endif
