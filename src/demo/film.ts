/** The picture as a camera sees it that pans and zooms over it. */
import type { FrameSize } from './frame_buffer.js';

export interface Picture {
  width: number;
  height: number;
  /** Red, green, blue, alpha; 4 bytes a pixel. */
  pixels: Uint32Array;
}

/** Where the camera looks: the centre, as a part of the picture's size, and how much of it. */
interface View {
  x: number;
  y: number;
  extent: number;
}

const PATH: readonly [View, ...View[]] = [
  { x: 0.5, y: 0.375, extent: 1 },
  { x: 0.44, y: 0.24, extent: 0.5 },
  { x: 0.84, y: 0.28, extent: 0.5 },
  { x: 0.64, y: 0.78, extent: 0.6 },
];

/** The frames of `count` at which the camera is where its path bends: worth a picture. */
export function moments(count: number): number[] {
  return PATH.map((_, i) => Math.round((i * (count - 1)) / (PATH.length - 1)));
}

/** Only +, −, × and ÷: every machine films the same. */
function viewAt(frame: number, count: number): View {
  const position = count > 1 ? (frame * (PATH.length - 1)) / (count - 1) : 0;
  const leg = Math.min(Math.floor(position), PATH.length - 2);
  const [from, to] = PATH.slice(leg, leg + 2) as [View, View];
  const t = position - leg;
  const eased = t * t * (3 - 2 * t);
  const between = (a: number, b: number) => a + (b - a) * eased;
  return {
    x: between(from.x, to.x),
    y: between(from.y, to.y),
    extent: between(from.extent, to.extent),
  };
}

export class Film {
  readonly #picture: Picture;
  readonly #size: FrameSize;
  readonly #count: number;
  /** The largest part of the picture that has the shape of a frame: pixels of it a frame's pixel. */
  readonly #scale: number;

  constructor(picture: Picture, size: FrameSize, count: number) {
    const scaleOf = ({ width, height }: Picture) =>
      Math.min(width / size.width, height / size.height);
    let reduced = onWhite(picture);
    while (scaleOf(reduced) >= 2) reduced = halved(reduced);
    this.#picture = reduced;
    this.#scale = scaleOf(reduced);
    this.#size = size;
    this.#count = count;
  }

  /** Writes a frame's pixels, each interpolated between four of the picture. */
  shoot(frame: number, output: Uint32Array): void {
    const { pixels, width: columns, height: rows } = this.#picture;
    const { width, height } = this.#size;
    const view = viewAt(frame, this.#count);
    const scale = this.#scale * view.extent;
    const left = within(view.x * columns - (scale * width) / 2, columns - scale * width);
    const top = within(view.y * rows - (scale * height) / 2, rows - scale * height);
    // Columns in 16.16 fixed point from `column0` on, which keeps them within 31 bits.
    const step = Math.floor(scale * 65536);
    const column0 = Math.floor(left);
    const x0 = Math.floor((left - column0) * 65536);
    const lastColumn = columns - 1 - column0;
    for (let y = 0, i = 0; y < height; y++) {
      const row = top + y * scale;
      const upper = Math.min(Math.floor(row), rows - 1);
      const down = Math.floor((row - upper) * 256) & 0xff;
      const upperRow = upper * columns + column0;
      const lowerRow = Math.min(upper + 1, rows - 1) * columns + column0;
      for (let n = 0, x = x0; n < width; n++, x += step) {
        const a = Math.min(x >> 16, lastColumn);
        const b = Math.min(a + 1, lastColumn);
        const right = (x >> 8) & 0xff;
        output[i++] = mix(
          mix(pixels[upperRow + a] as number, pixels[upperRow + b] as number, right),
          mix(pixels[lowerRow + a] as number, pixels[lowerRow + b] as number, right),
          down,
        );
      }
    }
  }
}

function within(value: number, limit: number): number {
  return Math.max(0, Math.min(value, limit));
}

/** Two pixels, mixed in the ratio 256 − f : f; two of the four bytes at a time. */
function mix(a: number, b: number, f: number): number {
  const even = Math.imul(a & 0xff00ff, 256 - f) + Math.imul(b & 0xff00ff, f);
  const odd = Math.imul((a >>> 8) & 0xff00ff, 256 - f) + Math.imul((b >>> 8) & 0xff00ff, f);
  return ((even >>> 8) & 0xff00ff) | (odd & 0xff00ff00);
}

/** Transparent pixels as on paper. */
function onWhite({ width, height, pixels }: Picture): Picture {
  const opaque = pixels.map((pixel) => mix(0xffffffff, pixel | 0xff000000, alphaOf(pixel)));
  return { width, height, pixels: opaque };
}

/** 0 to 256. */
function alphaOf(pixel: number): number {
  const alpha = pixel >>> 24;
  return alpha + (alpha >> 7);
}

/** Half as wide and high: interpolation alone would skip pixels of a picture that is much too large. */
function halved({ width, height, pixels }: Picture): Picture {
  const half = { width: width >> 1, height: height >> 1 };
  const reduced = new Uint32Array(half.width * half.height);
  for (let y = 0, i = 0; y < half.height; y++) {
    for (let x = 0; x < half.width; x++) {
      const at = 2 * (y * width + x);
      const upper = mix(pixels[at] as number, pixels[at + 1] as number, 128);
      const lower = mix(pixels[at + width] as number, pixels[at + width + 1] as number, 128);
      reduced[i++] = mix(upper, lower, 128);
    }
  }
  return { ...half, pixels: reduced };
}
