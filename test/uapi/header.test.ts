/** `dmabuf-shim header`: C headers of interfaces that are written in TypeScript. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { writeHeader } from '../../uapi/header.js';
import { loadUapi, type Uapi } from '../../uapi/model.js';
import { linuxSource, needsLinuxSource } from '../linux_source.js';
import { assertions, COMPILERS, compile, unavailable } from './c_compilers.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = join(root, 'dist/src/cli/main.js');
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url));
const own = (name: string) => join(root, `ioctl/${name}.ts`);

const scratch = mkdtempSync(join(tmpdir(), 'dmabuf-shim-header-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let folders = 0;
function folder(): string {
  const made = join(scratch, String(folders++));
  mkdirSync(made);
  return made;
}

/** A source of a test's own. */
function source(text: string, name = 'device.ts'): string {
  const path = join(folder(), name);
  writeFileSync(path, text);
  return path;
}

const DSL = `import * as uapi from 'dmabuf-shim/ioctl';
import { anonymous, charArray, cstring, doc, flexible, io, iow, ioctls, s32, struct, u32, u64, union } from 'dmabuf-shim/ioctl';
`;

const loaded = new Map<string, Promise<Uapi>>();
/** What is here for all tests, loaded once. */
function uapiOf(path: string): Promise<Uapi> {
  const uapi = loaded.get(path) ?? loadUapi(path);
  loaded.set(path, uapi);
  return uapi;
}

async function headerOf(path: string): Promise<string> {
  return writeHeader(await uapiOf(path), { guard: 'DEVICE_H' }).text;
}

