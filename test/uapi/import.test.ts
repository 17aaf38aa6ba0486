/** `dmabuf-shim import-header`: TypeScript definitions of C headers, read by clang, compared with gcc. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { CType, IoctlTable, StructType } from '../../ioctl/index.js';
import { checkHeaders, headersIn, summary } from '../../uapi/import/check.js';
import { FrontEnd } from '../../uapi/import/clang.js';
import { importHeader } from '../../uapi/import/convert.js';
import { printModule } from '../../uapi/import/print.js';
import { loadModule } from '../../uapi/load.js';
import { cli } from '../cli.js';
import { GCC, needs } from '../programs.js';

type Module = Record<string, unknown>;

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-import-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const frontEnd = new FrontEnd();
const needsClang = needs(['clang', 'clang']);

/** A header of a test's own: its path. */
function header(text: string, name = 'scaler.h'): string {
  const path = join(folder, name);
  writeFileSync(path, `#include <linux/ioctl.h>\n#include <linux/types.h>\n${text}`);
  return path;
}

/** What becomes of a header: the text, and what it defines. */
async function imported(path: string): Promise<{ text: string; module: Module }> {
  const text = printModule(await importHeader(frontEnd, path), 'x86_64-pc-linux-gnu');
  const file = join(folder, 'module.ts');
  writeFileSync(file, text);
  return { text, module: await loadModule(file) };
}

const SCALER = `
/* How fast. */
enum scaler_speed { SCALER_SLOW, SCALER_FAST = 5 };
/**
 * struct scaler_job - Argument of SCALER_IOC_RUN.
 * @fd: in: the dma-buf
 */
struct scaler_job {
	__s32 fd;
	__u32 flags;
#define SCALER_FLIP (1 << 0)
#define SCALER_TURN 0x2
	enum scaler_speed speed;
	char name[2][16]; /* NUL-terminated */
	union {
		__u64 address;
		struct { __u16 low, high; } halves;
	};
	const char *path;
	unsigned long bits;
	__be32 magic;
	__u8 tail[];
} __attribute__((packed));
typedef struct { __u8 b[16]; } scaler_id;
#define SCALER_MAGIC 's'
#define SCALER_NAME "scaler"
#define SCALER_ALL (SCALER_FLIP | SCALER_TURN)
#define SCALER_TOP 0x8000000000000000ULL
#define SCALER_NOTHING { 1, 2 }
#define SCALER_TYPE unsigned int
#define SCALER_OF(x) ((x) << 1)
#define SCALER_IOC_RUN _IOWR(SCALER_MAGIC, 1, struct scaler_job)
#define SCALER_IOC_ID _IOR(SCALER_MAGIC, 2, scaler_id)
#define SCALER_IOC_NAME _IOW(SCALER_MAGIC, 3, char[16])
#define SCALER_IOC_STOP _IO(SCALER_MAGIC, 4)
#define SCALER_IOC_COUNT _IOR(SCALER_MAGIC, 5, long)
#define SCALER_IOC_OLD 0x5401
`;

