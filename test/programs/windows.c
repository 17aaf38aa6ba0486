/*
 * windows: a udmabuf of windows into two memfds, mapped at every offset and length, shared and alive in
 * both directions. Prints what is not so.
 */
#include "kit.h"
#include <assert.h>

enum { PAGES = 8 };
struct window {
    int memfd, page, pages;
};
static int memfds[2], failures;
static volatile char *originals[2];

static void check(int fine, const char *what, int a, int b) {
    if (fine) return;
    printf("%s (%d, %d): %s\n", what, a, b, strerror(errno));
    failures++;
}

static int create(const struct window *windows, int count) {
    struct udmabuf_create_list *list = calloc(1, sizeof *list + (size_t)count * sizeof *list->list);
    list->flags = UDMABUF_FLAGS_CLOEXEC;
    list->count = (uint32_t)count;
    for (int i = 0; i < count; i++) {
        list->list[i].memfd = (uint32_t)memfds[windows[i].memfd];
        list->list[i].offset = (uint64_t)(windows[i].page * PAGE);
        list->list[i].size = (uint64_t)(windows[i].pages * PAGE);
    }
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    int fd = ioctl(device, UDMABUF_CREATE_LIST, list);
    close(device);
    free(list);
    return fd;
}

/* The byte of a memfd that page `page` of the buffer shows. */
static volatile char *shown(const struct window *windows, int page) {
    while (page >= windows->pages) page -= windows++->pages;
    return originals[windows->memfd] + (windows->page + page) * PAGE;
}

static void compare(const struct window *windows, volatile char *at, int first, int pages) {
    for (int page = 0; page < pages; page++) {
        volatile char *original = shown(windows, first + page);
        *original = (char)(first + page + 1);
        check(at[page * PAGE] == first + page + 1, "written to the memfd", first, page);
        at[page * PAGE + 1] = (char)(first + page + 65);
        check(original[1] == first + page + 65, "written to the buffer", first, page);
    }
}

static void every_part(const struct window *windows, int count) {
    int total = 0, fd = create(windows, count);
    for (int i = 0; i < count; i++) total += windows[i].pages;
    check(lseek(fd, 0, SEEK_END) == total * PAGE, "size", total, count);
    for (int first = 0; first < total; first++)
        for (int pages = 1; first + pages <= total; pages++) {
            volatile char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, first * PAGE);
            check(at != MAP_FAILED, "mmap", first, pages);
            if (at == MAP_FAILED) continue;
            compare(windows, at, first, pages);
            munmap((void *)at, pages * PAGE);
        }
    void *beyond = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, (total - 1) * PAGE);
    check(beyond == MAP_FAILED && errno == EINVAL, "beyond the end", total, count);

    /* At an address of one's own, in the middle of something else, which stays. */
    char *area = mmap(NULL, (total + 2) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    area[0] = area[(total + 1) * PAGE] = 'n';
    volatile char *fixed =
        mmap(area + PAGE, total * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    check(fixed == area + PAGE, "MAP_FIXED", total, count);
    compare(windows, fixed, 0, total);
    check(area[0] == 'n' && area[(total + 1) * PAGE] == 'n', "its neighbours", total, count);
    void *taken = mmap(area, total * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    check(taken == MAP_FAILED && errno == EEXIST, "MAP_FIXED_NOREPLACE", total, count);
    munmap(area, (total + 2) * PAGE);

    /* Length that is no whole page, and memory that may only be read. */
    char *part = mmap(NULL, (total - 1) * PAGE + 1, PROT_READ, MAP_SHARED, fd, 0);
    check(part != MAP_FAILED && part[(total - 1) * PAGE] == *shown(windows, total - 1), "a part", total, count);
    check(mprotect(part, total * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect", total, count);
    munmap(part, total * PAGE);
    close(fd);
}

int main(void) {
    static const struct window one[] = {{0, 0, PAGES}}, middle[] = {{0, 3, 4}};
    static const struct window scattered[] = {{0, 5, 1}, {1, 0, 2}, {0, 1, 3}, {1, 7, 1}};
    static const struct window twice[] = {{1, 2, 2}, {1, 4, 2}, {1, 0, 1}};
    int before = open_fds() + 2;
    for (int i = 0; i < 2; i++) {
        memfds[i] = sealed_memfd(PAGES * PAGE, F_SEAL_SHRINK);
        originals[i] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfds[i], 0);
    }
    every_part(one, 1);
    every_part(middle, 1);
    every_part(scattered, 4);
    every_part(twice, 3);
    check(open_fds() == before, "descriptors", open_fds(), before);
    if (!failures) puts("all windows are alive");
    return failures != 0;
}
