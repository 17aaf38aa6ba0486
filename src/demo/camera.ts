/**
 * camera.js PICTURE FRAMES: films a picture into buffers of its own and sends each frame to the
 * filter, its downstream neighbour.
 */
import { readFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { DMA_BUF_SYNC_WRITE, O_CLOEXEC, O_RDWR } from '../../ioctl/index.js';
import { close, open } from '../posix.js';
import { application, DOWNSTREAM, report } from './application.js';
import { BUFFER, Connection, END, FRAME, PeerGone } from './connection.js';
import { Film, type Picture } from './film.js';
import { FrameBuffer } from './frame_buffer.js';

const SIZE = { width: 640, height: 480 };
/** Enough for each process to have one in hand and one in the post. */
const BUFFERS = 4;

await application(async ([path = '', frames]) => {
  const count = Number(frames);
  const film = new Film(readPicture(path), SIZE, count);
  const filter = new Connection(DOWNSTREAM);

  const heap = open('/dev/dma_heap/system', O_RDWR | O_CLOEXEC);
  const buffers = Array.from({ length: BUFFERS }, (_, n) =>
    FrameBuffer.allocate(heap, SIZE, `camera-${n}`),
  );
  close(heap);
  buffers.forEach(({ fd }, n) => {
    filter.send({ type: BUFFER, buffer: n, ...SIZE }, [fd]);
  });

  const releases = filter.receive();
  const released = async () => {
    const { value } = await releases.next();
    if (!value) throw new PeerGone();
    return value.content.buffer;
  };
  const free = [...buffers.keys()];
  for (let frame = 0; frame < count; frame++) {
    const n = free.shift() ?? (await released());
    buffers[n]?.access(DMA_BUF_SYNC_WRITE, (pixels) => film.shoot(frame, pixels));
    filter.send({ type: FRAME, buffer: n, frame });
  }
  while (free.length < BUFFERS) free.push(await released());
  filter.send({ type: END });
  for (const buffer of buffers) buffer.close();
  report({ traffic: filter.traffic });
});

function readPicture(path: string): Picture {
  try {
    const { width, height, data } = PNG.sync.read(readFileSync(path));
    // A copy: a Buffer may begin at an odd address.
    return { width, height, pixels: new Uint32Array(new Uint8Array(data).buffer) };
  } catch (error) {
    throw new Error(`${path}: not a readable PNG: ${(error as Error).message}`);
  }
}
