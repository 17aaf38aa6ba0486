/* posted NODE: reads of events of a device of test/kit/device_io.test.ts that do not succeed, and what is there after. */
#include "kit.h"

#define POST _IOW(0xc0, 1, __u32)

static int fd;

static void post(__u32 number) { ioctl(fd, POST, &number); }

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    fd = open(argv[1], O_RDWR);
    char *constant = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __u32 numbers[4];
    post(1), post(2);
    T("no memory", read(fd, (void *)8, 4));
    T("constant", read(fd, constant, 8));
    SAY("poll 0x%x", ready(fd, POLLIN | POLLOUT, 0));
    T("read", read(fd, numbers, sizeof numbers));
    SAY("%u %u", numbers[0], numbers[1]);
    SAY("poll 0x%x", ready(fd, POLLIN | POLLOUT, 0));
    pid_t child = fork();
    if (!child) {
        usleep(50000);
        post(3);
        _exit(0);
    }
    T("after a wait", read(fd, constant, 4));
    waitpid(child, NULL, 0);
    T("read", read(fd, numbers, sizeof numbers));
    SAY("%u", numbers[0]);
    return 0;
}
