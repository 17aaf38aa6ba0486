/** `dmabuf-shim lint-uapi`: what it finds, and what it does not. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { miscRegister } from '../../src/index.js';
import { describe as describeUapi, isDescription } from '../../uapi/lint/description.js';
import { type LintOptions, lintUapi } from '../../uapi/lint/lint.js';
import { type Finding, RULES } from '../../uapi/lint/rules.js';
import { loadUapi } from '../../uapi/model.js';
import { cli } from '../cli.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-lint-'));
afterAll(() => rmSync(folder, { recursive: true }));

const at = (...path: string[]) => join(root, ...path);
const fixture = (name: string) => at('fixtures/lint', name);

async function lint(path: string, options?: LintOptions): Promise<Finding[]> {
  return (await lintUapi(path, options)).findings;
}

/** `rule: subject` of each. */
async function found(path: string, options?: LintOptions): Promise<string[]> {
  return (await lint(path, options)).map(({ rule, subject }) => `${rule}: ${subject}`);
}

describe('headers that Linux has', () => {
  // What is found in them is so, and cannot be changed any more.
  test('dma-buf.h: a name whose number was that of a pointer', async () => {
    expect(await found(at('ioctl/dma-buf.ts'))).toEqual([
      // `_IOW(DMA_BUF_BASE, 1, const char *)` was 4 bytes in 32-bit programs, and 8 in others: since both
      // are in use, both have a name now. Fixed for whoever calls it, but still one request with two numbers.
      'size-mismatch: DMA_BUF_SET_NAME_A',
      'name-ioc: DMA_BUF_SET_NAME_A',
      'size-mismatch: DMA_BUF_SET_NAME_B',
      'number-shared: DMA_BUF_SET_NAME_B',
      'name-ioc: DMA_BUF_SET_NAME_B',
    ]);
  });

  test('dma-heap.h: a type of others, which the list does not have it in', async () => {
    expect(await found(at('ioctl/dma-heap.ts'))).toEqual(['type-collision: DMA_HEAP_IOCTL_ALLOC']);
  });

  test('udmabuf.h: flags and padding that nobody looks at; its own type is no collision', async () => {
    expect(await found(at('ioctl/udmabuf.ts'))).toEqual([
      // Linux takes any flags, and any padding: tests of the real driver show it.
      'reserved-ignored: struct udmabuf_create, flags',
      'reserved-ignored: struct udmabuf_create_item, __pad',
      'reserved-ignored: struct udmabuf_create_list, flags',
    ]);
  });

  test('sync_file.h: nothing but a type of others', async () => {
    expect(await found(at('ioctl/sync_file.ts'))).toEqual([
      'type-collision: SYNC_IOC_MERGE and 2 more',
    ]);
  });

  test('none of them is an error', async () => {
    for (const name of ['dma-buf', 'dma-heap', 'udmabuf', 'sync_file']) {
      const errors = (await lint(at(`ioctl/${name}.ts`))).filter((one) => one.severity === 'error');
      expect(errors).toEqual([]);
    }
  });
});

describe('what Linux’s documents warn of', () => {
  test('the struct with two holes of "ioctl based interfaces"', async () => {
    const [tail, hole] = await lint(fixture('foo.ts'));
    expect(tail).toMatchObject({ rule: 'size-64bit', severity: 'error', subject: 'struct foo' });
    expect(tail?.problem).toMatch(/^24 bytes on 64-bit machines, 16 on i386/);
    expect(hole).toMatchObject({
      rule: 'layout-32bit',
      severity: 'error',
      place: { file: fixture('foo.ts'), line: 6 },
      subject: 'struct foo, b',
      section: 'ioctl.rst, "Structure layout"',
    });
    expect(hole?.remedy).toContain('pad: u32');
  });

  test('DRM before "Botching up ioctls": padding, pointers, longs, no flags, relative time', async () => {
    const all = await found(fixture('botched_drm.ts'));
    expect(all).toContain('layout-32bit: struct drm_update_draw, data');
    expect(all).toContain('type-variable: struct drm_i915_getparam, value');
    expect(all).toContain('type-variable: struct drm_wait_vblank_request, signal');
    expect(all).toContain('type-enum: struct drm_wait_vblank_request, type');
    expect(all).toContain('no-flags: struct drm_i915_gem_set_domain');
    expect(all).toContain('time-relative: struct drm_i915_gem_wait, timeout_ns');
    expect(all).toContain('time-timeval: struct drm_event_vblank, tv_sec');
    // Its signed seconds of 64 bits are no hole, and its flags are there.
    expect(all.filter((one) => one.includes('drm_i915_gem_wait'))).toHaveLength(1);
  });

  test('reserved bits that are not checked: each is found by trying', async () => {
    expect(await found(fixture('careless.ts'))).toEqual([
      'flags-unchecked: BLITTER_IOC_BLIT, flags',
      'count-unchecked: BLITTER_IOC_BLIT, count',
      'pointer-unchecked: BLITTER_IOC_BLIT, rects',
      'reserved-unchecked: BLITTER_IOC_BLIT, origin.pad',
      'handler-bug: BLITTER_IOC_BLIT',
      'reserved-unchecked: BLITTER_IOC_LIMIT, flags',
      'errno-undeclared: BLITTER_IOC_LIMIT',
      'direction-write-lost: BLITTER_IOC_LIMIT',
    ]);
    expect(await found(fixture('careless.ts'), { run: false })).toEqual([]);
  });

  test('a driver that checks them is clean', async () => {
    const { findings, calls } = await lintUapi(fixture('careful.ts'));
    expect(findings).toEqual([]);
    expect(calls).toBeGreaterThan(150);
  });
});

