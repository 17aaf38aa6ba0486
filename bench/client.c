/*
 * What a supervised program does in the benchmarks. Prints nanoseconds a round.
 *
 * client sync N            DMA_BUF_IOCTL_SYNC on one buffer
 * client alloc N LIVE      allocate and close 4 KiB, with LIVE other buffers alive
 * client udmabuf N         map and unmap a udmabuf of 64 KiB
 * client window N          the same by a program that has no descriptor of the memfd
 * client grow N            mremap(2) of 4 KiB to 8 KiB and back, a pair each
 * client device N          an ioctl of the device of bench/device.mjs
 * client poll N [NODE]      poll of 20 eventfds, with NODE open
 * client polled N NODE     the same, with NODE among them
 * client epoll N [NODE]     epoll_wait of 20 eventfds, and of NODE
 * client read N [NODE]      read a byte of /dev/zero, with NODE open
 * client open N [FILE]     open and close a file, by default one that is not ours
 * client hand N BYTES      hand a frame of BYTES from this process to a child and back
 */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
static int heap;
static int allocate(size_t length)
{
	struct dma_heap_allocation_data data = { .len = length, .fd_flags = O_RDWR | O_CLOEXEC };
	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) {
		perror("DMA_HEAP_IOCTL_ALLOC");
		exit(1);
	}
	return data.fd;
}
static void sync_buffer(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { flags };
	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync)) {
		perror("DMA_BUF_IOCTL_SYNC");
		exit(1);
	}
}
static void bench_sync(int n)
{
	int fd = allocate(4096);
	for (int i = 0; i < 1000; i++) sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	double start = now();
	for (int i = 0; i < n; i++) sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	printf("%.0f\n", (now() - start) / n);
}
static void bench_alloc(int n, int live)
{
	/* Held by their mappings: this process may not have as many descriptors. */
	for (int i = 0; i < live; i++) {
		int fd = allocate(4096);
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) exit(1);
		close(fd);
	}
	for (int i = 0; i < 1000; i++) close(allocate(4096));
	double start = now();
	for (int i = 0; i < n; i++) close(allocate(4096));
	printf("%.0f\n", (now() - start) / n);
}
static void bench_udmabuf(int n, bool has_memfd)
{
	const size_t size = 65536;
	int memfd = memfd_create("bench", MFD_ALLOW_SEALING), device = open("/dev/udmabuf", O_RDWR);
	struct udmabuf_create create = { .memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size };
	if (ftruncate(memfd, size) || fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) exit(1);
	int fd = ioctl(device, UDMABUF_CREATE, &create);
	if (!has_memfd) close(memfd);
	double start = now();
	for (int i = 0; i < n; i++) {
		void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED) exit(1);
		munmap(p, size);
	}
	printf("%.0f\n", (now() - start) / n);
}
static void bench_grow(int n)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p = mremap(p, 8192, 4096, 0);
	double start = now();
	for (int i = 0; i < n; i++) {
		if (mremap(p, 4096, 8192, 0) != p || mremap(p, 8192, 4096, 0) != p) exit(1);
	}
	printf("%.0f\n", (now() - start) / n);
}
struct bench_job {
	int32_t source, target;
	uint32_t flags;
	int32_t fence;
};
static void bench_device(int n)
{
	struct bench_job job = { .source = 3, .target = 4, .flags = 1 };
	int fd = open("/dev/bench", O_RDWR);
	double start = 0;
	for (int i = -1000; i < n; i++) {
		if (i == 0) start = now();
		if (!ioctl(fd, _IOWR(0xb9, 1, struct bench_job), &job)) continue;
		perror("/dev/bench");
		exit(1);
	}
	printf("%.0f\n", (now() - start) / n);
}
static void bench_open(int n, const char *file)
{
	double start = now();
	for (int i = 0; i < n; i++) if (close(open(file, O_RDONLY))) perror(file), exit(1);
	printf("%.0f\n", (now() - start) / n);
}
static int open_node(const char *node)
{
	int fd = node ? open(node, O_RDWR | O_NONBLOCK) : -1;
	if (!node || fd >= 0) return fd;
	perror(node);
	exit(1);
}
#define POLLED 20
static void bench_poll(int n, const char *node, int among)
{
	struct pollfd fds[POLLED + 1];
	int fd = open_node(node);
	double start = 0;
	for (int i = 0; i < POLLED; i++) fds[i] = (struct pollfd){ eventfd(0, 0), POLLIN, 0 };
	fds[POLLED] = (struct pollfd){ fd, POLLIN, 0 };
	for (int i = -1000; i < n; i++) {
		if (i == 0) start = now();
		if (poll(fds, POLLED + among, 0)) exit(1);
	}
	printf("%.0f\n", (now() - start) / n);
}
static void bench_epoll(int n, const char *node)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0), fd = open_node(node);
	for (int i = 0; i < POLLED; i++) epoll_ctl(ep, EPOLL_CTL_ADD, eventfd(0, 0), &e);
	if (node && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) exit(1);
	double start = now();
	for (int i = 0; i < n; i++) if (epoll_wait(ep, &e, 1, 0)) exit(1);
	printf("%.0f\n", (now() - start) / n);
}
static void bench_read(int n, const char *node)
{
	char byte;
	int zero = open("/dev/zero", O_RDONLY);
	open_node(node);
	double start = now();
	for (int i = 0; i < n; i++) if (read(zero, &byte, 1) != 1) exit(1);
	printf("%.1f\n", (now() - start) / n);
}
static void send_frame(int socket, int fd)
{
	char byte = 'f', control[CMSG_SPACE(sizeof fd)] = { 0 };
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	if (sendmsg(socket, &m, 0) < 0) exit(1);
}
static int receive_frame(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int fd;
	if (recvmsg(socket, &m, 0) <= 0) return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}
