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
      const above = y > 0 ? row - width : row;
      const below = y < height - 1 ? row + width : row;
      // Sobel's operator: of each column its weighted sum and its slope, of three columns in turn.
      const sum = (x: number) => at(above + x) + 2 * at(row + x) + at(below + x);
      const slope = (x: number) => at(below + x) - at(above + x);
      let leftSum = sum(0);
      let leftSlope = slope(0);
      let hereSum = leftSum;
      let hereSlope = leftSlope;
      for (let x = 0; x < width; x++) {
        const right = x < width - 1 ? x + 1 : x;
        const rightSum = sum(right);
        const rightSlope = slope(right);
        const across = Math.abs(rightSum - leftSum);
        const along = Math.abs(leftSlope + 2 * hereSlope + rightSlope);
        const ink = Math.max(0, ((across + along - GRAIN) * 3) >> 2);
        const pixel = input[row + x] as number;
        output[row + x] =
          wash(pixel & 0xff, ink) |
          (wash((pixel >>> 8) & 0xff, ink) << 8) |
          (wash((pixel >>> 16) & 0xff, ink) << 16) |
          0xff000000;
        leftSum = hereSum;
        leftSlope = hereSlope;
        hereSum = rightSum;
        hereSlope = rightSlope;
      }
    }

    function at(index: number): number {
      return brightness[index] as number;
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
function wash(colour: number, ink: number): number {
  return Math.max(0, 96 + ((colour * 5) >> 3) - ink);
}
