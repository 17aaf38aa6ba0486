/* ioctl REQUEST COUNT: an ioctl on descriptor 0 with 8 bytes; prints the last answer and ns a call. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    unsigned long request = strtoul(argv[1], NULL, 0), argument = 41;
    long count = atol(argv[2]);
    int result = 0;
    double start = now();
    for (long i = 0; i < count; i++) result = ioctl(0, request, &argument);
    double ns = (now() - start) / count;
    printf("%d %d %lu %.0f\n", result, result < 0 ? errno : 0, argument, ns);
    return 0;
}
