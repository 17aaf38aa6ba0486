const assert = require('node:assert');
const ffi = require('ffi-napi');
const ref = require('ref-napi');

const PAGE = 4096;
const DMA_HEAP_IOCTL_ALLOC = 0xc0184800;
const DMA_BUF_IOCTL_SYNC = 0x40086200;
const UDMABUF_CREATE_LIST = 0x40087543;
const [O_RDWR, O_CLOEXEC] = [2, 0o2000000];
const [F_ADD_SEALS, F_SEAL_SHRINK, MFD_ALLOW_SEALING] = [1033, 2, 2];
const [PROT_READ_WRITE, MAP_SHARED] = [3, 1];

const pointer = ref.refType(ref.types.void);
const libc = ffi.Library(null, {
  open: ['int', ['string', 'int']],
  ioctl: ['int', ['int', 'ulong', pointer]],
  mmap: [pointer, [pointer, 'size_t', 'int', 'int', 'int', 'long']],
  memfd_create: ['int', ['string', 'uint']],
  ftruncate: ['int', ['int', 'long']],
  fcntl: ['int', ['int', 'int', 'int']],
});

function mapped(fd, length, offset = 0) {
  const at = libc.mmap(ref.NULL, length, PROT_READ_WRITE, MAP_SHARED, fd, offset);
  assert(ref.address(at) > 0, 'mmap');
  return ref.reinterpret(at, length);
}

const heap = libc.open('/dev/dma_heap/system', O_RDWR | O_CLOEXEC);
const data = Buffer.alloc(24);
data.writeBigUInt64LE(BigInt(2 * PAGE));
data.writeUInt32LE(O_RDWR | O_CLOEXEC, 12);
assert.equal(libc.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data), 0);
const buffer = data.readUInt32LE(8);
const [one, two] = [mapped(buffer, 2 * PAGE), mapped(buffer, PAGE, PAGE)];
for (const bits of [3, 7]) {
  assert.equal(libc.ioctl(buffer, DMA_BUF_IOCTL_SYNC, ref.alloc('uint64', bits)), 0);
  if (bits === 7) continue; // END: the access is over
  one[PAGE] = bits;
  assert.equal(two[0], bits);
}

const memfd = libc.memfd_create('client', MFD_ALLOW_SEALING);
assert.equal(libc.ftruncate(memfd, 4 * PAGE), 0);
assert.equal(libc.fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
const list = Buffer.alloc(8 + 2 * 24);
list.writeUInt32LE(1, 0);
list.writeUInt32LE(2, 4);
[3, 1].forEach((page, i) => {
  list.writeUInt32LE(memfd, 8 + 24 * i);
  list.writeBigUInt64LE(BigInt(page * PAGE), 16 + 24 * i);
  list.writeBigUInt64LE(BigInt(PAGE), 24 + 24 * i);
});
const udmabuf = libc.ioctl(libc.open('/dev/udmabuf', O_RDWR), UDMABUF_CREATE_LIST, list);
assert(udmabuf > 2);
const [memory, view] = [mapped(memfd, 4 * PAGE), mapped(udmabuf, 2 * PAGE)];
memory[3 * PAGE] = 33;
view[PAGE] = 12;
assert.deepEqual([view[0], memory[PAGE]], [33, 12]);
console.log('ffi-napi: heap and udmabuf work');
