/** Request numbers: unique, free, and as large as their argument. */
import { basename } from 'node:path';
import { _IOC_DIR, _IOC_NONE, _IOC_NR, _IOC_SIZE, _IOC_TYPE } from '../../ioctl/index.js';
import { IOCTL_NUMBERS } from './ioctl_numbers.js';
import type { LintedIoctl, Surface } from './surface.js';

/** 13 bits, as powerpc, mips and sparc have them. */
const SIZE_MAX_13BIT = 8191;

/** Requests that Linux answers before a driver is asked: ioctl_fionbio() and the like, by type, number, size. */
const VFS: Readonly<Record<string, string>> = {
  'T\x50:0': 'FIONCLEX',
  'T\x51:0': 'FIOCLEX',
  'T\x52:0': 'FIOASYNC',
  'T\x21:0': 'FIONBIO',
  'T\x60:0': 'FIOQSIZE',
  '\x00\x02:0': 'FIGETBSZ',
  'X\x77:4': 'FIFREEZE',
  'X\x78:4': 'FITHAW',
  'f\x0b:32': 'FS_IOC_FIEMAP',
  '\x94\x09:4': 'FICLONE',
  '\x94\x0d:32': 'FICLONERANGE',
  '\x94\x36:24': 'FIDEDUPERANGE',
  'f\x01:8': 'FS_IOC_GETFLAGS',
  'f\x02:8': 'FS_IOC_SETFLAGS',
  'X\x1f:28': 'FS_IOC_FSGETXATTR',
  'X\x20:28': 'FS_IOC_FSSETXATTR',
};

interface Range {
  readonly first: number;
  readonly last: number;
  readonly owner: string;
}

let ranges: Map<string, Range[]> | undefined;

/** Who has numbers of a type, by Linux's list. */
function rangesOf(type: string): Range[] {
  if (!ranges) {
    ranges = new Map();
    for (const line of IOCTL_NUMBERS.trim().split('\n')) {
      const [, code = '', first = '', last = '', owner = ''] =
        /^(..) (..)-(..) (.*)$/.exec(line) ?? [];
      const key = String.fromCharCode(Number.parseInt(code, 16));
      const range = { first: Number.parseInt(first, 16), last: Number.parseInt(last, 16), owner };
      ranges.set(key, [...(ranges.get(key) ?? []), range]);
    }
  }
  return ranges.get(type) ?? [];
}

const hex = (n: number) => `0x${n.toString(16).padStart(2, '0')}`;
const typeName = (type: string) => (/^[!-~]$/.test(type) ? `'${type}'` : hex(type.charCodeAt(0)));

export function lintNumbers(surface: Surface): void {
  const reported = new Map<string, LintedIoctl[]>();
  for (const one of surface.ioctls) {
    const type = _IOC_TYPE(one.def.request);
    reported.set(type, [...(reported.get(type) ?? []), one]);
    lintVfs(surface, one);
    lintSize(surface, one);
  }
  for (const [type, group] of reported) {
    lintUnique(surface, group);
    lintType(
      surface,
      type,
      group.filter((one) => !vfsName(one)),
    );
  }
}

function lintUnique(surface: Surface, group: readonly LintedIoctl[]): void {
  for (const [i, one] of group.entries()) {
    const { name, request } = one.def;
    const nr = _IOC_NR(request);
    // The device's node tells its requests from those of another.
    const before = group
      .slice(0, i)
      .find((other) => _IOC_NR(other.def.request) === nr && other.device === one.device);
    if (!before) continue;
    const other = before.def.name;
    const remedy = `take a number that is free, such as ${hex(nextFree(group))}`;
    if (before.def.request === request) {
      surface.report(
        'number-duplicate',
        one,
        name,
        `it is the same number as ${other}: ${hex(request)}`,
        remedy,
      );
    } else {
      const problem = `it has number ${hex(nr)} of ${typeName(_IOC_TYPE(request))}, as ${other} has: they differ in size or direction alone`;
      surface.report('number-shared', one, name, problem, remedy);
    }
  }
}

function nextFree(group: readonly LintedIoctl[]): number {
  const taken = new Set(group.map(({ def }) => _IOC_NR(def.request)));
  for (let nr = 0; nr < 256; nr++) if (!taken.has(nr)) return nr;
  return 255;
}

