/** What C compilers make of a generated header, beside what TypeScript says. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { StructType } from '../../ioctl/index.js';
import type { Uapi, UapiConstant } from '../../uapi/model.js';
import { isStruct } from '../../uapi/types.js';

/** A compiler, as the tests start it. */
export interface Compiler {
  readonly name: string;
  readonly debianPackage: string;
  readonly command: readonly string[];
  readonly cxx?: boolean;
  /** `_Alignof` is not asked there: 64-bit integers are aligned to 4 bytes. */
  readonly is32?: boolean;
}

/** Where Debian has <asm/types.h>; the C library for 32 bits need not be there. */
const ASM = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

const gcc = ['gcc', 'gcc libc6-dev'] as const;
const gxx = ['g++', 'g++'] as const;
const compiler = (
  [command, debianPackage]: readonly [string, string],
  args: readonly string[],
  rest: Partial<Compiler> = {},
): Compiler => ({
  name: [command, ...args].join(' '),
  debianPackage,
  command: [command, ...args],
  ...rest,
});

export const COMPILERS: readonly Compiler[] = [
  compiler(gcc, ['-std=gnu11']),
  compiler(gcc, ['-std=c99']),
  compiler(gxx, ['-std=c++11'], { cxx: true }),
  compiler(gxx, ['-std=c++20'], { cxx: true }),
  ...(process.arch === 'x64'
    ? [
        compiler(gcc, ['-std=gnu11', '-m32', '-isystem', ASM], { is32: true }),
        compiler(gxx, ['-std=c++11', '-m32', '-isystem', ASM], { is32: true, cxx: true }),
      ]
    : []),
  compiler(
    ['aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross'],
    ['-std=gnu11'],
  ),
];

/** Why a compiler cannot be asked here; undefined if it can. */
export function unavailable({ command, debianPackage, is32 }: Compiler): string | undefined {
  const [name = ''] = command;
  if (spawnSync(name, ['--version']).status !== 0)
    return `no ${name}: apt install ${debianPackage}`;
  return is32 && !existsSync(join(ASM, 'asm/types.h')) ? `no ${ASM}/asm/types.h` : undefined;
}

/** Compiles, and gives what the compiler has to say: nothing, if all is well. */
export function compile(
  { command, cxx }: Compiler,
  folder: string,
  source: string,
  options: readonly string[] = [],
): string {
  const path = join(folder, cxx ? 'source.cc' : 'source.c');
  writeFileSync(path, source);
  const [name = '', ...args] = command;
  // <fcntl.h> hides O_CLOEXEC from C99. That an unsigned number is not negative is asked on purpose.
  const warnings = ['-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wno-type-limits', '-Werror', ...options];
  const { status, stderr } = spawnSync(
    name,
    [...args, ...warnings, '-I', folder, '-fsyntax-only', path],
    { encoding: 'utf8' },
  );
  return status === 0 ? stderr : stderr || `exit status ${status}`;
}

/** A source that compiles if the header says what TypeScript says, of everything in it. */
export function assertions(uapi: Uapi, { cxx = false, is32 = false }: Compiler): string {
  const [assert, alignof] = cxx ? ['static_assert', 'alignof'] : ['_Static_assert', '_Alignof'];
  const claims = uapi.items.flatMap((item) => {
    if (item.kind === 'constant') return constantClaims(item);
    if (item.kind === 'ioctl') return [`(unsigned)(${item.def.name}) == ${item.def.request}u`];
    const { type } = item;
    const align = is32 ? [] : [`${alignof}(${type.name}) == ${type.align}`];
    return [`sizeof(${type.name}) == ${type.size}`, ...align, ...fieldClaims(type, type.name)];
  });
  expect(claims.length).toBeGreaterThan(0);
  // In C++ of the year 2011 an assertion needs its text.
  const lines = claims.map((claim) => `${assert}(${claim}, ${JSON.stringify(claim)});`);
  // The C library has no headers for 32 bits here, and the macros of <fcntl.h> are its.
  const fcntl = is32 ? '' : '#include <fcntl.h>\n';
  return `#include <stddef.h>\n${fcntl}#include "header.h"\n#include "header.h"\n${lines.join('\n')}\n`;
}

function constantClaims({ name, value }: UapiConstant): string[] {
  if (typeof value !== 'string') {
    const size = value < -(2 ** 31) || value >= 2 ** 32 ? [`sizeof(${name}) == 8`] : [];
    const isNegative = value < 0 ? `(${name}) < 0` : `(${name}) >= 0`;
    const positive =
      value < 0 ? `-(${name} + 1) == ${-(BigInt(value) + 1n)}` : `(${name}) == ${value}ULL`;
    return [isNegative, positive, ...size];
  }
  if (value.length === 1) return [`(${name}) == ${value.charCodeAt(0)}`];
  return [`sizeof(${name}) == ${new TextEncoder().encode(value).length + 1}`];
}

function fieldClaims(type: StructType, cName: string, path = '', base = 0): string[] {
  return type.fields.flatMap((field) => {
    const name = path + (field.cName ?? field.name);
    const offset = base + field.offset;
    const member = `((${cName} *)0)->${name}`;
    const isFlexible = field.type.kind === 'flexible' || field.type.kind === 'cstring';
    const claims = [`offsetof(${cName}, ${name}) == ${offset}`];
    if (!isFlexible) claims.push(`sizeof(${member}) == ${field.type.size}`);
    if (isStruct(field.type) && field.type.tag === '') {
      claims.push(...fieldClaims(field.type, cName, `${name}.`, offset));
    }
    const sign = signOf(field.type.name);
    // Of what is no array: whether it is signed.
    if (sign !== undefined) claims.push(`(__typeof__(${member}))-1 ${sign} 0`);
    return claims;
  });
}

/** How −1 of a type compares with 0. */
function signOf(name: string): '<' | '>' | undefined {
  if (/^__[us]\d+$/.test(name)) return name.startsWith('__s') ? '<' : '>';
  return undefined;
}
