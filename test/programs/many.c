/*
 * many WHAT COUNT: poll(2) of COUNT entries and of a buffer with a fence, until that is signalled. WHAT: the same pipe in
 * every entry, or a duplicate of it in each, or a pipe of its own in each.
 */
#include "fences.h"
#include <sys/resource.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int count = atoi(argv[2]), one[2], tl = timeline("many");
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct pollfd *fds = calloc(count + 1, sizeof *fds);
    if (pipe(one)) return 1;
    for (int i = 0; i < count; i++) {
        int each[2] = {one[0]};
        if (!strcmp(argv[1], "duplicates")) each[0] = dup(one[0]);
        else if (!strcmp(argv[1], "others") && pipe(each)) return 1;
        fds[i] = (struct pollfd){each[0], POLLIN, 0};
        if (each[0] < 0) return 1;
    }
    int buffer = heap_buf(4096, O_RDWR);
    fds[count] = (struct pollfd){buffer, POLLOUT, 0};
    if (import(buffer, WR, fence(tl, 1))) return 1;
    SAY("nothing: %d", poll(fds, count + 1, 30));
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        usleep(100000);
        inc(tl, 1);
        _exit(0);
    }
    int ready = poll(fds, count + 1, -1);
    SAY("the buffer: %d 0x%x", ready, (unsigned)fds[count].revents);
    waitpid(child, NULL, 0);
    if (import(buffer, WR, fence(tl, 2))) return 1;
    child = fork();
    if (!child) {
        usleep(100000);
        if (write(one[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    if (!strcmp(argv[1], "others")) fds[0].fd = one[0];
    ready = poll(fds, count + 1, -1);
    SAY("the pipe: %d 0x%x", ready, (unsigned)fds[0].revents);
    waitpid(child, NULL, 0);
    close(one[1]);
    fds[0].fd = 99999;
    SAY("one that is closed: 0x%x", (poll(fds, count + 1, 0), (unsigned)fds[0].revents));
    return 0;
}
