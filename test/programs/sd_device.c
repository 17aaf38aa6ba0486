/* sd_device SUBSYSTEM COUNT TAG: what sd-device says of the devices of a subsystem, and then of COUNT events of devices with a tag. */
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-device.h>
#include <systemd/sd-event.h>

static int left;

static void say(const char *what, sd_device *device) {
    const char *name = "-", *node = "-", *path = "-", *driver = "-";
    uint64_t usec = 0;
    sd_device *parent;
    sd_device_get_sysname(device, &name);
    sd_device_get_devname(device, &node);
    sd_device_get_property_value(device, "ID_PATH", &path);
    if (sd_device_get_parent(device, &parent) >= 0) sd_device_get_driver(parent, &driver);
    int initialized = sd_device_get_usec_initialized(device, &usec) >= 0 && usec > 0;
    printf("%s %s %s %s %s %d\n", what, name, node, path, driver, initialized);
}

static int received(sd_device_monitor *monitor, sd_device *device, void *data) {
    static const char *const actions[] = {"add", "remove", "change", "move", "online", "offline", "bind", "unbind"};
    sd_device_action_t action;
    sd_device_get_action(device, &action);
    say(actions[action], device);
    fflush(stdout);
    if (--left == 0) sd_event_exit(sd_device_monitor_get_event(monitor), 0);
    return 0;
}

int main(int argc, char **argv) {
    sd_device_monitor *monitor;
    sd_device_enumerator *all;
    sd_event *event;
    if (argc < 4 || sd_event_default(&event) < 0 || sd_device_monitor_new(&monitor) < 0) return 1;
    left = atoi(argv[2]);
    sd_device_monitor_filter_add_match_subsystem_devtype(monitor, argv[1], NULL);
    sd_device_monitor_filter_add_match_tag(monitor, argv[3]);
    sd_device_monitor_attach_event(monitor, event);
    sd_device_monitor_start(monitor, received, NULL);
    sd_device_enumerator_new(&all);
    sd_device_enumerator_add_match_subsystem(all, argv[1], 1);
    for (sd_device *each = sd_device_enumerator_get_device_first(all); each; each = sd_device_enumerator_get_device_next(all))
        say("is", each);
    puts("listening");
    fflush(stdout);
    return left ? sd_event_loop(event) : 0;
}