/* The producer writes the frame's first word, the consumer reads it where it is. */
static void bench_hand(int n, size_t bytes)
{
	int pair[2], status, fd = allocate(bytes);
	volatile uint32_t *frame = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset((void *)frame, 1, bytes);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	pid_t child = fork();
	if (!child) {
		close(pair[0]);
		for (int got; (got = receive_frame(pair[1])) >= 0;) {
			volatile uint32_t *seen = mmap(NULL, bytes, PROT_READ, MAP_SHARED, got, 0);
			sync_buffer(got, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
			uint32_t value = *seen;
			sync_buffer(got, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
			munmap((void *)seen, bytes);
			close(got);
			if (write(pair[1], &value, sizeof value) < 0) _exit(1);
		}
		_exit(0);
	}
	close(pair[1]);
	double start = now();
	for (int i = 0; i < n; i++) {
		uint32_t value;
		sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
		*frame = i;
		sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
		send_frame(pair[0], fd);
		if (read(pair[0], &value, sizeof value) != sizeof value || value != (uint32_t)i) exit(1);
	}
	printf("%.0f\n", (now() - start) / n);
	close(pair[0]);
	waitpid(child, &status, 0);
}
int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1000;
	long more = argc > 3 ? atol(argv[3]) : 0;
	const char *node = argc > 3 ? argv[3] : NULL;
	if (!strcmp(what, "poll") || !strcmp(what, "polled")) return bench_poll(n, node, what[4] != 0), 0;
	if (!strcmp(what, "epoll")) return bench_epoll(n, node), 0;
	if (!strcmp(what, "read")) return bench_read(n, node), 0;
	heap = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);
	if (heap < 0 && strcmp(what, "open") && strcmp(what, "grow")) {
		perror("/dev/dma_heap/system");
		return 1;
	}
	if (!strcmp(what, "sync")) bench_sync(n);
	else if (!strcmp(what, "alloc")) bench_alloc(n, more);
	else if (!strcmp(what, "udmabuf")) bench_udmabuf(n, true);
	else if (!strcmp(what, "window")) bench_udmabuf(n, false);
	else if (!strcmp(what, "grow")) bench_grow(n);
	else if (!strcmp(what, "device")) bench_device(n);
	else if (!strcmp(what, "open")) bench_open(n, node ? node : "/etc/passwd");
	else if (!strcmp(what, "hand")) bench_hand(n, more);
	else return 2;
	return 0;
}
