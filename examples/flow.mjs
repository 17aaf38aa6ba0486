// How a buffer goes from one device to another, after "DMA Buffer Sharing Framework: An Introduction"
// (Clark, Semwal, 2012): a camera writes a picture, a display shows it. The program makes system calls;
// the drivers do as in Linux. After each step: where the buffer is. node examples/flow.mjs [--svg FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as shim from 'dmabuf-shim';
import * as uapi from 'dmabuf-shim/ioctl';

const { svg } = parseArgs({ options: { svg: { type: 'string' } } }).values;
const [SIZE, IMPORT] = [24 * 4096, 1];
// As memory is when a machine has been up for long; an area is kept for what must be in one piece.
const memory = { size: 2 ** 33, cma: 2 ** 23, fragmentation: 0.9, seed: 3 };
const kernel = new shim.Kernel({ devices: ['+dma_heap/movable'], memory });
const { sys } = kernel;

/** A driver that takes a buffer with an ioctl, and does its work step by step. */
class Driver {
  constructor(direction, device) {
    this.direction = direction;
    this.device = new shim.Device(kernel, device);
    const ioctl = (_file, _request, fd, task) => this.take(shim.dmaBufGet(task, fd));
    shim.miscRegister(kernel, device.name, { ioctl });
  }

  take(dmabuf) {
    this.attachment = shim.dmaBufDynamicAttach(dmabuf, this.device, {
      moveNotify: () => this.unmap(shim.dmaBufUnmapAttachment),
    });
    return 0;
  }

  map() {
    this.table = shim.dmaBufMapAttachmentUnlocked(this.attachment, this.direction);
  }

  /** Has the device go through its segments: by its own addresses, it knows no others. */
  dma(bytes) {
    let at = 0;
    for (const { dma_address, dma_length } of shim.forEachSgtableDmaSg(this.table)) {
      const part = bytes.subarray(at, at + dma_length);
      if (this.direction === shim.DMA_FROM_DEVICE) this.device.write(dma_address, part);
      else this.device.read(dma_address, part);
      at += dma_length;
    }
  }

  unmap(how = shim.dmaBufUnmapAttachmentUnlocked) {
    if (this.table) how(this.attachment, this.table, this.direction);
    this.table = undefined;
  }

  detach() {
    const { dmabuf } = this.attachment;
    shim.dmaBufDetach(dmabuf, this.attachment);
    shim.dmaBufPut(dmabuf);
  }
}

const line = (name, ...cells) =>
  console.log(`  ${name.padEnd(9)}${cells.map((cell) => cell.padEnd(30)).join('')}`.trimEnd());
const hex = (number) => `0x${number.toString(16)}`;

function show(step) {
  console.log(step);
  const [buffer] = shim.dmaBufLayout(kernel);
  if (!buffer) return line('buffer', 'gone');
  const { pages, references, attachments } = buffer;
  const [[pfn, count, area]] = pages ?? [[]];
  const runs =
    pages && `${area}: ${hex(pfn)}+${count}${pages.length > 1 ? `, ${pages.length - 1} more` : ''}`;
  line('buffer', runs ?? 'no memory yet', `references ${references}`);
  for (const { device, mappings, pins } of attachments) {
    const [{ segments, orig_nents, nents } = {}] = mappings;
    const mapped = segments && `${hex(segments[0][0])}, nents ${orig_nents} -> ${nents}`;
    line(device, mapped ?? 'attached', `pins ${pins}`);
  }
  return buffer;
}

const max_segment_size = 2 ** 20;
const behindIommu = { name: 'camera', iommu: true, dma_parms: { max_segment_size } };
const camera = new Driver(shim.DMA_FROM_DEVICE, behindIommu);
const onePiece = { name: 'display', dma_parms: { max_segment_size, max_segments: 1 } };
const display = new Driver(shim.DMA_TO_DEVICE, onePiece);
function importInto(name, fd) {
  const device = sys.open(`/dev/${name}`, uapi.O_RDWR);
  sys.ioctl(device, IMPORT, fd);
  sys.close(device);
}

const heap = sys.open('/dev/dma_heap/movable', uapi.O_RDWR);
const data = uapi.dma_heap_allocation_data.create({ len: BigInt(SIZE), fd_flags: uapi.O_RDWR });
sys.ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, data);
sys.close(heap);
show('the heap: export, fd; memory is chosen when it is known who needs it');
importInto('camera', data.fd);
show('camera: get, attach');
camera.map();
show('camera: map_attachment; scattered will do, behind an IOMMU');
const picture = Uint8Array.from({ length: SIZE }, (_, i) => (i >> 8) ^ i);
camera.dma(picture);
importInto('display', data.fd);
const before = show('camera: DMA; display: get, attach');
display.attachment.dmabuf.resv.locked(() => shim.dmaBufPin(display.attachment));
display.map();
show('display: pin, map_attachment; it needs one piece: the buffer moves, the camera lets go');
camera.map();
const after = show('camera: map_attachment, to where the buffer is now');
const shown = new Uint8Array(SIZE);
display.dma(shown);
console.log(`display: DMA; it shows the camera's picture: ${Buffer.compare(shown, picture) === 0}`);
for (const driver of [camera, display]) driver.unmap();
display.attachment.dmabuf.resv.locked(() => shim.dmaBufUnpin(display.attachment));
show('both: unmap_attachment; display: unpin');
for (const driver of [camera, display]) driver.detach();
show('both: detach, put');
sys.close(data.fd);
show('the program: close');

const names = ['before the display maps it', 'mapped by both'];
const panels = [before, after].map((buffer, i) => ({ ...buffer, name: names[i] }));
if (svg) writeFileSync(svg, shim.drawLayout(panels));
