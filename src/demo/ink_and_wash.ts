/** The demo's filter: contours in ink over pale water colours. examples/filter.c is the same in C. */
import type { FrameSize } from './frame_buffer.js';

/** Slopes up to here are the paper's and the photo's grain. */
const GRAIN = 24;

export class InkAndWash {
  readonly #size: FrameSize;
  readonly #brightness: Uint8Array;

  constructor(size: FrameSize) {
    this.#size = size;
    this.#brightness = new Uint8Array(size.width * size.height);
  }

  draw(input: Uint32Array, output: Uint32Array): void {
    this.#measure(input);
    const { width, height } = this.#size;
    const brightness = this.#brightness;
    for (let y = 0; y < height; y++) {
      const row = y * width;
      const above = y > 0 ? -width : 0;
      const below = y < height - 1 ? width : 0;
      // Sobel's operator from the weighted sum and the slope of three columns, each read once.
      const top = brightness[row + above] as number;
      const bottom = brightness[row + below] as number;
      let hereSum = top + 2 * (brightness[row] as number) + bottom;
      let hereSlope = bottom - top;
      let leftSum = hereSum;
      let leftSlope = hereSlope;
      for (let x = 0; x < width; x++) {
        const i = row + x;
        const right = x < width - 1 ? i + 1 : i;
        const upper = brightness[right + above] as number;
        const lower = brightness[right + below] as number;
        const rightSum = upper + 2 * (brightness[right] as number) + lower;
        const rightSlope = lower - upper;
        const across = Math.abs(rightSum - leftSum);
        const down = Math.abs(leftSlope + 2 * hereSlope + rightSlope);
        const ink = Math.max(0, ((across + down - GRAIN) * 3) >> 2);
        const pixel = input[i] as number;
        output[i] =
          paint(pixel & 0xff, ink) |
          (paint((pixel >>> 8) & 0xff, ink) << 8) |
          (paint((pixel >>> 16) & 0xff, ink) << 16) |
          0xff000000;
        leftSum = hereSum;
        leftSlope = hereSlope;
        hereSum = rightSum;
        hereSlope = rightSlope;
      }
    }
  }

  #measure(input: Uint32Array): void {
    const brightness = this.#brightness;
    for (let i = 0; i < brightness.length; i++) {
      const pixel = input[i] as number;
      const red = pixel & 0xff;
      const green = (pixel >>> 8) & 0xff;
      const blue = (pixel >>> 16) & 0xff;
      brightness[i] = (77 * red + 150 * green + 29 * blue) >> 8;
    }
  }
}

/** A colour as pale paint, less the ink over it. */
function paint(colour: number, ink: number): number {
  return Math.max(0, 96 + ((colour * 5) >> 3) - ink);
}