/** What a header declares, without its comments, guard and #include lines. */
async function declarations(text: string): Promise<string> {
  const header = await headerOf(source(DSL + text));
  const [, body = ''] = header
    .split(/#include <linux\/types.h>\n\n|#define DEVICE_H\n\n/)
    .slice(-2);
  return body.replace(/\n#endif[\s\S]*/, '').replace(/\/\*[\s\S]*?\*\/\n/g, '');
}

function shim(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'header', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('a header', () => {
  test('is one that a kernel developer would have written', async () => {
    expect(await headerOf(fixture('scaler'))).toBe(
      readFileSync(new URL('fixtures/scaler.h', import.meta.url), 'utf8'),
    );
  });

  test('gives 64-bit members their alignment where i386 would not, and only there', async () => {
    const header = await headerOf(fixture('layouts'));
    const body = (tag: string) => header.split(`struct ${tag} {\n`)[1]?.split('}')[0];
    expect(body('layout_misaligned')).toBe(
      [
        '\t__u32 id;\n',
        '\t__aligned_u64 value;\n',
        '\t__s64 delta __attribute__((aligned(8)));\n',
        '\t__aligned_u64 address;\n',
        '\t__aligned_u64 list[2];\n',
      ].join(''),
    );
    expect(body('layout_tail')).toBe('\t__aligned_u64 value;\n\t__u32 id;\n');
    expect(body('layout_inner')).toBe('\t__aligned_u64 value;\n');
    expect(await headerOf(own('udmabuf'))).not.toContain('aligned');
  });

  test('includes what Linux’s headers have, instead of saying it again', async () => {
    const header = await headerOf(fixture('layouts'));
    expect(header).toContain(
      '#include <linux/ioctl.h>\n#include <linux/types.h>\n#include <linux/udmabuf.h>\n\n',
    );
    expect(header).not.toContain('struct udmabuf_create_item {');
    expect(header).toContain('struct udmabuf_create_item item __attribute__((aligned(8)));');
  });

  test('writes unions, unnamed structs and arrays as C does', async () => {
    const header = await headerOf(fixture('layouts'));
    expect(header.split('struct layout_nested {\n')[1]?.split('\n};')[0]).toBe(
      `	__u32 kind;
	union {
		union layout_value value;
		struct {
			__s32 x;
			__s32 y;
		} at;
		struct {
			__s8 first;
			__u32 second;
		};
		struct {
			__u32 low;
			__aligned_u64 high;
		} bits;
	};
	struct {
		__s32 x;
		__s32 y;
	} corners[4];
	__u8 grid[LAYOUT_COUNT - 1][LAYOUT_LEN];
	char names[LAYOUT_COUNT][LAYOUT_LEN / 2];`,
    );
    expect(header).toMatch(
      /struct layout_packed \{[^}]*\{[^}]*\};\n\} __attribute__\(\(packed\)\);/,
    );
    expect(header).toContain('\tstruct layout_pair pairs[];');
    expect(header).toContain('\tchar text[];');
  });

  test('names ioctls as the source does, whatever their number is made of', async () => {
    const header = await headerOf(fixture('layouts'));
    expect(header.match(/^#define LAYOUT_[A-Z_]+ (_IO|\\).*(\n\t.*)?$/gm)).toEqual([
      "#define LAYOUT_NUMBER _IOW('L', 1, __u32)",
      "#define LAYOUT_NUMBERS _IOR('L', 2, __u64[4])",
      "#define LAYOUT_PAIRS _IOR('L', LAYOUT_COUNT, struct layout_pair[2])",
      "#define LAYOUT_NAME _IOW('L', 4, __u64)",
      "#define LAYOUT_WORD _IOW('L', 5, char[12])",
      "#define LAYOUT_STRING _IOC(_IOC_READ | _IOC_WRITE, 'L', 6, 0)",
      "#define LAYOUT_LIST _IOWR('\\'', LAYOUT_COUNT + 4, struct layout_list)",
      "#define LAYOUT_VALUE _IOWR('L', 8, union layout_value)",
      "#define LAYOUT_NESTED _IOW('L', 9, struct layout_nested)",
    ]);
  });

  test('writes constants as the source does, if C computes the same', async () => {
    const header = await headerOf(fixture('constants'));
    const written = Object.fromEntries(
      [...header.matchAll(/^#define (\w+)[ \t]*(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
    expect(written).toEqual({
      DEVICE_H: '',
      SHARED_LEN: '4096',
      C_DECIMAL: '1000',
      C_HEX: '0xff',
      C_OCTAL: '017',
      C_BINARY: '0xa',
      C_NEGATIVE: '(-1)',
      C_INT_MIN: '(-2147483647 - 1)',
      C_TOP: '(1U << 31)',
      C_TOP_HEX: '0x80000000',
      C_TOP_DECIMAL: '2147483648U',
      C_ALL: '(~0U)',
      C_POWER: '(1 << 20)',
      C_TOP_POWER: '(1U << 31)',
      C_HIGH: '(1ULL << 40)',
      C_HIGH_NUMBER: '(1ULL << 40)',
      C_MASK64: '0xffffffffffffffffULL',
      C_NEGATIVE64: '(-1099511627776LL)',
      C_LEAST64: '(-9223372036854775807LL - 1)',
      C_EXPONENT: '0xf4240',
      C_SUM: '((C_DECIMAL + 24) * 2)',
      C_HALF: '(C_DECIMAL / 2)',
      C_PAGES: '((SHARED_LEN / 512) + 1)',
      C_FLAGS: '(C_HEX | C_OCTAL | (1 << 9))',
      C_MINUS: '(C_DECIMAL - (C_OCTAL - 1))',
      C_COMPUTED: '1000',
      C_SYNC: '(DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END)',
      C_OPEN: 'O_CLOEXEC',
      C_CHARACTER: "'x'",
      C_QUOTE: "'\\''",
      C_BYTE: '0xfe',
      C_STRING: '"a \\"name\\" \\\\ with \\303\\274n\\303\\257code1"',
      C_TRIGRAPH: '"what?\\?/"',
      C_TAKEN: '7',
    });
    expect(header).toContain('#include <linux/dma-buf.h>\n');
  });

  test('is of all that a device uses, wherever it is defined', async () => {
    expect(
      await headerOf(fixture('parts')),
    ).toBe(`/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/part0, /dev/part2: The first part.
 *
 * /dev/part1: The second.
 *
 * It has more to say, and says * / in between.
 *
 * Generated from parts.ts by dmabuf-shim header.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What a part can do. */
#define PART_CAN_ALL	1
#define PART_LEN	4096

/**
 * struct part_state - Argument of PART_IOC_GET
 * @can: out: PART_CAN_ALL or 0
 */
struct part_state {
	__u32 can;
};

/**
 * DOC: PART_IOC_GET - Tells what it can do
 */
#define PART_IOC_GET _IOR('p', 0, struct part_state)

#endif /* DEVICE_H */
`);
  });

  test('has the licence that the source has', async () => {
    expect(await headerOf(fixture('parts_uapi'))).toMatch(
      /^\/\* SPDX-License-Identifier: BSD-3-Clause \*\/\n/,
    );
  });

  test('prefers what a definition says of itself to the comment on it', async () => {
    const header = await headerOf(
      source(`${DSL}
/** The comment's. */
export const one = struct('one', { /** of a comment */ a: doc(u32, 'of the field') }, { doc: 'The definition’s.' });
export const table = ioctls({ /** The comment's. */ ONE: io('x', 1, { doc: 'The option’s.' }) });
`),
    );
    expect(header).toContain(' * struct one - The definition’s\n * @a: of the field\n');
    expect(header).toContain(' * DOC: ONE - The option’s\n');
  });

  test('finds the types of members that are written elsewhere', async () => {
    const made = `
const LEN = 8;
const common = { /** its size */ size: u32, name: charArray(LEN) };
const where = union({ /** as a number */ number: s32, text: charArray(2 * LEN) });
export const BIG_LEN = LEN * 2;
export const one = struct('one', { ...common, where, more: doc(where, 'again'), _: anonymous(where) });
`;
    expect(await declarations(made)).toBe(`#define BIG_LEN (8 * 2)

struct one {
	__u32 size;
	char name[8];
	union {
		__s32 number;
		char text[2 * 8];
	} where;
	union {
		__s32 number;
		char text[2 * 8];
	} more;
	union {
		__s32 number;
		char text[2 * 8];
	};
};
`);
    expect(await headerOf(source(DSL + made))).toContain(
      ' * @size: its size\n * @where.number: as a number\n * @more: again\n * @more.number: as a number\n * @number: as a number\n',
    );
  });
});

const SOURCES: readonly { path: string; padded?: boolean; pedantic?: boolean }[] = [
  { path: fixture('scaler'), pedantic: true },
  { path: fixture('layouts'), padded: true },
  { path: fixture('constants'), pedantic: true },
  { path: fixture('parts'), pedantic: true },
  { path: own('dma-buf'), pedantic: true },
  { path: own('dma-heap'), pedantic: true },
  { path: own('dma_importer'), pedantic: true },
  { path: own('sw_sync'), pedantic: true },
  { path: own('sync_file'), pedantic: true },
  { path: own('udmabuf') },
];

describe.each(COMPILERS)('$name', (compiler) => {
  const why = unavailable(compiler);
  /** Without the constants that need the C library's headers, which are not there for 32 bits. */
  const asked = (uapi: Uapi): Uapi =>
    compiler.is32
      ? {
          ...uapi,
          items: uapi.items.filter(
            (item) => item.kind !== 'constant' || !/O_/.test(item.expression ?? ''),
          ),
        }
      : uapi;

  test.for(SOURCES)(
    'compiles the header of $path, and agrees with TypeScript',
    async ({ path, padded, pedantic }, { skip }) => {
      if (why) skip(why);
      const uapi = await uapiOf(path);
      const place = folder();
      writeFileSync(join(place, 'header.h'), writeHeader(uapi, { guard: 'HEADER_H' }).text);
      // Nothing that is not said: what the compiler would add between members is written out.
      const strict = [...(padded ? [] : ['-Wpadded']), ...(pedantic ? ['-pedantic'] : [])];
      // Unions without a name are newer than C99.
      const include = '#include "header.h"\nint used;\n';
      expect(compile(compiler, place, include, strict)).toBe('');
      expect(compile(compiler, place, assertions(asked(uapi), compiler))).toBe('');
    },
  );

  test('would notice a layout, a number or a constant that is not TypeScript’s', async ({
    skip,
  }) => {
    if (why) skip(why);
    const uapi = await uapiOf(fixture('layouts'));
    const place = folder();
    const { text } = writeHeader(uapi, { guard: 'HEADER_H' });
    const notice = (from: string, to: string) => {
      expect(text).toContain(from);
      writeFileSync(join(place, 'header.h'), text.replace(from, to));
      return compile(compiler, place, assertions(uapi, compiler));
    };
    expect(notice('LAYOUT_LEN\t0x10', 'LAYOUT_LEN\t0x11')).toMatch(/LAYOUT_LEN\) == 16/);
    expect(notice('\t__u16 b;', '\t__s16 b;')).toMatch(/struct layout_pair \*\)0\)->b/);
    expect(notice("_IOW('L', 1,", "_IOW('L', 2,")).toMatch(/LAYOUT_NUMBER\) ==/);
    if (compiler.is32) expect(notice('__aligned_u64', '__u64')).toMatch(/offsetof/);
  });
});

