/** What test/programs/device.c prints on the devices of gadget.ts, section by section. */
const lines = (text: string) => text.trim().split('\n');

export const CALLS = lines(`
SUM -> 0
1 2 13
STORE -> 0
LOAD -> 0
0 0 13
NAME -> 5
NUMBER -> 20
LIAR -> 9
9
POINTER -> 0
0 0 0
POINTER to nothing -> -1 EFAULT
POINTER to constants -> -1 EFAULT
closed -> -1 EBADF
-1 -> -1 EBADF
/dev/zero -> -1 ENOTTY
a pipe -> -1 ENOTTY
O_PATH -> -1 EBADF
NULL -> -1 EFAULT
not mapped -> -1 EFAULT
constant -> -1 EFAULT
beyond the end of memory -> -1 EFAULT
not aligned -> 0
STORE, constant -> 0
LOAD, constant -> -1 EFAULT
NAME, NULL -> -1 EFAULT
NAME without an end -> -1 EFAULT
no such number -> -1 ENOTTY
no such type -> -1 ENOTTY
another direction -> -1 ENOTTY
FAIL -> -1 ENOSPC
FAIL by mistake -> -1 EIO
FAIL later -> -1 ENOSPC
FAIL later by mistake -> -1 EIO
refused -> -1 EPERM
write -> -1 EINVAL
lseek -> -1 ESPIPE
NAME -> 5`);

export const FDS = lines(`
GIVE -> 0
2 new, close-on-exec 1 1
TAKE -> 4096
-1 -> -1 EBADF
closed -> -1 EBADF
a pipe -> -1 EINVAL
the device -> -1 EINVAL
a pipe as fence -> -1 EINVAL
a fence as buffer -> -1 EINVAL
a buffer as fence -> -1 EINVAL
mapped: 1
GIVE, constant -> -1 EFAULT
0 new
GIVE_BADLY -> -1 ENOSPC
0 new
GIVE, no room -> -1 EMFILE
0 new
GIVE, room for one -> -1 EMFILE
0 new`);

export const EVENTS = lines(`
epoll_ctl -> 0
poll 0, epoll 0
read, O_NONBLOCK -> -1 EAGAIN
read, O_WRONLY -> -1 EBADF
read by F_SETFL -> -1 EAGAIN
poll 0x1, epoll 1, select 1
the other: poll 0
read too little -> -1 EINVAL
read nothing -> 0
read to nowhere -> -1 EFAULT
read one and a half -> 8
1
readv -> 16
2, 0 0
readv of -1 -> -1 EINVAL
read the rest -> 16
4, poll 0
poll 1
read -> 8
read waits -> 8
7`);

export const TRANSFERS = lines(`
poll 0x4
write -> 5
write nothing -> 0
write more than it takes -> 8
write what it does not take -> -1 EPERM
write from nowhere -> -1 EFAULT
poll 0x5
read -> 5
read to nowhere -> -1 EFAULT
read the rest -> 7
hello1234567
writev -> 8
readv -> 8
abc defgh
write, O_RDONLY -> -1 EBADF
ioctl -> -1 ENOTTY
mmap -> -1 ENODEV`);
