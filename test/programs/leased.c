/* leased DIRECTORY: a file that this program has a write lease of is given to udmabuf. */
#include "kit.h"
#include <signal.h>

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int file = open(L("%s/leased", argv[1]), O_RDWR | O_CREAT, 0600);
    if (ftruncate(file, PAGE)) return 1;
    signal(SIGIO, SIG_IGN);
    F("F_SETLEASE", fcntl(file, F_SETLEASE, F_WRLCK));
    F("UDMABUF_CREATE", udmabuf_of(file, 0, PAGE));
    SAY("lease: %d", fcntl(file, F_GETLEASE) == F_WRLCK);
    return 0;
}
