/* udev SUBSYSTEM COUNT: what libudev says of the devices of a subsystem, and then of COUNT events: a line for each. */
#include <libudev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void say(const char *what, struct udev_device *device) {
    struct udev_device *parent = udev_device_get_parent(device);
    const char *node = udev_device_get_devnode(device), *type = udev_device_get_devtype(device);
    printf("%s %s %s %s %d, below %s:", what, udev_device_get_sysname(device), node ? node : "-", type ? type : "-",
           udev_device_get_is_initialized(device), parent ? udev_device_get_sysname(parent) : "nothing");
    struct udev_list_entry *each;
    int tags = 0;
    /* in that of an event there is also what is before the first colon of ":seat:" */
    udev_list_entry_foreach(each, udev_device_get_tags_list_entry(device)) tags += *udev_list_entry_get_name(each) != 0;
    const char *id = udev_device_get_property_value(device, "ID_PATH");
    printf(" %d %s\n", tags, id ? id : "-");
    udev_device_unref(device);
}

int main(int argc, char **argv) {
    struct udev *udev = udev_new();
    struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, argc > 3 ? argv[3] : "udev");
    udev_monitor_filter_add_match_subsystem_devtype(monitor, argv[1], NULL);
    udev_monitor_enable_receiving(monitor);
    struct udev_enumerate *all = udev_enumerate_new(udev);
    udev_enumerate_add_match_subsystem(all, argv[1]);
    udev_enumerate_scan_devices(all);
    struct udev_list_entry *each;
    udev_list_entry_foreach(each, udev_enumerate_get_list_entry(all))
        say("is", udev_device_new_from_syspath(udev, udev_list_entry_get_name(each)));
    puts("listening");
    fflush(stdout);
    for (int left = atoi(argv[2]); left > 0; left--) {
        struct pollfd fd = {.fd = udev_monitor_get_fd(monitor), .events = POLLIN};
        poll(&fd, 1, -1);
        struct udev_device *device = udev_monitor_receive_device(monitor);
        if (!device) {
            left++;
            continue;
        }
        say(udev_device_get_action(device), device);
        fflush(stdout);
    }
    return 0;
}