describe('each rule', () => {
  const names = readdirSync(fixture('rules')).map((name) => name.replace(/\.ts$/, ''));

  test('has a file that violates it', () => {
    // A device cannot get these wrong by itself, and those of the last kind take two versions.
    const elsewhere = ['argument-fault', 'size-unchecked', 'number-unknown'];
    const rules = Object.keys(RULES).filter((rule) => !rule.startsWith('compat-'));
    expect([...names, ...elsewhere].sort()).toEqual(rules.sort());
  });

  test.each(names)('%s is the one finding there', async (name) => {
    const findings = await lint(fixture(`rules/${name}.ts`));
    expect(findings.map(({ rule, problem }) => [rule, problem])).toEqual([
      [name, expect.any(String)],
    ]);
    const [one] = findings;
    expect(one?.place).toMatchObject({ line: expect.any(Number) });
    expect(one?.problem).not.toMatch(/\bundefined\b(?! \(reading)|\[object/);
  });

  test('what answers requests by itself, all wrong, is found', async () => {
    const install: LintOptions['install'] = (kernel, { name }) => {
      miscRegister(kernel, name, { ioctl: () => 0 });
    };
    const rules = new Set((await lint(fixture('careful.ts'), { install })).map((one) => one.rule));
    for (const rule of ['argument-fault', 'size-unchecked', 'number-unknown'] as const) {
      expect(rules).toContain(rule);
    }
  });
});

describe('cases beside the rules', () => {
  const write = (name: string, text: string) => {
    const path = join(folder, `${name}.ts`);
    writeFileSync(path, text);
    return path;
  };
  const IMPORTS = `import { anonymous, array, doc, ioctls, ior, iow, iowr, ptr, s32, struct, u16, u32, u64, u8, union } from 'dmabuf-shim/ioctl';\n`;
  const FLAGS = "flags: doc(u32, 'in: 0, else EINVAL')";
  const lamp = (name: string, members: string, maker = "iow('\\xbb', 0, lamp_set)") =>
    write(
      name,
      `${IMPORTS}
export const lamp_set = struct('lamp_set', { ${members} });
export const lamp_ioctls = ioctls({
  /** EINVAL */
  LAMP_IOC_SET: ${maker},
});
`,
    );

  test('a hole within an anonymous member, and in a nested struct, is that one’s', async () => {
    const inner = "_: anonymous(struct({ a: doc(u8, 'in: x'), b: doc(u16, 'in: y') }))";
    expect(await found(lamp('anonymous', `${FLAGS}, ${inner}`))).toEqual(
      ['padding-implicit: LAMP_IOC_SET, b'].map((one) =>
        one.replace('LAMP_IOC_SET', 'struct lamp_set.'),
      ),
    );
    const nested = "rect: struct('lamp_rect', { x: doc(u64, 'in: x'), y: doc(u32, 'in: y') })";
    expect(await found(lamp('nested', `${FLAGS}, pad: u32, ${nested}`))).toEqual([
      'size-64bit: struct lamp_rect',
    ]);
  });

  test('a union whose members end alike has no hole', async () => {
    const members = `${FLAGS}, pad: u32, u: union({ a: doc(u64, 'in: x'), b: doc(array(u32, 2), 'in: y') })`;
    expect(await found(lamp('union', members))).toEqual([]);
  });

  test('64-bit numbers where i386 would have them too are no difference', async () => {
    const members = `${FLAGS}, pad: u32, a: doc(u64, 'in: x'), b: doc(s32, 'in: y'), reserved: array(u32, 3)`;
    expect(await found(lamp('aligned', members))).toEqual([]);
  });

  test('all four directions of documentation are read', async () => {
    const members = `a: doc(u32, 'in/out: x'), b: doc(u32, 'in, out: x'), ${FLAGS}, c: doc(u32, 'in: 0, else EINVAL; out: x')`;
    expect(await found(lamp('iowr', members, "iowr('\\xbb', 0, lamp_set)"))).toEqual([]);
    const [lost] = await lint(lamp('iow', members));
    expect(lost?.problem).toMatch(/^a, b, c: /);
  });

  test('a struct that one request gets and another sets is documented for both', async () => {
    const path = write(
      'shared',
      `${IMPORTS}
export const lamp_set = struct('lamp_set', { level: doc(u32, 'in, out: x'), lit: doc(u32, 'out: x'), ${FLAGS}, pad: u32 });
/** EIO: it is broken. */
export const lamp_ioctls = ioctls({
  /** EIO: it is broken. */
  LAMP_SET: iow('\\xbb', 0, lamp_set),
  /** EIO: it is broken. */
  LAMP_GET: ior('\\xbb', 1, lamp_set),
});
`,
    );
    // Nor is EIO too short to be an errno, nor IOC missing where nothing has it.
    expect(await found(path)).toEqual(['direction-shared: struct lamp_set']);
  });

  test('an array’s length may be called count_handles, as DRM’s are', async () => {
    const members = `${FLAGS}, count_handles: doc(u32, 'in: how many'), handles: doc(ptr, 'in: an array of u32')`;
    expect(await found(lamp('counted', members))).toEqual([]);
    const others = members.replace('count_handles', 'first_handle');
    expect(await found(lamp('uncounted', others))).toEqual([
      'array-count: struct lamp_set, handles',
    ]);
  });

  test('a descriptor that is always there may be a u32; one of 64 bits may not', async () => {
    expect(await found(lamp('fd', `${FLAGS}, fd: doc(u32, 'in: a dma-buf, else EBADF')`))).toEqual(
      [],
    );
    const wide = `${FLAGS}, pad: u32, fd: doc(u64, 'in: a dma-buf, else EBADF')`;
    expect(await found(lamp('wide', wide))).toEqual(['fd-type: struct lamp_set, fd']);
  });

  test('packing leaves no hole, but what fills the struct up to its alignment is one', async () => {
    const path = lamp('filled', `${FLAGS}, a: doc(u8, 'in: x')`);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace("'in: x') }", "'in: x') }, { packed: true, align: 4 }"));
    expect(await found(path)).toEqual(['packed: struct lamp_set', 'padding-tail: struct lamp_set']);
  });

  test('a timeout of 32 bits is a relative one', async () => {
    const [one] = await lint(lamp('timeout', `${FLAGS}, timeout_ms: doc(u32, 'in: from now')`));
    expect(one?.problem).toContain('a relative one begins anew');
    const [two] = await lint(
      lamp('now', `${FLAGS}, pad: u32, timeout: doc(u64, 'in: ns from now')`),
    );
    expect(two?.problem).toMatch(/^a relative timeout/);
  });

  test('an ioctl that fails anyway is not judged, and it is said why', async () => {
    const [one] = await lint(fixture('rules/undecided.ts'));
    expect(one?.problem).toBe(
      'whether flags is checked cannot be told: an argument of zeros is answered by EINVAL anyway',
    );
    expect(one?.remedy).toContain('examples: { LAMP_IOC_SET');
  });

  test('what an example asks for first is no part of the call, and what a handler leaves keeps nobody', () => {
    const path = join(folder, 'lamp.ts');
    writeFileSync(path, SESSIONS);
    // It has a timer of days.
    expect(cli('lint-uapi', path)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/: 0 errors, 0 warnings, 0 notes, \d+ calls tried\n$/),
    });
  });
});

