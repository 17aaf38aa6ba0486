// As importer.c: a program and a device that does not see the CPU's caches, on one buffer of two pages.
// `draw` and `look` leave SYNC out, `draw-sync` and `look-sync` do not. Prints what the reader saw.
import * as uapi from 'dmabuf-shim/ioctl';
import * as posix from 'dmabuf-shim/posix';

const SIZE = 8192;
const what = process.argv[2];
const sync = what.endsWith('-sync');

const [heap, device] = ['/dev/dma_heap/system', '/dev/dma_importer'].map((path) =>
  posix.open(path, uapi.O_RDWR),
);
const data = uapi.dma_heap_allocation_data.create({ len: BigInt(SIZE), fd_flags: uapi.O_RDWR });
posix.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
const { PROT_READ, PROT_WRITE, MAP_SHARED } = uapi;
const bytes = Buffer.from(posix.mmap(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd));
bytes.fill('.');

function bracket(edge, access) {
  if (!sync) return;
  posix.ioctl(
    data.fd,
    uapi.DMA_BUF_IOCTL_SYNC,
    uapi.dma_buf_sync.create({ flags: BigInt(edge | access) }),
  );
}

const flags = uapi.DMA_IMPORTER_NONCOHERENT | uapi.DMA_IMPORTER_IOMMU;
posix.ioctl(
  device,
  uapi.DMA_IMPORTER_IOCTL_SETUP,
  uapi.dma_importer_setup.create({ name: 'gpu', flags }),
);
const attach = uapi.dma_importer_attach.create({ fd: data.fd });
posix.ioctl(device, uapi.DMA_IMPORTER_IOCTL_ATTACH, attach);
const { handle } = attach;
posix.ioctl(device, uapi.DMA_IMPORTER_IOCTL_MAP, uapi.dma_importer_map.create({ handle }));
const segment = uapi.dma_importer_segment.create();
posix.ioctl(
  device,
  uapi.DMA_IMPORTER_IOCTL_GET_SEGMENTS,
  uapi.dma_importer_segments.create({ handle, count: 1, segments: posix.addressOf(segment.bytes) }),
);
const transfer = (init) =>
  posix.ioctl(device, uapi.DMA_IMPORTER_IOCTL_TRANSFER, uapi.dma_importer_transfer.create(init));

const { DMA_BUF_SYNC_START, DMA_BUF_SYNC_END, DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE } = uapi;
const seen = Buffer.alloc(128);
if (what.startsWith('draw')) {
  bracket(DMA_BUF_SYNC_START, DMA_BUF_SYNC_WRITE);
  bytes.write('drawn', 4096);
  bracket(DMA_BUF_SYNC_END, DMA_BUF_SYNC_WRITE);
  transfer({
    op: uapi.DMA_IMPORTER_OP_READ,
    source: segment.address + 4096n,
    data: posix.addressOf(seen),
    length: 5n,
  });
} else {
  const [destination, length] = [segment.address, BigInt(SIZE)];
  transfer({ op: uapi.DMA_IMPORTER_OP_FILL, destination, length, value: 0x23 });
  bracket(DMA_BUF_SYNC_START, DMA_BUF_SYNC_READ);
  for (let i = 0; i < 5; i++) seen[i] = bytes[i * 1024];
  bracket(DMA_BUF_SYNC_END, DMA_BUF_SYNC_READ);
}
console.log(seen.toString('latin1', 0, 5));
