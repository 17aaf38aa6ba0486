/**
 * display.js FILE FRAMES: looks at every frame, the filter's and the camera's, where they are, and at
 * the end writes a contact sheet of them as a PNG.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { DMA_BUF_SYNC_READ } from '../../ioctl/index.js';
import { application, report, UPSTREAM } from './application.js';
import { BUFFER, Connection, END, FRAME, RELEASE } from './connection.js';
import { ContactSheet } from './contact_sheet.js';
import { moments } from './film.js';
import { byteLength, FrameBuffer } from './frame_buffer.js';
import type { Waits } from './pipeline.js';

interface Pair {
  original: FrameBuffer;
  filtered: FrameBuffer;
}

await application(async ([path = '', frames]) => {
  const filter = new Connection(UPSTREAM);
  const kept = moments(Number(frames));
  const checksum = createHash('sha256');
  const pairs: Pair[] = [];
  let sheet: ContactSheet | undefined;
  let shown = 0;
  let shared = 0;
  let began = 0;
  let seconds = 0;
  const waits: Waits = { count: 0, seconds: 0 };

  for await (const { content, fds } of filter.receive()) {
    const { type, buffer, frame, width, height } = content;
    if (type === BUFFER) {
      const [original, filtered] = fds.map((fd) => new FrameBuffer(fd, { width, height }));
      if (!original || !filtered) throw new Error(`buffer ${buffer} came without its descriptors`);
      pairs[buffer] = { original, filtered };
      sheet ??= new ContactSheet(kept.length, 2, { width, height });
    } else if (type === FRAME) {
      const pair = pairs[buffer];
      if (!pair) throw new Error(`a frame in buffer ${buffer}, which was never announced`);
      const { original, filtered } = pair;
      const came = performance.now();
      if (await filtered.readable()) {
        waits.count++;
        waits.seconds += (performance.now() - came) / 1000;
      }
      began ||= performance.now();
      filtered.access(DMA_BUF_SYNC_READ, (pixels) => checksum.update(pixels));
      for (const [column, moment] of kept.entries()) {
        if (moment !== frame) continue;
        original.access(DMA_BUF_SYNC_READ, (pixels) => sheet?.put(column, 0, pixels));
        filtered.access(DMA_BUF_SYNC_READ, (pixels) => sheet?.put(column, 1, pixels));
      }
      filter.send({ type: RELEASE, buffer });
      shown++;
      shared += byteLength(original.size) + byteLength(filtered.size);
      seconds = (performance.now() - began) / 1000;
      report({ shown, seconds });
    }
  }
  filter.send({ type: END });
  for (const { original, filtered } of pairs) {
    original.close();
    filtered.close();
  }

  if (!sheet) throw new Error('no frame has come');
  writePicture(path, sheet);
  report({
    result: {
      seconds,
      shared,
      checksum: checksum.digest('hex').slice(0, 16),
      waits,
      traffic: filter.traffic,
    },
  });
});

function writePicture(path: string, { width, height, pixels }: ContactSheet): void {
  const png = new PNG({ width, height });
  png.data = Buffer.from(pixels.buffer);
  try {
    writeFileSync(path, PNG.sync.write(png, { colorType: 2 }));
  } catch (error) {
    throw new Error(`cannot write ${path}: ${(error as Error).message}`);
  }
}