/** LAMP_IOC_SET needs a handle of LAMP_IOC_OPEN. */
const SESSIONS = `
import { defineDevice, errno, HandleTable } from 'dmabuf-shim';
import { doc, ioctls, iow, iowr, requests, struct, u32 } from 'dmabuf-shim/ioctl';
const fields = { reserved: doc(u32, 'in: 0') };
const lamp_open = struct('lamp_open', { handle: doc(u32, 'out: the lamp'), ...fields });
const lamp_set = struct('lamp_set', { handle: doc(u32, 'in: the lamp'), ...fields });
export const lamp_ioctls = ioctls({
  LAMP_IOC_OPEN: iowr('\\xba', 1, lamp_open, { errors: ['EINVAL', 'ENOSPC'] }),
  LAMP_IOC_SET: iow('\\xba', 2, lamp_set, { errors: ['EINVAL', 'ENOENT'] }),
});
const { LAMP_IOC_OPEN } = requests(lamp_ioctls);
export default defineDevice({
  name: 'lamp',
  ioctls: lamp_ioctls,
  open: (file) => ({ lamps: new HandleTable(file, 'lamp') }),
  examples: {
    LAMP_IOC_SET({ fd, sys }) {
      const made = lamp_open.create();
      sys.ioctl(fd, LAMP_IOC_OPEN, made);
      return { handle: made.handle };
    },
  },
  ioctl: {
    LAMP_IOC_OPEN(file, arg) {
      if (arg.reserved) throw errno('EINVAL');
      arg.handle = file.state.lamps.alloc('on');
      setTimeout(() => {}, 2 ** 31 - 1);
    },
    LAMP_IOC_SET(file, arg) {
      file.state.lamps.find(arg.handle);
      if (arg.reserved) throw errno('EINVAL');
    },
  },
});
`;

