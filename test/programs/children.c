/* children COUNT: that many children, all alive at once, each with a buffer of its own. */
#include "kit.h"

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1, ready[2], go[2], failed = 0, status;
    if (pipe(ready) || pipe(go)) return 1;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) return 1;
        if (child > 0) continue;
        close(go[1]);
        int fd = i % 2 ? udmabuf_buf(PAGE) : heap_buf(PAGE, O_RDWR);
        int *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) _exit(1);
        *at = i;
        char byte = 'x';
        if (write(ready[1], &byte, 1) != 1) _exit(2);
        /* All at once, when the parent closes its end. */
        if (read(go[0], &byte, 1) != 0) _exit(3);
        _exit(*at == i && lseek(fd, 0, SEEK_END) == PAGE ? 0 : 4);
    }
    close(ready[1]);
    char byte;
    for (int i = 0; i < count && read(ready[0], &byte, 1) == 1; i++);
    puts("ready");
    fflush(stdout);
    if (read(STDIN_FILENO, &byte, 1) < 0) return 1;
    close(go[1]);
    while (wait(&status) > 0) failed += status != 0;
    printf("%d failed\n", failed);
    return failed != 0;
}
