{
  "target_defaults": {
    "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    "defines": ["_GNU_SOURCE"]
  },
  "targets": [
    {
      "target_name": "dmabuf_shim",
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-fvisibility=hidden"],
      "sources": [
        "native/addon.c",
        "native/async.c",
        "native/descriptors.c",
        "native/memfd.c",
        "native/mmap.c",
        "native/scm_rights.c",
        "native/sockets.c",
        "native/events.c",
        "native/watch.c",
        "native/signals.c",
        "native/user_memory.c",
        "native/notify.c",
        "native/rouse.c",
        "native/inject.c",
        "native/redirect.c",
        "native/tracee.c",
        "native/system_calls.c"
      ]
    },
    {
      "target_name": "launcher",
      "type": "executable",
      "sources": ["native/launcher.c"]
    }
  ]
}
