/** Where compilers put fields: holes, tails, and what other machines make of the same struct. */
import { type CType, type Field, memberAlign, type StructType } from '../../ioctl/index.js';
import { elementOf, isArray, isStruct } from '../types.js';
import type { LintedStruct, Surface } from './surface.js';

/** i386 aligns 64 bits to 4 bytes only. */
const I386_ALIGN = 4;

export interface Placed {
  readonly size: number;
  readonly align: number;
  /** Bytes from the start, in the order of `fields`. */
  readonly offsets: readonly number[];
}

export interface Hole {
  /** The field before it. */
  readonly after: string | undefined;
  /** Which member is behind it; undefined: it is at the end. */
  readonly before: number | undefined;
  readonly offset: number;
  readonly size: number;
}

const roundUp = (n: number, to: number) => Math.ceil(n / to) * to;

/** As the fields would have it, packed or not. */
const natural = (type: CType): number =>
  isStruct(type) ? Math.max(1, ...type.members.map((f) => natural(f.type))) : type.align;

/** The same struct where nothing is aligned to more than `max` bytes. */
export function placeFor(type: StructType, max: number): Placed {
  const offsets: number[] = [];
  let align = type.aligned;
  let end = 0;
  let size = 0;
  for (const field of type.members) {
    const member = shapeFor(field.type, max);
    const to = memberAlign(member.align, field, type);
    const offset = type.kind === 'union' ? 0 : roundUp(end, to);
    offsets.push(offset);
    end = offset + member.size;
    size = Math.max(size, end);
    align = Math.max(align, to);
  }
  return { size: roundUp(size, align), align, offsets };
}

function shapeFor(type: CType, max: number): { size: number; align: number } {
  if (isStruct(type)) return placeFor(type, max);
  if (isArray(type)) {
    const element = shapeFor(type.element, max);
    const count = type.element.size === 0 ? 0 : type.size / type.element.size;
    return { size: count * element.size, align: element.align };
  }
  return { size: type.size, align: Math.min(type.align, max) };
}

/** The bytes between members, and behind the last. A union has some at its end only. */
export function holesOf(type: StructType): Hole[] {
  const holes: Hole[] = [];
  let end = 0;
  let last: string | undefined;
  for (const [i, member] of type.members.entries()) {
    const { offset, type: of } = member;
    if (offset > end) {
      holes.push({ after: last, before: i, offset: end, size: offset - end });
    }
    if (offset + of.size >= end) last = nameOf(member);
    end = Math.max(end, offset + of.size);
  }
  if (type.size > end) {
    holes.push({ after: last, before: undefined, offset: end, size: type.size - end });
  }
  return holes;
}

/** The first of its fields stands for an anonymous member. */
function nameOf(member: Field | undefined): string {
  if (!member) return '';
  return member.name === '' && isStruct(member.type) ? nameOf(member.type.members[0]) : member.name;
}

const has64 = (type: CType): boolean => {
  const element = elementOf(type);
  return isStruct(element) ? element.members.some((f) => has64(f.type)) : natural(element) === 8;
};

const bytes = (n: number) => (n === 1 ? '1 byte' : `${n} bytes`);

export function lintLayout(surface: Surface): void {
  for (const struct of surface.structs) {
    const packed = lintPacking(surface, struct);
    const holes = holesOf(struct.type);
    for (const hole of holes) reportHole(surface, struct, hole);
    if (!packed && holes.length === 0 && struct.type.size % 4 !== 0 && struct.users.length > 0) {
      surface.report(
        'size-oabi',
        struct,
        struct.label,
        `its ${bytes(struct.type.size)} are no multiple of 4; ARM's old ABI makes them ${roundUp(struct.type.size, 4)}, and so another request number`,
        'fill it up with reserved bytes to a multiple of 4',
      );
    }
  }
}

/** Whether the struct is packed: then there are no holes but those that alignments ask for. */
function lintPacking(surface: Surface, struct: LintedStruct): boolean {
  const { type } = struct;
  if (type.pack >= 8) return false;
  const misaligned = type.members.find((member) => member.offset % natural(member.type) !== 0);
  if (misaligned) {
    const problem = `at byte ${misaligned.offset}, which is no multiple of ${natural(misaligned.type)}: compilers read it in pieces, and a program that takes its address may get a fault`;
    const remedy =
      'order the fields by size, or put reserved fields before it, and leave out "packed"';
    surface.reportField('align-natural', struct, nameOf(misaligned), problem, remedy);
    return true;
  }
  const aligned = roundUp(type.size, natural(type));
  const problem =
    aligned === type.size
      ? `it is packed, with every field where it would be anyway${type.align === 1 ? ': compilers then read it byte by byte' : ''}`
      : `it is packed, which hides that ${bytes(aligned - type.size)} are missing at its end: in an array its fields are not aligned`;
  const remedy = 'say the padding by reserved fields, and leave out "packed"';
  surface.report('packed', struct, struct.label, problem, remedy);
  return true;
}

function paddingType(size: number): string {
  const unit = size % 4 === 0 ? 4 : size % 2 === 0 ? 2 : 1;
  return size === unit ? `u${8 * unit}` : `array(u${8 * unit}, ${size / unit})`;
}

function reportHole(surface: Surface, struct: LintedStruct, hole: Hole): void {
  const { type, label } = struct;
  const other = placeFor(type, I386_ALIGN);
  const explicit = `add a field \`pad: ${paddingType(hole.size)}\` there, which has to be 0`;
  const garbage = 'that nobody sees: they can hold garbage, or leak what the kernel has there';
  if (hole.before === undefined) {
    const differs = has64(type) && other.size !== type.size;
    const problem = differs
      ? `${type.size} bytes on 64-bit machines, ${other.size} on i386, as ${bytes(hole.size)} of padding follow ${hole.after}: request numbers differ, and so do arrays of it`
      : `${bytes(hole.size)} of padding follow ${hole.after} ${garbage}`;
    surface.report(differs ? 'size-64bit' : 'padding-tail', struct, label, problem, explicit);
    return;
  }
  const before = type.members[hole.before];
  const there = other.offsets[hole.before];
  const differs = before?.offset !== there && hole.size >= I386_ALIGN;
  const between = `${bytes(hole.size)} of padding between ${hole.after} and ${nameOf(before)}`;
  const problem = differs
    ? `${between} on 64-bit machines; on i386 it is at byte ${there}, not at ${before?.offset}`
    : `${between} ${garbage}`;
  const rule = differs ? 'layout-32bit' : 'padding-implicit';
  surface.reportField(rule, struct, nameOf(before), problem, explicit);
}