describe('--against', () => {
  const source = (struct: string, more = '', maker = "iowr('\\xbb', 0, lamp_set)") => `
import { array, doc, ioctls, iow, iowr, struct, u32, u64 } from 'dmabuf-shim/ioctl';
export const LAMP_MAX = ${more.includes('MAX') ? 200 : 100};
export const lamp_set = struct('lamp_set', { ${struct} });
export const lamp_ioctls = ioctls({ LAMP_IOC_SET: ${maker} ${more.includes('GONE') ? '' : ", LAMP_IOC_GET: iowr('\\xbb', 1, lamp_set)"} });
`;
  const BASE = 'level: u32, flags: u32, reserved: array(u32, 4)';

  async function compared(before: string, after: string): Promise<string[]> {
    const [old, now] = ['old.ts', 'now.ts'].map((name) => join(folder, name)) as [string, string];
    writeFileSync(old, before);
    writeFileSync(now, after);
    const against = describeUapi(await loadUapi(old));
    expect(isDescription(JSON.parse(JSON.stringify(against)))).toBe(true);
    const all = await found(now, { against });
    return all.filter((one) => one.startsWith('compat-'));
  }

  test('the same is no finding, and neither is a reserved field that is put to use', async () => {
    expect(await compared(source(BASE), source(BASE))).toEqual([]);
    const used = 'level: u32, flags: u32, color: u32, reserved: array(u32, 3)';
    expect(await compared(source(BASE), source(used))).toEqual([]);
    const all = 'level: u32, flags: u32, color: u64, speed: u64';
    expect(await compared(source(BASE), source(all))).toEqual([]);
  });

  test.each([
    [
      'a field that moved',
      'flags: u32, level: u32, reserved: array(u32, 4)',
      ['compat-field: struct lamp_set, level', 'compat-field: struct lamp_set, flags'],
    ],
    [
      'a field that is gone',
      'brightness: u32, flags: u32, reserved: array(u32, 4)',
      ['compat-field: struct lamp_set, level'],
    ],
    [
      'a field of another type',
      'level: array(u32, 1), flags: u32, reserved: array(u32, 4)',
      ['compat-field: struct lamp_set, level'],
    ],
    [
      'a struct that grew',
      `${BASE}, more: array(u32, 2)`,
      ['compat-size: LAMP_IOC_SET', 'compat-size: LAMP_IOC_GET'],
    ],
  ])('%s is found', async (_what, struct, expected) => {
    const all = await compared(source(BASE), source(struct));
    expect(all.sort()).toEqual([...expected].sort());
  });

  test('requests that are gone, renumbered or turned round, and constants that changed', async () => {
    const now = (more: string, maker?: string) => compared(source(BASE), source(BASE, more, maker));
    expect(await now('GONE')).toEqual(['compat-removed: LAMP_IOC_GET']);
    expect(await now('', "iowr('\\xbb', 7, lamp_set)")).toEqual(['compat-number: LAMP_IOC_SET']);
    expect(await now('', "iow('\\xbb', 0, lamp_set)")).toEqual(['compat-direction: LAMP_IOC_SET']);
    expect(await now('MAX')).toEqual(['compat-constant: LAMP_MAX']);
  });

  test('a struct may grow where the device takes other sizes', async () => {
    const driver = readFileSync(fixture('careful.ts'), 'utf8');
    const text =
      readFileSync(fixture('blitter.ts'), 'utf8') + driver.replace(/^import .*blitter.*$/m, '');
    const more = "flags: doc(u32, 'in: 0, else EINVAL'),\n  more: doc(u64, 'in: of it'),";
    const grown = text.replace("flags: doc(u32, 'in: 0, else EINVAL'),", more);
    expect(await compared(text, grown)).toEqual(['compat-size: BLITTER_IOC_LIMIT']);
    const renamed = text.replace("name: 'blitter',", "name: 'blitter2',");
    expect(await compared(text, renamed)).toEqual(['compat-removed: /dev/blitter']);
    const extensible = grown.replace("name: 'blitter',", "name: 'blitter', extensible: true,");
    expect(await compared(text, extensible)).toEqual([]);
  });
});

