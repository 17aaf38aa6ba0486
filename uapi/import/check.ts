/** Whether what becomes of headers is what another compiler makes of them: gcc, for each by itself. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModule } from '../load.js';
import { isIoctlTable, isStruct } from '../types.js';
import { CompileError, compile, errorLines, errorsOf, type FrontEnd } from './clang.js';
import { importHeader, importHeaders } from './convert.js';
import { assertion, claims } from './layout.js';
import { AFTERWARDS, including } from './macros.js';
import type { Header, LeftOut } from './model.js';
import { printModule } from './print.js';

/** Folders with Linux's headers for programs, as Debian has them. */
const UAPI_FOLDERS = [
  ...['linux', 'drm', 'sound', 'rdma', 'misc', 'scsi', 'video', 'xen', 'mtd', 'asm-generic'],
  `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/asm`,
].map((name) => `/usr/include/${name}`);

/** Where Debian has those of DRM, beside libdrm's own. */
const LIBDRM = '/usr/include/libdrm';

/** Linux's headers for programs that this machine has. */
export function uapiHeaders(): string[] {
  const drm = existsSync(LIBDRM) ? readdirSync(LIBDRM) : [];
  const kernel = drm.filter((name) => /^drm(_\w+)?\.h$|_drm\.h$/.test(name));
  return headersIn([
    ...UAPI_FOLDERS.filter((folder) => existsSync(folder)),
    ...kernel.map((name) => join(LIBDRM, name)),
  ]);
}

/** Headers in one run of the compiler. */
const BATCH = 16;

export interface CheckResult {
  headers: number;
  constants: number;
  structs: number;
  ioctls: number;
  /** What gcc has otherwise: a line each. */
  readonly wrong: string[];
  readonly leftOut: LeftOut[];
  /** Headers that clang does not take, with its error. */
  readonly failed: { path: string; message: string }[];
}

export interface CheckOptions {
  readonly include?: readonly string[];
  /** The folder that the modules are written to; none: they are not kept. */
  readonly output?: string | undefined;
}

/** All headers below folders; a header can be named itself. */
export function headersIn(paths: readonly string[]): string[] {
  const found = paths.flatMap((path) => {
    if (statSync(path).isFile()) return [path];
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.h')).map((name) => join(path, name));
  });
  return [...new Set(found.map((path) => realpathSync(path)))].sort();
}

/** Converts headers, loads what comes of them, and compares it with gcc. @throws NoCompiler */
export async function checkHeaders(
  frontEnd: FrontEnd,
  paths: readonly string[],
  options: CheckOptions = {},
): Promise<CheckResult> {
  const target = await frontEnd.target();
  await compile('gcc', ['--version'], '', 'gcc libc6-dev');
  const result: CheckResult = {
    ...{ headers: paths.length, constants: 0, structs: 0, ioctls: 0 },
    ...{ wrong: [], leftOut: [], failed: [] },
  };
  const failed = (path: string, { message }: CompileError) => result.failed.push({ path, message });
  const folder = options.output ?? mkdtempSync(join(tmpdir(), 'dmabuf-shim-check-'));
  const checker = new Checker(folder, target, options.include ?? [], result);
  const batches = Array.from({ length: Math.ceil(paths.length / BATCH) }, (_, i) =>
    paths.slice(i * BATCH, (i + 1) * BATCH),
  );
  const worker = async () => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const headers = await importHeaders(frontEnd, batch, options, failed);
      for (const header of headers) await checker.check(header, frontEnd);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (options.output === undefined) rmSync(folder, { recursive: true });
  return result;
}

class Checker {
  readonly #folder: string;
  readonly #target: string;
  readonly #include: readonly string[];
  readonly #result: CheckResult;
  #number = 0;

  constructor(folder: string, target: string, include: readonly string[], result: CheckResult) {
    this.#folder = folder;
    this.#target = target;
    this.#include = include;
    this.#result = result;
  }

