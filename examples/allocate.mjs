// A dma-buf in a kernel of one's own, inside this process: node examples/allocate.mjs
import { Kernel } from 'dmabuf-shim';
import * as uapi from 'dmabuf-shim/ioctl';

const { sys } = new Kernel();
const heap = sys.open('/dev/dma_heap/system', uapi.O_RDONLY);
const data = uapi.dma_heap_allocation_data.create({ len: 8192n, fd_flags: uapi.O_RDWR });
sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
const bytes = Buffer.from(
  sys.mmap(8192, uapi.PROT_READ | uapi.PROT_WRITE, uapi.MAP_SHARED, data.fd),
);
const sync = (flags) =>
  sys.ioctl(data.fd, uapi.DMA_BUF_IOCTL_SYNC, uapi.dma_buf_sync.create({ flags: BigInt(flags) }));
sync(uapi.DMA_BUF_SYNC_START | uapi.DMA_BUF_SYNC_WRITE);
bytes.write('written between START and END');
sync(uapi.DMA_BUF_SYNC_END | uapi.DMA_BUF_SYNC_WRITE);
console.log(`${sys.fstat(data.fd).st_size} bytes: "${bytes.toString('utf8', 0, 29)}"`);
