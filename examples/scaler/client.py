"""Scales a row of 4 grey pixels to 7, with interpolation."""
import fcntl, mmap, os, select, struct

def _IOWR(type, nr, size):
    return 3 << 30 | size << 16 | type << 8 | nr

DMA_HEAP_IOCTL_ALLOC = _IOWR(ord('H'), 0, 24)
DMA_BUF_IOCTL_SYNC = 1 << 30 | 8 << 16 | ord('b') << 8
READ, WRITE, START, END = 1, 2, 0, 4

JOB = struct.Struct('iIII iIII I i i I Q')  # struct scaler_job
EVENT = struct.Struct('Q Q i I')  # struct scaler_event
SCALER_IOC_SCALE = _IOWR(0xb9, 1, JOB.size)
SCALER_BILINEAR = 1

heap = os.open('/dev/dma_heap/system', os.O_RDONLY)
scaler = os.open('/dev/scaler', os.O_RDWR)

def allocate(size):
    data = bytearray(struct.pack('QIIQ', size, 0, os.O_RDWR | os.O_CLOEXEC, 0))
    fcntl.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data)
    fd = struct.unpack('QIIQ', data)[1]
    return fd, mmap.mmap(fd, size)

def sync(fd, flags):
    fcntl.ioctl(fd, DMA_BUF_IOCTL_SYNC, struct.pack('Q', flags))

src, source = allocate(4 * 4)
dst, destination = allocate(7 * 4)
sync(src, START | WRITE)
for x in range(4):
    source[4 * x:4 * x + 4] = bytes([80 * x] * 4)
sync(src, END | WRITE)

job = bytearray(JOB.pack(src, 4, 1, 16, dst, 7, 1, 28, SCALER_BILINEAR, 0, 0, 0, 0))
fcntl.ioctl(scaler, SCALER_IOC_SCALE, job)
fence = JOB.unpack(job)[10]
poll = select.poll()
poll.register(fence, select.POLLIN)
poll.poll()

number, timestamp, status, _ = EVENT.unpack(os.read(scaler, EVENT.size))
print(f'job {number}: status {status}')
sync(dst, START | READ)
print(*destination[0:28:4])
sync(dst, END | READ)
