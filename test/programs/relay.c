/* relay: a child makes a buffer and passes it on through SCM_RIGHTS; it is gone when the parent uses it. */
#include "kit.h"

int main(void) {
    int ends[2], status;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends)) return 1;
    pid_t giver = fork();
    if (giver == 0) {
        int fd = heap_buf(4 * PAGE, O_RDWR | O_CLOEXEC);
        char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) _exit(2);
        strcpy(at + PAGE, "what the giver wrote");
        _exit(send_fd(ends[1], fd) == 1 ? 0 : 3);
    }
    if (waitpid(giver, &status, 0) != giver || status) return 4;
    int fd = recv_fd(ends[0]);
    struct dma_buf_sync start = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
    struct dma_buf_sync end = {DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ};
    if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &start)) return 5;
    char *at = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return 6;
    printf("the receiver reads %s\n", at + PAGE);
    return ioctl(fd, DMA_BUF_IOCTL_SYNC, &end) ? 7 : 0;
}
