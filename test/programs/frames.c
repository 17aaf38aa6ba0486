/* A client of examples/frames.ts: when are frames free to go? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096l
struct frames_allocate { unsigned count, size; };
#define FRAMES_ALLOCATE _IOW('F', 1, struct frames_allocate)
#define FRAMES_FREE _IO('F', 2)

static int fd;
static void free_them(const char *when)
{
	printf("%s: %s\n", when, ioctl(fd, FRAMES_FREE) ? strerrorname_np(errno) : "free");
	fflush(stdout);
}
int main(void)
{
	struct frames_allocate two = { 2, 4 * PAGE };
	int go[2];
	fd = open("/dev/frames", O_RDWR);
	if (fd < 0 || ioctl(fd, FRAMES_ALLOCATE, &two) || pipe(go)) return 1;
	char *p = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * PAGE);
	if (p == MAP_FAILED) return 2;
	free_them("mapped");
	munmap(p + PAGE, PAGE);
	free_them("in two parts");
	munmap(p, PAGE);
	p = mremap(p + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	if (p == MAP_FAILED) return 3;
	free_them("one part, moved");
	if (!fork()) {
		char c;
		close(go[1]);
		read(go[0], &c, 1);
		_exit(p[PAGE]);
	}
	p[PAGE] = 7;
	munmap(p, 2 * PAGE);
	free_them("only in a child");
	close(go[1]);
	int status;
	wait(&status);
	printf("the child read %d\n", WEXITSTATUS(status));
	free_them("the child has ended");
	printf("mmap: %s\n", mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? strerrorname_np(errno) : "ok");
	return 0;
}