describe('kernel-doc', () => {
  beforeEach(needsLinuxSource(['perl', 'perl']));

  test('has nothing to say of the comments, and finds them all', () => {
    const script = join(linuxSource(), 'scripts/kernel-doc');
    const header = fileURLToPath(new URL('fixtures/scaler.h', import.meta.url));
    const read = (...options: string[]) =>
      spawnSync('perl', [script, ...options, header], { encoding: 'utf8' });
    const { status, stderr } = read('-none', '-Werror');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { stdout } = read('-rst', '-sphinx-version', '3.0');
    expect(stdout).toContain('**SCALER_IOC_SCALE - Scales a picture**');
    expect(stdout).toMatch(/``m\.userptr``\n\s+in memory of the program\n/);
    expect(stdout).toMatch(/``flags``\n\s+in: SCALER_FLIP and SCALER_MIRROR,/);
  }, 120_000);
});

describe('what C cannot say is refused, in a line that says where', () => {
  test.each([
    [
      'an empty struct',
      `export const a = struct('a', {});`,
      /device.ts:3: struct a has no members: C has no empty struct$/,
    ],
    [
      'a member whose name is a keyword',
      `export const a = struct('a', { int: u32 });`,
      /device.ts:3: struct a has a member "int": C takes no such name$/,
    ],
    [
      'a member whose name is no name',
      `export const a = struct('a', { 'x-y': u32 });`,
      /struct a has a member "x-y"/,
    ],
    [
      'a struct of which that is so',
      `export const a = struct('a b', { x: u32 });`,
      /struct a b has a name that C does not take$/,
    ],
    [
      'a flexible array alone',
      `export const a = struct('a', { list: flexible(u32) });`,
      /struct a has nothing but a flexible array, list/,
    ],
    [
      'a flexible array in a union',
      `export const a = struct('a', { n: u32, u: union({ list: flexible(u32) }) });`,
      /union a.u has a flexible array, list/,
    ],
    [
      'an ioctl of a struct without name',
      `export const t = ioctls({ GET: iow('x', 1, struct({ a: u32 })) });`,
      /device.ts:3: GET has a struct without a name/,
    ],
    [
      'an ioctl whose name is no name',
      `export const t = ioctls({ 'GET-IT': io('x', 1) });`,
      /device.ts:3: "GET-IT" is no name of a macro$/,
    ],
    ['a fraction', 'export const HALF = 1 / 2;', /device.ts:3: HALF is 0.5: no integer$/],
    [
      'an integer of more than 64 bits',
      'export const BIG = 1n << 64n;',
      /BIG is 18446744073709551616: C has no such integer$/,
    ],
    [
      'two structs of one name',
      `export const a = struct('a', { x: u32 }); export const b = struct('a', { x: u64 });`,
      /two different structs have the tag a$/,
    ],
    [
      'two ioctls of one name',
      `export const t = ioctls({ A: io('x', 1) }); export const u = ioctls({ A: io('x', 2) });`,
      /two different ioctls are called A$/,
    ],
    [
      'a pragma for a part of a struct',
      `export const a = struct('a', { x: u32, in: struct({ y: u32, z: u64 }) }, { pack: 2 });`,
      /device.ts:3: struct a has a struct without a tag, in, with another `pack`: give it a tag$/,
    ],
    [
      'nothing',
      'export const lower = 1; const HIDDEN = 2;',
      /device.ts: nothing to declare: it exports no constant, struct or ioctl$/,
    ],
  ])('%s', async (_what, text, message) => {
    await expect(headerOf(source(DSL + text))).rejects.toThrow(message);
  });

  test('a name that only C++ refuses is a warning', async () => {
    const path = source(`${DSL}export const a = struct('a', { class: u32 });`);
    const { warnings } = writeHeader(await loadUapi(path), { guard: 'A_H' });
    expect(warnings).toEqual([expect.stringMatching(/device.ts:3: "class" is a keyword of C\+\+/)]);
  });
});

