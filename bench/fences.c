/*
 * What supervised programs do with fences in the benchmarks. Prints nanoseconds.
 *
 * fences wake N            from INC to the return of another process's poll of the sync_file (median)
 * fences eventfd N         the same with an eventfd, written after one DMA_BUF_IOCTL_SYNC
 * fences inc N PENDING     SW_SYNC_IOC_INC with PENDING fences that it does not reach
 * fences create N LIVE     create a fence on a timeline that has LIVE others
 * fences merge N           merge N fences of different timelines, one after the other: all of it
 * fences waiters N KIND    from INC until N processes that wait have said so; KIND 0 sync_file, 1 buffer
 * fences parked N KIND     what the supervisor's processor time of ten seconds is while N wait; KIND 0 processes, 1 threads
 */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct sw_sync_create_fence_data { uint32_t value; char name[32]; int32_t fence; };
#define SW_SYNC_IOC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence_data)
#define SW_SYNC_IOC_INC _IOW('W', 1, uint32_t)
#ifndef DMA_BUF_IOCTL_IMPORT_SYNC_FILE
struct dma_buf_import_sync_file { uint32_t flags; int32_t fd; };
#define DMA_BUF_IOCTL_IMPORT_SYNC_FILE _IOW('b', 3, struct dma_buf_import_sync_file)
#endif
#define NEVER 1000000000u

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
static int need(int result, const char *what)
{
	if (result >= 0) return result;
	perror(what);
	exit(1);
}
static int timeline(void)
{
	return need(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC), "sw_sync");
}
static int fence(int tl, uint32_t value)
{
	struct sw_sync_create_fence_data data = { .value = value };
	need(ioctl(tl, SW_SYNC_IOC_CREATE_FENCE, &data), "CREATE_FENCE");
	return data.fence;
}
static void inc(int tl)
{
	uint32_t one = 1;
	need(ioctl(tl, SW_SYNC_IOC_INC, &one), "INC");
}
static int merge(int a, int b)
{
	struct sync_merge_data data = { .name = "merged", .fd2 = b };
	need(ioctl(a, SYNC_IOC_MERGE, &data), "MERGE");
	return data.fence;
}
static int allocate(void)
{
	struct dma_heap_allocation_data data = { .len = 4096, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = need(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC), "heap");
	need(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data), "ALLOC");
	close(heap);
	return data.fd;
}
static void wait_in(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	need(poll(&p, 1, -1), "poll");
}
static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}
static void bench_wake(int n, int with_fence)
{
	int ready[2], tl = timeline(), event = eventfd(0, 0), buffer = allocate(), status;
	volatile double *woken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *took = calloc(n, sizeof *took);
	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	uint64_t one = 1;
	if (pipe(ready)) exit(1);
	pid_t waiter = fork();
	if (!waiter) {
		for (int i = 0; i < n; i++) {
			int fd = with_fence ? fence(tl, i + 1) : event;
			if (write(ready[1], "r", 1) != 1) _exit(1);
			wait_in(fd);
			*woken = now();
			if (with_fence) close(fd);
			else if (read(event, &one, sizeof one) != sizeof one) _exit(1);
			if (write(ready[1], "w", 1) != 1) _exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < n; i++) {
		char c;
		if (read(ready[0], &c, 1) != 1) exit(1);
		usleep(300); /* It waits by then. */
		double start = now();
		if (with_fence) inc(tl);
		else if (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync) || write(event, &one, sizeof one) < 0) exit(1);
		if (read(ready[0], &c, 1) != 1) exit(1);
		took[i] = *woken - start;
	}
	waitpid(waiter, &status, 0);
	qsort(took, n, sizeof *took, ascending);
	printf("%.0f\n", took[n / 2]);
}
static void bench_inc(int n, int pending)
{
	int tl = timeline();
	for (int i = 0; i < pending; i++) fence(tl, NEVER + i);
	for (int i = 0; i < 1000; i++) inc(tl);
	double start = now();
	for (int i = 0; i < n; i++) inc(tl);
	printf("%.0f\n", (now() - start) / n);
}
static void bench_create(int n, int live)
{
	int tl = timeline();
	for (int i = 0; i < live; i++) fence(tl, i + 1);
	double start = now();
	for (int i = 0; i < n; i++) fence(tl, live + i + 1);
	printf("%.0f\n", (now() - start) / n);
}
static void bench_merge(int n)
{
	int *fences = calloc(n, sizeof *fences);
	for (int i = 0; i < n; i++) fences[i] = fence(timeline(), 1);
	double start = now();
	int merged = fences[0];
	for (int i = 1; i < n; i++) {
		int next = merge(merged, fences[i]);
		close(merged);
		merged = next;
	}
	printf("%.0f\n", now() - start);
}
static void bench_waiters(int n, int buffers)
{
	int tl = timeline(), f = fence(tl, 1), fd = f, said[2];
	char c;
	if (pipe(said)) exit(1);
	if (buffers) {
		struct dma_buf_import_sync_file data = { DMA_BUF_SYNC_WRITE, f };
		fd = allocate();
		need(ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &data), "IMPORT");
	}
	for (int i = 0; i < n; i++) {
		if (fork()) continue;
		if (write(said[1], "r", 1) != 1) _exit(1);
		wait_in(fd);
		_exit(write(said[1], "w", 1) != 1);
	}
	for (int i = 0; i < n; i++) if (read(said[0], &c, 1) != 1) exit(1);
	usleep(100000); /* They wait by then. */
	double start = now();
	inc(tl);
	for (int i = 0; i < n; i++) if (read(said[0], &c, 1) != 1) exit(1);
	printf("%.0f\n", now() - start);
	while (wait(NULL) > 0);
}
/* Nanoseconds that our parent, the supervisor, has computed. */
static double computed(void)
{
	char path[64], line[1024], *behind;
	unsigned long user, system;
	snprintf(path, sizeof path, "/proc/%d/stat", getppid());
	FILE *file = fopen(path, "r");
	if (!file || !fgets(line, sizeof line, file) || !(behind = strrchr(line, ')'))) exit(1);
	fclose(file);
	if (sscanf(behind + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) exit(1);
	return (user + system) * 1e9 / sysconf(_SC_CLK_TCK);
}
static void *wait_for_ever(void *fd)
{
	wait_in(*(int *)fd);
	return NULL;
}
static void bench_parked(int n, int threads)
{
	struct dma_buf_import_sync_file data = { DMA_BUF_SYNC_WRITE, fence(timeline(), 1) };
	int buffer = allocate();
	pthread_t thread;
	pid_t *children = calloc(n, sizeof *children);
	need(ioctl(buffer, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &data), "IMPORT");
	for (int i = 0; i < n; i++) {
		if (threads) need(-pthread_create(&thread, NULL, wait_for_ever, &buffer), "pthread_create");
		else if (!(children[i] = fork())) _exit(wait_for_ever(&buffer) != NULL);
	}
	sleep(1); /* They wait by then. */
	double before = computed();
	sleep(10);
	printf("%.0f\n", computed() - before);
	for (int i = 0; i < n && !threads; i++) kill(children[i], SIGKILL);
	fflush(stdout);
	_exit(0);
}
int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1000, more = argc > 3 ? atoi(argv[3]) : 0;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(what, "wake")) bench_wake(n, 1);
	else if (!strcmp(what, "eventfd")) bench_wake(n, 0);
	else if (!strcmp(what, "inc")) bench_inc(n, more);
	else if (!strcmp(what, "create")) bench_create(n, more);
	else if (!strcmp(what, "merge")) bench_merge(n);
	else if (!strcmp(what, "waiters")) bench_waiters(n, more);
	else if (!strcmp(what, "parked")) bench_parked(n, more);
	else return 2;
	return 0;
}
