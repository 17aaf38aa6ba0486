/** `dmabuf-shim header`: alignments that are asked for, and what gets into the way of compilers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { writeHeader } from '../../uapi/header.js';
import { loadUapi } from '../../uapi/model.js';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-header-'));
afterAll(() => rmSync(folder, { recursive: true }));

const DSL = "import { struct, u32 } from 'dmabuf-shim/ioctl';\n";

/** A source of a test's own. */
function source(text: string): string {
  const path = join(folder, 'device.ts');
  writeFileSync(path, text);
  return path;
}

async function headerOf(path: string): Promise<string> {
  return writeHeader(await loadUapi(path), { guard: 'DEVICE_H' }).text;
}

describe('a header', () => {
  test('says alignments and packing by attributes, and what these cannot say by a pragma', async () => {
    const header = await headerOf(fixture('layouts'));
    expect(header).toContain('\t__u32 at __attribute__((aligned(8)));\n');
    expect(header).toContain('} __attribute__((aligned(32)));\n');
    expect(header).toContain('} __attribute__((packed, aligned(2)));\n');
    expect(header).toMatch(
      /#pragma pack\(push, 2\)\nstruct layout_pragma {[^#]*#pragma pack\(pop\)\n/,
    );
    expect(header).toContain('\t__aligned_u64 last;\n} __attribute__((aligned(32)));\n');
    expect(header).toContain('\t__u64 bytes;\n');
    expect(header).toContain('\t\t__u32 toObject;\n');
  });

  test('keeps constants of one line together, and comments whole', async () => {
    const text =
      'export const ONE = 1, THREE = 3;\n/** Ends *\\/ here, \x00and on. */\nexport const TWO = 2;\n';
    const header = await headerOf(source(DSL + text));
    expect(header).toContain(
      '#define ONE\t1\n#define THREE\t3\n/* Ends * / here, and on. */\n#define TWO\t2\n',
    );
  });

  test('has a warning for a name that is a macro of gcc’s', async () => {
    const path = source(`${DSL}export const a = struct('a', { linux: u32, linux_id: u32 });`);
    const { warnings } = writeHeader(await loadUapi(path), { guard: 'A_H' });
    expect(warnings).toEqual([expect.stringMatching(/device.ts:2: "linux" is a macro of gcc's/)]);
  });
});
