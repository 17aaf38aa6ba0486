// What devices do with memory: figures for run.mjs.
import { O_RDWR } from '../dist/ioctl/all.js';
import {
  allocateScattered,
  Device,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  dmaBufAttach,
  dmaBufDetach,
  dmaBufMapAttachmentUnlocked,
  dmaBufPut,
  dmaMapSgtable,
  dmaUnmapSgtable,
  exportHeapBuffer,
  heapBufOps,
  Kernel,
} from '../dist/src/index.js';

const SIZE = 32 * 1024 * 1024;

/** A kernel whose free page frames are all single ones. */
const fragmented = () => new Kernel({ memory: { size: 4 * SIZE, fragmentation: 1 } });

/** A buffer of 32 MiB, and the scatterlist of its 8192 frames. */
function allocate(kernel) {
  const placement = allocateScattered(kernel.memory, SIZE);
  const info = { exp_name: 'bench', ops: heapBufOps, size: SIZE, flags: O_RDWR };
  return { dmabuf: exportHeapBuffer(kernel, placement, info), table: placement.table() };
}

/** The figures, made with what run.mjs measures and prints with. */
export function dmaBenches({ inTurn, report, figure, ms, us, timed }) {
  return {
    async iommu() {
      const kernel = fragmented();
      const { dmabuf, table } = allocate(kernel);
      const mapAndUnmap = (init) => {
        const device = new Device(kernel, { name: 'bench', ...init });
        return () =>
          timed(20, () => {
            dmaMapSgtable(device, table, DMA_BIDIRECTIONAL);
            dmaUnmapSgtable(device, table, DMA_BIDIRECTIONAL);
          });
      };
      const [base, ours] = await inTurn(
        7,
        mapAndUnmap({ dma_mask: DMA_BIT_MASK(64) }),
        mapAndUnmap({ iommu: true }),
      );
      dmaBufPut(dmabuf);
      kernel.close();
      report(
        'map + unmap 32 MiB in single pages, IOMMU',
        figure(ms, ours),
        'directly',
        figure(ms, base),
        '2 ms',
      );
    },

    async attach() {
      const kernel = new Kernel();
      const device = new Device(kernel, { name: 'bench' });
      const info = { exp_name: 'bench', ops: heapBufOps, size: 4096, flags: O_RDWR };
      /** On a buffer with so many other attachments. */
      const attachAndDetach = (others) => {
        const placement = allocateScattered(kernel.memory, 4096);
        const dmabuf = exportHeapBuffer(kernel, placement, info);
        for (let i = 0; i < others; i++) dmaBufAttach(dmabuf, device);
        return () => timed(100_000, () => dmaBufDetach(dmabuf, dmaBufAttach(dmabuf, device)));
      };
      const [few, many] = [attachAndDetach(10), attachAndDetach(10_000)];
      // What was made just now is still young, and moved about by the garbage collector.
      await inTurn(1, few, many);
      const [base, ours] = await inTurn(7, few, many);
      kernel.close();
      report(
        'attach + detach, 10,000 attachments',
        figure(us, ours),
        'with 10',
        figure(us, base),
        '1.2 ×',
      );
    },

    async copy() {
      const kernel = fragmented();
      const device = new Device(kernel, { name: 'bench', iommu: true });
      const buffers = [allocate(kernel), allocate(kernel)];
      const [from, to] = buffers.map(({ dmabuf }) => {
        const attachment = dmaBufAttach(dmabuf, device);
        const table = dmaBufMapAttachmentUnlocked(attachment, DMA_BIDIRECTIONAL);
        const bytes = dmabuf.memory.bytes();
        return { address: table.dma_address[0], bytes: Buffer.from(bytes.buffer, 0, SIZE) };
      });
      from.bytes.fill(1);
      const [base, ours] = await inTurn(
        21,
        () => timed(10, () => from.bytes.copy(to.bytes)),
        () => timed(10, () => device.copy(to.address, from.address, SIZE)),
      );
      kernel.close();
      report(
        'a device copies 32 MiB in single pages',
        figure(ms, ours),
        'Buffer.copy',
        figure(ms, base),
        '1.5 ×',
      );
    },
  };
}