describe('a header', () => {
  beforeEach(needsClang);

  test('becomes a module in the style of the definitions here', async () => {
    const { text } = await imported(header(SCALER));
    expect(text).toContain(`/** Argument of SCALER_IOC_RUN. */
export const scaler_job = struct('scaler_job', {
  /** in: the dma-buf */
  fd: s32,
  flags: field(u32, { flags: SCALER_JOB_FLAGS }),
  speed: field(u32, { flags: SCALER_SPEED_VALUES }), // C: enum scaler_speed
  /** NUL-terminated */
  name: array(charArray(16), 2),
  _4: anonymous(union({
    address: u64,
    halves: struct({
      low: u16,
      high: u16,
    }),
  })),
  path: ptr, // C: const char *
  bits: u64, // C: unsigned long
  magic: u32, // C: __be32: big-endian
  tail: flexible(u8),
}, { packed: true });
export type scaler_job = View<typeof scaler_job>;
`);
    expect(text).toContain(`const SCALER_JOB_FLAGS = flags({ SCALER_FLIP, SCALER_TURN });\n`);
    expect(text).toContain(`export const scaler_ioctls = ioctls({
  SCALER_IOC_RUN: iowr('s', 0x01, scaler_job),
  SCALER_IOC_ID: ior('s', 0x02, scaler_id),
  SCALER_IOC_NAME: iow('s', 0x03, charArray(16)),
  SCALER_IOC_STOP: io('s', 0x04),
  SCALER_IOC_COUNT: ior('s', 0x05, s64),
});
`);
    expect(text).not.toContain('Left out');
  });

  test('has its constants, as numbers, big numbers, characters and strings', async () => {
    const { module } = await imported(header(SCALER));
    expect(module).toMatchObject({
      ...{ SCALER_SLOW: 0, SCALER_FAST: 5, SCALER_FLIP: 1, SCALER_TURN: 2, SCALER_ALL: 3 },
      ...{ SCALER_MAGIC: 's', SCALER_NAME: 'scaler', SCALER_TOP: 2n ** 63n },
      SCALER_IOC_OLD: 0x5401,
    });
    for (const name of ['SCALER_NOTHING', 'SCALER_TYPE', 'SCALER_OF', '_IOC_READ', '__u32']) {
      expect(module).not.toHaveProperty(name);
    }
  });

  test('is written so that the compiler takes it, with all types', async () => {
    const { text } = await imported(header(SCALER));
    writeFileSync(
      join(folder, 'strict.mts'),
      `${text}const job = scaler_job.create({ fd: 3, path: 0n });\nconst low: number = job.halves.low;\nvoid low;\n`,
    );
    const tsconfig = join(folder, 'tsconfig.json');
    writeFileSync(
      tsconfig,
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: {
          noEmit: true,
          rootDir: '/',
          typeRoots: [join(root, 'node_modules/@types')],
          paths: { 'dmabuf-shim/ioctl': [join(root, 'ioctl/all.ts')] },
        },
        include: [],
        files: ['strict.mts'],
      }),
    );
    const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', tsconfig], {
      encoding: 'utf8',
    });
    expect(tsc.stdout + tsc.stderr).toBe('');
  });

  test('leaves out what cannot be said, each with the reason, and keeps the number', async () => {
    const { text, module } = await imported(
      header(`
struct bits { __u32 a : 3; };
struct outer { struct bits inner; };
struct call { void (*function)(int); };
struct real { double d; };
struct wide { __u8 n; __u32 w __attribute__((packed)); };
struct complex { _Complex float c; };
struct inside { struct { __u32 n; __u8 x[]; } head; __u32 after; };
struct fine { struct wide *pointer; };
#define IOC_BITS _IOW('b', 1, struct bits)
#define IOC_NONE _IOC(_IOC_NONE, 'b', 2, sizeof(struct fine))
#define IOC_SIZE _IOC(_IOC_READ, 'b', 3, 100)
#define IOC_UNKNOWN _IOR('b', 4, struct unknown)
#define IOC_FINE _IOC(_IOC_READ, 'b', 5, sizeof(struct fine))
#define delete 1
`),
    );
    const reasons = text.slice(text.indexOf('// Left out:')).trimEnd().split('\n').slice(1);
    expect(reasons).toEqual([
      '// struct bits (line 4): bit-field: a',
      '// struct outer (line 5): bit-field: in struct bits: a',
      '// struct call (line 6): pointer to a function: function',
      '// struct real (line 7): floating point: d',
      '// struct wide (line 8): laid out otherwise: struct wide',
      '// struct complex (line 9): a type that there is not here: c: _Complex float',
      '// struct inside (line 10): a flexible member inside: inside.after follows a flexible member',
      '// ioctl IOC_BITS (line 12): bit-field: in struct bits: a',
      '// ioctl IOC_NONE (line 13): a size without a direction',
      '// ioctl IOC_SIZE (line 14): a size without a type',
      expect.stringMatching(/^\/\/ ioctl IOC_UNKNOWN \(line 15\): not compiling: .*struct unknown/),
      '// constant delete (line 17): the name is taken',
    ]);
    expect(Object.keys(module).filter((name) => !/^IOC_/.test(name))).toEqual([
      'fine',
      'scaler_ioctls',
    ]);
    expect(module).toMatchObject({ IOC_BITS: 0x40046201, IOC_SIZE: 0x80646203 });
    expect((module.scaler_ioctls as IoctlTable).IOC_FINE?.arg).toBe(module.fine);
  });

  test('has alignments, packing, and other names for what views have', async () => {
    const { text, module } = await imported(
      header(`
struct wide { __u8 n; __u32 w __attribute__((aligned(8))); } __attribute__((aligned(64)));
struct both { __u8 n; __u64 w; } __attribute__((packed, aligned(4)));
#pragma pack(push, 2)
struct two { __u8 n; __u64 w; struct { __u8 x; __u32 y; } in; };
struct same { __u16 n; };
#pragma pack(pop)
#pragma pack(1)
struct one { __u8 n; __u64 w; };
#pragma pack()
typedef __u8 sixteen __attribute__((aligned(16)));
struct named { __aligned_u64 value; sixteen more; };
struct taken { __u32 bytes, bytes_, toObject, __proto__; };
`),
    );
    expect(text).toContain('  w: field(u32, { align: 8 }),\n}, { align: 64 });\n');
    expect(text).toContain('}, { packed: true, align: 4 });\n');
    expect(text).toContain('  }, { pack: 2 }),\n}, { pack: 2 });\n');
    expect(text).toContain("export const same = struct('same', {\n  n: u16,\n});\n");
    expect(text).toContain(
      "export const one = struct('one', {\n  n: u8,\n  w: u64,\n}, { packed: true });\n",
    );
    expect(text).toContain(
      '  value: field(u64, { align: 8 }),\n  more: field(u8, { align: 16 }),\n',
    );
    expect(text).toContain("  bytes__: field(u32, { cName: 'bytes' }),\n  bytes_: u32,\n");
    expect(text).toContain("  toObject_: field(u32, { cName: 'toObject' }),\n");
    expect(text).not.toContain('Left out');
    const sizes = Object.entries(module).map(([name, type]) => [name, (type as StructType).size]);
    expect(Object.fromEntries(sizes)).toEqual({
      ...{ wide: 64, both: 12, two: 16, same: 2, one: 9, named: 32, taken: 16 },
    });
  });

  test('has characters and strings as they are, and size_t without its header', async () => {
    const { module } = await imported(
      header(`
#define EURO "\u20ac \u00fc"
#define HIGH '\\xff'
#define TWO 'ab'
#define QUOTE '\\''
#define IOC_SIZE _IOR('b', 1, size_t)
`),
    );
    expect(module).toMatchObject({ EURO: '€ ü', HIGH: -1, TWO: 0x6162, QUOTE: "'" });
    expect((module.scaler_ioctls as IoctlTable).IOC_SIZE?.arg?.size).toBe(8);
  });

  test('has the structs of other headers that it uses, and its own names besides', async () => {
    const { text, module } = await imported(
      header(`
#include <linux/sync_file.h>
struct u32 { struct sync_fence_info info; };
struct order { int x; };
enum { order = 7 };
#define IOC_INFO _IOR('b', 1, struct sync_file_info)
`),
    );
    expect(text).toContain('From /usr/include/linux/sync_file.h.');
    expect(text).toContain("export const u32_ = struct('u32', {");
    expect(module).toHaveProperty('sync_file_info');
    expect(module).not.toHaveProperty('sync_merge_data');
    expect(module).not.toHaveProperty('SYNC_IOC_MERGE');
    expect(module.order).toBe(7);
    expect((module.order_ as StructType).tag).toBe('order');
  });
});

