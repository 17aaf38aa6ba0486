const assert = require('node:assert');
const koffi = require('koffi');

const PAGE = 4096;
const DMA_HEAP_IOCTL_ALLOC = 0xc0184800;
const DMA_BUF_IOCTL_SYNC = 0x40086200;
const UDMABUF_CREATE_LIST = 0x40087543;
const [O_RDWR, O_CLOEXEC] = [2, 0o2000000];
const [F_ADD_SEALS, F_SEAL_SHRINK, MFD_ALLOW_SEALING] = [1033, 2, 2];
const [PROT_READ_WRITE, MAP_SHARED] = [3, 1];

const libc = koffi.load('libc.so.6');
const open = libc.func('int open(const char *path, int flags)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const mmap = libc.func(
  'void *mmap(void *at, size_t length, int prot, int flags, int fd, long offset)',
);
const memfd_create = libc.func('int memfd_create(const char *name, unsigned int flags)');
const ftruncate = libc.func('int ftruncate(int fd, long length)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');

function mapped(fd, length, offset = 0) {
  const at = mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset);
  assert(BigInt.asIntN(64, koffi.address(at)) > 0n, 'mmap');
  return new Uint8Array(koffi.view(at, length));
}

const heap = open('/dev/dma_heap/system', O_RDWR | O_CLOEXEC);
const data = Buffer.alloc(24);
data.writeBigUInt64LE(BigInt(2 * PAGE));
data.writeUInt32LE(O_RDWR | O_CLOEXEC, 12);
assert.equal(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data), 0);
const buffer = data.readUInt32LE(8);
const [one, two] = [mapped(buffer, 2 * PAGE), mapped(buffer, PAGE, PAGE)];
const flags = Buffer.alloc(8);
for (const bits of [3, 7]) {
  flags.writeUInt32LE(bits);
  assert.equal(ioctl(buffer, DMA_BUF_IOCTL_SYNC, flags), 0);
  if (bits === 7) continue; // END: the access is over
  one[PAGE] = bits;
  assert.equal(two[0], bits);
}

const memfd = memfd_create('client', MFD_ALLOW_SEALING);
assert.equal(ftruncate(memfd, 4 * PAGE), 0);
assert.equal(fcntl(memfd, F_ADD_SEALS, 'int', F_SEAL_SHRINK), 0);
const list = Buffer.alloc(8 + 2 * 24);
list.writeUInt32LE(1, 0);
list.writeUInt32LE(2, 4);
[3, 1].forEach((page, i) => {
  list.writeUInt32LE(memfd, 8 + 24 * i);
  list.writeBigUInt64LE(BigInt(page * PAGE), 16 + 24 * i);
  list.writeBigUInt64LE(BigInt(PAGE), 24 + 24 * i);
});
const udmabuf = ioctl(open('/dev/udmabuf', O_RDWR), UDMABUF_CREATE_LIST, list);
assert(udmabuf > 2);
const [memory, view] = [mapped(memfd, 4 * PAGE), mapped(udmabuf, 2 * PAGE)];
memory[3 * PAGE] = 33;
view[PAGE] = 12;
assert.deepEqual([view[0], memory[PAGE]], [33, 12]);
console.log('koffi: heap and udmabuf work');
