/*
 * served FOLDER: serves a file system there (FUSE), as sshfs and its like do: for each request it looks at a file of
 * its own. A client in another process looks around in it.
 */
#include "kit.h"
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/wait.h>

static int fuse;

struct reply {
    struct fuse_out_header header;
    union {
        struct fuse_init_out init;
        struct fuse_entry_out entry;
        struct fuse_attr_out attr;
        struct fuse_open_out open;
    } body;
};

static void fill(struct fuse_attr *attr, uint64_t node) {
    attr->ino = node;
    attr->mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr->nlink = 1;
}

static void *serve(void *unused) {
    static char request[1 << 17];
    (void)unused;
    while (read(fuse, request, sizeof request) > 0) {
        const struct fuse_in_header *in = (void *)request;
        struct reply reply = {.header.unique = in->unique};
        size_t length = sizeof reply.header;
        struct stat own;
        stat("/etc/passwd", &own);
        switch (in->opcode) {
        case FUSE_INIT:
            reply.body.init = (struct fuse_init_out){.major = 7, .minor = 31, .max_write = 4096};
            length += sizeof reply.body.init;
            break;
        case FUSE_LOOKUP:
            reply.body.entry.nodeid = 2;
            fill(&reply.body.entry.attr, 2);
            length += sizeof reply.body.entry;
            break;
        case FUSE_GETATTR:
            fill(&reply.body.attr.attr, in->nodeid);
            length += sizeof reply.body.attr;
            break;
        case FUSE_OPEN:
            length += sizeof reply.body.open;
            break;
        case FUSE_FORGET:
            continue;
        default:
            reply.header.error = -ENOSYS;
        }
        reply.header.len = (uint32_t)length;
        if (write(fuse, &reply, length) < 0) break;
    }
    return NULL;
}

static void say(const char *what, int result) { printf("%s: %s\n", what, result < 0 ? err(errno) : "done"); }

static void look(const char *folder) {
    char path[4096], link[64];
    struct stat st;
    close(fuse);
    snprintf(path, sizeof path, "%s/file", folder);
    say("stat", stat(path, &st));
    say("access", access(path, R_OK));
    int fd = open(path, O_RDONLY);
    say("open", fd);
    say("fstat", fstat(fd, &st));
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    say("stat of the descriptor", stat(link, &st));
    say("lseek", (int)lseek(fd, 0, SEEK_SET));
    say("chdir", chdir(folder));
    say("stat in it", stat("file", &st));
    say("a node from there", stat("../../../../../../dev/udmabuf", &st));
    say("the same by a detour", stat("/dev/dma_heap/../udmabuf", &st));
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv) {
    char options[128];
    pthread_t thread;
    if (argc < 2 || (fuse = open("/dev/fuse", O_RDWR)) < 0) return 2;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions", fuse);
    if (mount("served", argv[1], "fuse", 0, options)) return 2;
    pid_t client = fork();
    if (client == 0) look(argv[1]);
    pthread_create(&thread, NULL, serve, NULL);
    /* Whoever waits for whom: not for ever. */
    for (int i = 0; i < 3000 && waitpid(client, NULL, WNOHANG) == 0; i++) usleep(10000);
    kill(client, SIGKILL);
    umount2(argv[1], MNT_DETACH);
    return 0;
}