/** Kernel headers that this project has, too, and what of either the other lacks. */
const OWN: [file: string, header: string, only: RegExp, left: RegExp][] = [
  ['dma-buf', 'linux/dma-buf.h', /^(?!)/, /^(?!)/],
  ['dma-heap', 'linux/dma-heap.h', /^(?!)/, /^(?!)/],
  ['udmabuf', 'linux/udmabuf.h', /^(?!)/, /^(?!)/],
  // New in 6.6.
  ['sync_file', 'linux/sync_file.h', /^(sync_set_deadline|SYNC_IOC_SET_DEADLINE)$/, /^(?!)/],
];

/** The types and numbers of a definition, without its documentation. */
function shape(type: CType): unknown {
  const { name, size, align } = type;
  if (!('fields' in type)) return [name, size, align];
  const { kind, fields } = type as StructType;
  return [kind, name, size, align, fields.map((f) => [f.name, f.offset, shape(f.type)])];
}

function shapes(module: Module): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(module)) {
    if (value instanceof Object && 'tag' in value) found[name] = shape(value as StructType);
    if (/^(number|bigint|string)$/.test(typeof value)) found[name] = value;
  }
  return found;
}

/** The structs that ioctls take; a name's length is not what DMA_BUF_SET_NAME takes. */
function args(module: Module): Record<string, unknown> {
  const tables = Object.entries(module).filter(([name]) => name.endsWith('_ioctls'));
  const all = tables.flatMap(([, table]) => Object.values(table as IoctlTable));
  const taken = all.map(({ name, arg }) => [name, arg && shape(arg)]);
  return Object.fromEntries(taken.filter(([name]) => !/SET_NAME/.test(String(name))));
}

