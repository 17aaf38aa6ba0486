import ctypes, fcntl, mmap, os, struct

PAGE = 4096
DMA_HEAP_IOCTL_ALLOC = 0xC0184800
DMA_BUF_IOCTL_SYNC = 0x40086200
UDMABUF_CREATE_LIST = 0x40087543
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
START, END, RW = 0, 4, 3


def sync(fd, flags):
    fcntl.ioctl(fd, DMA_BUF_IOCTL_SYNC, struct.pack("Q", flags))


heap = os.open("/dev/dma_heap/system", os.O_RDWR | os.O_CLOEXEC)
data = fcntl.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, struct.pack("QIIQ", 2 * PAGE, 0, os.O_RDWR | os.O_CLOEXEC, 0))
buffer = struct.unpack("QIIQ", data)[1]
assert os.lseek(buffer, 0, os.SEEK_END) == 2 * PAGE
one, two = mmap.mmap(buffer, 2 * PAGE), mmap.mmap(buffer, PAGE, offset=PAGE)
sync(buffer, START | RW)
one[PAGE : PAGE + 5] = b"frame"
assert two[:5] == b"frame"
sync(buffer, END | RW)

memfd = os.memfd_create("client", os.MFD_ALLOW_SEALING)
os.ftruncate(memfd, 4 * PAGE)
fcntl.fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)
windows = struct.pack("II", 1, 2) + b"".join(
    struct.pack("IIQQ", memfd, 0, page * PAGE, PAGE) for page in (3, 1)
)
device = os.open("/dev/udmabuf", os.O_RDWR)
udmabuf = fcntl.ioctl(device, UDMABUF_CREATE_LIST, ctypes.create_string_buffer(windows, len(windows)))
memory, view = mmap.mmap(memfd, 4 * PAGE), mmap.mmap(udmabuf, 2 * PAGE)
memory[3 * PAGE], memory[PAGE] = 33, 11
assert (view[0], view[PAGE]) == (33, 11)
view[0], view[PAGE] = 34, 12
assert (memory[3 * PAGE], memory[PAGE]) == (34, 12)
print("python: heap and udmabuf work")
