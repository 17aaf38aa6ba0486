import type { Span } from './axis.js';
import { num, text, widthOf } from './markup.js';

/** What stands below a part of a bar. */
export interface Label {
  /** The part that it is of. */
  span: Span;
  /** In the words that there is hardly room for, and in fewer. */
  long: string;
  short: string;
}

/** Of the class "label": its font's size, and how far apart lines are. */
export const LABEL_SIZE = 10;
const LINE = 13;
const BETWEEN = 8;
/** How far apart slanted labels are at least, so that they do not touch. */
const PITCH = 15;
const SLANT = Math.SQRT1_2;

/**
 * Draws labels from `y` on, below a bar: in a line if there is room for all of them, else slanted, as
 * many as there is room for. How much height that takes.
 */
export function drawLabels(out: string[], labels: readonly Label[], bar: Span, y: number): number {
  const sorted = [...labels].sort((a, b) => a.span.x - b.span.x);
  for (const form of ['long', 'short'] as const) {
    const line = inLine(sorted, form, bar);
    if (!line) continue;
    out.push(...line.map(({ x, content }) => text('label', x, y + LINE, content)));
    return LINE + 4;
  }
  let last = Number.NEGATIVE_INFINITY;
  let height = 0;
  let left = 0;
  for (const { span, short } of sorted) {
    const x = span.x + span.width / 2;
    if (x < last + PITCH) {
      left++;
      continue;
    }
    last = x;
    height = Math.max(height, (widthOf(short, LABEL_SIZE) + LABEL_SIZE) * SLANT);
    const place = `translate(${num(x + 3)} ${num(y + 10)}) rotate(-45)`;
    out.push(text('label', 0, 0, short, ` text-anchor="end" transform="${place}"`));
  }
  if (left === 0) return height + LINE;
  const more = `… ${left} more`;
  out.push(text('label', bar.x + bar.width, y + height + LINE, more, ' text-anchor="end"'));
  return height + LINE + LINE;
}

/** Where labels are in one line, each below its part, or as near as it gets. Undefined: they do not fit. */
function inLine(labels: readonly Label[], form: 'long' | 'short', bar: Span) {
  const end = bar.x + bar.width;
  const line: { x: number; content: string }[] = [];
  let from = bar.x;
  for (const { span, [form]: content } of labels) {
    const width = widthOf(content, LABEL_SIZE);
    const centred = span.x + (span.width - width) / 2;
    const x = Math.max(from, Math.min(centred, end - width));
    // It may move, but not away from what it is of.
    if (x + width > end || x > span.x + span.width) return undefined;
    line.push({ x, content });
    from = x + width + BETWEEN;
  }
  return line;
}
