/* rtc: what a real time clock ($RTC, or /dev/rtc0) and its files in /sys answer to each call; the same on Linux. */
#include "probe.h"
#include <linux/rtc.h>

static int fd;
static const char *node;

static void field(const char *label, int offset, int value) {
    struct rtc_time tm = {.tm_mday = 28, .tm_mon = 1, .tm_year = 126, .tm_hour = 12};
    ((int *)&tm)[offset] = value;
    T(label, ioctl(fd, RTC_SET_TIME, &tm));
}

static void show(const char *label) {
    struct rtc_time tm = {0};
    long r = ioctl(fd, RTC_RD_TIME, &tm);
    /* Not every clock knows the day of the week, or of the year. */
    SAY("%s -> %ld: %d-%d-%d %d:%d, dst %d", label, r, tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
        tm.tm_isdst);
}

static void wakeup(const char *label) {
    struct rtc_wkalrm a = {0};
    long r = ioctl(fd, RTC_WKALM_RD, &a);
    SAY("%s -> %ld: enabled %d, pending %d, %d-%d-%d %d:%d:%d", label, r, a.enabled, a.pending, a.time.tm_year,
        a.time.tm_mon, a.time.tm_mday, a.time.tm_hour, a.time.tm_min, a.time.tm_sec);
}

/* what came, and whether it did: on a busy machine more has come by the time that it is read */
static void take(const char *label, size_t size) {
    unsigned long data = 0;
    ssize_t n = read(fd, &data, size);
    if (n < 0) SAY("%s -> -1 %s", label, err(errno));
    else SAY("%s -> %zd: 0x%02lx, %s", label, n, data & 0xff, data >> 8 ? "counted" : "not counted");
}

static void pointers(const char *label, unsigned long request) {
    printf("%s: ", label);
    T("NULL", ioctl(fd, request, NULL));
    printf("%s: ", label);
    T("not mapped", ioctl(fd, request, (void *)8));
}

static void attribute(const char *name, const char *text) {
    char path[128], b[64];
    snprintf(path, sizeof path, "/sys/class/rtc/%s/%s", node + 5, name);
    int f = open(path, text ? O_WRONLY : O_RDONLY);
    ssize_t n = text ? write(f, text, strlen(text)) : read(f, b, sizeof b);
    if (n < 0) SAY("%s %s -> -1 %s", name, text ? text : "", err(errno));
    else if (text) SAY("%s %s -> %zd", name, text, n);
    else SAY("%s: %.*s", name, n ? (int)n - 1 : 0, b);
    close(f);
}