  /** @param frontEnd to convert the header again by itself, as others may have lent it something */
  async check(header: Header, frontEnd?: FrontEnd): Promise<void> {
    const base = `${this.#number++}-${header.name.replace(/\W/g, '_')}`;
    const file = join(this.#folder, `${base}.ts`);
    writeFileSync(file, printModule(header, this.#target));
    const claimed = claimsOf(header, await loadModule(file));
    const wrong = await this.#disagreements(header, claimed.lines);
    if (wrong.length > 0 && frontEnd) {
      rmSync(file);
      await this.#again(header.path, frontEnd);
      return;
    }
    const result = this.#result;
    result.constants += claimed.constants;
    result.structs += claimed.structs;
    result.ioctls += claimed.ioctls;
    result.leftOut.push(...header.leftOut);
    result.wrong.push(...wrong.map((line) => `${header.name}: ${line}`));
  }

  /** Converts a header by itself. */
  async #again(path: string, frontEnd: FrontEnd): Promise<void> {
    try {
      await this.check(await importHeader(frontEnd, path, { include: this.#include }));
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      this.#result.failed.push({ path, message: error.message });
    }
  }

  /** What gcc denies. */
  async #disagreements(header: Header, lines: readonly string[]): Promise<string[]> {
    const flags = ['-x', 'c', '-std=gnu11', '-w', '-fsyntax-only', '-fmax-errors=0'];
    const folders = this.#include.flatMap((folder) => ['-I', folder]);
    let errors: string[] = [];
    // Some headers of single architectures do not go together with these.
    for (const after of [AFTERWARDS, '']) {
      const source = `${including([header.path], header.before)}${after}`;
      const answer = await compile('gcc', [...flags, ...folders], `${source}${lines.join('\n')}\n`);
      if (!answer.failed) return [];
      const start = source.split('\n').length;
      const bad = errorLines(answer);
      const wrong = lines.filter((_, i) => bad.has(start + i));
      if (wrong.length > 0) return wrong;
      errors = errorsOf(answer);
    }
    return [errors[0] ?? 'gcc does not take it'];
  }
}

interface Claimed {
  readonly lines: readonly string[];
  readonly constants: number;
  readonly structs: number;
  readonly ioctls: number;
}

/** What a loaded module says of its header, as assertions in C. */
function claimsOf(header: Header, module: Record<string, unknown>): Claimed {
  const lines: string[] = [];
  const c = new Map(header.structs.map((struct) => [struct.name, struct.c]));
  const types = Object.values(module).filter(isStruct);
  for (const type of types) {
    const name = c.get(type.tag) ?? type.name;
    lines.push(assertion(claims(name, type), name));
  }
  const ioctls = Object.values(module)
    .filter(isIoctlTable)
    .flatMap((table) => Object.values(table));
  for (const { name, request } of ioctls)
    lines.push(equal(name, `${request}ull & 0xffffffff`, '(unsigned)'));
  const requests = new Set(ioctls.map(({ name }) => name));
  const constants = Object.entries(module).filter(([name, value]) => {
    return !requests.has(name) && ['number', 'bigint', 'string'].includes(typeof value);
  });
  for (const [name, value] of constants) lines.push(constantClaim(name, value));
  const own = header.structs.filter(({ file }) => file === header.path).length;
  const missing = header.structs.length - types.length + header.ioctls.length - ioctls.length;
  if (missing !== 0) lines.push(`_Static_assert(0, "${missing} are missing");`);
  return { lines, constants: constants.length, structs: own, ioctls: ioctls.length };
}

function equal(name: string, value: string, cast = ''): string {
  return `_Static_assert(${cast}(${name}) == (${value}), "${name}");`;
}

function constantClaim(name: string, value: unknown): string {
  if (typeof value !== 'string') {
    const big = BigInt(value as number | bigint);
    if (big === -(2n ** 63n)) return equal(name, '-0x7fffffffffffffffll - 1');
    return `_Static_assert((${name}) == (${big}${big > 0n ? 'ull' : 'll'}) && ((${name}) < 0) == ${big < 0n ? 1 : 0}, "${name}");`;
  }
  const text = quoted(value);
  const size = Buffer.byteLength(value) + 1;
  return `_Static_assert(__builtin_choose_expr(__builtin_classify_type(${name}) == 5, sizeof(${name}) == ${size} && __builtin_strcmp((const char *)(unsigned long)(${name}), ${text}) == 0, (${name}) == ${value.charCodeAt(0) || 0}), "${name}");`;
}

/** A string as C writes it. */
function quoted(text: string): string {
  const octal = (c: string) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`;
  const bytes = Buffer.from(text).toString('latin1');
  return `"${bytes.replace(/[^ -~]|["\\]/g, octal)}"`;
}

/** Two lines for people. */
export function summary(result: CheckResult): string {
  const { headers, structs, ioctls, constants, wrong, leftOut, failed } = result;
  const count = (n: number) => n.toLocaleString('en');
  const took = `${count(headers)} headers: ${count(structs)} structs, ${count(ioctls)} ioctls, ${count(constants)} constants convert`;
  const parts = (['struct', 'ioctl'] as const).map((what) => reasons(what, leftOut));
  const not = failed.length > 0 ? [`${count(failed.length)} headers do not compile`] : [];
  const compared =
    wrong.length === 0 ? 'gcc agrees with all of them' : `gcc has ${count(wrong.length)} otherwise`;
  return `${[took, ...parts.filter(Boolean), ...not].join('; ')}. ${compared}.`;
}

/** `87 structs refused: 41 bit-field, 12 pointer to a function`. */
function reasons(what: LeftOut['what'], leftOut: readonly LeftOut[]): string {
  const counts = new Map<string, number>();
  const list = leftOut.filter((one) => one.what === what);
  for (const { why } of list) counts.set(why.kind, (counts.get(why.kind) ?? 0) + 1);
  const most = [...counts].sort(([, a], [, b]) => b - a).map(([kind, n]) => `${n} ${kind}`);
  return list.length === 0 ? '' : `${list.length} ${what}s refused: ${most.join(', ')}`;
}