describe('the command', () => {
  test('writes examples/dma_importer.h, which is as it would be written now', () => {
    expect(shim('ioctl/dma_importer.ts', '--license', 'MIT')).toEqual({
      status: 0,
      stdout: readFileSync(join(root, 'examples/dma_importer.h'), 'utf8'),
      stderr: '',
    });
  });

  test('writes a file, and names the guard after it or as it is told', () => {
    const output = join(folder(), 'my-scaler.h');
    const guard = (...args: string[]) => {
      expect(shim(fixture('scaler'), '--output', output, ...args)).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      return /#ifndef (.*)/.exec(readFileSync(output, 'utf8'))?.[1];
    };
    expect(guard()).toBe('_UAPI_MY_SCALER_H');
    expect(guard('--name', 'linux/scaler.h')).toBe('_UAPI_LINUX_SCALER_H');
    expect(guard('--name', 'SCALER_H')).toBe('SCALER_H');
  });

  test('says what is wrong in a line, with exit status 2', () => {
    const refused = (message: RegExp, ...args: string[]) => {
      const { status, stdout, stderr } = shim(...args);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd()).not.toContain('\n');
    };
    refused(/^dmabuf-shim header: one FILE.ts is wanted$/m);
    refused(/^dmabuf-shim header: .*nowhere.ts: no such file$/m, 'nowhere.ts');
    refused(/^dmabuf-shim header: test: is no file$/m, 'test');
    const broken = source('export const a = ;');
    refused(/device.ts:1: Unexpected token$/m, broken);
    const throwing = source('const A: number = 1;\n\nthrow new Error(String(A));');
    refused(/device.ts:3: 1$/m, throwing);
    refused(/device.ts:1: Cannot find module '.\/other.js'$/m, source("import './other.js';"));
    refused(/^dmabuf-shim header: --name takes a header /m, fixture('scaler'), '--name', 'a b');
    refused(/^dmabuf-shim header: --license takes /m, fixture('scaler'), '--license', 'a */');
    refused(/ENOENT: .*none\/a.h/m, fixture('scaler'), '--output', 'none/a.h');
    refused(/no option --wrong /m, fixture('scaler'), '--wrong');
  });

  test('says what it does', () => {
    expect(shim('--help').stdout).toMatch(/^Usage: dmabuf-shim header /);
  });
});
