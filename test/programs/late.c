/* late: a fence that is never signalled, and is gone with its program after two seconds. */
#include "kit.h"

int main(void) {
    struct {
        uint32_t value;
        char name[32];
        int32_t fence;
    } fence = {.value = 1, .name = "late"};
    int timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR);
    if (ioctl(timeline, _IOWR('W', 0, fence), &fence)) return 1;
    sleep(2);
    close(fence.fence);
    close(timeline);
    return 0;
}