int main(void) {
    node = getenv("RTC") ? getenv("RTC") : "/dev/rtc0";
    setvbuf(stdout, NULL, _IOLBF, 0);
    F("open", fd = open(node, O_RDONLY | O_NONBLOCK));
    F("open again", open(node, O_RDONLY));
    struct rtc_time feb = {.tm_mday = 28, .tm_mon = 1, .tm_year = 126, .tm_hour = 12, .tm_min = 34, .tm_sec = 10};
    T("SET_TIME", ioctl(fd, RTC_SET_TIME, &feb));
    show("RD_TIME");
    attribute("date", NULL);
    field("SET_TIME second 60", 0, 60);
    field("SET_TIME second -1", 0, -1);
    field("SET_TIME minute 60", 1, 60);
    field("SET_TIME hour 24", 2, 24);
    field("SET_TIME day 0", 3, 0);
    field("SET_TIME day 29", 3, 29);
    field("SET_TIME month 12", 4, 12);
    field("SET_TIME year 69", 5, 69);
    field("SET_TIME weekday 99", 6, 99);
    pointers("RD_TIME", RTC_RD_TIME);
    pointers("SET_TIME", RTC_SET_TIME);
    pointers("WKALM_RD", RTC_WKALM_RD);
    pointers("WKALM_SET", RTC_WKALM_SET);

    T("SET_TIME", ioctl(fd, RTC_SET_TIME, &feb));
    struct rtc_time at = feb;
    at.tm_hour = 13, at.tm_mday = 3, at.tm_year = 77;
    T("ALM_SET an hour ahead", ioctl(fd, RTC_ALM_SET, &at));
    wakeup("WKALM_RD");
    at.tm_hour = 11;
    T("ALM_SET an hour ago", ioctl(fd, RTC_ALM_SET, &at));
    wakeup("WKALM_RD");
    T("ALM_READ", ioctl(fd, RTC_ALM_READ, &at));
    SAY("at %d:%d:%d", at.tm_hour, at.tm_min, at.tm_sec);
    at.tm_hour = 24;
    T("ALM_SET hour 24", ioctl(fd, RTC_ALM_SET, &at));
    T("AIE_ON", ioctl(fd, RTC_AIE_ON, 0));
    wakeup("WKALM_RD");
    T("AIE_ON again", ioctl(fd, RTC_AIE_ON, 0));
    T("AIE_OFF", ioctl(fd, RTC_AIE_OFF, 0));
    T("AIE_OFF again", ioctl(fd, RTC_AIE_OFF, 0));
    wakeup("WKALM_RD");
    struct rtc_wkalrm alarm = {.enabled = 1, .time = feb};
    alarm.time.tm_hour = 14;
    T("WKALM_SET", ioctl(fd, RTC_WKALM_SET, &alarm));
    wakeup("WKALM_RD");
    alarm.time.tm_mon = 12;
    T("WKALM_SET month 12", ioctl(fd, RTC_WKALM_SET, &alarm));
    wakeup("WKALM_RD");
    take("read", 8);
    alarm.time = feb, alarm.time.tm_hour = 10;
    T("WKALM_SET, past", ioctl(fd, RTC_WKALM_SET, &alarm));
    SAY("poll: 0x%x", ready(fd, POLLIN, -1));
    take("read", 8);
    wakeup("WKALM_RD");
    T("AIE_OFF", ioctl(fd, RTC_AIE_OFF, 0));

    show("RD_TIME");
    for (int i = 0; i <= 9; i++) {
        char label[16];
        snprintf(label, sizeof label, "read %d", i);
        take(label, i);
    }
    unsigned long rate = 0;
    for (long r = 0; r <= 2; r++) T("IRQP_SET 0, 1, 2", ioctl(fd, RTC_IRQP_SET, r));
    T("IRQP_SET 64", ioctl(fd, RTC_IRQP_SET, 64L));
    T("IRQP_SET 63", ioctl(fd, RTC_IRQP_SET, 63L));
    T("IRQP_SET 8193", ioctl(fd, RTC_IRQP_SET, 8193L));
    T("IRQP_SET -1", ioctl(fd, RTC_IRQP_SET, -1L));
    T("IRQP_SET 64", ioctl(fd, RTC_IRQP_SET, 64L));
    T("IRQP_READ", ioctl(fd, RTC_IRQP_READ, &rate));
    SAY("%lu", rate);
    pointers("IRQP_READ", RTC_IRQP_READ);
    T("PIE_ON", ioctl(fd, RTC_PIE_ON, 0));
    SAY("poll: 0x%x", ready(fd, POLLIN, -1));
    take("read", 4);
    usleep(200000);
    take("read after a while", 16);
    T("PIE_OFF", ioctl(fd, RTC_PIE_OFF, 0));
    read(fd, &rate, 8);
    T("UIE_ON", ioctl(fd, RTC_UIE_ON, 0));
    SAY("poll: 0x%x", ready(fd, POLLIN, -1));
    take("read", 8);
    T("UIE_OFF", ioctl(fd, RTC_UIE_OFF, 0));
    struct rtc_param p = {.param = RTC_PARAM_FEATURES};
    T("PARAM_GET features", ioctl(fd, RTC_PARAM_GET, &p));
    SAY("alarm %d, update interrupt %d", (int)p.uvalue & 1, (int)p.uvalue >> RTC_FEATURE_UPDATE_INTERRUPT & 1);
    p.index = 1;
    T("PARAM_GET index 1", ioctl(fd, RTC_PARAM_GET, &p));
    p = (struct rtc_param){.param = 99};
    T("PARAM_GET 99", ioctl(fd, RTC_PARAM_GET, &p));
    pointers("PARAM_GET", RTC_PARAM_GET);
    T("no such request", ioctl(fd, _IO('p', 99), 0));
    T("write", write(fd, "x", 1));
    T("lseek", lseek(fd, 0, SEEK_SET));
    T("EPOCH_READ", ioctl(fd, RTC_EPOCH_READ, &rate));
    T("close", close(fd));

    F("open", fd = open(node, O_RDONLY | O_NONBLOCK));
    take("read after open", 8);
    attribute("wakealarm", NULL);
    attribute("wakealarm", "+3600");
    wakeup("WKALM_RD");
    attribute("wakealarm", "+60");
    attribute("wakealarm", "+=60");
    wakeup("WKALM_RD");
    attribute("wakealarm", "0");
    attribute("wakealarm", NULL);
    attribute("wakealarm", "soon");
    attribute("max_user_freq", NULL);
    attribute("max_user_freq", "0");
    attribute("max_user_freq", "4096");
    attribute("max_user_freq", "128\n");
    attribute("max_user_freq", NULL);
}
