/** Drawings of buffers: their bytes, where these are in memory, and where devices see them. */
import type { AttachmentLayout, BufferLayout, MappingLayout } from '../drivers/dma-buf/layout.js';
import { PAGE_SIZE } from '../mm/page.js';
import { Axis, type Extent, type Span } from './axis.js';
import { drawLabels, LABEL_SIZE } from './labels.js';
import { bytes, hex, num, plural, rect, ribbon, shorten, text, widthOf } from './markup.js';
import { type Piece, piecesOf, type Run, runsOf } from './pieces.js';

const WIDTH = 960;
const MARGIN = 12;
/** What rows are called is left of them. */
const GUTTER: Span = { x: MARGIN + 16, width: 176 };
const BAR: Span = { x: 212, width: 720 };
const HEIGHT = 24;
/** Of the bar that stands for memory once more, above each device. */
const THIN = 5;
/** Between bars that are connected. */
const RIBBON = 62;
/** Connections that are drawn between two bars: with more pieces, one a colour. */
const MOST_RIBBONS = 192;
const TITLE_SIZE = 15;
const NOTE_SIZE = 11;
const LINE = 14;

const STYLE = `
text{font-family:ui-sans-serif,system-ui,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:${TITLE_SIZE}px;font-weight:600}
.head{font-size:12px;font-weight:600}
.note{font-size:${NOTE_SIZE}px;fill:#57606a}
.label,.number{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;font-size:${LABEL_SIZE}px}
.label{fill:#424a53}
.number{fill:#14181c;text-anchor:middle}
.page{fill:#fff}
.panel{fill:#f6f8fa;stroke:#d0d7de}
.none{fill:none;stroke:#8c959f;stroke-dasharray:4 3}
.area{stroke:#8c959f;fill:none}
.gap{stroke:#8c959f;stroke-dasharray:1.5 2.5;fill:none}
.cut{fill:#f6f8fa}
.ribbon{fill-opacity:.33}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.note{fill:#9198a1}
.label{fill:#b7bdc8}
.number{fill:#14181c}
.page{fill:#0d1117}
.panel{fill:#151b23;stroke:#3d444d}
.none,.gap,.area{stroke:#7d8590}
.cut{fill:#151b23}
.ribbon{fill-opacity:.4}
}
`;

/**
 * Draws buffers as SVG, a panel each: its bytes, cut into runs of page frames; physical memory with these
 * frames; and for each device the addresses at which it sees them. Runs have colours and numbers, which
 * go from one row to the next. The same layout gives the same text.
 */