/** The request of Linux's own that this one is. */
function vfsName({ def }: LintedIoctl): string | undefined {
  const { request } = def;
  const nr = String.fromCharCode(_IOC_NR(request));
  return VFS[`${_IOC_TYPE(request)}${nr}:${_IOC_SIZE(request)}`];
}

function lintVfs(surface: Surface, one: LintedIoctl): void {
  const taken = vfsName(one);
  if (!taken) return;
  const problem = `it is ${taken}, which Linux answers itself: no driver ever sees it`;
  surface.report('number-vfs', one, one.def.name, problem, 'take another type, and another number');
}

/** One finding a type, at the first of its requests. */
function lintType(surface: Surface, type: string, group: readonly LintedIoctl[]): void {
  const [first] = group;
  if (!first) return;
  const numbers = group.map(({ def }) => _IOC_NR(def.request));
  const subject =
    group.length === 1 ? first.def.name : `${first.def.name} and ${group.length - 1} more`;
  const remedy = `take a type that has a free block, such as ${freeTypes()}`;
  if (type === 'T' || type === '\x89') {
    const [rule, whose, when] =
      type === 'T'
        ? (['type-terminal', "terminals'", 'isatty(), called on any descriptor'] as const)
        : (['type-socket', "sockets'", 'a program that has mixed up its descriptors'] as const);
    const bare = group.find(({ def }) => _IOC_DIR(def.request) === _IOC_NONE);
    const worse = bare ? `; ${bare.def.name} can be the very number of one of theirs` : '';
    const problem = `type ${typeName(type)} is ${whose}, whose requests come from ${when}${worse}`;
    surface.report(rule, first, subject, problem, remedy);
    return;
  }
  const ranges = rangesOf(type);
  const holds = ({ first: from, last }: Range, nr: number) => nr >= from && nr <= last;
  const own = ranges.filter(({ owner }) => isOwn(owner, surface.uapi.file));
  // What is in the list has been agreed upon, whoever else is there.
  if (numbers.every((nr) => own.some((range) => holds(range, nr)))) return;
  const owners = ranges
    .filter((range) => !own.includes(range) && numbers.some((nr) => holds(range, nr)))
    .map(({ first: from, last, owner }) => `${hex(from)}-${hex(last)} ${owner}`);
  if (owners.length === 0) return;
  const shown = owners.slice(0, 4).join('; ') + (owners.length > 4 ? '; …' : '');
  const problem = `type ${typeName(type)}, ${numbersText(numbers)}: Linux's list gives ${shown}`;
  surface.report('type-collision', first, subject, problem, remedy);
}

function numbersText(numbers: readonly number[]): string {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return low === high ? hex(low) : `${hex(low)}-${hex(high)}`;
}

/** Whether the list means this very header: ioctl/udmabuf.ts is <linux/udmabuf.h>. */
function isOwn(owner: string, file: string): boolean {
  const name = basename(file).replace(/\.[^.]+$/, '');
  return owner.split(', ').some((header) => basename(header).replace(/\.h$/, '') === name);
}

/** Some types of which nobody has anything. */
function freeTypes(): string {
  const free: string[] = [];
  for (let code = 0xb8; code < 0xff && free.length < 3; code++) {
    if (rangesOf(String.fromCharCode(code)).length === 0) free.push(`'\\x${code.toString(16)}'`);
  }
  return free.join(', ');
}

function lintSize(surface: Surface, one: LintedIoctl): void {
  const { arg, name, request } = one.def;
  const size = _IOC_SIZE(request);
  if (size > SIZE_MAX_13BIT) {
    const problem = `${size} bytes: some machines have 13 bits for the size, and so ${SIZE_MAX_13BIT} at most`;
    surface.report('size-13bit', one, name, problem, 'pass the address of what is large, as `ptr`');
  }
  if (!arg && size > 0) {
    const problem = `a plain number is passed, but its number says a pointer to ${size} bytes`;
    surface.report('argument-integer', one, name, problem, 'take a pointer to a `u32`, by _IOW');
  }
  if (arg && arg.size !== size) {
    const problem = `its number says ${size} bytes, but it takes ${arg.name}${arg.size > 0 ? `, ${arg.size} bytes` : ''}; if C takes the size from a pointer, it is another number in a 32-bit program`;
    surface.report(
      'size-mismatch',
      one,
      name,
      problem,
      'take the number from the type that is passed',
    );
  }
}
