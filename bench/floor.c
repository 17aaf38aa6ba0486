/*
 * The floor of a supervised ioctl: DMA_BUF_IOCTL_SYNC answered by a supervisor in C that looks the
 * descriptor up in /proc and copies the argument in, and does nothing else.
 *
 * floor N: prints the nanoseconds that the program sees a call take.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define SET_FLAGS _IOW('!', 4, uint64_t)
#define SYNC_WAKE_UP 1UL
#define WARM_UP 1000

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* The listener, by its number in the child: pidfd_getfd spares the messages. */
static int listener_of(pid_t child, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	return syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

static void program(int n, int out)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)DMA_BUF_IOCTL_SYNC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof filter / sizeof *filter, filter };
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	int fd = syscall(SYS_memfd_create, "floor", 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (write(out, &listener, sizeof listener) < 0) _exit(1);
	for (int i = 0; i < WARM_UP; i++) ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	double start = now();
	for (int i = 0; i < n; i++) ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	printf("%.0f\n", (now() - start) / n);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 20000, fds[2], number;
	if (pipe(fds)) return 1;
	pid_t child = fork();
	if (!child) program(n, fds[1]);
	if (read(fds[0], &number, sizeof number) != sizeof number || number < 0) return 1;
	int listener = listener_of(child, number);
	ioctl(listener, SET_FLAGS, SYNC_WAKE_UP); /* Linux 6.6; slower without */
	for (int i = 0; i < n + WARM_UP; i++) {
		struct seccomp_notif notif = { 0 };
		struct seccomp_notif_resp response = { 0 };
		struct dma_buf_sync sync;
		struct stat st;
		char path[64];
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif)) return 1;
		snprintf(path, sizeof path, "/proc/%d/fd/%d", notif.pid, (int)notif.data.args[0]);
		if (stat(path, &st)) return 1;
		struct iovec local = { &sync, sizeof sync };
		struct iovec remote = { (void *)notif.data.args[2], sizeof sync };
		if (process_vm_readv(notif.pid, &local, 1, &remote, 1, 0) != sizeof sync) return 1;
		response.id = notif.id;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)) return 1;
	}
	waitpid(child, NULL, 0);
	return 0;
}
