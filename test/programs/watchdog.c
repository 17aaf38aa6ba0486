/* watchdog: what a watchdog, and its files in /sys, answer to each call; the same on Linux's softdog. */
#include "probe.h"
#include <linux/watchdog.h>

#define NODE "/dev/watchdog0"
#define SYS "/sys/class/watchdog/watchdog0/"

static int fd;

static void show(const char *file) {
    char path[128], text[128] = "";
    snprintf(path, sizeof path, SYS "%s", file);
    int f = open(path, O_RDONLY);
    ssize_t n = f < 0 ? -1 : read(f, text, sizeof text - 1);
    if (n < 0) SAY("%s: %s", file, err(errno));
    else SAY("%s: %.*s", file, (int)strcspn(text, "\n"), text);
    close(f);
}

static void number(const char *label, unsigned long request, int in) {
    int value = in;
    long r = ioctl(fd, request, &value);
    if (r == -1) SAY("%s -> -1 %s", label, err(errno));
    else SAY("%s -> %ld, 0x%x", label, r, value);
}

static void pointers(const char *label, unsigned long request) {
    printf("%s: ", label);
    T("NULL", ioctl(fd, request, NULL));
    printf("%s: ", label);
    T("not mapped", ioctl(fd, request, (void *)8));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    show("state"), show("identity"), show("timeout"), show("bootstatus"), show("nowayout");
    fd = T("open", open(NODE, O_WRONLY)) < 0 ? -1 : 3;
    F("open again", open(NODE, O_WRONLY));
    F("open by its other name", open("/dev/watchdog", O_WRONLY));
    show("state");
    struct watchdog_info info = {0};
    T("GETSUPPORT", ioctl(fd, WDIOC_GETSUPPORT, &info));
    SAY("identity %s, version %u", info.identity, info.firmware_version);
    SAY("SETTIMEOUT %d, MAGICCLOSE %d, KEEPALIVEPING %d, others 0x%x", !!(info.options & WDIOF_SETTIMEOUT),
        !!(info.options & WDIOF_MAGICCLOSE), !!(info.options & WDIOF_KEEPALIVEPING),
        info.options & ~(WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING | WDIOF_PRETIMEOUT));
    number("GETSTATUS after open", WDIOC_GETSTATUS, 0);
    number("GETSTATUS", WDIOC_GETSTATUS, 0);
    T("KEEPALIVE, NULL", ioctl(fd, WDIOC_KEEPALIVE, NULL));
    number("GETSTATUS after KEEPALIVE", WDIOC_GETSTATUS, 0);
    T("write nothing", write(fd, "", 0));
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    T("write a V", write(fd, "xVx", 3));
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    number("GETSTATUS", WDIOC_GETSTATUS, 0);
    show("status");
    T("write nothing", write(fd, "", 0));
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    T("write no V", write(fd, "v\n", 2));
    show("status");
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    number("GETBOOTSTATUS", WDIOC_GETBOOTSTATUS, 7);
    number("GETTEMP", WDIOC_GETTEMP, 0);
    number("GETTIMEOUT", WDIOC_GETTIMEOUT, 0);
    number("SETTIMEOUT 45", WDIOC_SETTIMEOUT, 45);
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    number("SETTIMEOUT 0", WDIOC_SETTIMEOUT, 0);
    number("SETTIMEOUT -1", WDIOC_SETTIMEOUT, -1);
    number("SETTIMEOUT 65535", WDIOC_SETTIMEOUT, 65535);
    number("SETTIMEOUT 65536", WDIOC_SETTIMEOUT, 65536);
    number("GETTIMEOUT", WDIOC_GETTIMEOUT, 0);
    show("timeout");
    number("SETOPTIONS 0", WDIOC_SETOPTIONS, 0);
    number("SETOPTIONS TEMPPANIC", WDIOC_SETOPTIONS, WDIOS_TEMPPANIC);
    number("SETOPTIONS 8", WDIOC_SETOPTIONS, 8);
    number("SETOPTIONS DISABLECARD", WDIOC_SETOPTIONS, WDIOS_DISABLECARD);
    show("state");
    T("write while it is off", write(fd, "x", 1));
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    show("state");
    number("SETOPTIONS ENABLECARD", WDIOC_SETOPTIONS, WDIOS_ENABLECARD);
    number("GETSTATUS after it", WDIOC_GETSTATUS, 0);
    show("state");
    number("SETOPTIONS both", WDIOC_SETOPTIONS, WDIOS_ENABLECARD | WDIOS_DISABLECARD);
    show("state");
    pointers("GETSUPPORT", WDIOC_GETSUPPORT);
    pointers("GETSTATUS", WDIOC_GETSTATUS);
    pointers("SETOPTIONS", WDIOC_SETOPTIONS);
    pointers("SETTIMEOUT", WDIOC_SETTIMEOUT);
    pointers("GETTIMEOUT", WDIOC_GETTIMEOUT);
    T("no such request", ioctl(fd, _IO('W', 99), NULL));
    T("the same number, another size", ioctl(fd, _IOR('W', 7, long), NULL));
    volatile uintptr_t nowhere = 8;
    T("write what is not mapped", write(fd, (void *)nowhere, 1));
    T("read", read(fd, &info, 4));
    T("lseek", lseek(fd, 0, SEEK_SET));
    F("mmap", mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
    T("close without V", close(fd));
    show("state");
    F("open", fd = open(NODE, O_RDWR));
    T("read", read(fd, &info, 4));
    T("write V", write(fd, "V", 1));
    T("close", close(fd));
    show("state");
    F("open, not in order to write", fd = open(NODE, O_RDONLY));
    T("write", write(fd, "V", 1));
    number("SETOPTIONS DISABLECARD", WDIOC_SETOPTIONS, WDIOS_DISABLECARD);
    T("close while it is off", close(fd));
    show("state");
    int w = open(SYS "nowayout", O_WRONLY);
    T("nowayout 2", write(w, "2", 1));
    T("nowayout 0", write(w, "0\n", 2));
    T("nowayout 1", write(w, "1\n", 2));
    T("nowayout 0", write(w, "0", 1));
    show("nowayout");
    F("open state to write", open(SYS "state", O_WRONLY));
    F("open", fd = open(NODE, O_RDWR));
    T("write V", write(fd, "V", 1));
    number("GETSTATUS", WDIOC_GETSTATUS, 0);
    number("SETOPTIONS DISABLECARD", WDIOC_SETOPTIONS, WDIOS_DISABLECARD);
    T("close", close(fd));
    show("state");
}