const without = (all: Record<string, unknown>, names: RegExp) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !names.test(name)));

describe('the definitions of this project are those of the headers', () => {
  beforeEach(needsClang);

  test.each(OWN)('%s.ts', async (file, name, only, left) => {
    const own: Module = await import(join(root, `ioctl/${file}.ts`));
    const { module } = await imported(`/usr/include/${name}`);
    expect(without(shapes(module), left)).toEqual(without(shapes(own), only));
    expect(without(args(module), left)).toEqual(without(args(own), only));
  });

  test('drm.ts, and its other files, but for DRM1', async ({ skip }) => {
    const place = ['drm', 'libdrm'].find((one) => existsSync(`/usr/include/${one}/drm.h`));
    if (!place) skip('there is no drm/drm.h here (Debian: apt install libdrm-dev)');
    const own: Module = {};
    for (const file of ['drm', 'drm_syncobj', 'drm_mode', 'drm_mode_constants']) {
      Object.assign(own, await import(join(root, `ioctl/${file}.ts`)));
    }
    const { module: drm } = await imported(`/usr/include/${place}/drm.h`);
    const { module: mode } = await imported(`/usr/include/${place}/drm_mode.h`);
    const theirs = { ...shapes(drm), ...shapes(mode) };
    const ours = shapes(own);
    const left = Object.keys(theirs).filter((name) => !(name in ours));
    expect(left.sort().join('\n')).toBe(
      readFileSync(new URL('fixtures/drm1.txt', import.meta.url), 'utf8').trimEnd(),
    );
    for (const name of left) delete theirs[name];
    expect(theirs).toEqual(ours);
    expect(args(own)).toEqual(
      Object.fromEntries(Object.entries(args(drm)).filter(([name]) => name in ours)),
    );
  });
});

