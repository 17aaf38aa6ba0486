/*
 * calls [-i | -r] WHAT LETTERS...: makes the calls that the letters say, each on WHAT: "buffer", or the path of a
 * file. Prints a line for each: its letter, what came of it, and after how many milliseconds.
 * -i: a signal comes every 20 ms, and is handled; -r: with SA_RESTART.
 */
#include "fences.h"
#include <sys/epoll.h>
#include <sys/time.h>

static const char *what;
static int fd = -1, device = -1, other;
static struct dma_heap_allocation_data data;

static void on_signal(int signal) { (void)signal; }

/* The descriptor is of no further use: 0, or its number if there is none. */
static long closed(long n) { return n < 0 ? -1 : close(n); }

static long make(char letter) {
    struct epoll_event event = {.events = EPOLLIN};
    struct pollfd p = {fd, POLLIN, 0};
    struct stat st;
    char byte;
    int ep, e;
    long r;
    void *at;
    switch (letter) {
    case 'a': /* allocates */
        data = (struct dma_heap_allocation_data){.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC};
        return ioctl(device, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : data.fd ? close(data.fd) : 1000;
    case 'o': return closed(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC));
    case 'O': return closed(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    case 's': return lseek(fd, 0, SEEK_END);
    case 'S': return lseek(other, 0, SEEK_SET);
    case 'y': return bufsync(fd, R);
    case 'n': return ioctl(fd, DMA_BUF_SET_NAME, "calls");
    case 'p': return poll(&p, 1, 0);
    case 'P': return poll(&(struct pollfd){other, POLLIN, 0}, 1, 0);
    case 'f': return fstat(fd, &st);
    case 't': return stat("/dev/dma_heap/system", &st);
    case 'T': return stat("/etc/passwd", &st);
    case 'i': return ioctl(fd, _IO('x', 1), 0);
    case 'r': return read(fd, &byte, 1);
    case 'R': return read(other, &byte, 1);
    case 'm':
        at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return at == MAP_FAILED ? -1 : munmap(at, PAGE);
    case 'e':
        ep = epoll_create1(EPOLL_CLOEXEC);
        r = epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), e = errno;
        close(ep);
        errno = e;
        return r;
    }
    return -2;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int flag = argv[1][0] == '-' ? argv[1][1] : 0;
    if (flag) argv++;
    what = argv[1];
    other = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (!strcmp(what, "buffer")) {
        device = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);
        data = (struct dma_heap_allocation_data){.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC};
        if (ioctl(device, DMA_HEAP_IOCTL_ALLOC, &data)) return perror("no buffer"), 1;
        fd = data.fd;
    } else {
        fd = open(what, O_RDWR | O_CLOEXEC);
    }
    int before = open_fds();
    if (flag) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = flag == 'r' ? SA_RESTART : 0};
        struct itimerval every = {{0, 20000}, {0, 20000}};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (char **word = argv + 2; *word; word++) {
        for (char *letter = *word; *letter; letter++) {
            long start = now(), r = make(*letter);
            int e = errno;
            if (r < 0) printf("%c %s %ld\n", *letter, err(e), now() - start);
            else printf("%c %ld %ld\n", *letter, r, now() - start);
        }
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    if (open_fds() != before) printf("%d descriptors more\n", open_fds() - before);
    return 0;
}
