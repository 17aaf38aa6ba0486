/**
 * filter.js: reads the camera's frames where they are, draws each anew into a buffer of its own, and
 * shows both to the display. Buffer n of the camera and buffer n of the filter go together. The display
 * gets each buffer before it is drawn, with a fence on it that says when it is.
 */
import { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, O_CLOEXEC, O_RDWR } from '../../ioctl/index.js';
import { close, open } from '../posix.js';
import { application, DOWNSTREAM, UPSTREAM } from './application.js';
import { BUFFER, Connection, END, FRAME, RELEASE } from './connection.js';
import { FrameBuffer } from './frame_buffer.js';
import { InkAndWash } from './ink_and_wash.js';
import { Timeline } from './timeline.js';

interface Pair {
  input: FrameBuffer;
  output: FrameBuffer;
  style: InkAndWash;
}

await application(async () => {
  const camera = new Connection(UPSTREAM);
  const display = new Connection(DOWNSTREAM);
  const heap = open('/dev/dma_heap/system', O_RDWR | O_CLOEXEC);
  const timeline = new Timeline();
  const pairs: Pair[] = [];

  async function forward(): Promise<void> {
    for await (const { content, fds } of camera.receive()) {
      const { type, buffer, frame, width, height } = content;
      if (type === BUFFER) {
        const size = { width, height };
        const input = new FrameBuffer(fds[0] as number, size);
        const output = FrameBuffer.allocate(heap, size, `filter-${buffer}`);
        pairs[buffer] = { input, output, style: new InkAndWash(size) };
        display.send({ type: BUFFER, buffer, ...size }, [input.fd, output.fd]);
      } else if (type === FRAME) {
        const pair = pairs[buffer];
        if (!pair) throw new Error(`a frame in buffer ${buffer}, which was never announced`);
        const { input, output, style } = pair;
        input.access(DMA_BUF_SYNC_READ, (from) =>
          output.access(DMA_BUF_SYNC_WRITE, (to) => {
            // Within the access: its START would wait for the fence, too.
            const fence = timeline.createFence();
            output.importFence(fence);
            close(fence);
            display.send({ type: FRAME, buffer, frame });
            style.draw(from, to);
          }),
        );
        timeline.signal();
      }
    }
    display.send({ type: END });
  }

  async function giveBack(): Promise<void> {
    for await (const { content } of display.receive()) {
      camera.send({ type: RELEASE, buffer: content.buffer });
    }
  }

  await Promise.all([forward(), giveBack()]);
  for (const { input, output } of pairs) {
    input.close();
    output.close();
  }
  timeline.close();
  close(heap);
});
