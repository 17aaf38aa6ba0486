#!/bin/sh
# selftests.sh [VERSION]: the kernel's own tests of heaps, udmabuf and sync_file, unmodified, from Debian's
# package linux-source-VERSION (6.1), compiled in a temporary folder and run under dmabuf-shim. They are
# GPL-2.0 and not kept here.
set -eu
version=${1:-6.1}
tree=linux-source-$version
archive=/usr/src/$tree.tar.xz
cli=$(cd "$(dirname "$0")/.." && pwd)/dist/src/cli/main.js

[ -e "$archive" ] || { echo "no $archive (Debian: apt install $tree)" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

selftests=$tree/tools/testing/selftests
tar -xJf "$archive" "$selftests/dmabuf-heaps" "$selftests/drivers/dma-buf" "$selftests/sync" "$selftests/kselftest.h" \
    "$tree/include/uapi/drm/drm.h" "$tree/include/uapi/drm/drm_mode.h"
# Only these headers: the rest of the tree is not for programs.
mkdir headers
mv "$tree/include/uapi/drm" headers/
for test in dmabuf-heaps/dmabuf-heap drivers/dma-buf/udmabuf; do
    gcc -static -O2 -w -D__user= -I headers -o "$(basename "$test")" "$selftests/$test.c"
done
gcc -static -O2 -w -std=gnu89 -pthread -I "$selftests" -o sync_test "$selftests"/sync/*.c

failed=0
for test in dmabuf-heap udmabuf sync_test; do
    status=0
    node "$cli" run --kernel "$version" -- "./$test" || status=$?
    echo "$test: exit status $status"
    [ "$status" = 0 ] || failed=1
done
exit $failed