export function drawLayout(layout: readonly BufferLayout[]): string {
  const out: string[] = [];
  let y = MARGIN;
  for (const buffer of layout) {
    const panel: string[] = [];
    const end = drawBuffer(panel, buffer, y);
    const frame = { x: MARGIN, width: WIDTH - 2 * MARGIN };
    out.push(rect('class="panel" rx="6"', frame, y, end - y), ...panel);
    y = end + MARGIN;
  }
  const legend = layout.length === 0 ? 'There are no buffers.' : LEGEND;
  out.push(text('note', MARGIN + 2, y + 8, legend));
  const height = num(y + 20);
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`;
  const title = '<title>Where dma-bufs are, in memory and for devices</title>';
  const page = rect('class="page"', { x: 0, width: WIDTH }, 0, y + 20);
  return `${[head, title, `<style>${STYLE}</style>`, page, ...out].join('\n')}\n</svg>\n`;
}

const LEGEND =
  'A colour and a number: page frames in a row. 0x1a0+4: four from number 0x1a0 on; +16K: so many bytes. Dotted: a gap in the addresses.';

/** Draws a panel from `y` on; where it ends. */
function drawBuffer(out: string[], buffer: BufferLayout, y: number): number {
  const runs = runsOf(buffer);
  const { ino, exp_name, name, size, references, attachments } = buffer;
  const what = `dmabuf ${ino}, ${exp_name}${name === null ? '' : `, “${name}”`}`;
  const facts = `${bytes(size)}, ${plural(references, 'reference')}`;
  const room = BAR.x + BAR.width - GUTTER.x - widthOf(facts, NOTE_SIZE) - 20;
  out.push(text('title', GUTTER.x, y + 26, shorten(what, TITLE_SIZE, room)));
  out.push(text('note', BAR.x + BAR.width, y + 26, facts, ' text-anchor="end"'));

  const top = y + 62;
  drawBytes(out, buffer, runs, top);
  const axis = runs.length > 0 ? new Axis(runs, BAR) : undefined;
  const memoryTop = top + HEIGHT + (axis ? RIBBON : LINE);
  let bottom: number;
  if (axis) {
    const pairs = runs.map((run) => ({ run, from: inBytes(run, size), to: axis.spanOf(run) }));
    drawRibbons(out, pairs, top + HEIGHT, memoryTop);
    bottom = drawMemory(out, runs, axis, memoryTop);
  } else {
    drawNotes(out, 'page frames', [], memoryTop + HEIGHT);
    drawNothing(out, memoryTop, 'not known: no device has mapped the buffer yet');
    bottom = memoryTop + HEIGHT + LINE;
  }
  for (const attachment of attachments) {
    for (const mapping of attachment.mappings) {
      bottom = drawMapping(out, runs, axis, attachment, mapping, bottom);
    }
    if (attachment.mappings.length > 0) continue;
    const notes = traits(attachment);
    const at = Math.max(bottom + 10, bottom + notes.length * LINE - 4);
    drawNotes(out, attachment.device, notes, at + HEIGHT, ' opacity=".65"');
    drawNothing(out, at, 'attached, nothing mapped');
    bottom = at + HEIGHT + LINE;
  }
  if (attachments.length === 0) {
    out.push(text('note', BAR.x, bottom + 8, 'no device is attached'));
    bottom += LINE;
  }
  return bottom + 6;
}

/** Where bytes of the buffer are in the first row. */
function inBytes({ offset, length }: Run, size: number): Span {
  return { x: BAR.x + (offset / size) * BAR.width, width: (length / size) * BAR.width };
}

function drawBytes(out: string[], { size }: BufferLayout, runs: readonly Run[], y: number): void {
  const notes = [`${plural(size / PAGE_SIZE, 'page')}, ${plural(runs.length, 'run')}`];
  const groups = (runs.at(-1)?.group ?? 0) + 1;
  if (groups < runs.length) notes.push(`up to ${Math.ceil(runs.length / groups)} of them a colour`);
  drawNotes(out, 'bytes of the buffer', runs.length > 0 ? notes : notes.slice(1), y + HEIGHT);
  const end = `${hex(size)} = ${bytes(size)}`;
  const right = BAR.x + BAR.width - widthOf(end, LABEL_SIZE);
  out.push(text('label', BAR.x + BAR.width, y - 5, end, ' text-anchor="end"'));
  let from = BAR.x;
  for (const run of runs) {
    const { x } = inBytes(run, size);
    const offset = run.offset === 0 ? '0' : hex(run.offset);
    const width = widthOf(offset, LABEL_SIZE);
    if (x < from || x + width + 8 > right) continue;
    out.push(text('label', x, y - 5, offset));
    from = x + width + 8;
  }
  if (runs.length === 0) drawNothing(out, y, '');
  const parts = runs.map((run) => ({ run, span: inBytes(run, size) }));
  drawBar(out, parts, y, HEIGHT);
}

function drawMemory(out: string[], runs: readonly Run[], axis: Axis, y: number): number {
  const areas = new Map<string, number>();
  for (const { area, count } of runs) areas.set(area, (areas.get(area) ?? 0) + count);
  const notes = [
    ...[...areas].sort().map(([area, count]) => `${area}: ${plural(count, 'page')}`),
    axis.gapCount === 0 ? 'in one piece' : `in ${axis.gapCount + 1} pieces`,
  ];
  const hidden = axis.gapCount - axis.gaps.length;
  if (hidden > 0) notes.push(`${plural(hidden, 'gap')} not drawn`);
  drawNotes(out, 'page frames', notes, y + HEIGHT);
  drawGaps(out, axis, y);
  const parts = runs.map((run) => ({ run, span: axis.spanOf(run) }));
  drawBar(out, parts, y, HEIGHT);
  const below = y + HEIGHT + (areas.size > 1 ? drawAreas(out, parts, y + HEIGHT) : 0);
  const labels = parts.map(({ run: { pfn, count }, span }) => ({
    span,
    long: count === 1 ? hex(pfn) : `${hex(pfn)}–${hex(pfn + count - 1)}`,
    short: count === 1 ? hex(pfn) : `${hex(pfn)}+${count}`,
  }));
  return below + drawLabels(out, labels, BAR, below);
}

interface Part {
  run: Run;
  span: Span;
  /** Where it is the first of what is in a row. */
  begins?: boolean;
  title?: string;
}

/** Lines below memory that say what of it is in which zone. How much height they take. */
function drawAreas(out: string[], parts: readonly Part[], y: number): number {
  const stretches: { area: string; from: number; to: number }[] = [];
  for (const { run, span } of [...parts].sort((a, b) => a.span.x - b.span.x)) {
    const last = stretches.at(-1);
    const to = span.x + span.width;
    if (last?.area === run.area) last.to = Math.max(last.to, to);
    else stretches.push({ area: run.area, from: span.x, to });
  }
  for (const { area, from, to } of stretches) {
    out.push(`<path class="area" d="M${num(from)} ${num(y + 3)}v3H${num(to)}v-3"/>`);
    if (widthOf(area, LABEL_SIZE) > to - from) continue;
    out.push(text('label', (from + to) / 2, y + 17, area, ' text-anchor="middle"'));
  }
  return 20;
}

function drawMapping(
  out: string[],
  runs: readonly Run[],
  axis: Axis | undefined,
  attachment: AttachmentLayout,
  mapping: MappingLayout,
  from: number,
): number {
  const segments = mapping.segments.map(([address, length]) => ({ address, length }));
  const pieces = piecesOf(runs, mapping);
  const bounced = new Set<Extent>();
  for (const { segment, device, memory } of pieces) {
    if (!attachment.iommu && device.address !== memory.address) bounced.add(segment);
  }
  const entries = plural(mapping.orig_nents, 'entry', 'entries');
  const notes = [
    ...traits(attachment),
    mapping.direction,
    `${entries} → ${plural(mapping.nents, 'segment')}`,
    ...(bounced.size > 0 ? [`${bounced.size} bounced`] : []),
  ];
  // There has to be room for the notes, too.
  const thin = from + 8;
  const y = Math.max(thin + THIN + RIBBON, from + notes.length * LINE);
  const device = new Axis(segments, BAR);
  if (axis) {
    const parts = runs.map((run) => ({ run, span: axis.spanOf(run) }));
    drawBar(out, parts, thin, THIN);
    const pairs = pieces.map((piece) => ({
      run: piece.run,
      from: axis.spanOf(piece.memory),
      to: device.spanOf(piece.device),
    }));
    drawRibbons(out, pairs, thin + THIN, y);
  }
  drawNotes(out, attachment.device, notes, y + HEIGHT);
  drawGaps(out, device, y);
  const parts = pieces.map((piece, i) => segmentPart(piece, pieces[i - 1], device));
  drawBar(out, parts, y, HEIGHT);
  // What memory that is, is not known.
  if (!axis) for (const each of segments) drawNothing(out, y, '', device.spanOf(each));
  const labels = segments.map((segment) => ({
    span: device.spanOf(segment),
    long: `${hex(segment.address)}, ${bytes(segment.length)}`,
    short: `${hex(segment.address)}+${segment.length / 1024}K`,
  }));
  return y + HEIGHT + drawLabels(out, labels, BAR, y + HEIGHT);
}

function segmentPart({ run, segment, device }: Piece, before: Piece | undefined, axis: Axis): Part {
  return {
    run,
    span: axis.spanOf(device),
    begins: before?.segment !== segment,
    title: `segment ${hex(segment.address)}, ${bytes(segment.length)}`,
  };
}

/** What there is to know of a device and its attachment, a line each. */
function traits(attachment: AttachmentLayout): string[] {
  const { iommu, coherent, dynamic, pins, dma_mask, max_segments, max_segment_size } = attachment;
  const bits = Math.round(Math.log2(dma_mask + 1));
  const { segment_boundary_mask: boundary } = attachment;
  return [
    `${iommu ? 'IOMMU' : 'no IOMMU'}, ${bits} bits`,
    ...(coherent ? [] : ['not coherent']),
    max_segments === null
      ? `segments ≤ ${bytes(max_segment_size)}`
      : `≤ ${plural(max_segments, 'segment')} of ${bytes(max_segment_size)}`,
    ...(boundary < 0xffffffff ? [`boundaries: ${bytes(boundary + 1)}`] : []),
    `${dynamic ? 'dynamic' : 'not dynamic'}${pins > 0 ? `, pins: ${pins}` : ''}`,
  ];
}

/** Text left of a bar, of which the last line is at the bar's lower end. */
function drawNotes(out: string[], head: string, notes: string[], bottom: number, more = ''): void {
  const top = bottom - 5 - notes.length * LINE;
  out.push(text('head', GUTTER.x, top, shorten(head, 12, GUTTER.width), more));
  for (const [i, note] of notes.entries()) {
    const content = shorten(note, NOTE_SIZE, GUTTER.width);
    out.push(text('note', GUTTER.x, top + (i + 1) * LINE, content, more));
  }
}

/** A bar with nothing in it. */
function drawNothing(out: string[], y: number, why: string, span = BAR): void {
  out.push(rect('class="none" rx="3"', span, y, HEIGHT));
  if (why) out.push(text('note', BAR.x + 10, y + 16, why));
}

function drawGaps(out: string[], axis: Axis, y: number): void {
  for (const gap of axis.gaps) {
    const middle = num(y + HEIGHT / 2);
    out.push(
      `<path class="gap" d="M${num(gap.x + 1)} ${middle}h${num(gap.width - 2)}"><title>${bytes(gap.bytes)}</title></path>`,
    );
  }
}

/** How wide a part is drawn at least. */
const NARROWEST = 1.5;
/** Parts of a bar that say what they are when the pointer is on them; of more, none does. */
const MOST_TITLES = 192;

/** A row of coloured parts, of which those that are too narrow are left out. */
function drawBar(out: string[], parts: readonly Part[], y: number, height: number): void {
  const sorted = [...parts].sort((a, b) => a.span.x - b.span.x);
  const titled = height > THIN && parts.length <= MOST_TITLES;
  const cuts: string[] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const { run, span, begins = true, title } of sorted) {
    const right = span.x + span.width;
    if (right < end + NARROWEST) continue;
    // Nothing is seen of what was left out; gaps are wider than that.
    const x = span.x < end + 2 * NARROWEST ? end : span.x;
    const width = Math.max(NARROWEST, right - x);
    const fill = `fill="${run.fill}"`;
    out.push(rect(fill, { x, width }, y, height, titled ? describe(run, title) : undefined));
    // A line where one part ends and the other begins; a finer one where only memory does.
    const line = begins ? 1.2 : 0.4;
    if (x === end && width > 4) {
      cuts.push(rect('class="cut"', { x: x - line / 2, width: line }, y, height));
    }
    end = x + width;
    const number = String(run.number);
    if (height === THIN || widthOf(number, LABEL_SIZE) + 2 > width) continue;
    cuts.push(text('number', x + width / 2, y + 16, number));
  }
  out.push(...cuts);
}

function describe({ number, pfn, count, area, offset }: Run, title?: string): string {
  const frames = `page frames ${hex(pfn)}–${hex(pfn + count - 1)} (${area})`;
  const where = `run ${number}: ${plural(count, 'page')} from offset ${hex(offset)} on, ${frames}`;
  return title === undefined ? where : `${title}\n${where}`;
}

/** A span that can be seen. */
function atLeast({ x, width }: Span): Span {
  return { x, width: Math.max(width, NARROWEST) };
}

/** Connects where bytes are in one row with where they are in the next. */
function drawRibbons(
  out: string[],
  pairs: readonly { run: Run; from: Span; to: Span }[],
  y: number,
  toY: number,
): void {
  let group = -1;
  for (const { run, from, to } of pairs) {
    if (pairs.length > MOST_RIBBONS && run.group === group) continue;
    group = run.group;
    out.push(ribbon(run.fill, atLeast(from), y, atLeast(to), toY));
  }
}
