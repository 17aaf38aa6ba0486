// arguments.mjs MODULE: gives what ref-napi and ref-struct-di make to kernel.sys.ioctl, as one gives it
// to ioctl through ffi-napi. MODULE is dmabuf-shim.
import assert from 'node:assert';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const ref = require('ref-napi');
const Struct = require('ref-struct-di')(ref);
const { Kernel } = await import(process.argv[2]);

const PAGE = 4096;
const DMA_HEAP_IOCTL_ALLOC = 0xc0184800;
const DMA_BUF_IOCTL_SYNC = 0x40086200;
const DMA_BUF_SET_NAME_B = 0x40086201;
const [O_RDWR, O_CLOEXEC] = [2, 0o2000000];
const dma_heap_allocation_data = Struct({
  len: 'uint64',
  fd: 'uint32',
  fd_flags: 'uint32',
  heap_flags: 'uint64',
});

const { sys } = new Kernel();
const heap = sys.open('/dev/dma_heap/system', O_RDWR);
const data = new dma_heap_allocation_data({ len: PAGE, fd_flags: O_RDWR | O_CLOEXEC });
assert.equal(sys.ioctl(heap, DMA_HEAP_IOCTL_ALLOC, data.ref()), 0);
assert(data.fd > 2);

// A pointer's target, the pointer's own bytes, a string, and an address.
const flags = ref.alloc('uint64', 3);
assert.equal(sys.ioctl(data.fd, DMA_BUF_IOCTL_SYNC, flags), 0);
assert.equal(sys.ioctl(data.fd, DMA_BUF_IOCTL_SYNC, flags.ref().deref()), 0);
assert.equal(sys.ioctl(data.fd, DMA_BUF_IOCTL_SYNC, ref.address(flags)), 0);
assert.throws(() => sys.ioctl(data.fd, DMA_BUF_IOCTL_SYNC, flags.ref()), { code: 'EINVAL' });
assert.equal(sys.ioctl(data.fd, DMA_BUF_SET_NAME_B, ref.allocCString('frame')), 0);
console.log('ref-napi: its buffers are arguments');
