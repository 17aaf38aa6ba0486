/** Pieces of SVG, as text. Lengths are in user units: pixels, at the size that drawings are made for. */
import type { Span } from './axis.js';

/** A number with a tenth at most, so that the same drawing is the same text. */
export function num(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Text that may stand in SVG, whatever is in it. */
export function escapeXml(text: string): string {
  return (
    text
      // What XML has no way to write: controls, and halves of surrogate pairs.
      .replace(/[^\t\n\r -\uFFFD\u{10000}-\u{10FFFF}]|\p{Surrogate}/gu, '\uFFFD')
      .replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}

/** How wide a character is, in parts of the font's size: in the widest of the monospaced fonts … */
const MONOSPACED = 0.62;
/** … and of the others, on average. */
const PROPORTIONAL = 0.57;

/** How wide text in a monospaced font is. */
export function widthOf(text: string, size: number): number {
  return [...text].length * MONOSPACED * size;
}

/** Text that is at most so wide, in a font that is not monospaced; the end is cut off where it has to be. */
export function shorten(text: string, size: number, width: number): string {
  const characters = [...text];
  const most = Math.floor(width / (PROPORTIONAL * size));
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

export function text(className: string, x: number, y: number, content: string, more = ''): string {
  return `<text class="${className}" x="${num(x)}" y="${num(y)}"${more}>${escapeXml(content)}</text>`;
}

/** A rectangle; `title` is what a browser shows where the pointer is. */
export function rect(
  attributes: string,
  { x, width }: Span,
  y: number,
  height: number,
  title?: string,
): string {
  const place = `x="${num(x)}" y="${num(y)}" width="${num(width)}" height="${num(height)}"`;
  if (title === undefined) return `<rect ${attributes} ${place}/>`;
  return `<rect ${attributes} ${place}><title>${escapeXml(title)}</title></rect>`;
}

/** A band that leads from one place down to another. */
export function ribbon(fill: string, from: Span, y: number, to: Span, toY: number): string {
  const [a, b] = [num(from.x), num(from.x + from.width)];
  const [c, d] = [num(to.x), num(to.x + to.width)];
  const [top, middle, bottom] = [num(y), num((y + toY) / 2), num(toY)];
  return `<path class="ribbon" fill="${fill}" d="M${a} ${top}C${a} ${middle} ${c} ${middle} ${c} ${bottom}H${d}C${d} ${middle} ${b} ${middle} ${b} ${top}Z"/>`;
}

/** A colour, of a hue in degrees: all of them are as light and as strong to the eye (OKLCH). */
export function colour(hue: number, lightness: number): string {
  const chroma = 0.115;
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return `#${linear.map(channel).join('')}`;
}

/** A channel of sRGB, two digits. */
function channel(linear: number): string {
  const value = Math.min(1, Math.max(0, linear));
  const encoded = value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  return Math.round(encoded * 255)
    .toString(16)
    .padStart(2, '0');
}

/** Bytes in the largest unit of which they are a whole number, or nearly so. */
export function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Math.round(value * 10) / 10} ${units[unit]}`;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** "1 page", "2 pages" */
export function plural(count: number, what: string, many = `${what}s`): string {
  return `${count} ${count === 1 ? what : many}`;
}