describe('Linux’s headers', () => {
  beforeEach(needs(['clang', 'clang'], GCC));

  test('convert, and gcc finds none laid out or numbered otherwise', async () => {
    const folders = [
      'sound',
      'rdma',
      'mtd',
      'scsi',
      'misc',
      'linux/usb',
      'linux/dvb',
      'linux/netfilter',
    ];
    const single = [
      'videodev2',
      'input',
      'fb',
      'btrfs',
      'kvm',
      'vfio',
      'fs',
      'ethtool',
      'errqueue',
      'omapfb',
      'if_tun',
    ];
    const paths = headersIn([
      ...folders.map((one) => `/usr/include/${one}`).filter((path) => existsSync(path)),
      ...single.map((one) => `/usr/include/linux/${one}.h`),
    ]);
    const result = await checkHeaders(frontEnd, paths);
    expect(result.wrong).toEqual([]);
    expect(result.failed).toEqual([]);
    expect(result.structs).toBeGreaterThan(1000);
    expect(result.ioctls).toBeGreaterThan(600);
    expect(result.constants).toBeGreaterThan(9000);
    expect(result.leftOut.length).toBeLessThan((result.structs + result.ioctls) / 10);
    expect(summary(result)).toMatch(
      /^\d+ headers: [\d,]+ structs, [\d,]+ ioctls, [\d,]+ constants convert; \d+ structs refused: .*\d+ bit-field, .* gcc agrees with all of them\.$/,
    );
  }, 300_000);

  test('what gcc has otherwise is found', async () => {
    // The two compilers are told different things.
    const path = header(`
#ifdef __clang__
struct odd { __u32 a; __u32 b; };
#define ODD 1
#define IOC_ODD _IO('o', 1)
#else
struct odd { __u32 b; __u32 a; };
#define ODD 2
#define IOC_ODD _IO('o', 2)
#endif
`);
    const { wrong } = await checkHeaders(frontEnd, [path]);
    expect(wrong.map((line) => /"(.*)"\);$/.exec(line)?.[1])).toEqual([
      'struct odd',
      'IOC_ODD',
      'ODD',
    ]);
  });
});

describe('the command', () => {
  beforeEach(({ task, skip }) => {
    if (!existsSync(join(root, 'dist/src/cli/main.js'))) skip(`${task.name}: dist/ is not built`);
  });

  test('writes to standard output, or to a file', ({ skip, ...context }) => {
    needsClang({ skip, ...context });
    const path = '/usr/include/linux/udmabuf.h';
    const { status, stdout, stderr } = cli('import-header', path);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('`<linux/udmabuf.h>`');
    expect(stdout).toContain("UDMABUF_CREATE_LIST: iow('u', 0x43, udmabuf_create_list),\n");
    const output = join(folder, 'udmabuf.ts');
    expect(cli('import-header', path, '--output', output)).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(output, 'utf8')).toBe(stdout);
  });

  test('looks for included headers where it is told to, and says what is missing', ({
    skip,
    ...context
  }) => {
    needsClang({ skip, ...context });
    header('struct part { __u32 x; };', 'part.h');
    const path = join(folder, 'whole.h');
    writeFileSync(path, '#include <part.h>\nstruct whole { struct part part; };\n');
    expect(cli('import-header', path, '-I', folder).stdout).toContain('part: part,');
    const { status, stdout, stderr } = cli('import-header', path);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^dmabuf-shim import-header: .*'part.h' file not found.*\n$/);
  });

  test('--check prints a line of numbers', ({ skip, ...context }) => {
    needs(['clang', 'clang'], GCC)({ skip, ...context });
    const { status, stdout } = cli('import-header', '--check', '/usr/include/mtd');
    expect(stdout).toMatch(
      /^5 headers: \d+ structs, \d+ ioctls, .* gcc agrees with all of them\.\n$/,
    );
    expect(status).toBe(0);
  });

  test.each([
    [
      ['--cc', 'no-such-clang', '/usr/include/stddef.h'],
      /there is no no-such-clang here \(Debian: apt install clang\)\n$/,
    ],
    [['/no/such.h'], /there is no \/no\/such\.h\n$/],
    [[], /no header given\n$/],
    [['--bogus'], /--bogus/],
  ])('%j is a usage error in one line', (given, message) => {
    const path = given.includes('/usr/include/stddef.h') ? header('', 'empty.h') : '';
    const { status, stdout, stderr } = cli(
      'import-header',
      ...given.map((one) => (one === '/usr/include/stddef.h' ? path : one)),
    );
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
