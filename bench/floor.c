/*
 * The floor of supervised ioctls: answered by a supervisor in C that makes the system calls which it
 * takes, and does nothing else. Prints the nanoseconds that the program sees a round take.
 *
 * floor sync N     DMA_BUF_IOCTL_SYNC: the descriptor looked up in /proc, the argument copied in
 * floor alloc N    DMA_HEAP_IOCTL_ALLOC and close: a sealed memfd, watched by inotify until it is gone
 * floor poll N     poll of 20 descriptors: the array copied in, and the call let go on
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
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

static int fd;

static void sync_buffer(void)
{
	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

static void allocate(void)
{
	struct dma_heap_allocation_data data = { .len = 4096, .fd_flags = O_RDWR | O_CLOEXEC };
	if (ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data) || close(data.fd)) _exit(1);
}

#define POLLED 20
static struct pollfd polled[POLLED];

static void poll_all(void)
{
	if (poll(polled, POLLED, 0)) _exit(1);
}

static void program(void (*round)(void), unsigned request, int n, int out)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	if (round == poll_all) {
		filter[1].k = SYS_poll;
		filter[2] = filter[4];
		for (int i = 0; i < POLLED; i++) polled[i] = (struct pollfd){ eventfd(0, 0), POLLIN, 0 };
	}
	struct sock_fprog prog = { sizeof filter / sizeof *filter, filter };
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	fd = syscall(SYS_memfd_create, "floor", 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (write(out, &listener, sizeof listener) < 0) _exit(1);
	for (int i = 0; i < WARM_UP; i++) round();
	double start = now();
	for (int i = 0; i < n; i++) round();
	printf("%.0f\n", (now() - start) / n);
	fflush(stdout);
	_exit(0);
}

static bool copy(typeof(process_vm_readv) call, struct seccomp_notif *notif, void *data, size_t size)
{
	struct iovec local = { data, size }, remote = { (void *)notif->data.args[2], size };
	return call(notif->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool serve_sync(int listener, struct seccomp_notif *notif)
{
	struct dma_buf_sync sync;
	return copy(process_vm_readv, notif, &sync, sizeof sync);
}

static int inotify;

static bool serve_alloc(int listener, struct seccomp_notif *notif)
{
	struct dma_heap_allocation_data data;
	struct stat st;
	char path[64];
	if (!copy(process_vm_readv, notif, &data, sizeof data)) return false;
	int memfd = syscall(SYS_memfd_create, "floor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(memfd, data.len)) return false;
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)) return false;
	if (fstat(memfd, &st)) return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
	if (inotify_add_watch(inotify, path, IN_MOVE_SELF) < 0) return false;
	struct seccomp_notif_addfd addfd = { .id = notif->id, .srcfd = memfd, .newfd_flags = O_CLOEXEC };
	data.fd = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd);
	close(memfd);
	return copy(process_vm_writev, notif, &data, sizeof data);
}

int main(int argc, char **argv)
{
	bool alloc = argc > 1 && !strcmp(argv[1], "alloc"), polls = argc > 1 && !strcmp(argv[1], "poll");
	int n = argc > 2 ? atoi(argv[2]) : 20000, fds[2], number;
	if (pipe(fds)) return 1;
	pid_t child = fork();
	if (!child) program(polls ? poll_all : alloc ? allocate : sync_buffer,
			    alloc ? DMA_HEAP_IOCTL_ALLOC : DMA_BUF_IOCTL_SYNC, n, fds[1]);
	if (read(fds[0], &number, sizeof number) != sizeof number || number < 0) return 1;
	int listener = listener_of(child, number), epoll = epoll_create1(0);
	struct epoll_event events[2] = { { EPOLLIN, { .fd = listener } }, { EPOLLIN } };
	ioctl(listener, SET_FLAGS, SYNC_WAKE_UP); /* Linux 6.6; slower without */
	events[1].data.fd = inotify = inotify_init1(IN_NONBLOCK);
	for (int i = 0; i < 2; i++) epoll_ctl(epoll, EPOLL_CTL_ADD, events[i].data.fd, &events[i]);
	for (int i = 0; i < n + WARM_UP;) {
		struct seccomp_notif notif = { 0 };
		struct seccomp_notif_resp response = { 0 };
		struct stat st;
		char path[64], gone[4096];
		if (alloc) { /* there are two things to wait for */
			int count = epoll_wait(epoll, events, 2, -1), calls = 0;
			for (int k = 0; k < count; k++) {
				if (events[k].data.fd == listener) calls++;
				else if (read(inotify, gone, sizeof gone) < 0) return 1;
			}
			if (!calls) continue;
		}
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif)) return 1;
		if (polls) {
			struct pollfd array[POLLED];
			struct iovec local = { array, sizeof array }, remote = { (void *)notif.data.args[0], sizeof array };
			if (process_vm_readv(notif.pid, &local, 1, &remote, 1, 0) != sizeof array) return 1;
			response.id = notif.id;
			response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
			if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)) return 1;
			i++;
			continue;
		}
		snprintf(path, sizeof path, "/proc/%d/fd/%d", notif.pid, (int)notif.data.args[0]);
		if (stat(path, &st)) return 1;
		if (!(alloc ? serve_alloc : serve_sync)(listener, &notif)) return 1;
		response.id = notif.id;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)) return 1;
		i++;
	}
	waitpid(child, NULL, 0);
	return 0;
}
