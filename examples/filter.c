/*
 * The demo's filter in C: contours in ink over pale water colours. It takes the place of the Node
 * program, and makes the same pixels:
 *
 *     cc -O2 -o filter examples/filter.c
 *     dmabuf-shim demo --filter ./filter
 *
 * Nothing in it knows of dmabuf-shim. Descriptor 3 is the camera's socket, 4 the display's; what goes
 * over them is described in README.md. Exit status 3: the camera or the display has gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CAMERA = 3, DISPLAY = 4 };
enum { BUFFER = 1, FRAME = 2, RELEASE = 3, END = 4 };
enum { MOST_BUFFERS = 32, MOST_DESCRIPTORS = 2 };
enum { GRAIN = 24 }; /* slopes up to here are the paper's and the photo's grain */

struct message {
    uint32_t type, buffer, frame, width, height;
};

struct frame_buffer {
    int fd;
    uint32_t *pixels;
};

/* The camera's buffer and ours of the same number. */
struct pair {
    struct frame_buffer input, output;
    int width, height;
    uint8_t *brightness;
};

static void die(const char *what) {
    int gone = errno == EPIPE || errno == ECONNRESET;
    perror(what);
    exit(gone ? 3 : 1);
}

/* Sends `count` descriptors along. */
static void send_message(int socket, struct message message, const int *fds, int count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int[MOST_DESCRIPTORS]))];
        struct cmsghdr header;
    } control = {{0}};
    struct iovec data = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    if (sendmsg(socket, &header, MSG_NOSIGNAL) < 0) die("sendmsg");
}

/* The next message, and in *fd the descriptor that came with it, or -1. */
static struct message receive_message(int socket, int *fd) {
    struct message message = {0};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control;
    struct iovec data = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &data,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (length < 0) die("recvmsg");
    if (length == 0) {
        fprintf(stderr, "the other end of the connection is gone\n");
        exit(3);
    }
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    *fd = -1;
    if (first && first->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(first), sizeof *fd);
    return message;
}

static struct frame_buffer map(int fd, size_t length) {
    void *pixels = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pixels == MAP_FAILED) die("mmap");
    return (struct frame_buffer){fd, pixels};
}

static struct frame_buffer allocate(int heap, size_t length, uint32_t number) {
    struct dma_heap_allocation_data data = {.len = length, .fd_flags = O_RDWR | O_CLOEXEC};
    if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data)) die("DMA_HEAP_IOCTL_ALLOC");
    char name[DMA_BUF_NAME_LEN];
    snprintf(name, sizeof name, "filter-%u", number);
    if (ioctl(data.fd, DMA_BUF_SET_NAME_B, name)) die("DMA_BUF_SET_NAME");
    return map(data.fd, length);
}

static void sync_access(int fd, uint64_t flags) {
    struct dma_buf_sync sync = {flags};
    if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync)) die("DMA_BUF_IOCTL_SYNC");
}

/* A colour as pale paint, less the ink over it. */
static uint32_t paint(int colour, int ink) {
    int value = 96 + (colour * 5 >> 3) - ink;
    return value > 0 ? value : 0;
}

static void draw(const struct pair *pair) {
    const uint32_t *input = pair->input.pixels;
    uint8_t *brightness = pair->brightness;
    int width = pair->width, height = pair->height;
    for (int i = 0; i < width * height; i++) {
        uint32_t pixel = input[i];
        brightness[i] =
            (77 * (pixel & 0xff) + 150 * (pixel >> 8 & 0xff) + 29 * (pixel >> 16 & 0xff)) >> 8;
    }
    for (int y = 0; y < height; y++) {
        const uint8_t *here = brightness + y * width;
        const uint8_t *above = y > 0 ? here - width : here;
        const uint8_t *below = y < height - 1 ? here + width : here;
        for (int x = 0; x < width; x++) {
            int left = x > 0 ? x - 1 : x, right = x < width - 1 ? x + 1 : x;
            /* Sobel's operator */
            int across = above[right] + 2 * here[right] + below[right] -
                         (above[left] + 2 * here[left] + below[left]);
            int down = below[left] + 2 * below[x] + below[right] -
                       (above[left] + 2 * above[x] + above[right]);
            int ink = (abs(across) + abs(down) - GRAIN) * 3 >> 2;
            if (ink < 0) ink = 0;
            uint32_t pixel = input[y * width + x];
            pair->output.pixels[y * width + x] =
                paint(pixel & 0xff, ink) | paint(pixel >> 8 & 0xff, ink) << 8 |
                paint(pixel >> 16 & 0xff, ink) << 16 | 0xff000000;
        }
    }
}

static void release(struct pair *pair) {
    size_t length = (size_t)pair->width * pair->height * sizeof(uint32_t);
    munmap(pair->input.pixels, length);
    munmap(pair->output.pixels, length);
    close(pair->input.fd);
    close(pair->output.fd);
    free(pair->brightness);
}

static void filter(const struct pair *pair) {
    sync_access(pair->input.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
    sync_access(pair->output.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
    draw(pair);
    sync_access(pair->output.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
    sync_access(pair->input.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

int main(void) {
    static struct pair pairs[MOST_BUFFERS];
    int heap = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);
    if (heap < 0) die("/dev/dma_heap/system");

    struct pollfd sockets[] = {{.fd = CAMERA, .events = POLLIN}, {.fd = DISPLAY, .events = POLLIN}};
    for (;;) {
        int fd;
        if (poll(sockets, 2, -1) < 0) {
            if (errno == EINTR) continue;
            die("poll");
        }
        if (sockets[1].revents) {
            struct message message = receive_message(DISPLAY, &fd);
            if (message.type == END) break;
            send_message(CAMERA, (struct message){RELEASE, .buffer = message.buffer}, NULL, 0);
        }
        if (sockets[0].revents) {
            struct message message = receive_message(CAMERA, &fd);
            if (message.buffer >= MOST_BUFFERS) return fprintf(stderr, "too many buffers\n"), 1;
            struct pair *pair = &pairs[message.buffer];
            if (message.type == BUFFER) {
                size_t length = (size_t)message.width * message.height * sizeof(uint32_t);
                pair->input = map(fd, length);
                pair->output = allocate(heap, length, message.buffer);
                pair->width = message.width;
                pair->height = message.height;
                pair->brightness = malloc(length / sizeof(uint32_t));
                if (!pair->brightness) die("malloc");
                send_message(DISPLAY, message, (int[]){fd, pair->output.fd}, 2);
            } else if (message.type == FRAME) {
                filter(pair);
                send_message(DISPLAY, message, NULL, 0);
            } else if (message.type == END) {
                send_message(DISPLAY, message, NULL, 0);
                sockets[0].fd = -1; /* the camera closes its end now */
            }
        }
    }
    for (int i = 0; i < MOST_BUFFERS; i++) {
        if (pairs[i].brightness) release(&pairs[i]);
    }
    close(heap);
    return 0;
}