describe('the command', () => {
  const run = (...args: string[]) => cli('lint-uapi', ...args);
  const here = (name: string) => relative(process.cwd(), fixture(name));

  test('prints a line for editors, what to do, and the document; errors are status 1', () => {
    const { status, stdout } = run(here('foo.ts'));
    expect(status).toBe(1);
    const lines = stdout.split('\n');
    expect(lines[2]).toBe(
      `${here('foo.ts')}:6: error: struct foo, b: 4 bytes of padding between a and b on 64-bit machines; on i386 it is at byte 4, not at 8 [layout-32bit]`,
    );
    expect(lines[3]).toBe(
      '    add a field `pad: u32` there, which has to be 0 (ioctl.rst, "Structure layout")',
    );
    expect(lines.at(-2)).toBe(`${here('foo.ts')}: 2 errors, 0 warnings, 0 notes`);
  });

  test('warnings are status 0, and 1 with --strict', () => {
    expect(run(here('rules/no-flags.ts')).status).toBe(0);
    expect(run('--strict', here('rules/no-flags.ts')).status).toBe(1);
    expect(run('--strict', here('careful.ts')).status).toBe(0);
    expect(run('--strict', here('rules/fd-type.ts')).status).toBe(0);
  });

  test('--json has the findings, --no-run tries nothing', () => {
    const { stdout } = run('--json', here('careless.ts'));
    const { findings, summary } = JSON.parse(stdout);
    expect(summary).toMatchObject({ error: 5, note: 0 });
    expect(findings[0]).toMatchObject({ rule: 'flags-unchecked', severity: 'error' });
    expect(run('--no-run', here('careless.ts')).status).toBe(0);
  });

  test('a handler that never answers does not keep it', () => {
    const { status, stdout } = run(here('rules/handler-stuck.ts'));
    expect(status).toBe(0);
    expect(stdout).toContain('[handler-stuck]');
  });

  test('--save and --against', () => {
    const saved = join(folder, 'blitter.json');
    expect(run('--no-run', '--save', saved, here('careful.ts')).status).toBe(0);
    expect(isDescription(JSON.parse(readFileSync(saved, 'utf8')))).toBe(true);
    expect(run('--no-run', '--against', saved, here('careful.ts')).status).toBe(0);
    const { status, stdout } = run('--no-run', '--against', saved, here('foo.ts'));
    expect(status).toBe(1);
    expect(stdout).toContain(
      'BLITTER_IOC_BLIT: it is gone: ENOTTY for old programs [compat-removed]',
    );
  });

  test('options of the device, and what is wrong with the command', () => {
    expect(run('--device-options', 'rects=8', here('careful.ts')).status).toBe(0);
    for (const [args, line] of [
      [
        ['--device-options', 'rect=8', here('careful.ts')],
        'blitter has no option rect; there are: rects',
      ],
      [['--device-options', 'rects=x', here('careful.ts')], 'blitter: rects is a number'],
      [[], 'one file is wanted'],
      [['nothing.ts'], 'nothing.ts: no such file'],
      [['--against', 'package.json', here('foo.ts')], 'package.json is not what --save writes'],
    ] as const) {
      expect(run(...args)).toMatchObject({
        status: 2,
        stderr: `dmabuf-shim lint-uapi: ${line}\n`,
      });
    }
    expect(run('--help').stdout).toMatch(/^Usage: dmabuf-shim lint-uapi/);
  });
});
