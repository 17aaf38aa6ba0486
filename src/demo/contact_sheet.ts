/** Small pictures of a film side by side, as a photographer prints them. */
import type { FrameSize } from './frame_buffer.js';

const GAP = 8;
const PAPER = 0xff1a1614;

export class ContactSheet {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
  readonly #frame: FrameSize;

  /** For frames of size `frame`, each shown at half of it. */
  constructor(columns: number, rows: number, frame: FrameSize) {
    this.#frame = frame;
    this.width = columns * ((frame.width >> 1) + GAP) + GAP;
    this.height = rows * ((frame.height >> 1) + GAP) + GAP;
    this.pixels = new Uint32Array(this.width * this.height).fill(PAPER);
  }

  /** Puts a frame into its place; each pixel is the mean of four. */
  put(column: number, row: number, frame: Uint32Array): void {
    const { width, height } = this.#frame;
    const left = GAP + column * ((width >> 1) + GAP);
    const top = GAP + row * ((height >> 1) + GAP);
    for (let y = 0; y < height >> 1; y++) {
      const line = (top + y) * this.width + left;
      for (let x = 0; x < width >> 1; x++) {
        const at = 2 * (y * width + x);
        this.pixels[line + x] = mean(
          frame[at] as number,
          frame[at + 1] as number,
          frame[at + width] as number,
          frame[at + width + 1] as number,
        );
      }
    }
  }
}

/** The mean of four pixels, two of their bytes at a time. */
function mean(a: number, b: number, c: number, d: number): number {
  const even = (a & 0xff00ff) + (b & 0xff00ff) + (c & 0xff00ff) + (d & 0xff00ff);
  const odd = bytes13(a) + bytes13(b) + bytes13(c) + bytes13(d);
  return ((even >>> 2) & 0xff00ff) | (((odd >>> 2) & 0xff00ff) << 8);
}

function bytes13(pixel: number): number {
  return (pixel >>> 8) & 0xff00ff;
}
