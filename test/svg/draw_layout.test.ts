/** Drawings of where buffers are. */
import { describe, expect, test } from 'vitest';
import {
  type AttachmentLayout,
  type BufferLayout,
  drawLayout,
  type PageRun,
} from '../../src/index.js';

const PAGE = 4096;

/** A buffer of single frames, every other one (no multiple of 7 of them), with a device that has it in one piece and one in many. */
function scattered(count: number, more: Partial<BufferLayout> = {}): BufferLayout {
  const pages = Array.from(
    { length: count },
    (_, i): PageRun => [0x1000 + ((i * 7) % count) * 2, 1, 'DMA32'],
  );
  const attachment = (device: string, iommu: boolean, segments: [number, number][]) => ({
    ...{ device, iommu, coherent: true, dma_mask: 2 ** 32 - 1, max_segment_size: 65536 },
    ...{ segment_boundary_mask: 2 ** 32 - 1, max_segments: null, dynamic: false, pins: 0 },
    mappings: [{ direction: 'DMA_TO_DEVICE', orig_nents: count, nents: segments.length, segments }],
  });
  const plain = pages.map(([pfn]): [number, number] => [pfn * PAGE, PAGE]);
  return {
    ...{ ino: 17, exp_name: 'system', name: null, size: count * PAGE, references: 1, pages },
    attachments: [
      attachment('behind', true, [[0xfff00000, count * PAGE]]),
      attachment('plain', false, plain),
    ],
    ...more,
  };
}

/** Text of a drawing: what it says, and the parallelogram that it is in, as far as can be known. */
function texts(svg: string) {
  const sizes: Record<string, number> = { title: 15, head: 12, note: 11, label: 10, number: 10 };
  return [...svg.matchAll(/<text class="(\w+)" x="([\d.-]+)" y="([\d.-]+)"([^>]*)>([^<]*)</g)].map(
    ([, kind = '', x, y, more = '', content = '']) => {
      const decoded = content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
      const advance = kind === 'label' || kind === 'number' ? 0.6 : 0.5;
      const width = decoded.length * advance * (sizes[kind] as number);
      const [, tx, ty] = /translate\(([\d.]+) ([\d.]+)\)/.exec(more) ?? [];
      const anchor = kind === 'number' ? width / 2 : 0;
      const shift = more.includes('"end"') ? width : more.includes('"middle"') ? width / 2 : anchor;
      return {
        ...{ content: decoded, slanted: tx !== undefined, width, height: sizes[kind] as number },
        x: tx === undefined ? Number(x) - shift : Number(tx),
        y: Number(ty ?? y),
      };
    },
  );
}

describe('drawing', () => {
  test.each([1, 3, 24, 48, 50, 701])(
    'of %i runs: no text is on another one, or outside',
    (count) => {
      const all = texts(drawLayout([scattered(count), scattered(count)]));
      expect(all.length).toBeGreaterThan(10);
      expect(all.filter(({ x, width, slanted }) => x < 0 || (!slanted && x + width > 960))).toEqual(
        [],
      );
      const level = all.filter(({ slanted }) => !slanted).sort((a, b) => a.y - b.y);
      const touching = level.flatMap((a, i) =>
        level
          .slice(i + 1)
          .filter((b) => b.y - a.y < Math.min(a.height, b.height))
          .filter((b) => a.x < b.x + b.width && b.x < a.x + a.width)
          .map((b) => `${a.content} / ${b.content}`),
      );
      expect(touching).toEqual([]);
      // Slanted by 45 degrees, lines are as far apart as their beginnings, by the square root of 2.
      const slanted = all.filter((each) => each.slanted).sort((a, b) => a.y - b.y || a.x - b.x);
      const close = slanted.filter(({ x, y, height }, i) => {
        const next = slanted[i + 1];
        return next?.y === y && next.x - x < height * Math.SQRT2;
      });
      expect(close).toEqual([]);
    },
  );

  test('shows each run where it is in the buffer, in memory, and for each device', () => {
    const svg = drawLayout([scattered(5)]);
    const numbers = texts(svg).filter(({ content }) => /^[1-5]$/.test(content));
    const rows = new Map<number, string>();
    for (const { content, y } of numbers.sort((a, b) => a.x - b.x)) {
      rows.set(y, (rows.get(y) ?? '') + content);
    }
    // The plain device sees them as they are in memory; behind the IOMMU they are in order again.
    expect([...rows].sort(([a], [b]) => a - b).map(([, order]) => order)).toEqual([
      '12345',
      '14253',
      '12345',
      '14253',
    ]);
    const said = texts(svg).map(({ content }) => content);
    expect(said).toEqual(
      expect.arrayContaining([
        'dmabuf 17, system',
        '20 KiB, 1 reference',
        'DMA32: 5 pages',
        'in 5 pieces',
        '0xfff00000, 20 KiB',
        '5 entries → 1 segment',
        '5 entries → 5 segments',
      ]),
    );
  });

  test('of many runs says how many it leaves out', () => {
    expect(drawLayout([scattered(24)])).not.toContain('more</text>');
    const svg = drawLayout([scattered(701)]);
    expect(svg).toMatch(/… 6\d\d more<\/text>/);
    expect(svg).toContain('700 gaps not drawn');
    expect(svg.length).toBeLessThan(2 ** 20);
  });

  test('marks what is bounced, what is attached only, and what is not known', () => {
    const buffer = scattered(2);
    const [behind, plain] = buffer.attachments as [AttachmentLayout, AttachmentLayout];
    const [mapping] = plain.mappings;
    if (mapping) mapping.segments[1] = [0xc0000000, PAGE];
    const svg = drawLayout([{ ...buffer, attachments: [{ ...behind, mappings: [] }, plain] }]);
    expect(svg).toContain('>1 bounced<');
    expect(svg).toContain('>attached, nothing mapped<');
    expect(drawLayout([{ ...buffer, pages: null, attachments: [] }])).toContain('>not known: ');
    expect(drawLayout([])).toContain('There are no buffers.');
  });

  test('is well-formed whatever names are, and the same for the same layout', () => {
    const name = '</text>&"\u0001\ud800<script>';
    const layout = [scattered(3, { name, exp_name: '<b>' })];
    const svg = drawLayout(layout);
    expect(drawLayout(structuredClone(layout))).toBe(svg);
    const bare = svg.replace(/<style>[\s\S]*<\/style>/, '');
    const open: string[] = [];
    for (const [, close, tag, , empty] of bare.matchAll(
      /<(\/?)(\w+)((?: [\w-]+="[^"<]*")*)(\/?)>/g,
    )) {
      if (close) expect(open.pop()).toBe(tag);
      else if (!empty) open.push(tag as string);
    }
    expect(open).toEqual([]);
    expect(bare.replace(/<(\/?)(\w+)((?: [\w-]+="[^"<]*")*)(\/?)>/g, '')).not.toMatch(
      /[<>]|&(?!#\d+;)/,
    );
    expect(svg).not.toMatch(/<script|[^\n -~–—…“”≤→\ufffd]/);
    expect(texts(svg)[0]?.content).toBe('dmabuf 17, <b>, “</text>&"\ufffd\ufffd<script>”');
  });
});
